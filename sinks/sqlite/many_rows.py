"""Turn many rows into runs: what has the types of a row that was checked is not checked again."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from attrs import Factory, fields

from ...plugins.errors import InvalidRecord
from ...plugins.mend import mended_run
from ...plugins.records import RUN_FIELDS, RunRecord
from .rows import known_of, mapping_of, run_of, texts_of
from .shapes import Shape

__all__ = ["runs_of"]

# Whether a row makes a run, its types say, but for these: two have words of their own, three must not be empty.
_WORDS = ("status", "trigger_type")
_NAMES = ("run_id", "agent_name", "start_time")
_READ_APART = frozenset(("metrics", "attributes", "coerced", "api_posted", "verdict"))
_PLAIN = frozenset(RUN_FIELDS) - _READ_APART
_MOST_KINDS = 10_000
_DEFAULTS = {
    attribute.name: attribute.default
    for attribute in fields(RunRecord)
    if attribute.name in _PLAIN and not isinstance(attribute.default, Factory)  # type: ignore[arg-type]  # a class
}

Row: TypeAlias = tuple[Any, ...]
_Plan: TypeAlias = tuple[tuple[str, ...], Callable[[Row], Row]]


def runs_of(rows: Iterable[Row], names: Sequence[str], shape: Shape) -> Iterator[RunRecord]:
    """
    Yield the run of each row, as `run_of()` does.

    Args:
        names: the columns, which are those of `Shape.select()`.
    """
    if shape.is_plain and "run_extras" in shape.tables:
        return map(_reader(tuple(names)).read, rows)
    return (run_of(dict(zip(names, row, strict=True)), shape) for row in rows)


class _Reader:
    """Read rows of the same columns. A run's 38 checks take 10 us, of the 15 that a row takes with them."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._words = operator.itemgetter(*map(names.index, _WORDS))
        self._must = operator.itemgetter(*map(names.index, _NAMES))
        self._json = operator.itemgetter(*map(names.index, ("metrics_json", "attributes_json", "coerced_json")))
        self._flags = operator.itemgetter(*map(names.index, ("api_posted", "verdict")))
        self._plans: dict[tuple[Any, ...], _Plan] = {}

    def read(self, row: Row) -> RunRecord:
        """Return the run that *row* tells."""
        kind = (*map(type, row), *self._words(row))
        plan = self._plans.get(kind)
        if plan is None or not all(self._must(row)):
            return self._checked(row, kind)
        run = RunRecord.__new__(RunRecord)
        values = run.__dict__
        values.update(_DEFAULTS)
        values.update(zip(plan[0], plan[1](row), strict=True))
        metrics, attributes, coerced = self._json(row)
        values["metrics"], values["attributes"] = mapping_of(metrics), mapping_of(attributes)
        values["coerced"] = texts_of(coerced)
        values["api_posted"], values["verdict"] = map(bool, self._flags(row))
        return run

    def _checked(self, row: Row, kind: tuple[Any, ...]) -> RunRecord:
        known = known_of(dict(zip(self._names, row, strict=True)))
        try:
            run = RunRecord(**known)
        except (InvalidRecord, TypeError):
            return mended_run(known)[0]
        if len(self._plans) < _MOST_KINDS:
            self._plans[kind] = self._plan(row)
        return run

    def _plan(self, row: Row) -> _Plan:
        given = [n for n, name in enumerate(self._names) if name in _PLAIN and row[n] is not None]
        return tuple(self._names[n] for n in given), operator.itemgetter(*given)


_reader = lru_cache(maxsize=4)(_Reader)
