"""Read which runs are asked for: the options that all commands over runs share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ...plugins.records import STATUSES
from ...plugins.store import RunQuery
from ..spans import read_moment, stored_text
from .completing import complete_agents, complete_jobs
from .desk import Desk
from .faults import Exit, Fault

__all__ = ["moment_option", "query_of", "run_filters"]

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--agent", metavar="NAME", help="Only runs of this agent.", shell_complete=complete_agents),
    click.option("--job", metavar="NAME", help="Only runs of this job.", shell_complete=complete_jobs),
    click.option("--status", type=click.Choice(STATUSES), help="Only runs with this status."),
    click.option("--failed", "status", flag_value="failed", help="The same as --status failed."),
    click.option("--running", "status", flag_value="running", help="The same as --status running."),
    click.option("--since", metavar="WHEN", help="Started then or later: 2d, 90m, today, 2026-11-23, ..."),
    click.option("--until", metavar="WHEN", help="Started before then."),
    click.option(
        "--where",
        multiple=True,
        metavar="CONDITION",
        help="As 'metrics.tokens_in>1000', 'error_summary~timeout', 'host=web-1'; may be repeated.",
    ),
)


def run_filters(command: Command) -> Command:
    """Add the filters to a command, which gets them as keywords for `query_of()`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def query_of(desk: Desk, filters: dict[str, Any], **more: Any) -> RunQuery:
    """
    Return the query for the *filters* that a command got.

    Raises:
        Fault: a time cannot be read.
    """
    return RunQuery(
        agent=filters["agent"],
        job=filters["job"],
        status=filters["status"],
        since=moment_option(desk, "--since", filters["since"]),
        until=moment_option(desk, "--until", filters["until"]),
        where=filters["where"],
        **more,
    )


def moment_option(desk: Desk, option: str, text: str | None) -> str | None:
    """
    Return the time that an *option* was given as it stands in the stores.

    Raises:
        Fault: it cannot be read.
    """
    if text is None:
        return None
    try:
        return stored_text(read_moment(text, desk.screen.now()))
    except ValueError as error:
        raise Fault(str(error), where=option, code=Exit.USAGE) from error
