"""Say how a store and a journal are looked after, whatever sink keeps them: one interface for the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from attrs import asdict, field, frozen

from .pruning import RunPruned
from .records import Record

__all__ = [
    "STAGES_IN_BYTES",
    "Day",
    "JournalCare",
    "Progress",
    "Rebuilt",
    "Schema",
    "StoreCare",
    "Thinned",
    "counted",
    "nothing_told",
]

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called during long work with the name of its stage, how much of the stage is done, and how much it has in all."""

STAGES_IN_BYTES = frozenset(
    (
        *("copying", "copying files", "importing", "indexing", "merging", "packing days"),
        *("reading events", "reading runs", "replaying"),
    )
)
"""The stages of which `Progress` is told the bytes; the others are counted in what they are named after."""


def nothing_told(stage: str, done: int, total: int) -> None:
    """Stand in for the progress that nobody watches."""


def counted(progress: Progress, stage: str, total: int) -> Callable[[int], None]:
    """Return what tells *progress* of a stage whose pieces are counted one by one."""
    done = 0

    def step(count: int) -> None:
        nonlocal done
        done += count
        progress(stage, min(done, total), total)

    return step


@frozen(kw_only=True)
class Rebuilt:
    """
    What a rebuild of a store did.

    `carried` counts what only the old store had and the new one keeps: `runs`, `ends` (of runs that the journal shows
    running), `events`, `commits`, `rows` (in tables of other programs). `differing` counts the runs of which the
    journal says something else than the old store did; the journal's word counts.
    """

    path: str
    runs: int
    events: int
    carried: dict[str, int] = field(factory=dict)
    differing: int = 0
    was_resumed: bool = False
    set_aside: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


@frozen(kw_only=True)
class Day:
    """One file of a journal: its name, its day (UTC, `YYYY-MM-DD`), and what it takes on the disk."""

    name: str
    day: str
    size_bytes: int
    is_gzipped: bool

    @property
    def file(self) -> str:
        """The name that the file has as long as it is not gzipped."""
        return self.name.removesuffix(".gz")


@frozen(kw_only=True)
class Thinned:
    """
    What was pruned of a store, or would be: `runs` and their `events`; `kept` counts old runs that go on.

    `longest_ms` is the longest time for which a step held the store's write lock.
    """

    path: str
    runs: int
    events: int
    kept: int = 0
    longest_ms: float = 0.0


@frozen(kw_only=True)
class Schema:
    """
    Which schema a store has.

    Args:
        version: what it says of itself, None when there is none.
        wanted: the version that it has once it is opened for writing.
        steps: what that changes; empty when there is nothing to do.
        applied: version, time and description of each step that was made.
        refusal: why the file is left as it is, None when it is not.
    """

    path: str
    version: int | None
    wanted: int | None
    steps: tuple[str, ...] = ()
    applied: tuple[tuple[int, str, str], ...] = ()
    refusal: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


@runtime_checkable
class StoreCare(Protocol):
    """What a sink that keeps a store offers to whoever looks after it; `open_care(context)` returns it."""

    def rebuild(self, progress: Progress = nothing_told) -> Rebuilt:
        """
        Build the store anew from its journal and put it in place.

        Raises:
            StoreError: there is no journal, or the store cannot be written.
        """
        ...

    def prune(
        self, before: str, announce: Callable[[Sequence[RunPruned]], None] | None, progress: Progress = nothing_told
    ) -> Thinned:
        """
        Delete the runs that ended before a day, in steps that hold no agent up; *announce* tells the journal of each.

        Raises:
            StoreError: the store cannot be written.
        """
        ...

    def count_old(self, before: str) -> Thinned:
        """Return what `prune()` would delete."""
        ...

    def backup(self, target: Path, progress: Progress = nothing_told) -> bool:
        """
        Copy the store, as it is at one moment, to the new file *target* and check it; return False without a store.

        Raises:
            StoreError: the store or its copy is damaged, or cannot be read or written.
        """
        ...

    def bring_in(self, other: Path, progress: Progress = nothing_told) -> Rebuilt:
        """
        Build the store anew from its journal, and add what the store in the file *other* has and it has not.

        Raises:
            StoreError: one of the files is damaged, or cannot be read or written.
        """
        ...

    def replay(self, day: str | None, progress: Progress = nothing_told) -> int:
        """
        Read the journal again from *day* (`YYYY-MM-DD`, None for all of it) on; return how many records it has there.

        Raises:
            StoreError: there is no journal, or the store cannot be written.
        """
        ...

    def schema(self) -> Schema:
        """Return which schema the store has; nothing is changed."""
        ...

    def migrate(self) -> Schema:
        """
        Bring the store to the schema of this release, after a backup beside it; return what it has then.

        Raises:
            StoreError: it must be left as it is, or cannot be written.
        """
        ...


@runtime_checkable
class JournalCare(Protocol):
    """What a sink that keeps a journal offers to whoever looks after it; `open_care(context)` returns it."""

    @property
    def directory(self) -> Path:
        """Where the files lie."""
        ...

    def days(self) -> list[Day]:
        """Return the files of the journal, oldest first."""
        ...

    def at(self, directory: Path) -> JournalCare:
        """Return the care of the journal in another folder."""
        ...

    def records(self, day: str | None, progress: Progress = nothing_told) -> Iterator[Record]:
        """Yield the records of the journal from *day* (`YYYY-MM-DD`, None for all) on, in its order."""
        ...

    def pruned_before(self) -> str:
        """Return the day (`YYYY-MM-DD`) up to which was pruned at last, empty when nothing was."""
        ...

    def announce(self, pruned: Sequence[RunPruned]) -> None:
        """Write into the journal that runs were pruned; it is safe there when this returns."""
        ...

    def delete_before(self, day: str, progress: Progress = nothing_told) -> list[Day]:
        """Delete the files of the days before *day* (`YYYY-MM-DD`); return them."""
        ...

    def gzip_before(self, day: str, progress: Progress = nothing_told) -> list[tuple[Day, Day]]:
        """Gzip the files of the days before *day* (`YYYY-MM-DD`); return each as it was and as it is."""
        ...
