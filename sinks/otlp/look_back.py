"""Find single lines in the journal again: the start of a run that began in an earlier process, the events of a run."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import msgspec
from attrs import frozen

from ...plugins.ids import parse_time
from ...plugins.lines import records_in
from ...plugins.mend import start_of
from ...plugins.records import Record, RunEvent, RunRecord
from ..delivery.cursor import day_of
from ..journal import JournalFile, journal_files
from ..journal.files import gzip_faults

__all__ = ["LookBack"]

_MOST_FILES = 8
"""How many files are searched for a start, newest first: a week and a day."""
_RUN_ID = re.compile(rb'"run_id"\s*:\s*"((?:[^"\\]|\\.)*)"')
_RUN_LINE = re.compile(rb'"record_type"\s*:\s*"run"')
_EVENT_LINE = re.compile(rb'"record_type"\s*:\s*"event"')


@frozen
class LookBack:
    """The journal in *directory*, searched by run id; there is no index, and no line is decoded that is not wanted."""

    directory: Path

    def starts(self, run_ids: Mapping[str, str]) -> dict[str, RunRecord]:
        """
        Return what the journal says first of each run, as far as it is found.

        Args:
            run_ids: a time at or after the begin of each, ISO 8601 text, by run id.
        """
        by_day: dict[str, set[str]] = {}
        for run_id, time in run_ids.items():
            by_day.setdefault(_day(start_of(run_id) or time, days=1), set()).add(run_id)
        found: dict[str, RunRecord] = {}
        for last_day, wanted in by_day.items():
            self._search(last_day, wanted, found)
        return found

    def _search(self, last_day: str, wanted: set[str], found: dict[str, RunRecord]) -> None:
        files = [file for file in journal_files(self.directory) if day_of(file) <= last_day]
        for file in reversed(files[-_MOST_FILES:]):
            missing = {run_id for run_id in wanted if run_id not in found or not found[run_id].is_running}
            if not missing:
                return
            for record in _records(file, missing, _RUN_LINE):
                if isinstance(record, RunRecord) and (record.is_running or record.run_id not in found):
                    found[record.run_id] = record

    def events(self, runs: Mapping[str, RunRecord], take: Callable[[RunEvent], None]) -> None:
        """Call *take* with each event of *runs*, in the order of the journal; reads the days of all of them once."""
        first_day = min((_day(run.start_time, days=-1) for run in runs.values()), default="")
        last_day = max((_day(run.end_time or run.start_time, days=1) for run in runs.values()), default="")
        for file in journal_files(self.directory):
            if first_day <= day_of(file) <= last_day:
                for record in _records(file, runs.keys(), _EVENT_LINE):
                    if isinstance(record, RunEvent):
                        take(record)


def _records(file: JournalFile, run_ids: Collection[str], kind: re.Pattern[bytes]) -> Iterator[Record]:
    written = {_as_written(run_id) for run_id in run_ids}
    try:
        with file.open() as stream:
            for line in stream:
                # To decode takes ten times as long as this look, and nearly every line is another run's.
                if kind.search(line) and not written.isdisjoint(_RUN_ID.findall(line)):
                    yield from (record for _, _, record in records_in(line) if record.run_id in run_ids)
    except FileNotFoundError:
        return  # pruned since it was listed
    except gzip_faults():
        return  # damaged: the journal's own reader complains of that


def _as_written(run_id: str) -> bytes:
    return msgspec.json.encode(run_id.encode("utf-8", "backslashreplace").decode())[1:-1]


def _day(text: str, *, days: int) -> str:
    """Return the day (`YYYYMMDD`) of a time, moved by *days*: a line of around midnight may be in either file."""
    try:
        return f"{parse_time(text) + timedelta(days=days):%Y%m%d}"
    except (ValueError, OverflowError):
        return "00000000" if days < 0 else "99999999"
