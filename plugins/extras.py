"""Tell whoever lacks an optional package which command installs it."""

from __future__ import annotations

from importlib.util import find_spec

from .errors import ConfigError, MissingExtra

__all__ = ["extra_for", "not_importable", "require_extra"]


def require_extra(extra: str, module: str, distribution: str) -> None:
    """
    Make sure that *module*, which is imported only when it is used, can be found.

    Args:
        extra: what brings it, as in `pip install 'local-telemetry[extra]'`.
        distribution: whose module it is.

    Raises:
        ConfigError: it is not installed.
    """
    if not _is_there(module):
        raise ConfigError(f"{distribution} is not installed, which the extra {extra!r} brings: {_install(extra)}")


def extra_for(extra: str, module: str, distribution: str, what: str) -> None:
    """
    Make sure of the same for *what* no configuration names.

    Raises:
        MissingExtra: it is not installed.
    """
    if not _is_there(module):
        raise MissingExtra(what, distribution, _install(extra))


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:
        return False  # a package above it is missing, or is no package


def not_importable(extra: str, distribution: str, error: ImportError) -> str:
    """
    Say that what *extra* brings is there and cannot be imported: it is too old, or lacks a library of the system.

    Args:
        distribution: whose modules they are.
        error: what the import said.
    """
    return f"{distribution} cannot be imported ({error}); for one that fits: {_install(extra)}"


def _install(extra: str) -> str:
    return f"pip install 'local-telemetry[{extra}]'"
