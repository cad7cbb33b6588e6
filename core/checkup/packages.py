"""Check what is installed: whether another distribution brings a package of our name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata

from ...plugins.discovery import DISTRIBUTION
from .finding import FAULT, OK, Finding

__all__ = ["check_name"]

_NAME = "telemetry"


def check_name(owners: Mapping[str, Sequence[str]] | None = None) -> Iterator[Finding]:
    """
    Tell whether `import telemetry` can reach anybody but us.

    Args:
        owners: the distributions of each package; asked of the environment when left out.
    """
    found = metadata.packages_distributions() if owners is None else owners
    others = sorted(set(found.get(_NAME, ())) - {DISTRIBUTION})
    if others:
        named = ", ".join(others)
        told = f"{named} installs a package called {_NAME!r} too, and files of one overwrite those of the other"
        cure = f"pip uninstall {' '.join(others)} && pip install --force-reinstall {DISTRIBUTION}"
        yield Finding("packages", FAULT, told, f"distributions: {DISTRIBUTION}, {named}", cure)
    else:
        yield Finding("packages", OK, f"nobody else installs {_NAME!r}")
