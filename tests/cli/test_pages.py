"""Hold the pages on the command line to the code: every command, option and example stands there as it is."""

import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from telemetry.core.cli.faults import Exit
from telemetry.core.cli.group import COMMANDS
from telemetry.core.cli.listing import FORMS
from telemetry.core.cli.main import cli

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "command-line.md"
_MARKS = ("<!-- commands -->\n", "<!-- end of commands -->")
_FILTERS = ("agent", "job", "status", "failed", "running", "since", "until", "where")


def leaves() -> Iterator[tuple[str, click.Command]]:
    """Yield each command that does something, with the words that call it, in the order of the list."""
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        if isinstance(command, click.Group):
            context = click.Context(command)
            yield from (
                (f"{name} {word}", command.get_command(context, word)) for word in command.list_commands(context)
            )
        else:
            yield name, command


def row(option: click.Option) -> str:
    """Return the line of a table that stands for an option."""
    names = ", ".join(f"`{name}`" for name in sorted(option.opts, key=len, reverse=True))
    text = option.help.replace("|", r"\|")
    if option.show_default:
        text += f" Default `{option.default}`."
    if isinstance(option.type, click.IntRange) and option.type.max is not None:
        text += f" {option.type.max} at most."
    if option.required:
        text += " Required."
    if isinstance(option.type, click.Choice) and not option.is_flag:
        text += f" One of {', '.join(f'`{choice}`' for choice in option.type.choices)}."
    return f"| {names} | {text} |"


def section(name: str, command: click.Command) -> Iterator[str]:
    """Yield the lines that the page has on a command."""
    options = {option.opts[0].lstrip("-"): option for option in command.params if isinstance(option, click.Option)}
    has_filters = options.keys() >= set(_FILTERS)
    left_out = (*FORMS, *(_FILTERS if has_filters else ()))
    own = [option for word, option in options.items() if word not in left_out]
    yield from (f"### telemetry {name}", "", "```text")
    yield " ".join(["telemetry", name, *command.collect_usage_pieces(click.Context(command))])
    yield from ("```", "", inspect.cleandoc(command.help), "")
    if own:
        yield from ("| option | what it does |", "|---|---|", *map(row, own), "")
    also = ["the [filters](#filters)"] if has_filters else []
    also += [", ".join(f"`--{form}`" for form in FORMS if form in options)] if options.keys() & FORMS.keys() else []
    if also:
        yield from (f"{'Also' if own else 'Takes'} {' and '.join(also)}.", "")
    yield from ("```sh", *(f"{line}  # {purpose}" for line, purpose in command.examples), "```", "")


def expected() -> str:
    """Return what the page must say of all commands."""
    lines, heading = [], None
    for name, command in leaves():
        entry = COMMANDS[name.split()[0]]
        if entry.section != heading:
            heading = entry.section
            lines += [f"## {heading}", ""]
        lines += section(name, command)
    return "\n".join(lines)


def test_page_tells_every_command():
    """In the order of the list, with each option and example; UPDATE_PICTURES=1 writes them anew."""
    before, _, rest = _PAGE.read_text("utf-8").partition(_MARKS[0])
    told, mark, after = rest.partition(_MARKS[1])
    if os.environ.get("UPDATE_PICTURES"):
        told = f"\n{expected()}"
        _PAGE.write_text(f"{before}{_MARKS[0]}{told}{mark}{after}", "utf-8")

    assert f"\n{expected()}" == told


def table(title: str) -> dict[str, str]:
    """Return the rows of the table under a heading, the first cell without its quotes."""
    text = re.split(r"\n## ", _PAGE.read_text("utf-8").partition(f"# {title}\n")[2])[0]
    rows = [line.strip("|").split("|", 1) for line in text.splitlines() if line.startswith("| ")]
    return {first.strip().strip("`"): rest.strip() for first, rest in rows[1:]}


@pytest.mark.parametrize("title", ["Filters", "Command line"])
def test_page_tells_the_common_options(title: str):
    """Those of all lists, and those before the command."""
    commands = {"Filters": cli.get_command(click.Context(cli), "runs"), "Command line": cli}
    options = [option for option in commands[title].params if isinstance(option, click.Option)]

    told = table(title)

    helps = {f"--{option.opts[0].lstrip('-')}": option.help for option in options}
    wanted = [f"--{name}" for name in _FILTERS] if title == "Filters" else list(helps)
    assert wanted == list(told)
    assert [] == [name for name in wanted if not told[name].startswith(helps[name])]


def test_page_tells_every_exit_code():
    """Each number that scripts may meet."""
    assert {str(code.value) for code in Exit} | {"130"} == table("Exit codes").keys()


def test_page_tells_every_form():
    """Each way in which a list can come out."""
    assert {f"--{form}" for form in FORMS} <= table("Output").keys()
