"""Say what is wrong with the options of a command line where click lets them pass or does not know why."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from itertools import combinations

import click

from ...plugins.secret import masked
from .faults import Exit, Fault

__all__ = ["misplaced_option", "refuse_contradictions"]


def refuse_contradictions(
    command: click.Command, ctx: click.Context, args: Sequence[str], apart: Iterable[tuple[str, str]]
) -> None:
    """
    Say that two options of a command line cannot both be meant: those that set one parameter, of which the last would
    win, and those that are to stand apart.

    Args:
        apart: pairs of parameters.

    Raises:
        UsageError: there are two such options; both are named.
    """
    _, _, given = command.make_parser(ctx).parse_args(args=list(args))
    options = dict.fromkeys(parameter for parameter in given if isinstance(parameter, click.Option))
    pairs = {frozenset(pair) for pair in apart}
    for first, second in combinations(options, 2):
        if first.name == second.name or frozenset((first.name, second.name)) in pairs:
            raise click.UsageError(f"{_written(first)} and {_written(second)} exclude each other", ctx)


def _written(option: click.Option) -> str:
    return "/".join(option.opts)


def misplaced_option(root: click.Command, arguments: Sequence[str], error: click.NoSuchOption, program: str) -> Fault:
    """
    Return the fault of an option that a command does not know: where *root* knows it, it stands before the command.

    Raises:
        NoSuchOption: *root* does not know it either.
    """
    known = next((option for option in root.params if error.option_name in option.opts), None)
    if not isinstance(known, click.Option) or error.ctx is None or error.ctx.parent is None:
        raise error
    moved = _moved(arguments, error.option_name, takes_value=not known.is_flag)
    return Fault(
        f"{error.option_name} stands before the command",
        where=error.ctx.command_path,
        cure=masked(shlex.join([program, *moved])),
        code=Exit.USAGE,
    )


def _moved(arguments: Sequence[str], name: str, *, takes_value: bool) -> list[str]:
    """Return *arguments* with the option *name* and its value at their head."""
    place = next(number for number, word in enumerate(arguments) if word.partition("=")[0] == name)
    end = place + 1 + (takes_value and "=" not in arguments[place])
    option = list(arguments[place:end])
    missing = ["WHERE"] if end > len(arguments) else []
    return [*option, *missing, *arguments[:place], *arguments[end:]]
