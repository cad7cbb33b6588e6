"""Hold what every command needs: the screen, the configuration, and the store, each made when first asked for."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click
from attrs import define, field

from ...plugins.secret import masked
from .faults import Exit, Fault, warn
from .screen import Screen

if TYPE_CHECKING:
    from ...plugins.records import RunRecord
    from ...plugins.store import RunStore
    from ..care import Care
    from ..config import TelemetryConfig
    from .opening import BuiltSinks

__all__ = ["Desk", "pass_desk"]

_NEAREST = 5
_CHECK = "telemetry config check"


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
    _built: BuiltSinks | None = field(default=None, init=False)
    _told: set[str] = field(factory=set, init=False)
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
            self.tell_faults(self._config.faults, "the configuration has")
        return self._config

    def load_config(self) -> TelemetryConfig:
        """Return the configuration, its faults not told."""
        from ..config import TelemetryConfig, load_within

        if self.config_path is not None and not self.config_path.is_file():
            cure = "telemetry config init writes a file to start from"
            raise Fault("there is no such file", where=str(self.config_path), cure=cure, code=Exit.BAD_CONFIG)
        if self.base_dir is None:
            return TelemetryConfig.load(self.config_path)
        return load_within(_existing(self.base_dir), "--base-dir", self.config_path)

    def tell_faults(self, faults: Iterable[str], whose: str = "the sinks have", cure: str = _CHECK) -> None:
        """Warn of the *faults* that were not told yet: how many, and the first of them."""
        new = [fault for fault in dict.fromkeys(faults) if fault not in self._told]
        self._told.update(new)
        if new and not self._is_silent:
            warn(self.screen, new[0] if len(new) == 1 else f"{whose} {len(new)} faults; {new[0]}", cure)

    def count_as_told(self, faults: Iterable[str]) -> None:
        """Never warn of these *faults*: the command shows them itself."""
        self._told.update(faults)

    @property
    def built(self) -> BuiltSinks:
        """The sinks of the configuration, built and not opened; their faults are told once, as warnings."""
        built = self.built_untold
        self.tell_faults(built.all_faults)
        return built

    @property
    def built_untold(self) -> BuiltSinks:
        """The same for a command that shows the faults itself."""
        from .opening import built_sinks

        if self._built is None:
            self._built = built_sinks(self.config)
        return self._built

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
        if self._store is None and self.open_store is not None:
            self._store = self.open_store(self.config)
        if self._store is None:
            from .opening import judge_the_dead, opened_store

            judge_the_dead(self.config)
            self._store = opened_store(self.built_untold)
            # Not before: where nothing can be read, the error tells the faults.
            self.tell_faults(self.built_untold.all_faults)
        return self._store

    def open_care(self, asked: str | None = None) -> Care:
        """
        Return the care of what the configuration keeps; the faults of its sinks are told once, as warnings.

        Args:
            asked: the sink that the command is about, whose error will say why it cannot be used.
        """
        from ..care import Care

        care = Care(self.config)
        told_by_us = (faults for name, faults in care.faults.items() if name in care.sinks or name != asked)
        self.tell_faults(chain.from_iterable(told_by_us))
        return care

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
        handler = logging.NullHandler() if is_silent else _Warnings(self)
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

    def __init__(self, desk: Desk) -> None:
        super().__init__(logging.WARNING)
        self._desk = desk

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        fault = message.removeprefix("configuration: ")
        if fault == message:
            warn(self._desk.screen, message)
        else:
            # Most of them the desk has told by itself; what is left is of a sink or a plugin.
            self._desk.tell_faults([fault], cure="telemetry doctor")


def _ambiguous(part: str, ids: list[str]) -> Fault:
    count = f"{len(ids)}" if len(ids) <= _NEAREST else f"more than {_NEAREST}"
    told = "\n".join(ids[:_NEAREST])
    return Fault(f"{count} runs have an id like {part!r}", where=told, cure=_MORE, code=Exit.NOT_FOUND)


def _existing(base_dir: Path) -> Path:
    place = base_dir.expanduser().absolute()
    if not place.is_dir():
        cure = f"mkdir {shlex.quote(str(place))}, if it is to begin there"
        raise Fault(f"there is no directory {place}", where="--base-dir", cure=cure, code=Exit.NOT_FOUND)
    return place


pass_desk = click.make_pass_decorator(Desk)
