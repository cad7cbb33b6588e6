"""Fit text to a terminal: harmless, measured in columns, and cut where it is too long."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["cut", "cut_in_front", "one_line", "padded", "printable", "width_of", "wrapped"]

# C0 and C1 controls could move the cursor or change the colours of whoever looks at a stranger's error text; the
# marks of writing direction could make it read as something else; a lone surrogate cannot be written at all.
_HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_BLANKS = re.compile(r"\s+")
_ZERO_WIDE = frozenset(("Mn", "Me", "Cf"))


def printable(text: str) -> str:
    """Return *text* with every character that a terminal would obey written as an escape; newlines stay."""
    return _HARMFUL.sub(lambda match: _escaped(match[0]), text.expandtabs(4))


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def one_line(text: str) -> str:
    """Return *text* harmless and in one line: each stretch of blanks becomes one."""
    return printable(_BLANKS.sub(" ", text).strip())


def width_of(text: str) -> int:
    """Return how many columns *text* takes on a terminal."""
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.category(character) in _ZERO_WIDE:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, width: int, mark: str = "…") -> str:
    """Return *text* in at most *width* columns; where something was left out it ends in *mark*."""
    if width_of(text) <= width:
        return text
    room, kept = width - len(mark), []
    for character in text:
        room -= _width(character)
        if room < 0:
            break
        kept.append(character)
    return "".join(kept).rstrip() + mark if width >= len(mark) else "." * width


def cut_in_front(text: str, width: int, mark: str = "…") -> str:
    """Return *text* in at most *width* columns; where something was left out it begins with *mark*."""
    return cut(text[::-1], width, mark[::-1])[::-1]


def padded(text: str, width: int, *, is_right: bool = False) -> str:
    """Return *text* filled up with blanks to *width* columns."""
    blanks = " " * max(0, width - width_of(text))
    return blanks + text if is_right else text + blanks


def wrapped(text: str, width: int) -> list[str]:
    """Return *text* in lines of at most *width* columns, broken between words where that is possible."""
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        lines += _wrapped_paragraph(paragraph, max(width, 10))
    return lines


def _wrapped_paragraph(paragraph: str, width: int) -> list[str]:
    lines, line = [], ""
    for word in paragraph.split(" "):
        candidate = f"{line} {word}" if line else word
        if width_of(candidate) <= width:
            line = candidate
            continue
        if line:
            lines.append(line)
        while width_of(word) > width:
            piece = cut(word, width, "")
            lines.append(piece)
            word = word[len(piece) :]
        line = word
    return [*lines, line]
