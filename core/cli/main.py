"""Run the command line: read the options that all commands share, call the command, turn faults into exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from click.shell_completion import shell_complete

from .desk import Desk
from .faults import Exit, Interrupted, expected_errors, fault_of, report
from .group import COMPLETION_VARIABLE, PROGRAM, LazyGroup, call
from .screen import Screen, screen_for

__all__ = ["cli", "main", "run"]

_INTERRUPTED = 130
_NARROW_HELP = 100


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": _NARROW_HELP},
    no_args_is_help=True,
)
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="Read this configuration file.")
@click.option("--base-dir", type=click.Path(path_type=Path), help="Look into this base directory.")
@click.option("--store", "store_place", metavar="WHERE", help="Read this store: a path, or a postgres:// URL.")
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    help="When to use colours; NO_COLOR and FORCE_COLOR count for auto.",
)
@click.version_option(package_name="local-telemetry", prog_name=PROGRAM, message="%(prog)s %(version)s")
@click.pass_context
def cli(
    ctx: click.Context, config_path: Path | None, base_dir: Path | None, store_place: str | None, color: str
) -> None:
    """
    Tell what your agents, LLM pipelines and batch jobs ran, how long, and with what result.

    Lists come as tables on a terminal, as plain columns in a pipe, and as JSON with --json.
    """
    desk = ctx.obj if isinstance(ctx.obj, Desk) else Desk(screen_for(color))
    desk.config_path = config_path or desk.config_path
    desk.base_dir = base_dir or desk.base_dir
    desk.store_place = store_place or desk.store_place
    ctx.obj = desk
    ctx.with_resource(desk.quiet_library())
    ctx.call_on_close(desk.close)


def run(arguments: Sequence[str], desk: Desk | None = None) -> int:
    """
    Run one command line and return its exit code; the streams are those of *desk*, or of the process.

    0 done, 1 failed, 2 wrong usage, 3 not found, 4 bad configuration; 130 interrupted by ^C. A reader that leaves
    the pipe early, as `head` does, is no failure.
    """
    screen = desk.screen if desk is not None else screen_for()
    try:
        code = call(cli, arguments, desk)
        screen.out.flush()
        return code
    except BrokenPipeError:
        _leave_pipe(screen)
        return Exit.OK
    except (KeyboardInterrupt, click.Abort) as error:
        if screen.is_live and not isinstance(error, Interrupted):
            screen.tell("")  # the terminal shows ^C, behind which the shell would ask for the next command
        return _INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        screen.tell(error.format_message())
        return Exit.USAGE
    except expected_errors() as error:
        return _failed(screen, error)


def _failed(screen: Screen, error: Exception) -> int:
    fault = fault_of(error)
    report(screen, fault)
    return fault.code


def _leave_pipe(screen: Screen) -> None:
    # Python flushes standard output once more at exit, and would complain of the closed pipe there.
    if screen.out is sys.stdout:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _provide_streams() -> None:
    # A daemon may start us with streams closed. The next file that is opened would get the number of one, and a child
    # would take it for its output: the null device stands in for each.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            os.set_inheritable(descriptor, True)
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - for good


def main() -> None:
    """Run the command line of this process and exit."""
    _provide_streams()
    for stream in (sys.stdout, sys.stderr):
        # What the terminal cannot write comes out as an escape: a strange letter in a name must not end the list.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # TextIO does not tell of it
    instruction = os.environ.get(COMPLETION_VARIABLE)
    if instruction:
        sys.exit(shell_complete(cli, {}, PROGRAM, COMPLETION_VARIABLE, instruction))
    sys.exit(run(sys.argv[1:]))
