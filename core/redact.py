"""Take secrets out of records before any sink sees them: by the name of a key, and by the shape of a value."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from ..plugins.codec import encode
from ..plugins.commit_link import CommitLink
from ..plugins.records import MetricsUpdate, Record, RunEvent, RunRecord
from .keys import free_key
from .secret_names import bare, is_secret_name, is_secret_number
from .secret_texts import REDACTED, is_plain_word, may_hold_secret, without_secrets

__all__ = ["REDACTED", "Redactor"]

_RUN_TEXTS = tuple(
    attribute.name
    for attribute in attrs.fields(RunRecord)
    if str(attribute.type) in ("str", "str | None") and attribute.name not in ("status", "trigger_type", "writer")
)
_COMMIT_TEXTS = ("run_id", "commit_hash", "agent_name", "repo", "branch", "commit_date", "author", "message")
_REPORT_TEXTS = ("run_id", "reason")
_MOST_WORDS = 10_000
_LONGEST_WORD = 200
_IDS = frozenset(("run_id", "parent_run_id"))
_NAMES = ("name", "key", "header")
_USERS = frozenset(("user", "username", "login", "email", "host"))


class Redactor:
    """
    Replace secrets in a record; a record without any comes back as the same object.

    A key is secret by its words (`api_key`, `X-Api-Key`, `accessToken`, `password`, ...; `tokens_in` is none) and
    hides its whole value unless that holds no text: a flag, None, a count of tokens. The same goes for a pair
    `["X-Api-Key", ...]`, a table `{"name": "X-Api-Key", "value": ...}` and the arguments `["--token", ...]`. A text
    is searched for the shapes of well-known tokens, `Bearer ...`, `password=...`, private keys and passwords in
    URLs; only the secret part is replaced.

    Args:
        keys: further names of keys, compared without case and punctuation; numbers under them are hidden too.
        patterns: further regular expressions; what they match in texts and numbers is replaced.
    """

    def __init__(self, keys: Iterable[str] = (), patterns: Iterable[str] = ()) -> None:
        self._keys = frozenset(bare(key) for key in keys)
        self._patterns = tuple(re.compile(pattern) for pattern in patterns)
        # Own keys and patterns may match anything, so a quick look would have to be a guess.
        self._is_suspicious: Callable[[str], bool] = may_hold_secret if self.is_standard else lambda text: True
        self._secret_keys: dict[str, bool] = {}
        self._clean_words: set[str] = set()

    def __call__(self, record: Record) -> Record:
        """Return *record* without secrets."""
        if isinstance(record, RunEvent):
            return self._event(record)
        if isinstance(record, RunRecord):
            return self._run(record)
        if isinstance(record, MetricsUpdate):
            return self._metrics(record)
        texts = _COMMIT_TEXTS if isinstance(record, CommitLink) else _REPORT_TEXTS
        changes = self._texts(record, texts)
        return attrs.evolve(record, **changes) if changes else record

    def _event(self, event: RunEvent) -> RunEvent:
        changes = self._texts(event, ("run_id", "event_type"))
        if event.payload is not None and self._may_hold_secret(event.payload, event.payload_bytes):
            clean = self._value(event.payload)
            if clean != event.payload:
                changes |= {"payload": clean, "payload_bytes": None}
        if event.coerced and (notes := self._notes(event.coerced)) != event.coerced:
            changes["coerced"] = notes
        return attrs.evolve(event, **changes) if changes else event

    def _may_hold_secret(self, payload: Any, text: bytes | None) -> bool:
        return self._is_suspicious((encode(payload) if text is None else text).decode())

    def _remember(self, text: str) -> None:
        if len(self._clean_words) >= _MOST_WORDS:
            self._clean_words.clear()
        if len(text) <= _LONGEST_WORD:
            self._clean_words.add(text)

    def _run(self, run: RunRecord) -> RunRecord:
        changes = self._texts(run, _RUN_TEXTS) | self._mappings(run, ("metrics", "attributes"))
        return attrs.evolve(run, **changes) if changes else run

    def _metrics(self, update: MetricsUpdate) -> MetricsUpdate:
        changes = self._texts(update, ("run_id",)) | self._mappings(update, ("metrics", "fields", "attributes"))
        return attrs.evolve(update, **changes) if changes else update

    def _notes(self, notes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self.text(note) for note in notes)

    def _texts(self, record: Any, names: tuple[str, ...]) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        known = self._clean_words
        for name in names:
            value = getattr(record, name)
            # Names, types and hosts come again with thousands of records; a look at each costs 0.8 us.
            if value is None or value in known or _is_time(value):
                continue
            clean = self.text(value)
            if clean == value:
                self._remember(value)
            else:
                changes[name] = _masked_id(value) if name in _IDS else clean
        return changes

    def _mappings(self, record: Any, names: tuple[str, ...]) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        for name in names:
            value = dict(getattr(record, name))
            if value and self._may_hold_secret(value, None) and (clean := self._table(value)) != value:
                changes[name] = clean
        if record.coerced and (notes := self._notes(record.coerced)) != record.coerced:
            changes["coerced"] = notes
        return changes

    @property
    def is_standard(self) -> bool:
        """Whether no keys and patterns of the user's own are looked for."""
        return not self._keys and not self._patterns

    def is_harmless(self, key: str) -> bool:
        """Whether *key* is no secret and hides none: not its value, nor that of another key of the same table."""
        return key not in ("value", "pass") and not self._is_secret(key) and self.text(key) == key

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return self._table(value)
        if isinstance(value, list | tuple):
            return self._list(value)
        if self._patterns and type(value) in (int, float) and self.text(str(value)) != str(value):
            return REDACTED
        return value

    def _table(self, table: Mapping[str, Any]) -> dict[str, Any]:
        hidden = {"value"} if any(self._names_secret(table.get(name)) for name in _NAMES) else set()
        if not _USERS.isdisjoint(table):
            hidden.add("pass")
        clean: dict[str, Any] = {}
        numbers: dict[str, int] = {}
        for key, item in table.items():
            name = free_key(self.text(key), clean, numbers)
            clean[name] = self._hidden(key, item) if key in hidden or self._is_secret(key) else self._value(item)
        return clean

    def _list(self, items: Iterable[Any]) -> list[Any]:
        before: Any = None
        clean: list[Any] = []
        for item in items:
            is_hidden = isinstance(item, str) and self._tells_secret(before, len(clean)) and not is_plain_word(item)
            clean.append(REDACTED if is_hidden and not item.startswith("-") else self._value(item))
            before = item
        return clean

    def _tells_secret(self, before: Any, place: int) -> bool:
        """Whether the item behind *before* is its value, as in `["--token", x]` and in `["X-Api-Key", x]`."""
        return self._names_secret(before) and (before.startswith("-") or place == 1)

    def _names_secret(self, name: Any) -> bool:
        return isinstance(name, str) and len(name) <= _LONGEST_WORD and self._is_secret(name)

    def _hidden(self, key: str, item: Any) -> Any:
        if type(item) in (int, float):
            return REDACTED if bare(key) in self._keys or is_secret_number(key) else self._value(item)
        return REDACTED if _holds_text(item) else item

    def text(self, text: str) -> str:
        """Return *text* with what has the shape of a secret replaced."""
        if not self._is_suspicious(text):
            return text
        text = without_secrets(text)
        for pattern in self._patterns:
            text = pattern.sub(_unless_empty, text)
        return text

    def _is_secret(self, key: str) -> bool:
        known = self._secret_keys.get(key)
        if known is None:
            known = is_secret_name(key) or bare(key) in self._keys
            if len(self._secret_keys) < _MOST_WORDS:  # keys may be made up without end
                self._secret_keys[key] = known
        return known


def _unless_empty(match: re.Match[str]) -> str:
    return REDACTED if match[0] else ""  # a pattern such as `x*` matches between all letters


def _holds_text(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_text, value.values()))
    return any(map(_holds_text, value)) if isinstance(value, list | tuple) else isinstance(value, str)


def _is_time(text: str) -> bool:
    """Whether *text* is a time as we write it, which has no room for a secret."""
    return len(text) == 32 and text[26:] == "+00:00" and text[10] == "T" and text[:4].isdigit()


def _masked_id(run_id: str) -> str:
    import hashlib  # 3 ms, which few agents ever need

    # Ids join the lines of a run, so a masked one must stay the same on every line and differ from others.
    return f"redacted-{hashlib.sha256(run_id.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
