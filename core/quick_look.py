"""Take the short way for events that are plain and harmless; all others take the long one, to the same result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..plugins.codec import encode
from .redact import Redactor
from .secret_texts import SHORTEST_TOKEN, may_hold_secret
from .snapshot import LARGEST_BYTES

__all__ = ["QuickLook"]

_DEEPEST = 8
_MOST_PARTS = 100_000
_MOST_NAMES = 10_000
_BIGGEST = 1 << 64
_LONGEST_NAME = 200


class _Unusual(Exception):
    """The payload has to take the long way."""


def _take(room: list[int], parts: int) -> None:
    # A list that stands a thousand times in a list that stands a thousand times is a million lists to walk.
    room[0] -= parts
    if room[0] < 0:
        raise _Unusual


class QuickLook:
    """
    Copy, check and search a payload in one pass.

    What is not certainly plain JSON without any secret is refused, so the long way alone decides what is converted
    and what is hidden. It encodes, decodes and compares a payload, walks it for secrets and checks each field of
    the record: most of a log_event(), which takes 11.1 us that way and 5.9 us this way, the journal included.

    Args:
        redactor: what hides secrets on the long way, None when nothing is to be hidden.
    """

    def __init__(self, redactor: Redactor | None) -> None:
        self._redactor = redactor
        # Own patterns may match anything, and own names of keys stand in texts as well.
        self._is_blind = redactor is not None and not redactor.is_standard
        self._names: set[str] = set()
        self._keys: set[str] = set()

    def knows(self, run_id: Any, event_type: Any) -> bool:
        """Whether both are texts that are stored as they are."""
        names = self._names
        if type(run_id) is not str or type(event_type) is not str:
            return False
        return (run_id in names or self._learn(run_id)) and (event_type in names or self._learn(event_type))

    def _learn(self, name: str) -> bool:
        if not name or not name.isascii() or len(name) > _LONGEST_NAME or self._is_changed(name):
            return False
        if len(self._names) >= _MOST_NAMES:
            self._names.clear()
        self._names.add(name)
        return True

    def _is_changed(self, text: str) -> bool:
        return self._redactor is not None and self._redactor.text(text) != text

    def sealed(self, payload: Any) -> tuple[Any, bytes] | None:
        """
        Return a copy of *payload* that nobody else holds, and its JSON; None when it has to take the long way.

        What a stranger's key raises when it is compared, or hashed, passes.
        """
        if self._is_blind:
            return None
        texts: list[str] = []
        try:
            copied = self._table(payload, texts, _DEEPEST) if type(payload) is dict else self._lone(payload, texts)
            if texts and sum(map(len, texts)) > LARGEST_BYTES:
                return None  # one long text may stand in a list a thousand times
            if texts and self._redactor is not None and may_hold_secret("\n".join(texts)):
                return None
            text = encode(copied)
        except (_Unusual, ValueError, OverflowError):
            return None  # among them: a lone surrogate, a number that is too long
        return (copied, text) if len(text) <= LARGEST_BYTES else None

    def _lone(self, payload: Any, texts: list[str]) -> Any:
        return self._list([payload], texts, _DEEPEST)[0]

    # The copy is looked at, never the agent's object, which another thread may be changing. Both loops ask for the
    # exact types: a subclass may say anything of itself.
    def _table(
        self, table: dict[str, Any], texts: list[str], levels: int, room: list[int] | None = None
    ) -> dict[str, Any]:
        copied = table.copy()
        if room is not None:
            _take(room, len(copied))
        if not levels or not (copied.keys() <= self._keys or self._learn_keys(copied)):
            raise _Unusual
        for key, item in copied.items():
            kind = type(item)
            if kind is str:
                if len(item) >= SHORTEST_TOKEN or "=" in item or ":" in item:
                    texts.append(item)
            elif kind is int:
                if not -_BIGGEST < item < _BIGGEST:
                    raise _Unusual
            elif kind is float:
                if not math.isfinite(item):
                    raise _Unusual
            elif kind is dict:
                room = room or [_MOST_PARTS]
                copied[key] = self._table(item, texts, levels - 1, room)
            elif kind is list:
                room = room or [_MOST_PARTS]
                copied[key] = self._list(item, texts, levels - 1, room)
            elif kind is not bool and item is not None:
                raise _Unusual
        return copied

    def _list(self, items: list[Any], texts: list[str], levels: int, room: list[int] | None = None) -> list[Any]:
        if not levels:
            raise _Unusual
        copied = items.copy()
        if room is not None:
            _take(room, len(copied))
        for place, item in enumerate(copied):
            kind = type(item)
            if kind is str:
                texts.append(item)  # also a short one, which may say that the next is secret
            elif kind is int:
                if not -_BIGGEST < item < _BIGGEST:
                    raise _Unusual
            elif kind is float:
                if not math.isfinite(item):
                    raise _Unusual
            elif kind is dict:
                room = room or [_MOST_PARTS]
                copied[place] = self._table(item, texts, levels - 1, room)
            elif kind is list:
                room = room or [_MOST_PARTS]
                copied[place] = self._list(item, texts, levels - 1, room)
            elif kind is not bool and item is not None:
                raise _Unusual
        return copied

    def _learn_keys(self, table: Mapping[Any, Any]) -> bool:
        if len(self._keys) >= _MOST_NAMES:
            self._keys.clear()
        new = [key for key in table if key not in self._keys]
        is_harmless = all(type(key) is str and len(key) <= _LONGEST_NAME and self._is_harmless(key) for key in new)
        if is_harmless:
            self._keys.update(new)
        return is_harmless

    def _is_harmless(self, key: str) -> bool:
        return self._redactor is None or self._redactor.is_harmless(key)
