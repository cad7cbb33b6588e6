"""Keep the records that are not delivered with the others, each with its reason, until they are tried again."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from ...plugins.codec import RawJSON, decode, encode
from ...plugins.durable import sync_directory
from ...plugins.errors import StoreError
from ...plugins.ids import parse_time
from ...plugins.lines import encode_line, record_of
from ...plugins.records import Record
from .locks import PathLock
from .places import Places, replace_file

__all__ = ["DeadLetter", "DeadLetters", "Letters"]

_LOCK_WAIT_S = 5.0


@frozen
class DeadLetter:
    """
    A record that was given up, or is out of the way for a while.

    Args:
        when: the moment, ISO 8601 text in UTC.
        reason: what the other side said, or why we stopped trying.
        attempts: how many tries failed.
        key: its idempotency key.
        again_at: when it is tried again by itself, ISO 8601 text in UTC; None where it was given up.
    """

    when: str
    reason: str
    attempts: int
    key: str
    record: Record
    again_at: str | None = None


class Letters:
    """A file with one record a line, as a JSON object, that several processes add to and take from."""

    def __init__(self, path: Path, lock: Path) -> None:
        self._path = path
        self._lock = PathLock(lock)

    def __iter__(self) -> Iterator[DeadLetter]:
        """Yield them, oldest first, each once."""
        seen: set[str] = set()
        for _, letter in self._lines():
            if letter is not None and letter.key not in seen:
                seen.add(letter.key)
                yield letter

    def _lines(self) -> Iterator[tuple[bytes, DeadLetter | None]]:
        try:
            stream = self._path.open("rb")
        except FileNotFoundError:
            return
        with stream:
            for line in stream:
                yield line, _letter_in(line)

    def add(self, letters: Sequence[DeadLetter]) -> None:
        """
        Append *letters*; on disk when this returns.

        Raises:
            OSError: they cannot be written.
            StoreError: another process does not let go of the file.
        """
        with self._locked():
            is_new = not self._path.exists()
            self._append(b"".join(map(_line_of, letters)))
            if is_new:
                sync_directory(self._path.parent)

    def _append(self, lines: bytes) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with open(descriptor, "r+b") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - 1))
            # A line that a crash left without its end must not swallow the next one.
            stream.write(lines if stream.read(1) in (b"\n", b"") else b"\n" + lines)
            stream.flush()
            os.fsync(stream.fileno())

    def retry(self, keys: Collection[str] | None, requeue: Callable[[Sequence[DeadLetter]], None]) -> int:
        """
        Hand the letters with these *keys* (all when None) to *requeue*, then forget them; return how many.

        A crash in between leaves them in both places, which costs a repetition under the same key.

        Raises:
            OSError: the file cannot be written.
            StoreError: another process does not let go of the file.
        """
        # Under the lock from first to last: a letter that is refused again at once must not be forgotten with these.
        with self._locked():
            chosen = [letter for letter in self if keys is None or letter.key in keys]
            requeue(chosen)
            gone = {letter.key for letter in chosen}
            self._keep([line for line, letter in self._lines() if letter is None or letter.key not in gone])
        return len(chosen)

    def revise(self, changed: Callable[[DeadLetter], DeadLetter | None]) -> None:
        """
        Put what *changed* returns in the place of each letter; where that is None, the letter is forgotten.

        Raises:
            OSError: the file cannot be written.
            StoreError: another process does not let go of the file.
        """
        with self._locked():
            self._keep(list(_revised(self._lines(), changed)))

    def _keep(self, lines: Sequence[bytes]) -> None:
        if lines:
            replace_file(self._path, b"".join(line.rstrip(b"\n") + b"\n" for line in lines))
        else:
            self._path.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not self._lock.acquire(_LOCK_WAIT_S):
            raise StoreError(f"{self._path} is locked by another process ({_LOCK_WAIT_S:.0f} s now)", "try again later")
        try:
            yield
        finally:
            self._lock.release()


class DeadLetters(Letters):
    """The dead letters of one sink: `{state}/{sink}.dead.ndjson`."""

    def __init__(self, places: Places) -> None:
        super().__init__(places.dead_letters, places.dead_letters_lock)


def _revised(
    lines: Iterable[tuple[bytes, DeadLetter | None]], changed: Callable[[DeadLetter], DeadLetter | None]
) -> Iterator[bytes]:
    for line, letter in lines:
        if letter is None:
            yield line  # torn by a crash; it is not ours to say what it was
        elif (new := changed(letter)) is not None:
            yield line if new is letter else _line_of(new)


def _line_of(letter: DeadLetter) -> bytes:
    names = ("when", "reason", "attempts", "key", *(("again_at",) if letter.again_at else ()))
    values: dict[str, Any] = {name: getattr(letter, name) for name in names}
    return encode({**values, "record": RawJSON(encode_line(letter.record).rstrip(b"\n"))}) + b"\n"


def _moment_in(again_at: object) -> str | None:
    return None if again_at is None else parse_time(str(again_at)).isoformat(timespec="microseconds")


def _letter_in(line: bytes) -> DeadLetter | None:
    """Return the letter in *line*, None when a crash tore it: then its record is still undelivered, and comes again."""
    try:
        values = decode(line)
        words = (str(values["when"]), str(values["reason"]), int(values["attempts"]), str(values["key"]))
        return DeadLetter(*words, record_of(values["record"]), _moment_in(values.get("again_at")))
    except (ValueError, LookupError, TypeError):
        return None
