"""Write the message of an error without what differs each time, so that the same fault counts as one everywhere."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["without_variables"]

_KEPT = 512
# The third is a letter without which the pattern fits nowhere: looking for one takes a tenth of a search.
_VARIABLE = (
    (re.compile(r"\b\d{8}T\d{6}Z-[\w.-]+-[0-9a-f]{8}\b"), "<run>", "Z"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE), "<uuid>", "-"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>", ":"),
    (re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE), "<address>", "0"),
    (re.compile(r"(?<![\w.])(?:[A-Za-z]:)?(?:[/\\][^\s/\\:'\"<>|]+){2,}"), "<path>", ""),
    # A code point is one word: of U+20AC no letter may stay behind its digits, be it as Python or as Unicode writes it.
    (re.compile(r"\bU\+[0-9a-f]{4,6}\b", re.IGNORECASE), "<char>", "+"),
    (re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})(?![0-9A-Za-z])"), "<char>", "\\"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b", re.IGNORECASE), "<id>", ""),
    (re.compile(r"(?<![\w<])[-+]?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?%?", re.IGNORECASE), "<n>", ""),
    (re.compile(r"\d+"), "<n>", ""),
)


@lru_cache(_KEPT)
def without_variables(message: str) -> str:
    """Return *message* with a word such as `<n>` or `<path>` in place of each number, id, time, path and address."""
    for pattern, word, letter in _VARIABLE:
        if letter in message:
            message = pattern.sub(word, message)
    return message.strip()
