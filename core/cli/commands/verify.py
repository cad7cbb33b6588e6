"""Answer "is everything there?": which records are missing or doubled, writer by writer, store by store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from ...verify import Findings, WriterAccount, verify
from ..desk import Desk, pass_desk
from ..faults import Exit, Fault
from ..group import DeskCommand
from ..listing import is_table, output_options, write_list
from ..opening import BuiltSinks
from ..screen import Screen
from ..table import Column
from ..words import plural

__all__ = ["command"]

_EXAMPLES = (
    ("telemetry verify", "count every record of every writer; the exit code is 1 when one is missing or doubled"),
    ("telemetry verify --json", "the same for programs, with the missing numbers"),
)


@click.command("verify", cls=DeskCommand, examples=_EXAMPLES)
@output_options()
@pass_desk
def command(desk: Desk, /, form: str | None) -> int:
    """
    Say whether every record is there.

    Each record carries the id of its writer and a number. The journal is read from end to end, and the store and the
    remote sinks are compared with it. Agents may write meanwhile.
    """
    screen = desk.screen
    built = desk.built
    outboxes = {name: sink.open_outbox(built.contexts[name]) for name, sink in built.sinks.items() if _is_remote(sink)}
    findings = _findings(desk, built, [name for name, outbox in outboxes.items() if _reports(outbox)])
    write_list(screen, form, _COLUMNS, findings.writers, WriterAccount.to_dict)
    if is_table(screen, form):
        # Where the journal does not tell of what was delivered, the cursor tells what was not.
        waiting = {name: outbox.status().pending for name, outbox in outboxes.items() if not _reports(outbox)}
        _summarise(screen, findings, waiting)
    return Exit.OK if findings.is_complete else Exit.FAILURE


_COLUMNS: list[Column[WriterAccount]] = [
    Column(name="writer", value=lambda account: account.writer, style="bold"),
    Column(name="records", value=lambda account: account.records, is_right=True, is_count=True),
    Column(name="highest", value=lambda account: account.highest, is_right=True, is_count=True),
    Column(name="missing", value=lambda account: account.missing_count, is_right=True, is_count=True),
    Column(name="doubled", value=lambda account: len(account.doubled), is_right=True, is_count=True),
]


def _is_remote(sink: Any) -> bool:
    return hasattr(sink, "open_outbox")


def _reports(outbox: Any) -> bool:
    return getattr(outbox, "reports", True) is True


def _findings(desk: Desk, built: BuiltSinks, remote: Sequence[str]) -> Findings:
    journals = [name for name, sink in built.sinks.items() if hasattr(sink, "read_journal")]
    if not journals:
        raise Fault("no sink of the configuration keeps a journal to verify", cure="add a sink of type 'ndjson'")
    sink, context = built.sinks[journals[0]], built.contexts[journals[0]]
    return verify(lambda: sink.read_journal(context), desk.store, remote)


def _summarise(screen: Screen, findings: Findings, waiting: Mapping[str, int]) -> None:
    told = [f"{plural(findings.runs, 'run')} and {plural(findings.events, 'event')} in the journal"]
    if findings.unnumbered:
        told.append(f"{plural(findings.unnumbered, 'record')} of earlier writers without a number")
    if findings.repeated:
        told.append(
            f"{plural(findings.repeated, 'doubled number')} with the same line each time: nothing is lost by it"
        )
    told += [
        f"{writer} died in mid run: calls that never returned may have taken what it misses" for writer in findings.died
    ]
    told += [f"{run_id}: {what}" for run_id, what in findings.runs_astray.items()]
    if findings.events_astray:
        told.append(f"the store has {-findings.events_astray:+d} events against the journal")
    told += [f"{sink} has not yet had {plural(count, 'run')}" for sink, count in findings.undelivered.items() if count]
    told += [f"{sink} has not yet had {plural(count, 'record')}" for sink, count in waiting.items() if count]
    told.append("Complete." if findings.is_complete else "Not complete.")
    screen.say("\n".join(["", *told] if findings.writers else told))
