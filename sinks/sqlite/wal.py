"""Tell how much of a WAL is in use: its file keeps its length when it is begun anew, and is written over."""

from __future__ import annotations

import os
import weakref

from ...plugins.same_file import close_own, is_open_on

__all__ = ["Wal"]

_HEAD_BYTES = 32
_FRAME_HEAD_BYTES = 24
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0)


class Wal:
    """
    The write-ahead log beside one database, read only.

    Its format is fixed: a head of 32 bytes, then frames, each a head of 24 bytes and a page. The frames in use bear
    the two salts of the head; what stands behind them is of an earlier round, which had others.

    Args:
        path: of the WAL; the file need not be there.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._closing: weakref.finalize[[int, os.stat_result], Wal] | None = None
        self._known: tuple[int, os.stat_result] | None = None
        self._spot: tuple[int, int] | None = None
        self._old_salts = b""

    def used_bytes(self) -> int:
        """Return how long the part in use is; any thread may ask."""
        try:
            descriptor = os.open(self.path, _READ)
        except OSError:
            return 0
        try:
            return _used_bytes(descriptor)
        finally:
            os.close(descriptor)

    def reaches(self, size_bytes: int) -> bool:
        """Whether the part in use has *size_bytes*; any thread may ask."""
        try:
            # The file is never shorter than its part in use, and is almost never as long as that is asked for.
            return os.stat(self.path).st_size >= size_bytes and self.used_bytes() >= size_bytes
        except OSError:
            return False

    def is_full(self, size_bytes: int) -> bool:
        """
        Return the same at the cost of one short read, by a descriptor that is kept; always for the same size.

        Only for whoever has the connection, which must be open: while it is, nobody else deletes the file.
        """
        try:
            if self._known is not None and not is_open_on(*self._known):
                self.close()
            spot = self._spot or self._find(size_bytes)
            if spot is None:
                return False
            salts = _read(*spot, 8)
            if salts == self._old_salts:
                return False  # as when they were found to be of an earlier round, or to be none
            if salts and salts == _read(spot[0], 16, 8):
                return True
            self._old_salts = salts
        except OSError:
            self.close()
        return False

    def _find(self, size_bytes: int) -> tuple[int, int] | None:
        """Return where to read the salts of the frame that fills so many bytes; None as long as nothing is written."""
        if self._descriptor is None:
            self._descriptor = os.open(self.path, _READ)
            self._known = self._descriptor, os.fstat(self._descriptor)
            # A descriptor is a plain number: nobody would close it when a client is dropped without being closed.
            self._closing = weakref.finalize(self, close_own, *self._known)
            self._closing.atexit = False
        frame_bytes = _frame_bytes(_read(self._descriptor, 0, _HEAD_BYTES))
        if frame_bytes is None:
            return None
        number = max(1, (size_bytes - _HEAD_BYTES) // frame_bytes)
        self._spot = self._descriptor, _place_of(number, frame_bytes)
        return self._spot

    def close(self) -> None:
        """Let go of the descriptor; to be called before the connection is closed, which may delete the file."""
        self._descriptor, self._known, self._spot, self._old_salts = None, None, None, b""
        if self._closing is not None:
            self._closing()


def _used_bytes(descriptor: int) -> int:
    head = _read(descriptor, 0, _HEAD_BYTES)
    frame_bytes = _frame_bytes(head)
    if frame_bytes is None:
        return 0
    # Frames are in use up to some place, and from there on are none: the place is found by halves, in 10 reads.
    least, most = 0, (os.fstat(descriptor).st_size - _HEAD_BYTES) // frame_bytes
    while least < most:
        middle = (least + most + 1) // 2
        is_used = _read(descriptor, _place_of(middle, frame_bytes), 8) == head[16:24]
        least, most = (middle, most) if is_used else (least, middle - 1)
    return _HEAD_BYTES + least * frame_bytes


def _frame_bytes(head: bytes) -> int | None:
    return _FRAME_HEAD_BYTES + int.from_bytes(head[8:12], "big") if len(head) == _HEAD_BYTES else None


def _place_of(number: int, frame_bytes: int) -> int:
    """Return where the salts of frame *number* stand; the first is 1."""
    return _HEAD_BYTES + (number - 1) * frame_bytes + 8


def _read(descriptor: int, place: int, count: int) -> bytes:
    os.lseek(descriptor, place, os.SEEK_SET)  # os.pread() is not everywhere
    return os.read(descriptor, count)
