"""Hold what one source says: its values, where each came from, and what was wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import define, field

from ...plugins.typed import Unfit, read_path, shown
from .places import absolute
from .settings import Setting

__all__ = ["Layer"]


@define
class Layer:
    """
    What one source sets.

    `bases` are the directories that it proposes as base directory, the best first, each with its origin; `folder`
    is what relative paths start from, None for the working directory.
    """

    folder: Path | None = None

    values: dict[str, Any] = field(factory=dict)
    origins: dict[str, str] = field(factory=dict)
    bases: list[tuple[Path, str]] = field(factory=list)
    faults: list[str] = field(factory=list)

    def take(self, setting: Setting, value: object, name: str, origin: str, where: str | None = None) -> None:
        """
        Keep *value* of *setting* when it fits, else the fault.

        Args:
            name: what the source calls the setting.
            origin: what `config show` names as its origin.
            where: the same for a fault, when it can be said more closely.
        """
        try:
            read = setting.read(value)
        except Unfit as error:
            self.fault(f"{name} is {shown(name, value)} (in {where or origin}); {error}")
        else:
            self.values[setting.name] = absolute(read, self.folder) if isinstance(read, Path) else read
            self.origins[setting.name] = origin

    def propose(self, value: object, name: str, origin: str, where: str | None = None) -> None:
        """Propose *value* as the base directory; arguments as for `take()`."""
        try:
            self.bases.append((absolute(read_path(value), self.folder), origin))
        except Unfit as error:
            self.fault(f"{name} is {shown(name, value)} (in {where or origin}); {error}")
        else:
            self.origins.setdefault("metrics_dir", origin)

    def fault(self, sentence: str) -> None:
        """Keep the *sentence* that says what is wrong."""
        self.faults.append(sentence)
