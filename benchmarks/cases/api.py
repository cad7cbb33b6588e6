"""Measure end_run() while the API is down, hangs, or answers slowly: the agent must not notice."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from harness.contest import Entry, race
from harness.figures import Figure, Section, Table
from harness.sample import Sample, ratio
from harness.setting import Setting

_ROUNDS, _CALLS = 30, 100
_NONE = "no API sink"
_SLOW_S = 1.0
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
_TEXT = """\
`end_run()` with journal and database and an API sink whose other side is not there (connection refused), accepts and
never answers, or answers after a second; beside the same without an API sink. Deliveries happen behind the agent.
"""


def measure(setting: Setting) -> Section:
    """Race all four."""
    with ExitStack() as stack:
        urls = {
            "API down": f"http://127.0.0.1:{_closed_port()}/runs",
            "API hanging": stack.enter_context(server(None)),
            "API slow": stack.enter_context(server(_SLOW_S)),
        }
        entries = [Entry(_NONE, "ours:Ends", calls=_CALLS)]
        for name, url in urls.items():
            api = {"url": url, "token": "t"}
            entries.append(Entry(name, "ours:Ends", {"api": api, "close_s": 0.5}, calls=_CALLS))
        samples = race(entries, setting.directory, rounds=setting.count(_ROUNDS, least=4))
    figures = tuple(
        Figure(f"end_run, {name}", ratio(samples[name].medians(), samples[_NONE].medians()), "x", 1.1, against=_NONE)
        for name in urls
    )
    table = Table(("", "median µs", "p99 µs", "CPU µs, threads too"), tuple(map(_row, samples.items())))
    return Section("api", "The end of a run, whatever the API does", _TEXT, figures, (table,))


def _row(pair: tuple[str, Sample]) -> tuple[str, ...]:
    name, sample = pair
    return name, *(f"{each:,.0f}" for each in (sample.median_us, sample.p99_us, sample.cpu_us))


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def server(answers_after_s: float | None) -> Iterator[str]:
    """Yield the URL of a server that answers so late, or never (None)."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as held:
        thread = threading.Thread(target=_serve, args=(listener, answers_after_s, held), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/runs"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve(listener: socket.socket, answers_after_s: float | None, held: ExitStack) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # shut down
        held.enter_context(connection)
        if answers_after_s is not None:
            connection.recv(65536)
            time.sleep(answers_after_s)
            connection.sendall(_ANSWER)
            connection.close()
