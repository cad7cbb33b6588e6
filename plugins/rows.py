"""Stream records to whoever iterates, and become a table of pandas or polars for whoever has that library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .checks import as_json
from .errors import MissingExtra
from .records import RUN_FIELDS, RunEvent, RunRecord

if TYPE_CHECKING:
    import pandas
    import polars

__all__ = ["Rows"]

_Row = TypeVar("_Row", bound=RunRecord | RunEvent)
_RUN_COLUMNS = tuple(name for name in RUN_FIELDS if name not in ("metrics", "attributes", "writer", "seq", "coerced"))
_EVENT_COLUMNS = ("run_id", "event_type", "timestamp", "payload")
_TIMES = frozenset(("start_time", "end_time", "timestamp", "api_posted_at", "created_at", "updated_at"))
_LARGEST = 2**63 - 1


class Rows(Iterator[_Row], Generic[_Row]):
    """
    An iterator over records, which come page by page as they are asked for, and only once.

    `to_pandas()` and `to_polars()` read what is left of them into a table. Its columns are the fields of the records;
    of runs each metric and attribute has a column of its own, named `metrics.tokens_in`, as in `--where`. Times are
    moments in UTC, null where the stored text is no time. What is no plain number, flag or text stands as JSON text.

    Args:
        kind: of the records.
        rows: yields them.
    """

    def __init__(self, kind: type[_Row], rows: Iterable[_Row]) -> None:
        self._kind = kind
        self._rows = iter(rows)

    def __iter__(self) -> Rows[_Row]:
        return self

    def __next__(self) -> _Row:
        return next(self._rows)

    def to_pandas(self) -> pandas.DataFrame:
        """
        Return what is left as a DataFrame of pandas.

        Raises:
            MissingExtra: pandas is not installed.
        """
        library = _library("pandas")
        frame: pandas.DataFrame = library.DataFrame(
            {name: library.Series(values) for name, values in self._columns().items()}
        )
        for name in _TIMES.intersection(frame.columns):
            frame[name] = library.to_datetime(frame[name], utc=True, format="ISO8601", errors="coerce")
        return frame

    def to_polars(self) -> polars.DataFrame:
        """
        Return what is left as a DataFrame of polars.

        Raises:
            MissingExtra: polars is not installed.
        """
        library = _library("polars")
        columns = [library.Series(name, values, strict=False) for name, values in self._columns().items()]
        frame: polars.DataFrame = library.DataFrame(columns)
        texts = [name for name in _TIMES.intersection(frame.columns) if frame[name].dtype == library.String]
        moments = [library.col(name).str.to_datetime(time_zone="UTC", strict=False) for name in texts]
        return frame.with_columns(moments)

    def _columns(self) -> dict[str, list[Any]]:
        names = _RUN_COLUMNS if self._kind is RunRecord else _EVENT_COLUMNS
        columns: dict[str, list[Any]] = {name: [] for name in names}
        count = 0
        for row in self._rows:
            for name, value in _cells(row, names):
                column = columns.setdefault(name, [])
                column.extend([None] * (count - len(column)))
                column.append(value)
            count += 1
        return {name: _of_one_type(values + [None] * (count - len(values))) for name, values in columns.items()}


def _cells(row: RunRecord | RunEvent, names: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for name in names:
        yield name, getattr(row, name)
    if isinstance(row, RunRecord):
        yield from ((f"metrics.{name}", value) for name, value in row.metrics.items())
        yield from ((f"attributes.{name}", value) for name, value in row.attributes.items())


def _of_one_type(values: list[Any]) -> list[Any]:
    """Return a column as it is where all of it is flags, numbers or texts, else as texts."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {bool} or kinds <= {str}:
        return values
    if kinds <= {int, float} and all(abs(value) <= _LARGEST for value in values if type(value) is int):
        return values
    return [value if value is None or type(value) is str else as_json(value) for value in values]


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtra(f"to_{name}()", name, f"pip install {name}") from error
