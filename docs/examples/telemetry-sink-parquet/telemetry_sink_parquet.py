"""Keep finished runs in one Parquet file a day, for people who ask their questions with DuckDB, pandas or polars."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import Attribute, define, field, frozen, validators

from telemetry.plugins import (
    Item,
    Record,
    RetryPolicy,
    RunRecord,
    SinkContext,
    hookimpl,
    make_private_folder,
    remote_sink,
)

if TYPE_CHECKING:
    import duckdb

__all__ = ["ParquetSink"]

_COLUMNS = {
    "run_id": "VARCHAR",
    "agent_name": "VARCHAR",
    "job_type": "VARCHAR",
    "status": "VARCHAR",
    "status_detail": "VARCHAR",
    "start_time": "TIMESTAMP",
    "end_time": "TIMESTAMP",
    "duration_ms": "BIGINT",
    "items_discovered": "BIGINT",
    "items_succeeded": "BIGINT",
    "items_failed": "BIGINT",
    "error_summary": "VARCHAR",
    "parent_run_id": "VARCHAR",
    "host": "VARCHAR",
    "verdict": "BOOLEAN",
    "metrics": "VARCHAR",
}
_TIMES = {"start_time": "started_at", "end_time": "ended_at"}
# A run that was delivered twice, or taken for dead and ended after all, has one row: a true end goes before a verdict,
# and of two ends the first counts.
_MERGE = """
COPY (
    SELECT * EXCLUDE (place) FROM (
        SELECT *, 0 AS place FROM {old}
        UNION ALL BY NAME
        SELECT *, 1 + rowid AS place FROM fresh
    )
    QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY verdict, place) = 1
    ORDER BY end_time, run_id
) TO {new} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)
"""

_PATIENT = RetryPolicy((1, 10, 60), cap_s=600)


def _are_column_names(instance: Any, attribute: Attribute[Any], names: tuple[str, ...]) -> None:
    for name in names:
        if not name.isidentifier() or name.lower() in _COLUMNS or name.lower() == "place":
            raise ValueError(f"{name!r} cannot be a column; take a name of letters, digits and _ that is not one yet")


@define(eq=False)
@remote_sink
class ParquetSink:
    """
    `parquet/runs_YYYYMMDD.parquet` of the UTC day on which a run ended, each run once.

    Nobody can add a row to a Parquet file, so a batch of runs is merged into its day's file, which is written anew
    and takes the old one's place in one step: readers see the old file or the new one, whole. `@remote_sink` brings
    the batches out of the journal, in one process at a time and again after any fault.
    """

    contract: ClassVar[int] = 1
    runs_inline: ClassVar[bool] = True
    batch_size: ClassVar[int] = 1000

    @frozen(kw_only=True)
    class Options:
        """
        What can be set.

        Args:
            directory: where the files lie; `parquet` in the base directory when left out.
            metrics: metrics that get a column of numbers each; all of them stand in `metrics` as JSON.
            backfill: take what was recorded before the sink was set up, too.
            retry: the pauses after a write that failed.
        """

        directory: Path | None = None
        metrics: tuple[str, ...] = field(default=("tokens_in", "tokens_out", "cost_usd"), validator=_are_column_names)
        backfill: bool = field(default=False, validator=validators.instance_of(bool))
        retry: RetryPolicy = _PATIENT

    options: Options = field(factory=Options)
    _place: Path = field(init=False, factory=Path)

    @property
    def retry_policy(self) -> RetryPolicy:
        """The configured one."""
        return self.options.retry

    @property
    def backfill(self) -> bool:
        """As configured."""
        return self.options.backfill

    def wants(self, record: Record) -> bool:
        """Take runs that have ended."""
        return isinstance(record, RunRecord) and not record.is_running

    @hookimpl
    def telemetry_open(self, context: SinkContext) -> None:
        """Find the place, and begin to deliver."""
        self._place = context.base_dir / "parquet"
        self.delivery.open(context)  # type: ignore[attr-defined]  # @remote_sink has made it

    def deliver(self, batch: Sequence[Item]) -> None:
        """Merge the runs of *batch* into the files of their days."""
        days: dict[str, list[RunRecord]] = {}
        for item in batch:
            assert isinstance(item.record, RunRecord)  # wants() lets nothing else pass
            days.setdefault(_day_of(item.record), []).append(item.record)
        for day, runs in days.items():
            self._merge((self.options.directory or self._place) / f"runs_{day}.parquet", runs)

    def _merge(self, path: Path, runs: Sequence[RunRecord]) -> None:
        make_private_folder(path.parent)
        draft = path.with_suffix(".new")
        columns = {**_COLUMNS, **dict.fromkeys(self.options.metrics, "DOUBLE")}
        declared = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        with _database() as database:
            database.execute(f"CREATE TABLE fresh ({declared})")
            places = ", ".join("?" * len(columns))
            database.executemany(f"INSERT INTO fresh VALUES ({places})", [self._row(run) for run in runs])
            old = f"read_parquet({_quoted(path)})" if path.exists() else "fresh WHERE false"
            database.execute(_MERGE.format(old=old, new=_quoted(draft)))
        draft.chmod(0o600)
        _put_in_place(draft, path)

    def _row(self, run: RunRecord) -> list[Any]:
        return [*(_value(run, name) for name in _COLUMNS), *(_number(run.metrics.get(m)) for m in self.options.metrics)]


def _database() -> duckdb.DuckDBPyConnection:
    import duckdb  # 30 ms, which are not the agent's: this is the delivery's thread

    return duckdb.connect(config={"threads": 1})


def _day_of(run: RunRecord) -> str:
    return f"{_moment(run, 'ended_at') or datetime.now(UTC):%Y%m%d}"


def _moment(run: RunRecord, name: str) -> datetime | None:
    try:
        moment: datetime | None = getattr(run, name)
    except ValueError:
        return None  # an agent may give any text as a time
    return moment


def _value(run: RunRecord, column: str) -> Any:
    if column in _TIMES:
        moment = _moment(run, _TIMES[column])
        return None if moment is None else moment.replace(tzinfo=None)
    if column == "metrics":
        return json.dumps(dict(run.metrics))
    value = getattr(run, column)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _number(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:
        return None  # an integer beyond every float; it stands in `metrics`


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _put_in_place(draft: Path, path: Path) -> None:
    """Let *draft* take the place of *path*; after a power cut there is the old file or the new one, whole."""
    _sync(draft, os.O_RDWR)
    os.replace(draft, path)
    if os.name != "nt":  # Windows opens no directories
        _sync(path.parent, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
