"""Bring sources into a journal, one after the other, and say of each what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from attrs import define, fields, frozen

from ...plugins.context import SinkContext
from ...plugins.discovery import load_sink_type
from ...plugins.records import CommitLink, Record, RunRecord
from ...plugins.store import RunStore
from .sources import DATABASE, Source

__all__ = ["Account", "Bringing", "total_bytes"]

_NOT_COMPARED = frozenset(("created_at", "updated_at", "schema_version", "coerced", "writer", "seq"))
_COMPARED = tuple(
    (attribute.name, attribute.default) for attribute in fields(RunRecord) if attribute.name not in _NOT_COMPARED
)
_COMMIT_COMPARED = tuple(a.name for a in fields(CommitLink) if a.name not in (*_NOT_COMPARED, "timestamp"))


@frozen
class Account:
    """What came of one source: new lines by kind, lines that were known, and damaged ones."""

    source: Source
    added: Mapping[str, int]
    known: int
    damaged: int

    @property
    def total(self) -> int:
        """How many lines were new."""
        return sum(self.added.values())


@define(eq=False)
class Bringing:
    """
    One import or merge.

    Args:
        gatherer: writes what is new into the journal of this set-up; a sink's `open_gatherer()` gives it.
        open_store: opens the store of this set-up, which knows what its journal may not have.
        progress: is called with the count of bytes that were read.
    """

    gatherer: Any
    open_store: Callable[[], RunStore]
    progress: Callable[[int], None]

    def bring(self, sources: Iterable[Source]) -> Iterator[Account]:
        """
        Yield the account of each source when it is done; journals go first, as a database may be an index of one.

        Raises:
            StoreError: a source cannot be read, or the journal is being written to by another import.
        """
        ordered = sorted(sources, key=lambda source: source.kind == DATABASE)
        with self.gatherer.alone():
            self.gatherer.look(with_texts=any(each.kind == DATABASE for each in ordered), progress=self.progress)
            for source in ordered:
                yield self._brought(source)

    def _brought(self, source: Source) -> Account:
        if source.kind == DATABASE:
            store = self.open_store()
            with getattr(store, "settled", nullcontext)():
                found = self.gatherer.take_records(self._records(source.path), partial(_is_told_by, store))
        else:
            found = self.gatherer.take_journal(source.path, self.progress)
        return Account(source, found.added, found.known, found.damaged)

    def _records(self, path: Path) -> Iterator[Record]:
        sink, context = _reader_of(path)
        count, size, done = sink.count_records(context), _stored_size(path), 0
        for number, record in enumerate(sink.read_records(context), start=1):
            yield record
            reached = min(size, size * number // max(count, 1))
            self.progress(reached - done)
            done = reached


def total_bytes(gatherer: Any, sources: Iterable[Source]) -> int:
    """Return how many bytes `Bringing.bring()` reads."""
    sizes = (
        _stored_size(source.path) if source.kind == DATABASE else gatherer.size_of(source.path) for source in sources
    )
    return int(gatherer.size_of(gatherer.place) + sum(sizes))


def _stored_size(path: Path) -> int:
    return path.stat().st_size


def _reader_of(path: Path) -> tuple[Any, SinkContext]:
    """Return the sink type that reads databases, and the context in which it reads this one."""
    context = SinkContext(
        sink_name="import",
        base_dir=path.parent,
        ndjson_dir=path.parent,
        journal_dir=None,
        database_path=path,
        writer="reader",
        is_read_only=True,
    )
    return load_sink_type("sqlite").cls(), context


def _is_told_by(store: RunStore, record: Record) -> bool:
    """Whether the store says all that *record* says, so that it would only repeat other lines of the journal."""
    if isinstance(record, RunRecord):
        known = store.get_run(record.run_id)
        return known is not None and _is_within(record, known)
    if isinstance(record, CommitLink):
        said = {name: value for name in _COMMIT_COMPARED if (value := getattr(record, name)) is not None}
        return any(said.items() <= commit.items() for commit in store.commits(record.run_id))
    return False


def _is_within(run: RunRecord, known: RunRecord) -> bool:
    for name, default in _COMPARED:
        said, told = getattr(run, name), getattr(known, name)
        if isinstance(said, Mapping):
            if any(key not in told or told[key] != value for key, value in said.items()):
                return False
        elif said not in (default, told):
            return False
    return True
