"""Find the line of a setting in the text of a TOML file, to name it in a fault."""

from __future__ import annotations

import re

__all__ = ["line_of"]

_HEADER = r"\s*\[{1,2}\s*(?P<name>[^\[\]]+?)\s*\]{1,2}\s*(?:#.*)?$"
_KEY = r"""\s*(?P<name>(?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*="""
_PART = r"""[\w-]+|"[^"]*"|'[^']*'"""


def line_of(text: str, keys: tuple[str, ...]) -> int | None:
    """
    Return the number of the line that sets *keys*, or of the table or value that it stands in.

    Reads lines, not TOML: in a text of several lines it may be misled, and then names a line that is near.
    """
    table: tuple[str, ...] = ()
    best, best_length = None, 0
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(_HEADER, line):
            table = found = _parts(header["name"])
        elif key := re.match(_KEY, line):
            found = (*table, *_parts(key["name"]))
        else:
            continue
        length = len(found)
        if length > best_length and found == keys[:length]:
            best, best_length = number, length
    return best


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_PART, name))
