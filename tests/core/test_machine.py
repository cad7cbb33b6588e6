"""The process table tells who lives, and only where it means the same process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from telemetry.core.machine import is_alive, self_portrait

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the process table of Linux")

MODEL = """
import json, time
from telemetry.core.machine import self_portrait
print(json.dumps(self_portrait()), flush=True)
time.sleep(600)
"""


@pytest.fixture
def model() -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Another process, and what it says of itself."""
    process = subprocess.Popen([sys.executable, "-c", MODEL], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process, json.loads(process.stdout.readline())
    process.kill()
    process.communicate()


def test_a_process_is_alive_until_it_is_killed(model):
    """Also before anybody has reaped it."""
    process, portrait = model
    was_alive = is_alive(portrait)

    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    is_zombie_alive = is_alive(portrait)
    process.wait()

    assert (True, False, False) == (was_alive, is_zombie_alive, is_alive(portrait))


@pytest.mark.parametrize(
    "told",
    [
        {"started": "1"},  # the number was given to another process
        {"stack": "140000000000000"},  # it runs another program
        {"boot_id": "the boot before"},
        {"pid_namespace": "pid:[1]"},  # another container's
        *({name: None} for name in ("pid", "started", "boot_id", "pid_namespace")),
    ],
)
def test_what_may_be_another_process_is_not_taken_to_be_alive(told):
    """Then only the lock counts."""
    portrait = self_portrait()

    assert is_alive(portrait)
    assert not is_alive({**portrait, **told})


@pytest.mark.parametrize("stack", [None, "0"])
def test_a_process_that_hides_its_stack_is_alive(stack):
    """An earlier writer does not tell it either."""
    assert is_alive({**self_portrait(), "stack": stack})


def test_nothing_is_known_of_a_claim_without_facts():
    """Its process died while it wrote, or was no process of ours."""
    assert not is_alive({})
