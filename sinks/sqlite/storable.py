"""Let any value through to SQLite and back: one odd line or row must not stop all that come behind it."""

from __future__ import annotations

from typing import Any

from ...plugins import CommitLink, RunRecord
from ...plugins.codec import decode
from ...plugins.mend import mended_run

__all__ = ["payload_of", "storable_link", "storable_run"]


def storable_run(run: RunRecord) -> RunRecord:
    """Return *run* without the numbers that have no room in 64 bits; they are kept in `attributes`."""
    return mended_run(run.to_dict())[0]


def storable_link(link: CommitLink) -> CommitLink:
    """Return *link* without the numbers that have no room in 64 bits."""
    return CommitLink.from_dict({name: value for name, value in link.to_dict().items() if _has_room(value)})


def _has_room(value: Any) -> bool:
    return type(value) is not int or value.bit_length() < 64


def payload_of(text: Any) -> Any:
    """Return the payload that stands in a row as *text*."""
    if not isinstance(text, str | bytes):
        return text
    try:
        return decode(text)
    except ValueError:
        return text  # another program's text, which is evidence too
