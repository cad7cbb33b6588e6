"""Compare what stands on the terminal with stored pictures of it: wide, narrow, without colour, in a pipe."""

import pytest

_SCREENS = {
    "wide": {"is_terminal": True, "width": 140, "has_color": True},
    "narrow": {"is_terminal": True, "width": 80},
    "tiny": {"is_terminal": True, "width": 48},
    "ascii": {"is_terminal": True, "width": 100, "has_symbols": False},
    "pipe": {},
}
_COMMANDS = {
    "runs": ("runs",),
    "runs-metrics": ("runs", "--metric", "tokens_in", "--metric", "cost_usd", "--sort", "metrics.cost_usd"),
    "show": ("show", "5e6f7a8b"),
    "show-parent": ("show", "1a2b3c4d"),
    "show-foreign": ("show", "backfill-2025"),
    "stats": ("stats", "--metric", "cost_usd"),
    "errors": ("errors",),
    "diff": ("diff", "9c8b7a6d", "1a2b3c4d"),
    "plot": ("plot", "duration", "--agent", "nightly"),
}
_COMMIT = {
    "commit_hash": "0123456789abcdef0123456789abcdef01234567", "message": "import: read pages in order\n\nBody.",
    "author": "Ada <ada@example.org>", "branch": "main", "files_changed": 3, "insertions": 10, "deletions": 2,
}  # fmt: skip


@pytest.mark.parametrize("screen", _SCREENS)
@pytest.mark.parametrize("name", _COMMANDS)
def test_screen_looks_as_stored(bench, picture, name: str, screen: str):
    """Each list and page is what its picture shows, on every kind of screen."""
    bench.store.linked = {"20261124T192500Z-nightly-1a2b3c4d": [_COMMIT]}

    answer = bench.run(*_COMMANDS[name], on=bench.screen(**_SCREENS[screen]))

    assert 0 == answer.code, answer.err
    picture(f"{name}-{screen}", answer.out)


@pytest.mark.parametrize("name", _COMMANDS)
@pytest.mark.parametrize("width", [40, 60, 80, 100, 139])
def test_no_line_is_wider_than_the_terminal(bench, name: str, width: int):
    """Nothing wraps, whatever the width: what does not fit is cut or left out."""
    from telemetry.core.cli.letters import width_of

    answer = bench.show(*_COMMANDS[name], width=width)

    too_wide = [line for line in answer.out.splitlines() if width_of(line) > width and "File" not in line]
    assert [] == too_wide
