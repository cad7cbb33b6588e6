"""Help others test: their agents with fixtures and a frozen clock, their sinks with a kit of contract tests."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import strategies
    from .clock import FrozenClock
    from .conformance import SinkConformance
    from .runs import assert_run

__all__ = ["FrozenClock", "SinkConformance", "assert_run", "strategies"]

_HOMES = {"FrozenClock": ".clock", "SinkConformance": ".conformance", "assert_run": ".runs"}


# Lazy, because pytest imports this package for everybody who has us installed (plugin.py).
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import the public *name* from its module and keep it."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        home = import_module(_HOMES.get(name, f".{name}"), __name__)
        value = getattr(home, name) if name in _HOMES else home
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return list(__all__)
