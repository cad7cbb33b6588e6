"""Name the files in which the delivery of one sink keeps its state, and write them so that no crash tears one."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from attrs import frozen

from ...plugins.durable import sync_directory
from ...plugins.private import make_private_folder

__all__ = ["Places", "create_file", "replace_file"]

_PRIVATE_FILE = 0o600


@frozen
class Places:
    """
    Where one sink's delivery keeps what it knows.

    Args:
        state_dir: `{base}/state`.
        sink: the sink's name in the configuration, which is safe in a file name.
    """

    state_dir: Path
    sink: str

    @property
    def cursor(self) -> Path:
        """How far the journal is delivered."""
        return self.state_dir / f"{self.sink}.cursor.json"

    @property
    def lock(self) -> Path:
        """Held by the one process that delivers."""
        return self.state_dir / f"{self.sink}.lock"

    @property
    def dead_letters(self) -> Path:
        """The records that the other side will never take."""
        return self.state_dir / f"{self.sink}.dead.ndjson"

    @property
    def dead_letters_lock(self) -> Path:
        """Held while the dead letters are changed."""
        return self.state_dir / f"{self.sink}.dead.lock"

    @property
    def aside(self) -> Path:
        """The records that are out of the way until they are tried again."""
        return self.state_dir / f"{self.sink}.aside.ndjson"

    @property
    def aside_lock(self) -> Path:
        """Held while the records aside are changed."""
        return self.state_dir / f"{self.sink}.aside.lock"

    @property
    def journal(self) -> Path:
        """The sink's own journal: used when no other is kept, and for dead letters that are tried again."""
        return self.state_dir / self.sink

    def prepare(self) -> None:
        """Make the state directory, for its owner alone."""
        make_private_folder(self.state_dir)


def replace_file(path: Path, content: bytes) -> None:
    """
    Write *content* to *path*: afterwards, also after a power cut, the file is the old one or the new one, whole.

    Only for one writer at a time: whoever calls this holds the lock that belongs to the file.
    """
    draft = path.with_name(f"{path.name}.new")
    _write(draft, content, os.O_TRUNC)
    os.replace(draft, path)
    sync_directory(path.parent)


def create_file(path: Path, content: bytes) -> bool:
    """Write *content* to *path* unless it exists; return whether it was written. Of several at once, one wins."""
    draft = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.new")
    _write(draft, content, os.O_TRUNC)
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    except OSError:
        return _create_in_place(path, content)  # FAT and some network shares know no links
    finally:
        draft.unlink()
    sync_directory(path.parent)
    return True


def _create_in_place(path: Path, content: bytes) -> bool:
    try:
        _write(path, content, os.O_EXCL)
    except FileExistsError:
        return False
    return True


def _write(path: Path, content: bytes, how: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | how, _PRIVATE_FILE)
    with open(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
