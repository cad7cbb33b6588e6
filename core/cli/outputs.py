"""Write what a command makes to where its user said: a file whole or not at all, into anything else as it comes."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..snapshot import LARGEST_BYTES
from .faults import Exit, Fault

__all__ = ["is_regular", "is_standard_output", "need_place_for", "whole_file", "write_lines"]

_STANDARD_OUTPUT = 1
# Twice the largest payload: what a ^C left unwritten of a line that fits into the buffer is still written.
_BUFFER_BYTES = 2 * LARGEST_BYTES


def need_place_for(out: Path, option: str = "--out") -> None:
    """
    Say that a file cannot be written at *out*, before the work that it takes to fill it.

    Raises:
        Fault: it is a directory, or there is none for it to lie in.
    """
    target = _target_of(out)
    if target.is_dir():
        cure = f"name a file in it: {option} {shlex.quote(str(out / 'out'))}"
        raise Fault(f"{target} is a directory", where=option, cure=cure, code=Exit.USAGE)
    if not target.parent.is_dir():
        cure = f"mkdir -p {shlex.quote(str(target.parent))}"
        raise Fault(f"there is no directory {target.parent}", where=option, cure=cure, code=Exit.NOT_FOUND)


def is_standard_output(out: Path) -> bool:
    """Whether *out* is another name of standard output: `-`, /dev/stdout, or the file that a shell has put there."""
    if str(out) == "-":
        return True
    try:
        return os.path.samestat(out.stat(), os.fstat(_STANDARD_OUTPUT))
    except OSError:
        return False


def is_regular(out: Path) -> bool:
    """Whether a file stands at *out*, or can be put there; a device and a named pipe can only be written into."""
    return out.is_file() or not out.exists()


def write_lines(out: Path | None, lines: Iterable[bytes]) -> int:
    """Write *lines* to *out*, to standard output when it is None; return the count of bytes."""
    if out is None:
        # Python's own standard output holds 8 KiB, and passes on in parts what is longer.
        with open(sys.stdout.fileno(), "wb", buffering=_BUFFER_BYTES, closefd=False) as output:
            return _write_all(output, lines)
    if not is_regular(out):
        with out.open("wb", buffering=_BUFFER_BYTES) as stream:
            return _write_all(stream, lines)
    with whole_file(out) as part, open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        return _write_all(file, lines)


@contextmanager
def whole_file(out: Path) -> Iterator[Path]:
    """Lend the path of a file that takes the place of *out* when all went well, and is deleted otherwise."""
    target = _target_of(out)
    part = target.with_name(f"{target.name}.part")
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _target_of(out: Path) -> Path:
    """Return what a link leads to: the link itself stays."""
    return Path(os.path.realpath(out))


def _write_all(file: BinaryIO, lines: Iterable[bytes]) -> int:
    size = 0
    for line in lines:
        size += file.write(line)
    file.flush()
    return size
