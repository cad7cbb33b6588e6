"""Bring databases to the schema of this release, or tell which one they have."""

from __future__ import annotations

from typing import Any

import click

from ....plugins.care import Schema
from ..desk import Desk, pass_desk
from ..faults import Exit, Fault
from ..group import DeskCommand
from ..listing import is_table, output_options, write_list
from ..table import Column

__all__ = ["command"]

_EXAMPLES = (
    ("telemetry migrate --list", "which schema each database has, and what would be changed"),
    ("telemetry migrate", "change it now, not when the next agent starts; a backup is made beside it"),
)


@click.command("migrate", cls=DeskCommand, examples=_EXAMPLES)
@click.option("--list", "is_list", is_flag=True, help="Only tell; change nothing.")
@output_options()
@pass_desk
def command(desk: Desk, /, is_list: bool, form: str | None) -> None:
    """
    Bring the databases to the schema of this release.

    Agents do the same when they open one. A database that a later release made is left as it is.
    """
    care = desk.open_care()
    schemas = list((care.schemas() if is_list else care.migrate()).values())
    write_list(desk.screen, form, _COLUMNS, schemas, Schema.to_dict)
    if is_table(desk.screen, form):
        for schema in schemas:
            for version, applied_at, description in schema.applied:
                desk.screen.say(f"  version {version}  {applied_at}  {description}".rstrip())
    if refused := [schema for schema in schemas if schema.refusal]:
        raise Fault(str(refused[0].refusal), where=refused[0].path, code=Exit.FAILURE)


def _to_do(schema: Schema) -> Any:
    return "; ".join(schema.steps) or ("left as it is" if schema.refusal else "nothing")


_COLUMNS: list[Column[Schema]] = [
    Column(name="path", value=lambda schema: schema.path, style="bold", least=20),
    Column(name="version", value=lambda schema: schema.version, is_right=True),
    Column(name="wanted", value=lambda schema: schema.wanted, is_right=True),
    Column(name="to_do", title="to do", value=_to_do, least=20),
]
