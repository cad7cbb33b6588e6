"""Complete the end of a run that another process wrote, who did not know how the run began."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...plugins.merge import agent_of, fold
from ...plugins.records import MetricsUpdate, RunRecord
from ..journal import JournalFile, journal_files, read_records
from ..journal.reading import part_of

__all__ = ["completed"]

_MOST_FILES = 8
"""How many files are searched for the start, newest first: a week and a day."""

_Line = RunRecord | MetricsUpdate


def completed(end: RunRecord, directory: Path, name: str, offset: int) -> RunRecord:
    """
    Return *end* with what the journal says of the run before it; unchanged when the line says all that its start did.

    The same lines give the same record in every process and at every repetition, so that an idempotency key never
    stands for two different bodies.

    Args:
        directory: where the journal lies.
        name: the file that holds *end*.
        offset: where in that file *end* begins.
    """
    if end.is_running or end.job_type is not None or _says_all(end):
        return end
    known: RunRecord | None = None
    for line in _lines_before(end.run_id, directory, name, offset):
        known = fold(known, line)
    return fold(known, end)


def _says_all(end: RunRecord) -> bool:
    """
    Whether *end* was written by who wrote the start, and carries what that said: a job is nothing that a run must have.

    To read the day again for each of these would cost the square of their number.
    """
    # Only our own writers number their lines, and they know the host of each run that they have started.
    if end.writer is None or end.host is not None:
        return end.writer is not None
    is_guess = end.trigger_type == "manual" and end.agent_name == agent_of(end.run_id)
    return not is_guess and end.agent_name != "unknown"


def _lines_before(run_id: str, directory: Path, name: str, offset: int) -> list[_Line]:
    lines: list[_Line] = []
    for file in _files_back_from(directory, name):
        lines[:0] = _lines_of(run_id, file, offset if file.name == name else None)
        if any(isinstance(line, RunRecord) and line.is_running for line in lines):
            break
    return lines


def _files_back_from(directory: Path, name: str) -> Iterator[JournalFile]:
    files = journal_files(directory)
    names = [file.name for file in files]
    last = names.index(name) + 1 if name in names else len(files)
    return reversed(files[max(0, last - _MOST_FILES) : last])


def _lines_of(run_id: str, file: JournalFile, before: int | None) -> Iterator[_Line]:
    # To decode takes ten times as long as this look, and nearly every line is another run's.
    for offset, _, record in read_records(file, kinds=("run", "metrics"), part=part_of(run_id)):
        if before is not None and offset >= before:
            return
        if record.run_id == run_id and isinstance(record, RunRecord | MetricsUpdate):
            yield record
