"""Let teams take turns: many processes of one kind at once, beside many of another kind."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from .contest import Entry, Worker, place_of
from .sample import Sample

__all__ = ["NUMBERS_EACH", "team_race"]

NUMBERS_EACH = 1_000_000
"""Each process numbers its calls from a multiple of this."""


def team_race(entries: Iterable[Entry], directory: Path, *, size: int, rounds: int) -> dict[str, Sample]:
    """
    Start *size* processes of every entry, and let team after team make its calls, all its processes at once.

    A round of a team lasts from the order to the last answer. The first round is thrown away.
    """
    samples = {entry.name: Sample() for entry in entries}
    with ExitStack() as stack:
        teams = [_team(stack, entry, directory, size) for entry in entries]
        for number in range(rounds + 1):
            for team in teams if number % 2 else reversed(teams):
                sample = _round(team)
                if number:
                    _add(samples[team[0].entry.name], sample)
        for team in teams:
            for worker in team:
                worker.close()
    return samples


def _team(stack: ExitStack, entry: Entry, directory: Path, size: int) -> list[Worker]:
    place = place_of(directory, entry)
    starts = [(place / f"member-{number}", number * NUMBERS_EACH) for number in range(size)]
    return [stack.enter_context(Worker(entry, folder, first)) for folder, first in starts]


def _round(team: list[Worker]) -> Sample:
    began = time.perf_counter_ns()
    for worker in team:
        worker.begin()
    answers = [worker.answer() for worker in team]
    wall_ns = time.perf_counter_ns() - began
    took = [ns for answer in answers for ns in answer["ns"]]
    return Sample([took], [sum(answer["cpu_ns"] for answer in answers)], [wall_ns])


def _add(sample: Sample, other: Sample) -> None:
    sample.rounds += other.rounds
    sample.cpu_ns += other.cpu_ns
    sample.wall_ns += other.wall_ns
