"""Prove the parts of running a command that no terminal shows: early signals, threads, other streams."""

import io
import os
import signal
import sys
import threading

import pytest

from telemetry.core import execution
from telemetry.core.execution import run_command

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and shells of POSIX")


def test_a_signal_before_the_start_reaches_the_command(monkeypatch):
    """Between our handlers and the start of the command nothing is lost, and nothing is left behind."""
    popen = execution.subprocess.Popen

    def slow_start(*arguments, **options):
        os.kill(os.getpid(), signal.SIGTERM)
        return popen(*arguments, **options)

    monkeypatch.setattr(execution.subprocess, "Popen", slow_start)

    finished = run_command(["sleep", "30"], os.environ)

    assert (128 + signal.SIGTERM, "SIGTERM") == (finished.exit_code, finished.signal)


def test_handlers_are_put_back():
    """After the command signals do what they did before."""
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]

    run_command(["true"], os.environ)

    assert before == [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]


def test_a_command_runs_in_any_thread():
    """Only the main thread may change what signals do; elsewhere the command runs without."""
    found = []
    thread = threading.Thread(target=lambda: found.append(run_command(["sh", "-c", "exit 4"], os.environ)))

    thread.start()
    thread.join(timeout=30)

    assert [4] == [finished.exit_code for finished in found]


def test_standard_error_without_a_descriptor_gets_the_text(monkeypatch):
    """A notebook's stream has no file behind it."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)

    finished = run_command(["sh", "-c", "echo told >&2"], os.environ)

    assert ("told\n", "told\n") == (stream.getvalue(), finished.stderr_tail)


def test_keys_of_the_terminal_are_not_sent_twice(monkeypatch):
    """In the foreground ^C reaches the command by itself; it is not handed on as well."""
    monkeypatch.setattr(execution, "_is_in_foreground", lambda: True)
    sent = []
    monkeypatch.setattr(execution.os, "kill", lambda pid, number: sent.append(number))
    child = execution._Child()
    child._process = object()

    execution._forwarder(child, "SIGINT")(signal.SIGINT, None)

    assert [] == sent


def test_real_time_signals_have_a_number_for_a_name():
    """Python has no word for each of them."""
    assert "signal 40" == execution._signal_name(40)
