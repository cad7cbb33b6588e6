"""Check the journal: that its last line is whole and that its clock and ours agree."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ...plugins.records import RunRecord
from ..sizes import size_text
from .finding import NOTE, OK, WARNING, Finding

__all__ = ["check_clock", "check_journal"]

_AHEAD = timedelta(minutes=1)


def check_journal(directory: Path) -> Iterator[Finding]:
    """Tell how large the journal is, and whether its newest file ends in a torn line."""
    files = sorted((path for path in directory.glob("events_*.ndjson*") if path.is_file()), key=lambda path: path.name)
    if not files:
        yield Finding("journal", NOTE, "there is none yet", str(directory), "it begins with the first record")
        return
    size = sum(path.stat().st_size for path in files)
    told = f"{len(files)} {'file' if len(files) == 1 else 'files'}, {size_text(size)}"
    if files[-1].suffix == ".gz" or _ends_whole(files[-1]):
        yield Finding("journal", OK, told)
    else:
        cure = "nothing to do: the next writer ends the line, and readers pass over it"
        yield Finding("journal", NOTE, f"{told}; its last line is torn", f"{files[-1]}: a writer died in it", cure)


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def check_clock(newest: RunRecord | None) -> Iterator[Finding]:
    """Tell whether the newest run begins in the future: then this clock, or that of its agent, is wrong."""
    if newest is None:
        return
    try:
        ahead = newest.started_at - datetime.now(UTC)
    except ValueError:
        return  # another program's time says nothing of a clock
    if ahead > _AHEAD:
        told = f"the newest run begins {ahead.total_seconds() / 60:.0f} min in the future"
        yield Finding("clock", WARNING, told, f"{newest.run_id} of {newest.host or 'an unknown host'}", _NTP)
    else:
        yield Finding("clock", OK, "no run lies in the future")


_NTP = "set the clocks of these machines by NTP; lists are in the order of start times"
