"""Answer "which settings are in force, and why?", and help to begin and to mend a configuration file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from ....plugins.private import make_private_folder
from ...config import TelemetryConfig
from ...config.effective import EffectiveValue, effective_values
from ..desk import Desk, pass_desk
from ..faults import Exit, Fault, report, warn
from ..group import DeskCommand
from ..letters import one_line
from ..listing import output_options, write_list, write_one
from ..stores import database_path, journal_path
from ..table import Cell, Column
from ..words import plural, size_text

__all__ = ["command"]

_NEW_FILE = "telemetry.toml"
_EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "show": (
        ("telemetry config show", "every setting in force, and where it comes from"),
        ("telemetry config show --json", "the same for programs"),
    ),
    "check": (
        ("telemetry config check", "all faults at once; the exit code is 4 when there are any"),
        ("telemetry --config new.toml config check", "check a file before it is used"),
    ),
    "init": (
        ("telemetry config init", "begin a file in this folder, every line of it commented out"),
        ("telemetry config init --user", "begin one that counts wherever you are"),
    ),
    "path": (
        ("telemetry config path", "where configuration, database, journal and state lie"),
        ('cd "$(telemetry config path base)"', "go to the base directory"),
    ),
}


@click.group("config")
def command() -> None:
    """Show, check and begin the configuration."""


@command.command("show", cls=DeskCommand, examples=_EXAMPLES["show"])
@output_options()
@pass_desk
def show(desk: Desk, /, form: str | None) -> None:
    """Show every setting in force, and where it comes from. Tokens are masked."""
    columns: list[Column[EffectiveValue]] = [
        Column(name="setting", value=lambda row: row.name, cell=_name, least=14),
        Column(name="value", value=lambda row: row.value, cell=_value, least=16),
        Column(name="origin", title="from", value=lambda row: row.origin, cell=_origin, keeps_end=True, least=20),
    ]
    write_list(desk.screen, form, columns, effective_values(desk.config))


def _name(row: EffectiveValue) -> Cell:
    return Cell(one_line(row.name), "" if row.value and row.origin != "default" else "dim")


def _value(row: EffectiveValue) -> Cell:
    return Cell(one_line(row.value), "bold" if row.origin != "default" else "")


def _origin(row: EffectiveValue) -> Cell:
    return Cell(one_line(row.origin), "dim" if row.origin == "default" else "accent")


@command.command("check", cls=DeskCommand, examples=_EXAMPLES["check"])
@output_options("json")
@pass_desk
def check(desk: Desk, /, form: str | None) -> int:
    """Find everything that is wrong, down to the options of each sink."""
    from ...config import checking

    config = desk.load_config()
    checked = checking.check(config)
    faults = checked.faults
    if form == "json":
        found = {"faults": list(faults), "warnings": list(checked.warnings)}
        write_one(desk.screen, {"ok": not faults, **found, "file": _file_text(desk)})
        return Exit.BAD_CONFIG if faults else Exit.OK
    for warning in checked.warnings:
        warn(desk.screen, warning)
    if faults:
        told = "\n".join(f"{number}. {fault}" for number, fault in enumerate(faults, start=1))
        report(desk.screen, Fault(told, where=_where(faults, _file_text(desk)), cure=_cure_of(faults)))
    else:
        sign = desk.screen.style(desk.screen.symbol("success"), "success")
        desk.screen.say(f"{sign} {_file_text(desk) or 'no file, environment and defaults'}: no fault, {_told(config)}")
    return Exit.BAD_CONFIG if faults else Exit.OK


def _where(faults: Sequence[str], file: str | None) -> str:
    """Name the sources that are at fault, of file and environment."""
    of_file = [file is not None and file in fault for fault in faults]
    return ", ".join(([file] if file and any(of_file) else []) + ([] if all(of_file) else ["environment"]))


def _cure_of(faults: Sequence[str]) -> str:
    # Nothing stands in for a sink: it is left out.
    left_out = ", and without a sink that cannot be built" if any(f.startswith("sinks.") for f in faults) else ""
    return f"mend what is named above; until then agents go on as if it were not set{left_out}"


def _told(config: TelemetryConfig) -> str:
    return f"{plural(len(config.sinks), 'sink')}: {', '.join(spec.name for spec in config.sinks) or 'none'}"


def _file_text(desk: Desk) -> str | None:
    path = _config_file(desk)
    return None if path is None else str(path)


def _config_file(desk: Desk) -> Path | None:
    """Return the configuration file that counts, None when there is none."""
    from ...config.file import Broken, find_file

    try:
        found = find_file(desk.config_path, os.environ)
    except Broken as error:
        raise Fault(str(error), cure="telemetry config init writes one to start from", code=Exit.BAD_CONFIG) from error
    return None if found is None else found.path


@command.command("init", cls=DeskCommand, examples=_EXAMPLES["init"])
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option("--user", "is_for_user", is_flag=True, help="Write it to your own configuration directory.")
@pass_desk
def init(desk: Desk, /, path: Path | None, is_for_user: bool) -> None:
    """Write a file to start from, never over one that is there. All in it is explained and commented out."""
    from ...config.file import PROJECT_FILE, PROJECT_TABLE
    from ...config.template import example_file

    place = _new_place(path, is_for_user)
    inside = ".".join(PROJECT_TABLE) if place.name == PROJECT_FILE else ""
    make_private_folder(place.parent)
    try:
        # Only for us: a token may come to stand in it.
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        where = f"write below [{inside}] in it" if inside else "edit it"
        cure = f"{where}, or name another: telemetry config init {place.with_name('other.toml')}"
        raise Fault("there is such a file already, and it is left as it is", where=str(place), cure=cure) from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(example_file(inside))
    desk.screen.say(str(place))
    but = f" but for [{inside}]" if inside else ""
    told = f"Every line of it{but} is commented out; `telemetry config check` finds mistakes."
    desk.screen.tell(desk.screen.style(told, "dim"))


def _new_place(path: Path | None, is_for_user: bool) -> Path:
    if not is_for_user:
        return (path or Path(_NEW_FILE)).absolute()
    from ...config.places import user_directory

    folder = user_directory("config", os.environ)
    if folder is None:
        raise Fault("this user has no configuration directory", cure="name a file: telemetry config init PATH")
    return folder / _NEW_FILE


@command.command("path", cls=DeskCommand, examples=_EXAMPLES["path"])
@click.argument("name", required=False, type=click.Choice(["config", "base", "database", "journal", "state"]))
@output_options()
@pass_desk
def path(desk: Desk, /, name: str | None, form: str | None) -> None:
    """Tell where everything lies, or the one thing that is named."""
    places = places_of(desk)
    if name is not None:
        if not places[name]:
            raise Fault(f"there is no {name} file", cure="telemetry config init", code=Exit.NOT_FOUND)
        desk.screen.say(places[name])
        return
    columns: list[Column[tuple[str, str]]] = [
        Column(name="name", title="what", value=lambda row: row[0], cell=lambda row: Cell(row[0], "bold")),
        Column(name="path", title="where", value=lambda row: row[1]),
        Column(name="size", value=lambda row: None, cell=lambda row: Cell(_size(row[1]), "dim"), is_piped=False),
    ]
    write_list(desk.screen, form, columns, places.items())


def places_of(desk: Desk) -> dict[str, str]:
    """Return where things lie, by the names that `config path` takes; empty text for what is nowhere."""
    config = desk.config
    return {
        "config": _file_text(desk) or "",
        "base": str(config.metrics_dir),
        "database": str(_database(desk)),
        "journal": str(journal_path(desk)),
        "state": str(config.metrics_dir / "state"),
    }


def _database(desk: Desk) -> Path:
    try:
        return database_path(desk)
    except Fault:
        return desk.config.database_path  # no sink keeps one; that is where it would lie


def _size(place: str) -> str:
    path = Path(place)
    if not place:
        return "none"
    if path.is_file():
        return size_text(path.stat().st_size)
    if not path.is_dir():
        return "not there yet"
    files = [entry for entry in path.rglob("*") if entry.is_file()]
    return f"{plural(len(files), 'file')}, {size_text(sum(file.stat().st_size for file in files))}"
