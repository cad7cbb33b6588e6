"""Copy files so that what stands at the target is whole and on the disk, and tell later whether it still is."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ...plugins.durable import sync_directory
from ...plugins.private import make_private_folder

__all__ = ["chunks_of", "copy_file", "digest_of", "put_new", "whole_lines"]

_CHUNK_BYTES = 1 << 20


def chunks_of(path: Path) -> Iterator[bytes]:
    """Yield the content of *path* as it was when this was called: what is added meanwhile is left out."""
    with path.open("rb") as file:
        left = os.fstat(file.fileno()).st_size
        while left > 0 and (chunk := file.read(min(left, _CHUNK_BYTES))):
            left -= len(chunk)
            yield chunk


def whole_lines(path: Path) -> Iterator[bytes]:
    """Yield the content of *path* up to its last newline: what stands behind it, a writer may be at."""
    held = b""
    for chunk in chunks_of(path):
        cut = chunk.rfind(b"\n") + 1
        if cut:
            yield held + chunk[:cut]
            held = b""
        held += chunk[cut:]


def copy_file(chunks: Iterator[bytes], target: Path, covered: Callable[[int], None]) -> str:
    """
    Write *chunks* to the new file *target*, 0600 and synced; return the digest of what was written.

    Args:
        covered: called with the count of bytes of each piece.
    """
    make_private_folder(target.parent)
    digest = hashlib.sha256()
    with open(os.open(target, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
        for chunk in chunks:
            file.write(chunk)
            digest.update(chunk)
            covered(len(chunk))
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def digest_of(path: Path) -> str:
    """Return the digest of the content of *path*."""
    digest = hashlib.sha256()
    for chunk in chunks_of(path):
        digest.update(chunk)
    return digest.hexdigest()


def put_new(source: Path, target: Path, covered: Callable[[int], None]) -> bool:
    """Copy *source* to *target* unless something is there; return whether it was copied. It appears whole."""
    if target.exists():
        return False
    draft = target.with_name(f"{target.name}.restored")
    copy_file(chunks_of(source), draft, covered)
    try:
        os.link(draft, target)
    except FileExistsError:
        return False  # a writer was quicker
    except OSError:
        draft.rename(target)  # FAT and some network shares know no links
        return True
    finally:
        draft.unlink(missing_ok=True)
    sync_directory(target.parent)
    return True
