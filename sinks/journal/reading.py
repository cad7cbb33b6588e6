"""Read a journal as a stream: whole records come out, damage costs only the lines it hit, memory stays bounded."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from typing import IO, NamedTuple

from ...plugins.complaints import Complaints
from ...plugins.lines import kind_of, leading_records, records_in
from ...plugins.records import Record
from .files import JournalFile, gzip_faults

__all__ = ["Found", "Reader", "blocks_of", "lines_of", "part_of", "read_records"]

_BLOCK_BYTES = 1 << 20
# However a program writes JSON, it writes these as they are: no need to know how it would escape the others.
_PLAIN = re.compile(r"[A-Za-z0-9_.:-]+")
_complaints = Complaints(logging.getLogger("telemetry.journal"))


class Found(NamedTuple):
    """A record, the byte position where it begins, and the one where reading goes on after it."""

    offset: int
    end: int
    record: Record


def read_records(
    file: JournalFile, offset: int = 0, *, kinds: Iterable[str] | None = None, part: bytes = b""
) -> Iterator[Found]:
    """
    Yield the records of *file* from byte *offset* on; see `Reader`, which also tells how far it got.

    Args:
        offset: 0, or a position that a reader gave.
        kinds: which of `run`, `event`, `metrics`, `commit`, `delivery`; all when left out.
        part: lines that lack these bytes are passed over, but for a tail without its newline.
    """
    return iter(Reader(file, offset, kinds=kinds, part=part))


class Reader:
    """
    Read one file from a position on; iterate again to read what was added since.

    `position` is where reading goes on: behind the record that was yielded last and, at the end, behind the last
    whole line, so that it can be kept as a cursor also when nothing was yielded. An unterminated tail is yielded
    if it decodes whole, otherwise it stays unread: its writer may be at work. A file that is gone yields nothing.

    Kinds that are not asked for, and lines without *part*, are passed over without decoding (about 1 GB/s). The
    memory needed is that of the longest line.
    """

    def __init__(
        self, file: JournalFile, offset: int = 0, *, kinds: Iterable[str] | None = None, part: bytes = b""
    ) -> None:
        self.file = file
        self.position = offset
        self._kinds = None if kinds is None else frozenset(kinds)
        self._lines_of = _lines_with(part, self._kinds) if part else _line_finder(self._kinds)

    def __iter__(self) -> Iterator[Found]:
        try:
            with self.file.open() as stream:
                stream.seek(self.position)
                yield from self._found_in(stream)
        except FileNotFoundError:
            return  # pruned since it was listed: there is nothing to read any more
        except gzip_faults() as error:
            _complaints.say(
                str(self.file.path),
                "%s is damaged (%s); its records up to byte %d were read. Restore it from a copy, or delete it.",
                *(self.file.path, error, self.position),
            )

    def _found_in(self, stream: IO[bytes]) -> Iterator[Found]:
        for block in blocks_of(stream):
            start = self.position
            if block.endswith(b"\n") or self.file.is_closed:
                yield from self._in_lines(block, start)
                self.position = start + len(block)
            else:
                yield from self._in_tail(block, start)

    def _in_lines(self, block: bytes, start: int) -> Iterator[Found]:
        for begin, end in self._lines_of(block):
            line = block[begin:end]
            for first, after, record in records_in(line):
                if self._kinds is None or kind_of(record) in self._kinds:
                    self.position = start + begin + after
                    yield Found(start + begin + first, self.position, record)

    def _in_tail(self, tail: bytes, start: int) -> Iterator[Found]:
        # No search inside: the line may be half written, and a record in its payload must not come out.
        for first, after, record in leading_records(tail):
            self.position = start + after
            if self._kinds is None or kind_of(record) in self._kinds:
                yield Found(start + first, self.position, record)


def part_of(run_id: str) -> bytes:
    """Return bytes that stand in each line about a run, whoever wrote it; none where nothing is sure to."""
    part = max(_PLAIN.findall(run_id), key=len, default="")
    return f'"{part}"'.encode() if part == run_id else part.encode()


def lines_of(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the rest of *stream* line by line, newlines included; the last line may lack its own."""
    for block in blocks_of(stream):
        for begin, end in _all_lines(block):
            yield block[begin:end]


def blocks_of(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the rest of *stream* in blocks of whole lines; the last block may lack its newline."""
    held: list[bytes] = []
    # read1() and not read(): of a gzip file that was cut, read() drops what it has when it meets the end.
    while chunk := stream.read1(_BLOCK_BYTES):  # type: ignore[attr-defined]  # both kinds of stream have it
        cut = chunk.rfind(b"\n") + 1
        if cut:
            yield b"".join((*held, chunk[:cut]))
            held.clear()
        held.append(chunk[cut:])
    if tail := b"".join(held):
        yield tail


def _line_finder(kinds: frozenset[str] | None) -> Callable[[bytes], Iterator[tuple[int, int]]]:
    # Nearly every line is an event: when those are wanted, looking for them would only cost.
    if kinds is None or "event" in kinds:
        return _all_lines
    mark = _mark_of(kinds)
    return lambda block: _marked_lines(block, mark)


def _lines_with(part: bytes, kinds: frozenset[str] | None) -> Callable[[bytes], Iterator[tuple[int, int]]]:
    rare, mark = re.compile(re.escape(part)), re.compile(b"") if kinds is None else _mark_of(kinds)
    return lambda block: (found for found in _marked_lines(block, rare) if mark.search(block, *found))


def _mark_of(kinds: Iterable[str]) -> re.Pattern[bytes]:
    words = b"|".join(re.escape(kind).encode() for kind in sorted(kinds))
    return re.compile(rb'"record_type"\s*:\s*"(?:' + words + rb')"')


def _all_lines(block: bytes) -> Iterator[tuple[int, int]]:
    begin = 0
    while begin < len(block):
        end = block.find(b"\n", begin) + 1 or len(block)
        yield begin, end
        begin = end


def _marked_lines(block: bytes, mark: re.Pattern[bytes]) -> Iterator[tuple[int, int]]:
    # One search through the block costs 0.25 us an event; taking it apart into lines first costs as much again.
    # It also finds what a crash glued behind an event.
    end = 0
    while match := mark.search(block, end):
        begin = block.rfind(b"\n", end, match.start()) + 1 or end
        end = block.find(b"\n", match.end()) + 1 or len(block)
        yield begin, end
