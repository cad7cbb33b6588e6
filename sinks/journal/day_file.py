"""Append whole lines to one open file; what another writer left torn is ended first, never cut off."""

from __future__ import annotations

import errno
import os
import threading

from ...plugins.same_file import close_own, is_open_on, is_same_file
from .disk import Disk, explained, open_private

__all__ = ["DayFile", "Misplaced"]


class Misplaced(OSError):
    """The file was closed or deleted by somebody else: what is written to it would be nowhere, so nothing was."""


class DayFile:
    """
    One file of the journal, open for appending; one thread at a time writes, any thread may sync.

    Args:
        needs_name: look before each write whether the file was deleted, as by a prune whose clock is right while ours
            is not. That costs 1 us, which is much only where nothing is synced.

    Attributes:
        fault: why a sync failed. The system forgets what it could not write, so a second sync would lie:
            the file is not synced again, and its writer goes on in another.
        mended: how many torn tails were ended with a newline.
    """

    def __init__(self, path: str, disk: Disk, *, needs_name: bool = False) -> None:
        self.path = path
        self.fault: OSError | None = None
        self.is_closed = False
        self.mended = 0
        self._disk = disk
        self._needs_name = needs_name
        self._write = disk.write
        self._descriptor = open_private(path)
        self._known = os.fstat(self._descriptor)
        self._end = -1
        self._is_listed = False
        # One sync at a time: the system tells an error once only, to one of them. Reentrant, because a signal
        # handler that logs may meet a sync of the thread that it interrupts.
        self._gate = threading.RLock()
        self._syncing = 0
        self._syncing_thread: int | None = None
        self._is_behind = False

    def append(self, lines: bytes) -> None:
        """
        Write *lines*, one or more, each with its newline; they survive the death of this process.

        Raises:
            Misplaced: the descriptor is not that of this file any more, or the file was deleted.
            OSError: they are not in the file, or not whole; it names the path and the cure.
        """
        try:
            end = os.lseek(self._descriptor, 0, os.SEEK_END)
            # Another file of just this length has hardly got the number: no need to look.
            if (end != self._end or self._needs_name) and not self._is_found():
                raise self._misplaced()
            is_torn = end != self._end and not self._is_whole(end)
            if is_torn:
                lines = b"\n" + lines
            # One write for the whole: two writers on one file may interleave between two calls.
            written = self._write(self._descriptor, lines)
            self._is_behind = True
            if written == len(lines):
                self._end = end + written
            else:
                self._finish(lines, written, end + written)
        except OSError as error:
            if error.filename is not None:
                raise  # explained already, where a line that was cut is written anew
            if not self._is_open():
                raise self._misplaced() from error
            raise explained(error, "append to the journal", self.path) from error
        self.mended += is_torn

    def _is_found(self) -> bool:
        return is_open_on(self._descriptor, self._known, needs_name=True)

    def _misplaced(self) -> Misplaced:
        return Misplaced(errno.EBADF, "cannot append to the journal (its file was closed or deleted)", self.path)

    def _is_whole(self, end: int) -> bool:
        # The end is not where we left it: somebody else wrote, and may have died over it.
        return not end or self._read(1, end - 1) == b"\n"

    def _read(self, count: int, position: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._descriptor, count, position)
        os.lseek(self._descriptor, position, os.SEEK_SET)
        return os.read(self._descriptor, count)

    def _finish(self, lines: bytes, written: int, end: int) -> None:
        """
        Write what a short write left: the disk is nearly full, or a limit of the file size near.

        Until that is done `_end` stays behind the true end, so that after an error the tail is looked at.
        """
        start = end - written
        while written < len(lines) and os.lseek(self._descriptor, 0, os.SEEK_END) == end:
            count = self._write(self._descriptor, memoryview(lines)[written:])
            if not count:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written += count
            end += count
        if written == len(lines) and self._read(len(lines), start) == lines:
            self._end = end
        else:
            self._write_again(lines, start)

    def _write_again(self, lines: bytes, start: int) -> None:
        # Somebody wrote into a gap (a signal handler of ours, a process without the lock): the line that is torn there
        # is so for good, and is written anew, but none that is whole, before the gap or behind it.
        self._end = -1
        stands = b"\n" + self._read(os.lseek(self._descriptor, 0, os.SEEK_END) - start, start)
        each_line = [line + b"\n" for line in lines.split(b"\n")[:-1]]
        if missing := b"".join(line for line in each_line if b"\n" + line not in stands):
            self.append(missing)

    def sync(self) -> None:
        """
        Return when all that was written up to now survives a power cut.

        The first time it syncs the directory too: until then the name of a new file is not safe, whoever made it.

        Raises:
            OSError: it does not, now or at an earlier call; nothing written since the last good sync is safe.
        """
        with self._gate:
            if self.fault is None and not self.is_closed:
                self._syncing += 1
                self._syncing_thread = threading.get_ident()
                self._is_behind = False  # before the sync: it may miss what is written while it runs
                try:
                    self._disk.sync(self._own_descriptor())
                    if not self._is_listed:
                        self._list()
                except OSError as error:
                    self.fault = error
                finally:
                    self._syncing -= 1
                    if self.is_closed:
                        self._close_when_free()
        # Looked at afterwards: a signal handler's sync inside ours may have been the one that met the error.
        if self.fault is not None:
            raise explained(self.fault, "sync the journal", self.path) from self.fault

    def _own_descriptor(self) -> int:
        """Return the descriptor, a new one where the agent has closed it: what was written is to be synced yet."""
        if not self._is_open():
            if not is_same_file(self.path, self._known):
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            self._descriptor = open_private(self.path)
        return self._descriptor

    def _list(self) -> None:
        self._disk.sync_directory(os.path.dirname(self.path))
        self._is_listed = True

    @property
    def is_synced(self) -> bool:
        """Whether all that was written survives a power cut."""
        return not self._is_behind and not self._syncing and self.fault is None

    @property
    def is_syncing_here(self) -> bool:
        """Whether a sync is running in this very thread, below the signal handler that asks."""
        return bool(self._syncing) and self._syncing_thread == threading.get_ident()

    def is_in_place(self) -> bool:
        """Return whether the file is still open, and the one at its path: not deleted, renamed or replaced."""
        return is_open_on(self._descriptor, self._known) and is_same_file(self.path, self._known)

    def _is_open(self) -> bool:
        return is_open_on(self._descriptor, self._known)

    def close(self) -> None:
        """Close the file once it is not being synced; what is to be safe is synced before."""
        with self._gate:
            self.is_closed = True
            self._close_when_free()

    def _close_when_free(self) -> None:
        # A signal handler may close the file in the middle of a sync of the thread that it interrupted: closed
        # under its feet, the number could belong to another file when the sync gets to it.
        if self.is_closed and not self._syncing:
            self._close_once()

    def _close_once(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        close_own(descriptor, self._known)

    def abandon(self) -> None:
        """Close the file in a child after fork, where the thread that holds its lock may not exist."""
        self.is_closed = True
        if not self._syncing:
            self._close_once()
