"""Find the line of a setting in the text of a TOML file, to name it in a fault."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

__all__ = ["line_of"]

_PART = r"""[\w-]+|"(?:\\.|[^"\\])*"|'[^']*'"""
_NAME = rf"(?P<name>(?:{_PART})(?:[ \t]*\.[ \t]*(?:{_PART}))*)[ \t]*"
_HEADER = re.compile(rf"\[\[?[ \t]*{_NAME}\]\]?")
_KEY = re.compile(rf"{_NAME}=")
_BETWEEN = re.compile(r"(?:\s|#[^\n]*)*")
# A text first, whose quotes, brackets and signs mean nothing; one of three quotes may end with two more.
_TOKEN = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?'{3,5}|"(?:\\.|[^"\\])*"|'[^']*'|#[^\n]*|[\[\]{}\n]|[^"'#\[\]{}\n]+''',
    re.DOTALL,
)


def line_of(text: str, keys: tuple[str, ...]) -> int | None:
    """
    Return the number of the line that sets *keys* or something in them, else of the table or value they stand in.

    Args:
        text: what `tomllib` has read without a fault.
    """
    best, best_rank = None, (0, False)
    for found, line in _statements(text):
        common = min(len(found), len(keys))
        rank = (common, len(found) <= len(keys))
        if rank > best_rank and found[:common] == keys[:common]:
            best, best_rank = line, rank
    return best


# tomllib tells no positions. Of one file dozens of keys are asked for.
@functools.lru_cache(maxsize=4)
def _statements(text: str) -> tuple[tuple[tuple[str, ...], int], ...]:
    return tuple(_read_statements(text))


def _read_statements(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield the whole name and the line of each heading and each key; what stands inside a value is passed over."""
    table: tuple[str, ...] = ()
    at, line = 0, 1
    while True:
        start = _end_of(_BETWEEN, text, at)
        line += text.count("\n", at, start)
        header = _HEADER.match(text, start)
        statement = header or _KEY.match(text, start)
        if statement is None:
            return
        name = tuple(_plain(part) for part in re.findall(_PART, statement["name"]))
        table = name if header else table
        yield name if header else (*table, *name), line
        at = _end_of_value(text, statement.end())
        line += text.count("\n", start, at)


def _end_of(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return at if match is None else match.end()


def _end_of_value(text: str, at: int) -> int:
    depth = 0
    for token in _TOKEN.finditer(text, at):
        if token[0] == "\n" and depth == 0:
            return token.start()
        if token[0] in ("[", "{", "]", "}"):
            depth += 1 if token[0] in "[{" else -1
    return len(text)


def _plain(part: str) -> str:
    """Return the key without its quotes; one with an escape in it stays as it is, and is not found."""
    return part if "\\" in part else part.strip("\"'")
