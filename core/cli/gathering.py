"""Bring in other stores for a command: the bar meanwhile, the way on after ^C, and the account in the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...plugins.care import counted
from ...plugins.errors import StoreError
from ..gathering.bringing import Account, Bringing, total_bytes
from ..gathering.sources import Source
from .desk import Desk
from .faults import Exit, Fault
from .listing import is_table, write_list
from .long_work import long_work
from .stores import database_path, index_events, journal_path
from .table import Cell, Column
from .words import count_text, plural

__all__ = ["bring_in"]

_DOING = {"import": "importing", "merge": "merging"}
_KINDS = ("run", "event", "metrics", "commit", "delivery")


def bring_in(desk: Desk, sources: Sequence[Source], *, is_dry: bool, form: str | None, word: str) -> None:
    """
    Bring *sources* into the store of *desk*, and write what came of it.

    Args:
        word: what is done, for the bar and the messages: `import`, `merge`.

    Raises:
        Fault: a source is the store itself, or there is no journal to write to.
    """
    _refuse_own(desk, sources)
    again = f"the same telemetry {word}; what is in already is passed over"
    with long_work(desk.screen, again) as progress:
        try:
            accounts = _bring(desk, sources, is_dry, lambda total: counted(progress, _DOING[word], total))
        except StoreError as error:
            raise Fault(error.what, cure=error.cure or again, code=Exit.FAILURE) from error
        if not is_dry:
            # Now, while there is a bar for it; the next reader would have to wait.
            index_events(desk, progress)
    _show(desk, accounts, is_dry=is_dry, form=form)


def _bring(
    desk: Desk, sources: Sequence[Source], is_dry: bool, begin: Callable[[int], Callable[[int], None]]
) -> list[Account]:
    gatherer = _gatherer(desk, is_dry)
    try:
        step = begin(total_bytes(gatherer, sources))
        return list(Bringing(gatherer, lambda: desk.store, step).bring(sources))
    finally:
        gatherer.close()


def _refuse_own(desk: Desk, sources: Sequence[Source]) -> None:
    own = {journal_path(desk).resolve()}
    if any(spec.type == "sqlite" for spec in desk.config.sinks):
        own.add(database_path(desk).resolve())
    for source in sources:
        if source.path.resolve() in own or source.path.resolve().parent in own:
            told = "this is the store itself, which has all of its records"
            raise Fault(told, where=str(source.path), cure="--base-dir names another target", code=Exit.USAGE)


def _gatherer(desk: Desk, is_dry: bool) -> Any:
    from ..wiring import redactor_of

    redactor = redactor_of(desk.config)
    built = desk.built
    for name, sink in built.sinks.items():
        if hasattr(sink, "open_gatherer"):
            change = redactor or (lambda record: record)
            return sink.open_gatherer(built.contexts[name], change=change, is_dry=is_dry)
    raise Fault(
        "no sink keeps a journal to write to",
        where=f"sinks: {', '.join(built.sinks) or 'none'}",
        cure="configure a sink of type 'ndjson'",
    )


def _show(desk: Desk, accounts: list[Account], *, is_dry: bool, form: str | None) -> None:
    screen = desk.screen
    write_list(screen, form, _columns(), accounts)
    if is_table(screen, form):
        total = sum(account.total for account in accounts)
        verb = "would be added" if is_dry else "added"
        # What a database only repeats of its journal is known when that has been brought in, and not before.
        most = "at most " if is_dry and len({account.source.kind for account in accounts}) > 1 else ""
        screen.say("")
        screen.say(f"{most}{plural(total, 'record')} {verb} to {journal_path(desk)}")


def _columns() -> list[Column[Account]]:
    return [
        Column(name="source", value=lambda account: str(account.source.path), style="bold", least=16, keeps_case=False),
        Column(name="kind", value=lambda account: account.source.kind, rank=1),
        *(_kind_column(kind) for kind in _KINDS),
        Column(name="known", value=lambda account: account.known, is_right=True, is_count=True),
        Column(name="damaged", value=lambda account: account.damaged, is_right=True, is_count=True),
    ]


def _kind_column(kind: str) -> Column[Account]:
    return Column(
        name=f"{kind}_lines",
        title=kind,
        value=lambda account: account.added.get(kind, 0),
        # Nothing for none, so that a kind that comes from nowhere takes no room from one that does.
        cell=lambda account: Cell(count_text(account.added[kind]) if account.added.get(kind) else ""),
        is_right=True,
        rank=2,
    )
