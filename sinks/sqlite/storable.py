"""Let any value through to SQLite and back: one odd line or row must not stop all that come behind it."""

from __future__ import annotations

from typing import Any

from ...plugins import CommitLink, RunRecord
from ...plugins.codec import decode
from ...plugins.mend import mended_run

__all__ = ["payload_of", "storable_link", "storable_run", "storable_text"]


def storable_text(text: str) -> str:
    """Return *text* with each lone surrogate written as its escape, since a database holds UTF-8 only."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def storable_run(run: RunRecord) -> RunRecord:
    """Return *run* with its texts and numbers as the database can hold them; what was changed is in `attributes`."""
    values = {name: _storable(value) for name, value in run.to_dict().items()}
    return mended_run(values)[0]


def storable_link(link: CommitLink) -> CommitLink:
    """Return *link* with its texts as the database can hold them, and without the numbers that it cannot."""
    return CommitLink.from_dict({name: _storable(value) for name, value in link.to_dict().items() if _fits(value)})


def _fits(value: Any) -> bool:
    return not isinstance(value, int) or abs(value) < 2**63


def _storable(value: Any) -> Any:
    return storable_text(value) if isinstance(value, str) else value


def payload_of(text: Any) -> Any:
    """Return the payload that stands in a row as *text*."""
    if not isinstance(text, str | bytes):
        return text
    try:
        return decode(text)
    except ValueError:
        return text  # another program's text, which is evidence too
