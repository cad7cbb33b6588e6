"""Answer "is everything there?": which records are missing or doubled, writer by writer, store by store."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ....plugins.records import Record
from ...verify import Findings, WriterAccount, verify
from ..desk import Desk, pass_desk
from ..faults import Exit, Fault
from ..group import DeskCommand
from ..listing import is_table, output_options, write_list
from ..opening import built_sinks
from ..screen import Screen
from ..table import Column
from ..words import count_text, plural

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
    remote sinks are compared with it.
    """
    screen = desk.screen
    findings = _findings(desk)
    write_list(screen, form, _COLUMNS, findings.writers, WriterAccount.to_dict)
    if is_table(screen, form):
        _summarise(screen, findings)
    return Exit.OK if findings.is_complete else Exit.FAILURE


_COLUMNS: list[Column[WriterAccount]] = [
    Column(name="writer", value=lambda account: account.writer, style="bold"),
    Column(name="records", value=lambda account: account.records, is_right=True),
    Column(name="highest", value=lambda account: account.highest, is_right=True),
    Column(name="missing", value=lambda account: len(account.missing), is_right=True),
    Column(name="doubled", value=lambda account: len(account.doubled), is_right=True),
]


def _findings(desk: Desk) -> Findings:
    built = built_sinks(desk.config)
    journals = [name for name, sink in built.sinks.items() if hasattr(sink, "read_journal")]
    if not journals:
        raise Fault("no sink of the configuration keeps a journal to verify", cure="add a sink of type 'ndjson'")
    journal: Iterator[Record] = built.sinks[journals[0]].read_journal(built.contexts[journals[0]])
    remote = [name for name, sink in built.sinks.items() if hasattr(sink, "open_outbox")]
    return verify(journal, desk.store, remote)


def _summarise(screen: Screen, findings: Findings) -> None:
    told = [f"{count_text(findings.runs)} runs and {count_text(findings.events)} events in the journal"]
    if findings.unnumbered:
        told.append(f"{plural(findings.unnumbered, 'record')} of earlier writers without a number")
    told += [f"{run_id}: {what}" for run_id, what in findings.runs_astray.items()]
    if findings.events_astray:
        told.append(f"the store has {-findings.events_astray:+d} events against the journal")
    told += [f"{sink} has not yet had {plural(count, 'run')}" for sink, count in findings.undelivered.items() if count]
    told.append("Complete." if findings.is_complete else "Not complete.")
    screen.say("\n" + "\n".join(told))
