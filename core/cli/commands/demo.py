"""Show a newcomer what the platform does: record a real job, then look at it with the commands that he has now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from ...demo.sample import Section, chosen_sections, standard_library
from ...demo.scenario import Outcome, play
from ..desk import Desk
from ..faults import Exit, Fault
from ..group import DeskCommand, call
from ..letters import padded, width_of
from ..listing import output_options, write_one
from ..numbers import Whole
from ..progress import show_progress
from ..screen import Screen
from ..stores import database_path, journal_path
from ..words import plural, short_id, size_text

__all__ = ["command"]

_FILES, _MOST_FILES = 240, 600
_EXAMPLES = (
    ("telemetry demo", "read a part of Python's own library, and look at what came of it"),
    ("telemetry demo src --files 50", "read up to 50 files of a folder of your own"),
)


@click.command("demo", cls=DeskCommand, examples=_EXAMPLES)
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--files", type=Whole(1, _MOST_FILES), default=_FILES, show_default=True, help="How many files at most.")
@output_options("json")
@click.pass_context
def command(ctx: click.Context, folder: Path | None, files: int, form: str | None) -> None:
    """
    Record a real job and look at what came of it.

    A small agent reads the Python files of FOLDER, by default of Python's own library, with the client that your
    agents use: several runs, one that raises, and one whose process is killed. Nothing is sent anywhere.
    """
    desk: Desk = ctx.find_object(Desk)  # type: ignore[assignment]  # main() has put it there
    place = _checked(desk, folder)
    sections = _sections(place, files)
    if form != "json":
        _announce(desk.screen, place, sections, is_own=folder is None)
    outcome = _played(desk, place, sections)
    if form == "json":
        _write_json(desk, outcome)
        return
    for part in (_show_runs, _show_failure, _show_stats):
        part(ctx, desk, outcome)
    _show_places(desk)
    _show_advice(desk, outcome)


def _checked(desk: Desk, folder: Path | None) -> Path:
    if desk.config.disabled:
        where = desk.config.origins["disabled"]
        raise Fault("telemetry is disabled, so nothing would be recorded", where=where, code=Exit.BAD_CONFIG)
    place = (folder or standard_library()).expanduser().resolve()
    if not place.is_dir():
        raise Fault("there is no such folder", where=str(place), cure="telemetry demo", code=Exit.NOT_FOUND)
    return place


def _sections(place: Path, files: int) -> list[Section]:
    sections = chosen_sections(place, files)
    if not sections:
        raise Fault("there is no Python file in it", where=str(place), cure="telemetry demo", code=Exit.NOT_FOUND)
    return sections


def _played(desk: Desk, place: Path, sections: list[Section]) -> Outcome:
    total = sum(len(section.files) for section in sections)
    with show_progress(desk.screen, "reading", total) as bar:
        return play(desk.config, place, sections, lambda path: bar.step(path.relative_to(place).as_posix()))


def _announce(screen: Screen, place: Path, sections: list[Section], *, is_own: bool) -> None:
    total = sum(len(section.files) for section in sections)
    what = "Python's own library" if is_own else "your folder"
    screen.say(f"A small agent reads {plural(total, 'file')} of {what} and records each step.")
    screen.say(screen.style(str(place), "dim"))
    screen.out.flush()


def _write_json(desk: Desk, outcome: Outcome) -> None:
    write_one(
        desk.screen,
        {
            "runs": list(outcome.run_ids),
            "failed_run": outcome.failed_run,
            "killed_run": outcome.killed_run,
            "broken_file": str(outcome.broken) if outcome.broken else None,
            "base_dir": str(desk.config.metrics_dir),
        },
    )


def _show_runs(ctx: click.Context, desk: Desk, outcome: Outcome) -> None:
    _call(ctx, desk, "runs", "-n", str(len(outcome.run_ids)))
    if outcome.broken is None:
        told = "Every file could be parsed, so the run that fails was sent to a file that is not there."
        desk.screen.say(f"\n{desk.screen.style(told, 'dim')}")


def _show_failure(ctx: click.Context, desk: Desk, outcome: Outcome) -> None:
    _call(ctx, desk, "show", short_id(outcome.failed_run))


def _show_stats(ctx: click.Context, desk: Desk, outcome: Outcome) -> None:
    _call(ctx, desk, "stats")


def _call(ctx: click.Context, desk: Desk, *arguments: str) -> None:
    """Run one of our commands, the line to type for it above its answer."""
    root = ctx.find_root().command
    options = () if desk.base_dir is None else ("--base-dir", str(desk.base_dir))
    screen = desk.screen
    screen.say()
    screen.say(f"{screen.style('$', 'dim')} {screen.style(' '.join(('telemetry', *options, *arguments)), 'bold')}")
    call(root, arguments, desk)


def _show_places(desk: Desk) -> None:
    screen = desk.screen
    screen.say(f"\n{screen.style('Where it lies', 'bold')}")
    places = [(path, "journal, a JSON object a line") for path in _journal_files(desk)[-1:]]
    places += [(path, "SQLite, a row a run") for path in _databases(desk)]
    # The path comes last: it may be longer than a line, and is to be copied whole.
    longest = max((width_of(what) for _, what in places), default=0)
    for path, what in places:
        size = size_text(path.stat().st_size) if path.is_file() else ""
        screen.say(f"  {screen.style(f'{padded(what, longest)}  {size:>7}', 'dim')}  {path}")


def _journal_files(desk: Desk) -> list[Path]:
    return sorted(journal_path(desk).glob("events_*.ndjson"))


def _databases(desk: Desk) -> list[Path]:
    try:
        return [database_path(desk)]
    except Fault:
        return []  # a set-up with the journal alone


def _show_advice(desk: Desk, outcome: Outcome) -> None:
    screen = desk.screen
    screen.say(f"\n{screen.style('Try next', 'bold')}")
    for line, purpose in _advice(outcome):
        screen.say(f"  {padded(line, 36)}  {screen.style(purpose, 'dim')}")
    screen.say(f"\n{screen.style('In your own code', 'bold')}")
    for line in _CODE:
        screen.say(f"  {line}")


def _advice(outcome: Outcome) -> Iterator[tuple[str, str]]:
    yield f"telemetry show {short_id(outcome.killed_run)}", "the run whose process was killed"
    yield f"telemetry show {short_id(outcome.run_ids[-3])}", "the run that has the others as children"
    yield "telemetry runs --failed", "what went wrong"
    yield "telemetry errors", "the same, grouped by fault"
    yield "telemetry tail -f", "what happens now, live"
    yield "telemetry --help", "all that there is"


_CODE = (
    "from telemetry import TelemetryClient",
    "",
    "client = TelemetryClient()",
    'with client.track_run("my-agent", "nightly import") as run:',
    '    run.log_event("page_read", {"number": 1})',
    "    run.set_metrics(pages=1)",
)
