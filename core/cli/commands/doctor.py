"""Answer "is anything wrong with the telemetry itself?": every check, its evidence and its cure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain

import click
from attrs import evolve

from ....plugins.errors import TelemetryError
from ....plugins.ids import parse_time
from ....plugins.store import RunQuery
from ...checkup.database import check_database, check_library
from ...checkup.finding import FAULT, NOTE, OK, WARNING, Finding
from ...checkup.journal import check_clock, check_journal
from ...checkup.locks import check_file_system, check_locks
from ...checkup.packages import check_name
from ...checkup.places import check_access, check_disk, check_fsync
from ...config import checking
from ..desk import Desk, pass_desk
from ..faults import Exit, Fault
from ..group import DeskCommand
from ..letters import padded, printable, wrapped
from ..listing import is_table, output_options, write_list
from ..screen import Screen
from ..stores import database_path, journal_path
from ..table import Column
from ..words import duration_text, plural
from .plugins import FAULTY, plugin_rows
from .sinks import sink_rows

__all__ = ["command", "findings_of"]

_SIGNS = {OK: "success", NOTE: "dot", WARNING: "partial", FAULT: "failed"}
_STYLES = {OK: "success", NOTE: "dim", WARNING: "warning", FAULT: "failed"}
_AREA = 13
_PATIENCE = timedelta(hours=1)
_EXAMPLES = (
    ("telemetry doctor", "look at everything; the exit code is 1 when there is a fault"),
    ("telemetry doctor --fix", "mend what can be mended without asking"),
)


@click.command("doctor", cls=DeskCommand, examples=_EXAMPLES)
@click.option(
    "--fix", is_flag=True, help="Mend what can be mended without asking: who may read the files, a damaged database."
)
@output_options()
@pass_desk
def command(desk: Desk, /, fix: bool, form: str | None) -> int:
    """Look for what is wrong with the telemetry itself."""
    screen = desk.screen
    findings = findings_of(desk)
    if fix and _fix_all(findings):
        findings = findings_of(desk)
    if is_table(screen, form):
        for line in chain.from_iterable(_lines(screen, finding) for finding in findings):
            screen.say(line)
        screen.say(f"\n{_summary(findings)}")
    else:
        write_list(screen, form, _COLUMNS, findings, Finding.to_dict)
    return Exit.FAILURE if any(finding.level == FAULT for finding in findings) else Exit.OK


_COLUMNS: list[Column[Finding]] = [
    Column(name="area", value=lambda finding: finding.area),
    Column(name="level", value=lambda finding: finding.level),
    Column(name="what", value=lambda finding: finding.what),
    Column(name="evidence", value=lambda finding: finding.evidence),
    Column(name="cure", value=lambda finding: finding.cure),
]


def findings_of(desk: Desk) -> list[Finding]:
    """Return what every check says, in the order in which one thing rests on the other."""
    base_dir = desk.config.metrics_dir
    desk.count_as_told(desk.built_untold.all_faults)
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _config(desk),
        lambda: check_access(base_dir),
        lambda: check_disk(base_dir),
        lambda: check_fsync(base_dir),
        lambda: _file_system(desk),
        lambda: check_locks(base_dir, (journal_path(desk) / ".lock",)),
        lambda: check_journal(journal_path(desk)),
        check_library,
        lambda: _database(desk),
        lambda: _clock(desk),
        lambda: _sinks(desk),
        lambda: _plugins(desk),
        check_name,
    )
    return [finding for check in checks for finding in check()]


def _config(desk: Desk) -> Iterator[Finding]:
    checked = checking.check(desk.config)
    for fault in checked.faults:
        yield Finding("configuration", FAULT, fault, cure="telemetry config check")
    for warning in checked.warnings:
        yield Finding("configuration", WARNING, warning)
    if not checked.faults:
        yield Finding("configuration", OK, f"no fault, {plural(len(desk.config.sinks), 'sink')}")


def _database(desk: Desk) -> Iterator[Finding]:
    try:
        path = database_path(desk)
    except Fault as fault:
        yield Finding("database", NOTE, fault.what, cure=fault.cure)
        return
    for finding in check_database(path):
        is_damage = finding.area == "database" and finding.level == FAULT
        yield evolve(finding, cure="telemetry rebuild", fix=lambda: _rebuild(desk)) if is_damage else finding


def _rebuild(desk: Desk) -> None:
    from ...care import Care

    Care(desk.config).rebuild()


def _file_system(desk: Desk) -> Iterator[Finding]:
    built = desk.built_untold
    for name, sink in built.sinks.items():
        if hasattr(sink, "file_system"):
            context = built.contexts[name]
            yield from check_file_system(context.base_dir, *sink.file_system(context))


def _clock(desk: Desk) -> Iterator[Finding]:
    try:
        newest = next(iter(desk.store.runs(RunQuery(limit=1))), None)
    except TelemetryError as error:
        yield Finding("store", FAULT, str(error), str(desk.config.metrics_dir))
        return
    yield from check_clock(newest)


def _sinks(desk: Desk) -> Iterator[Finding]:
    for row in sink_rows(desk):
        if row.fault:
            yield Finding("sinks", FAULT, f"{row.name} cannot be used", row.fault, "telemetry config check")
            continue
        if row.trouble:
            told = f"{row.name} has {plural(row.pending or 0, 'record')} to deliver and cannot"
            yield Finding("sinks", WARNING, told, row.trouble, "telemetry outbox status")
        if row.aside:
            told = f"{row.name} took others, but not {plural(row.aside, 'record')}, which it gets again later"
            yield Finding("sinks", WARNING, told, cure=f"telemetry outbox dead {row.name} --aside")
        if row.dead:
            told = f"{row.name} gave up {plural(row.dead, 'record')}"
            yield Finding("sinks", WARNING, told, cure=f"telemetry outbox dead {row.name}")
        if not row.trouble and (age := _waiting(row.oldest)) is not None:
            told = f"{row.name} lags: {plural(row.pending or 0, 'record')} to deliver, the oldest for {age}"
            yield Finding("sinks", WARNING, told, row.oldest or "", "telemetry outbox flush")
        elif not row.trouble and not row.aside and not row.dead:
            yield Finding("sinks", OK, f"{row.name} ({row.type})")


def _waiting(oldest: str | None) -> str | None:
    """Return how long the oldest record has waited, None where that is no reason to worry: agents deliver in bursts."""
    try:
        age = datetime.now(UTC) - parse_time(oldest) if oldest else timedelta()
    except ValueError:
        return None  # another program's time
    return duration_text(age.total_seconds() * 1000) if age > _PATIENCE else None


def _plugins(desk: Desk) -> Iterator[Finding]:
    for row in plugin_rows(desk.config):
        if row.state in FAULTY:
            level = FAULT if row.is_used else WARNING
            cure = f"update or remove it, or set disable_plugins = [{row.entry.name!r}]"
            yield Finding("plugins", level, f"{row.entry} cannot be used: {row.state}", row.detail, cure)
        elif row.state == "shadowed":
            yield Finding("plugins", WARNING, f"{row.entry} is never used", row.detail, "remove one of the two")


def _fix_all(findings: Sequence[Finding]) -> bool:
    fixes = [finding.fix for finding in findings if finding.fix is not None]
    for fix in fixes:
        fix()
    return bool(fixes)


def _lines(screen: Screen, finding: Finding) -> Iterator[str]:
    style = _STYLES[finding.level]
    sign = screen.style(screen.symbol(_SIGNS[finding.level]), style)
    room = max(screen.width - _AREA - 4, 20)
    for number, line in enumerate(wrapped(printable(finding.what), room)):
        head = f"{sign} {padded(finding.area, _AREA)}" if number == 0 else " " * (_AREA + 2)
        yield f"{head}  {line if finding.level in (OK, NOTE) else screen.style(line, style)}"
    if finding.level == OK:
        return
    for label, text in (("", finding.evidence), ("try: ", finding.cure)):
        for line in wrapped(printable(label + text), room) if text else ():
            yield f"{' ' * (_AREA + 4)}{screen.style(line, 'dim')}"


def _summary(findings: Sequence[Finding]) -> str:
    counts = {level: sum(finding.level == level for finding in findings) for level in (FAULT, WARNING)}
    told = [plural(count, level) for level, count in counts.items() if count]
    return f"{', '.join(told)}." if told else "Nothing is wrong."
