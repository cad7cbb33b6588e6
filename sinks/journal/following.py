"""Follow a journal as it grows: the latest records, then each new one, whatever file and process it comes from."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ...plugins.records import Record
from .files import JournalFile, journal_files
from .reading import Reader

__all__ = ["Follower"]

_FIRST_WINDOW_BYTES = 1 << 16
_WIDER = 8
_WATCHED_FILES = 4


def _anything(record: Record) -> bool:
    return True


class Follower:
    """
    Read the end of a journal and then what is added to it.

    Day changes, new files after a fault of the disk and closed days that are gzipped meanwhile make no difference.
    Of all files the newest four are watched: nobody writes to an older one.

    Args:
        directory: where the journal lies; it may not exist yet.
        kinds: which of `run`, `event`, `metrics`, `delivery`; all when left out.
    """

    def __init__(self, directory: str | os.PathLike[str], kinds: Iterable[str] | None = None) -> None:
        self._directory = Path(directory)
        self._kinds = None if kinds is None else frozenset(kinds)
        self._readers: dict[str, Reader] = {}

    def latest(self, count: int, is_wanted: Callable[[Record], bool] = _anything) -> list[Record]:
        """
        Return the last *count* records that are wanted, oldest first, and begin to follow behind them.

        The files are read from their ends, so that it costs what is found and not what is there.
        """
        found: list[Record] = []
        files = journal_files(self._directory)
        for number, file in enumerate(reversed(files)):
            is_watched = number < _WATCHED_FILES
            if len(found) < count or is_watched:
                found = self._latest_in(file, count - len(found), is_wanted, is_watched=is_watched) + found
        return found

    def added(self) -> Iterator[Record]:
        """Yield the records that were added since the last call, or all where there was none before."""
        for file in journal_files(self._directory)[-_WATCHED_FILES:]:
            reader = self._readers.get(file.name)
            if reader is None or (not file.is_closed and file.size < reader.position):
                # A new day; or the file was replaced by a shorter one, and what is in it was never seen.
                reader = self._readers[file.name] = Reader(file, kinds=self._kinds)
            if file.has_more(reader.position):
                yield from (record for _, _, record in reader)

    def _latest_in(
        self, file: JournalFile, count: int, is_wanted: Callable[[Record], bool], *, is_watched: bool
    ) -> list[Record]:
        window = _FIRST_WINDOW_BYTES
        while True:
            start = 0 if file.is_closed else _line_start(file, file.size - window)
            reader = Reader(file, start, kinds=self._kinds)
            # Of an older file nothing is asked once enough was found; this one is read to its end all the same.
            found = deque((record for _, _, record in reader if is_wanted(record)), maxlen=max(count, 0))
            if len(found) >= count or start == 0:
                break
            window *= _WIDER
        if is_watched:
            self._readers[file.name] = reader
        return list(found)


def _line_start(file: JournalFile, offset: int) -> int:
    """Return where the first line behind *offset* begins, 0 for an offset that is not inside the file."""
    if offset <= 0:
        return 0
    try:
        with file.open() as stream:
            stream.seek(offset - 1)
            return offset - 1 + len(stream.readline())
    except FileNotFoundError:
        return 0  # pruned since it was listed; there is nothing to read any more
