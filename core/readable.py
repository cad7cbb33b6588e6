"""Choose among the sinks of a set-up the one that readers ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..plugins.context import SinkContext
from ..plugins.errors import StoreError
from ..plugins.store import RunStore
from .shield import attempt

__all__ = ["first_store"]


def first_store(sinks: Mapping[str, Any], contexts: Mapping[str, SinkContext], faults: Sequence[str] = ()) -> RunStore:
    """
    Return a store of the first sink that can be read, in the order of *sinks*; a journal comes behind, a server last.

    A journal answers only after it was read from end to end, a database at once. A server may be far away, and it has
    only what was delivered.

    Args:
        faults: why other sinks are missing here; told when none can be read.

    Raises:
        StoreError: none can be read; the message says why.
    """
    readable = [name for name, sink in sinks.items() if hasattr(sink, "open_store")]
    reasons = list(faults)
    for name in sorted(readable, key=lambda name: _rank(sinks[name])):
        store, failure = attempt(sinks[name].open_store, contexts[name])
        if failure is None:
            return store  # type: ignore[no-any-return]
        reasons.append(f"{name}: {failure}")
    told = "; ".join(reasons) or f"of the sinks {', '.join(sinks) or '(none)'} none can be read"
    raise StoreError(f"no store can be read: {told}", "add a sink of type 'sqlite' or 'ndjson'")


def _rank(sink: Any) -> int:
    return 2 if hasattr(sink, "open_outbox") else int(hasattr(sink, "journal_directory"))
