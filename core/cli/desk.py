"""Hold what every command needs: the screen, the configuration, and the store, each made when first asked for."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import define, evolve, field

from ...plugins.secret import masked
from .faults import Exit, Fault, warn
from .screen import Screen

if TYPE_CHECKING:
    from ...plugins.records import RunRecord
    from ...plugins.store import RunStore
    from ..config import TelemetryConfig

__all__ = ["Desk", "pass_desk"]

_NEAREST = 5


@define(eq=False)
class Desk:
    """
    What a command works with.

    Args:
        screen: where it writes.
        config_path: the configuration file that was named on the command line.
        base_dir: the base directory that was named on the command line.
        open_store: opens the store of a configuration; replaced in tests.
        store_place: the store that was named on the command line: a path, or a URL.
    """

    screen: Screen
    config_path: Path | None = None
    base_dir: Path | None = None
    open_store: Callable[[TelemetryConfig], RunStore] | None = None
    store_place: str | None = None
    _config: TelemetryConfig | None = field(default=None, init=False)
    _store: RunStore | None = field(default=None, init=False)
    _is_silent: bool = field(default=False, init=False)

    @property
    def config(self) -> TelemetryConfig:
        """
        The configuration in force; its faults are told once, as warnings: agents go on with them too.

        Raises:
            Fault: the file or directory that was named on the command line cannot be used.
            ConfigError: strict mode is on and there are faults.
        """
        if self._config is None:
            self._config = self.load_config()
            if self._config.faults and not self._is_silent:
                self._tell_faults(self._config.faults)
        return self._config

    def load_config(self) -> TelemetryConfig:
        """Return the configuration, its faults not told."""
        from ..config import TelemetryConfig

        if self.config_path is not None and not self.config_path.is_file():
            cure = "telemetry config init writes a file to start from"
            raise Fault("there is no such file", where=str(self.config_path), cure=cure, code=Exit.BAD_CONFIG)
        config = TelemetryConfig.load(self.config_path)
        return config if self.base_dir is None else _placed(config, self.base_dir)

    def _tell_faults(self, faults: tuple[str, ...]) -> None:
        first = faults[0] if len(faults) == 1 else f"the configuration has {len(faults)} faults; {faults[0]}"
        warn(self.screen, first, "telemetry config check")

    @property
    def store(self) -> RunStore:
        """
        The store that was named on the command line, as it is; else that of the configuration, up to date.

        Up to date means: runs whose process has died got their verdict.

        Raises:
            StoreError: there is none that can be read.
        """
        if self._store is None and self.store_place is not None:
            from ..reading import open_store

            self._store = open_store(self.store_place)
        if self._store is None:
            from .opening import judge_the_dead, opened_store

            config = self.config
            if self.open_store is None:
                judge_the_dead(config)
            self._store = (self.open_store or opened_store)(config)
        return self._store

    def refuse_store(self, command: str) -> None:
        """
        Say that *command* cannot do with a store that was named on the command line.

        Raises:
            Fault: one was named.
        """
        if self.store_place is not None:
            told = f"{command} cannot use a store that is named; only commands that list and measure runs can"
            cure = "name a base directory with --base-dir, or leave --store out"
            raise Fault(told, where="--store", cure=cure, code=Exit.USAGE)

    def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def find_run(self, part: str) -> RunRecord:
        """
        Return the run that *part* names: its id, the beginning or the end of it, or `last` for the newest.

        Raises:
            Fault: there is none, or more than one.
        """
        part = part.strip().rstrip("…")
        ids = self._ids_of(part)
        if not ids:
            raise self._unknown(part)
        if len(ids) > 1:
            raise _ambiguous(part, ids)
        run = self.store.get_run(ids[0])
        if run is None:
            raise self._unknown(part)
        return run

    def tell_nothing(self, why: str) -> None:
        """Say beside an answer that has no rows *why*, or that nothing was recorded yet."""
        if self.store.stats()["total_runs"]:
            self.screen.tell(self.screen.style(why, "dim"))
            return
        self.screen.tell(f"No runs are recorded in {self.place} yet.")
        self.screen.tell(f"{self.screen.style('try:', 'dim')} telemetry demo")

    @property
    def place(self) -> str:
        """Where the store lies, as people are told."""
        return masked(self.store_place) if self.store_place is not None else str(self.config.metrics_dir)

    def _ids_of(self, part: str) -> list[str]:
        if part in ("last", "@"):
            return self.newest_ids(1)
        return self.store.find_ids(part, _NEAREST + 1) if part else []

    def newest_ids(self, limit: int) -> list[str]:
        """Return the ids of the newest runs."""
        from ...plugins.store import RunQuery

        return [run.run_id for run in self.store.runs(RunQuery(limit=limit))]

    def _unknown(self, part: str) -> Fault:
        newest = self.newest_ids(1)
        cure = f"telemetry runs; the newest run is {newest[0]}" if newest else "telemetry demo records some runs"
        told = f"no run has the id {part!r}" if newest else "nothing was recorded yet"
        return Fault(told, where=self.place, cure=cure, code=Exit.NOT_FOUND)

    @contextmanager
    def quiet_library(self, *, is_silent: bool = False) -> Iterator[None]:
        """Let the library's own warnings come out as ours while a command runs, or not at all."""
        self._is_silent = is_silent
        handler = logging.NullHandler() if is_silent else _Warnings(self.screen)
        logger = logging.getLogger("telemetry")
        logger.addHandler(handler)
        before, logger.propagate = logger.propagate, False
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.propagate = before


_MORE = "give more of the id"


class _Warnings(logging.Handler):
    """Write what the library logs as warnings of the command line."""

    def __init__(self, screen: Screen) -> None:
        super().__init__(logging.WARNING)
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        # The desk tells the faults of the configuration by itself.
        if not record.getMessage().startswith("configuration: "):
            warn(self._screen, record.getMessage())


def _ambiguous(part: str, ids: list[str]) -> Fault:
    count = f"{len(ids)}" if len(ids) <= _NEAREST else f"more than {_NEAREST}"
    told = "\n".join(ids[:_NEAREST])
    return Fault(f"{count} runs have an id like {part!r}", where=told, cure=_MORE, code=Exit.NOT_FOUND)


def _placed(config: TelemetryConfig, base_dir: Path) -> TelemetryConfig:
    """Return *config* moved to *base_dir*, also when it may only be read: agents need to write, we do not."""
    place = base_dir.expanduser().absolute()
    if not place.is_dir():
        cure = f"mkdir {shlex.quote(str(place))}, if it is to begin there"
        raise Fault(f"there is no directory {place}", where="--base-dir", cure=cure, code=Exit.NOT_FOUND)
    places: dict[str, Any] = {"metrics_dir": place, "ndjson_dir": place / "raw"}
    places["database_path"] = place / "db" / "telemetry.sqlite"
    origins = {**config.origins, **dict.fromkeys(places, "--base-dir")}
    return evolve(config, **places, origins=origins)


pass_desk = click.make_pass_decorator(Desk)
