"""Find a command by its name and import it only when it is called, so that `telemetry --help` imports none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import click
from attrs import frozen

from .arguments import misplaced_option, refuse_contradictions

__all__ = ["COMMANDS", "COMPLETION_VARIABLE", "PROGRAM", "DeskCommand", "Entry", "LazyGroup", "call"]

PROGRAM = "telemetry"
COMPLETION_VARIABLE = "_TELEMETRY_COMPLETE"
"""By this shells ask for completions."""


@frozen
class Entry:
    """One command in the list: the part of the list it stands in, and its sentence there."""

    section: str
    help: str


_LOOK, _CLOSER, _RECORD, _CARE = "What ran", "A closer look", "Record", "Care"

COMMANDS: Mapping[str, Entry] = {
    "runs": Entry(_LOOK, "List runs, the newest first."),
    "show": Entry(_LOOK, "Show one run: figures, error, events, children."),
    "tail": Entry(_LOOK, "Show the latest events, and follow them with -f."),
    "stats": Entry(_LOOK, "Count and measure runs, in groups."),
    "errors": Entry(_CLOSER, "Group failures that are one and the same fault."),
    "diff": Entry(_CLOSER, "Compare two runs."),
    "plot": Entry(_CLOSER, "Draw a metric over runs."),
    "query": Entry(_CLOSER, "Ask the store in SQL, read only."),
    "export": Entry(_CLOSER, "Write runs and events to a file."),
    "demo": Entry(_RECORD, "Record a real job and look at what came of it."),
    "exec": Entry(_RECORD, "Run any command and record it as a run."),
    "import": Entry(_RECORD, "Bring in stores of earlier versions, SQLite and NDJSON."),
    "merge": Entry(_RECORD, "Bring base directories of other machines together."),
    "sinks": Entry(_CARE, "List the sinks and how they are."),
    "plugins": Entry(_CARE, "List what is installed, and whether it can be used."),
    "new-sink": Entry(_CARE, "Write a distribution with a sink of your own."),
    "config": Entry(_CARE, "Show, check and begin the configuration."),
    "outbox": Entry(_CARE, "See what remote sinks have delivered, and try again."),
    "verify": Entry(_CARE, "Say whether every record is there."),
    "backup": Entry(_CARE, "Copy everything to a folder, and check the copy."),
    "restore": Entry(_CARE, "Bring back what a backup has and is missing here."),
    "replay": Entry(_CARE, "Feed the journal to a sink again."),
    "migrate": Entry(_CARE, "Bring the databases to the schema of this release."),
    "prune": Entry(_CARE, "Delete what is old, and gzip days that are closed."),
    "rebuild": Entry(_CARE, "Build the database anew from the journal."),
    "doctor": Entry(_CARE, "Look for what is wrong with the telemetry itself."),
    "completion": Entry(_CARE, "Write the completion script of your shell."),
}
_PLUGGED = "From plugins"


class DeskCommand(click.Command):
    """
    A command whose help ends with examples, and that refuses `--store` unless it reads what is named by it.

    Args:
        examples: command line and what it is for, two or more of them.
        apart: pairs of parameters of which one at most may be given.
        reads_store: all of its answer comes from `desk.store`.
    """

    def __init__(
        self,
        *args: Any,
        examples: tuple[tuple[str, str], ...] = (),
        apart: tuple[tuple[str, str], ...] = (),
        reads_store: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.apart = apart
        self.reads_store = reads_store

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments, and refuse options that contradict each other."""
        given = list(args)  # click takes them out of its own list one by one
        left = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            refuse_contradictions(self, ctx, given, self.apart)
        return left

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; it would answer from another place than --store names, or change one, if it ignored it."""
        if not self.reads_store:
            ctx.obj.refuse_store(ctx.command_path)
        return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        if self.examples:
            with formatter.section("Examples"):
                for command, purpose in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{command}\n")
                    formatter.write(f"{'':>{formatter.current_indent}}    {purpose}\n")


class LazyGroup(click.Group):
    """The root of the command line: our commands by name, then those of plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names, ours in the order of the list."""
        return [*COMMANDS, *(name for name in sorted(self._plugged()) if name not in COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command *cmd_name*, None when there is none."""
        if cmd_name in COMMANDS:
            module = import_module(f".commands.{cmd_name.replace('-', '_')}", __package__)
            command: click.Command = module.command
            return command
        return self._plugged().get(cmd_name)

    def _plugged(self) -> dict[str, click.Command]:
        # A command of a plugin never stands in for one of ours, so ours need no look at the plugins.
        if not self.commands:
            from .plugged import plugged_commands

            self.commands.update(plugged_commands())
        return dict(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, and offer the nearest name where there is none."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            told = f"there is no command {args[0]!r}{_nearest(args[0], self.list_commands(ctx))}"
            raise click.UsageError(told, ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands in its parts, without importing any of ours."""
        width = max(map(len, self.list_commands(ctx)))
        for section in dict.fromkeys(entry.section for entry in COMMANDS.values()):
            rows = [(name.ljust(width), entry.help) for name, entry in COMMANDS.items() if entry.section == section]
            with formatter.section(section):
                formatter.write_dl(rows)
        plugged = [(name, command) for name, command in sorted(self._plugged().items()) if name not in COMMANDS]
        if plugged:
            with formatter.section(_PLUGGED):
                formatter.write_dl([(name.ljust(width), command.get_short_help_str(60)) for name, command in plugged])


def call(root: click.Command, arguments: Sequence[str], desk: Any) -> int:
    """
    Run one command line and return its exit code.

    Not by way of click's own `main()`, which ends the process itself when a pipe is closed. What a command raises
    passes.
    """
    try:
        with root.make_context(PROGRAM, list(arguments), obj=desk) as ctx:
            result = root.invoke(ctx)
    except click.exceptions.Exit as end:
        return end.exit_code  # of --help and --version
    except click.NoSuchOption as error:
        raise misplaced_option(root, arguments, error, PROGRAM) from error
    return result if isinstance(result, int) else 0


def _nearest(word: str, names: list[str]) -> str:
    import difflib

    found = difflib.get_close_matches(word, names, 1)
    return f"; did you mean {found[0]!r}?" if found else ""
