"""Play the demo: several runs that go well or half well, one that raises, and one whose process is killed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from ..client import TelemetryClient
from ..config import TelemetryConfig
from .agent import parse_strictly, survey
from .killing import start_victim
from .sample import Section

__all__ = ["Outcome", "play"]

_MISSING = "no_such_module.py"
_VICTIM_FILES = 10


@frozen
class Outcome:
    """
    What the demo recorded.

    `run_ids` are in the order in which the runs ended; `broken` is a file that cannot be parsed, None when the folder
    has none, in which case the run that fails does so at a file that is not there.
    """

    run_ids: tuple[str, ...]
    failed_run: str
    killed_run: str
    broken: Path | None


def play(config: TelemetryConfig, folder: Path, sections: Sequence[Section], step: Callable[[Path], Any]) -> Outcome:
    """
    Record all runs with the real client into the configured place; nothing is posted to an API.

    Args:
        step: called with each file that was read.

    Raises:
        TelemetryError: the process that is to be killed does not begin.
    """
    readings: dict[Path, bool] = {}

    def read(path: Path, is_whole: bool) -> None:
        readings[path] = is_whole
        step(path)

    with TelemetryClient(config.changed(test_mode="mock")) as client:
        run_ids = list(survey(client, folder, sections, read))
        broken = next((path for path, is_whole in readings.items() if not is_whole), None)
        failed_run = parse_strictly(client, broken or folder / _MISSING)
        healthy = [path for path, is_whole in readings.items() if is_whole]
        killed_run = _killed_run(client, config, folder, healthy[:_VICTIM_FILES])
    return Outcome((*run_ids, failed_run, killed_run), failed_run, killed_run, broken)


def _killed_run(client: TelemetryClient, config: TelemetryConfig, folder: Path, files: list[Path]) -> str:
    own = Path(__file__)
    victim = start_victim(config, folder, files) if files else start_victim(config, own.parent, [own])
    try:
        victim.kill()
        client.get_run(victim.run_id)  # before each answer the client has the verdicts on the dead written
    finally:
        victim.reap()
    return victim.run_id
