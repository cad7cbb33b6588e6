"""Write the script that lets a shell complete our commands, options, agents and runs."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ..desk import Desk
from ..group import COMPLETION_VARIABLE, PROGRAM, DeskCommand

__all__ = ["command"]

_SHELLS = ("bash", "zsh", "fish")
_EXAMPLES = (
    ('eval "$(telemetry completion bash)"', "for this shell; the same line in ~/.bashrc is for all of them"),
    ("telemetry completion fish > ~/.config/fish/completions/telemetry.fish", "for fish, once and for all"),
)


@click.command("completion", cls=DeskCommand, examples=_EXAMPLES)
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Write the completion script of your shell."""
    root = ctx.find_root()
    completion = get_completion_class(shell)
    assert completion is not None  # click brings all three
    script = completion(root.command, {}, PROGRAM, COMPLETION_VARIABLE).source()
    desk = ctx.find_object(Desk)
    assert desk is not None  # main() has put it there
    desk.screen.say(script)
