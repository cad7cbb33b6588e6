"""Let contestants take turns, A/B/A/B, each in a process of its own, and read back what they claim to have kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from attrs import evolve, field, frozen

from .sample import Sample

__all__ = ["Entry", "Worker", "deaths", "lost_after_close", "note", "place_of", "race", "read_back"]

_WORKER = Path(__file__).parents[1] / "worker.py"


@frozen
class Entry:
    """
    A contestant of a race.

    `kind` is `module:Class` below contestants/, `python` the interpreter that has what it needs, `calls` how many
    calls it makes a round; slow ones make fewer.
    """

    name: str
    kind: str
    options: Mapping[str, Any] = field(factory=dict)
    python: str = sys.executable
    calls: int = 1000

    def scaled(self, share: float) -> Entry:
        """Return the entry with this *share* of its calls, three at least."""
        return evolve(self, calls=max(3, int(self.calls * share)))


class Worker:
    """
    The process of one contestant, which does what it is told and says how long that took.

    Args:
        first: the number of its first call.
    """

    def __init__(self, entry: Entry, directory: Path, first: int = 0) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.entry = entry
        self.directory = directory
        self.done = first
        self._log = (directory / "worker.log").open("ab")
        self.process = subprocess.Popen(
            [entry.python, str(_WORKER), entry.kind, str(directory), json.dumps(dict(entry.options))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=directory,
            env=_environment(),
        )
        self._answer()

    def begin(self, act: str = "calls", **details: Any) -> None:
        """Let it begin the calls of one round, without waiting for the end of them."""
        self._order(act, first=self.done, count=self.entry.calls, **details)

    def _order(self, act: str, **details: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"act": act, **details}) + "\n")
        self.process.stdin.flush()

    def calls(self, act: str = "calls", **details: Any) -> dict[str, Any]:
        """Let it make the calls of one round and return what it measured."""
        self.begin(act, **details)
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Wait until the round that `begin()` began is over and return what was measured."""
        self.done += self.entry.calls
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self._end()
            log = (self.directory / "worker.log").read_text("utf-8", "replace")
            raise RuntimeError(f"{self.entry.name} gave up:\n{log[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Let it end well."""
        if self.process.poll() is None:
            self._order("close")
            self._answer()
        self._end()

    def die(self, count: int) -> None:
        """Let it make *count* more calls and be killed directly after the last one."""
        self._order("die", first=self.done, count=count)
        self.process.wait()
        self._end()

    def _end(self) -> None:
        for stream in (self.process.stdin, self.process.stdout, self._log):
            if stream is not None:
                stream.close()
        self.process.wait()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self._end()


def _environment() -> dict[str, str]:
    # A worker finds its contestants beside itself, which this variable would forbid.
    return {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}


def race(
    entries: list[Entry],
    directory: Path,
    *,
    rounds: int,
    act: str = "calls",
    after_round: Callable[[int], None] | None = None,
    **details: Any,
) -> dict[str, Sample]:
    """
    Let every entry make its calls, one entry after the other, *rounds* times; then close them all.

    The first round warms up and is thrown away. Every second round goes backwards, so that nobody always stands
    behind the same neighbour.
    """
    samples = {entry.name: Sample() for entry in entries}
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(each, place_of(directory, each))) for each in entries]
        for number in range(rounds + 1):
            for worker in workers if number % 2 else reversed(workers):
                answer = worker.calls(act, **details)
                if number:
                    note(samples[worker.entry.name], answer)
            if after_round is not None:
                after_round(number)
        for worker in workers:
            worker.close()
    return samples


def note(sample: Sample, answer: dict[str, Any]) -> None:
    """Add the round of one *answer* to *sample*."""
    sample.rounds.append(answer["ns"])
    sample.wall_ns.append(answer["wall_ns"])
    sample.cpu_ns.append(answer["cpu_ns"])


def place_of(directory: Path, entry: Entry) -> Path:
    """Return where *entry* works below *directory*."""
    return directory / "".join(letter if letter.isalnum() else "-" for letter in entry.name)


def read_back(entry: Entry, directory: Path) -> set[int]:
    """Return the numbers that the contestant's own way of reading finds in *directory*, in a fresh process."""
    options = json.dumps({**entry.options, "read_back": True})
    command = [entry.python, str(_WORKER), entry.kind, str(directory), options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=directory, check=True, env=_environment())
    return set(json.loads(done.stdout))


def lost_after_close(entry: Entry, directory: Path, rounds: int) -> int:
    """Return how many of the calls of a race with so many *rounds* cannot be read back."""
    made = entry.calls * (rounds + 1)
    return len(set(range(made)) - read_back(entry, place_of(directory, entry)))


def deaths(entry: Entry, directory: Path, *, times: int, calls: int) -> tuple[int, int]:
    """Kill *entry* after *calls* calls, so many *times*; return how many calls it made in all and how many are lost."""
    lost = 0
    for number in range(times):
        place = place_of(directory, entry) / f"death-{number}"
        with Worker(entry, place) as worker:
            worker.die(calls)
        lost += len(set(range(calls)) - read_back(entry, place))
    return times * calls, lost
