"""Carry a token so that no repr, log line, traceback or JSON shows it; only `reveal()` does."""

from __future__ import annotations

import re
from typing import final

__all__ = ["MASK", "Secret", "looks_secret", "masked"]

MASK = "***"
"""What stands in the place of a secret."""

_SECRET_NAMES = (
    r"token|secret|passw|passphrase|passcode|pwd|api_?key|(?:access|account|private|signing)_?key"
    r"|authorization|(?<![a-z])auth(?![a-z])|credential|cookie|jwt|dsn"
)
_IN_URL = (
    # User and password, up to the last @ of the authority; a password may hold an @ itself, and people write a slash.
    r"(?<=://)[^/\s@:'\"]*:(?!\d+/)[^\s'\"]*(?=@)"
    r"|(?<=://)[^/\s'\"?#]*(?=@)"
    # The same without a scheme, or with one that is not followed by two slashes.
    r"|(?<!\w)[\w.+-]*:[^\s'\"@/]+(?=@)"
    # In a query, a fragment, or a list of words as databases take it.
    r"|((?:^|(?<=[?&#;\s'\"]))[^=&\s'\"/:@]*(?:token|key|secret|passw|pwd|sig)[^=&\s'\"/:@]*=)[^&\s'\"]+"
)


@final
class Secret:
    """
    A text that must not be shown.

    `str()`, `repr()` and `format()` give `***`. Two secrets are equal when their texts are; a secret also equals
    the plain text that it hides, so that a test can name it.

    Raises:
        TypeError: the value is no text; the message does not show it.
    """

    __slots__ = ("_text",)
    _text: str

    def __init__(self, value: str | Secret) -> None:
        if isinstance(value, Secret):
            value = value._text
        if not isinstance(value, str):
            raise TypeError(f"a Secret holds text, not {type(value).__name__}")
        self._text = str.__str__(value)

    def reveal(self) -> str:
        """Return the text itself; call it where the text is used and keep no copy."""
        return self._text

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Secret):
            return self._text == other._text
        return self._text == other if isinstance(other, str) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return MASK

    # f"{secret:>10}" would otherwise be an error inside somebody's log line.
    def __format__(self, spec: str) -> str:
        return format(MASK, spec)


def looks_secret(name: str) -> bool:
    """
    Tell whether a setting of this *name* probably holds a secret.

    Meant for what is shown to people, where a mask too many costs nothing.
    """
    # Compiled where a value is shown, which most processes never do.
    return re.search(_SECRET_NAMES, name.replace("-", "_"), re.IGNORECASE) is not None


def masked(text: str) -> str:
    """Return *text* without the passwords and tokens of the URLs in it."""
    return re.sub(_IN_URL, lambda match: f"{match[1] or ''}{MASK}", text, flags=re.IGNORECASE)
