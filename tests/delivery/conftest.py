"""Give the delivery a server that misbehaves on command, a journal, and records to carry."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field, frozen
from loopback import Loopback, Post, lent
from processes import lent_processes

from telemetry.plugins import RunRecord, SinkContext, encode_line
from telemetry.sinks.delivery.places import Places
from telemetry.sinks.journal import Journal


@frozen
class Request(Post):
    """A run that was posted."""

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]

    @property
    def run(self) -> dict[str, Any]:
        return json.loads(self.body)


class Api(Loopback):
    """A metrics API."""

    success = (201, b'{"ok": true}', {})

    @property
    def url(self) -> str:
        return f"{self.origin}/v1/records"

    def understood(self, post: Post) -> Request:
        return Request(post.path, post.headers, post.body, post.at)

    @property
    def runs(self) -> list[str]:
        """The run ids that were taken, in order, repetitions included."""
        return [request.run["run_id"] for request in self.taken]


@pytest.fixture
def new_api() -> Iterator[Callable[..., Api]]:
    """Return a function that starts a metrics API; it takes everything unless it is told otherwise."""
    with lent(Api) as start:
        yield start


@pytest.fixture
def api(new_api: Callable[..., Api]) -> Api:
    """A metrics API."""
    return new_api()


@pytest.fixture
def other_api(new_api: Callable[..., Api]) -> Api:
    """A second one, at another origin."""
    return new_api()


@define(eq=False)
class Base:
    """A base directory with a journal, seen by a sink called `hq`."""

    path: Path
    reports: list[Any] = field(factory=list)
    numbers: Any = field(factory=lambda: itertools.count(1))
    writer: str = "w1"

    @property
    def raw(self) -> Path:
        return self.path / "raw"

    @property
    def state(self) -> Path:
        return self.path / "state"

    def context(self, **changes: Any) -> SinkContext:
        context = SinkContext(
            sink_name="hq",
            base_dir=self.path,
            ndjson_dir=self.raw,
            journal_dir=self.raw,
            database_path=self.path / "db" / "telemetry.sqlite",
            writer=self.writer,
            report=self.reports.append,
        )
        return evolve(context, **changes)

    def run(self, name: str, **changes: Any) -> RunRecord:
        """Return the end of a run called *name*."""
        values = {
            "run_id": name,
            "agent_name": "crawler",
            "job_type": "crawl",
            "start_time": "2026-11-23T10:00:00.000000+00:00",
            "end_time": "2026-11-23T10:00:01.000000+00:00",
            "status": "success",
            "duration_ms": 1000,
            "writer": self.writer,
            "seq": next(self.numbers),
        }
        return RunRecord(**{**values, **changes})

    def write(self, *records: Any) -> None:
        """Append *records* to the journal."""
        journal = Journal(self.raw, fsync="never")
        for record in records:
            journal.append(encode_line(record))
        journal.close()

    def write_runs(self, *names: str) -> list[RunRecord]:
        """Append the end of a run for each name."""
        runs = [self.run(name) for name in names]
        self.write(*runs)
        return runs

    def texts(self) -> str:
        """Return all that lies under the base directory, as one text."""
        return "".join(path.read_bytes().decode("latin-1") for path in self.path.rglob("*") if path.is_file())


@pytest.fixture
def base(tmp_path: Path) -> Base:
    """An empty base directory."""
    return Base(tmp_path / "base")


@pytest.fixture
def places(base: Base) -> Places:
    """Return where the state of the sink lies."""
    return Places(base.state, "hq")


@pytest.fixture(scope="session")
def fresh_base(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Base]:
    """Return a function that makes an empty base directory: a property wants one for each example."""
    return lambda: Base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def child() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start Python programs in processes of their own; what still runs at the end is killed."""
    with lent_processes() as processes:
        yield processes.start
