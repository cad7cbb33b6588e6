"""Give each record the key under which the other side can tell that it saw it before."""

from __future__ import annotations

import hashlib

from ...plugins.item import Item
from ...plugins.lines import encode_line
from ...plugins.records import Record

__all__ = ["Item", "key_of"]

_DIGEST_BYTES = 16


def key_of(record: Record) -> str:
    """
    Return the idempotency key of *record*: 32 hex digits, the same in every process and after every replay.

    Run, writer and number name a line for ever; a line of an earlier writer has neither, so its text stands in.
    """
    if record.writer is None or record.seq is None:
        name = encode_line(record)
    else:
        name = f"{record.run_id}\0{record.writer}\0{record.seq}".encode("utf-8", "backslashreplace")
    return hashlib.blake2b(name, digest_size=_DIGEST_BYTES).hexdigest()
