"""Write sizes as people read them."""

from __future__ import annotations

__all__ = ["share_text", "size_text"]

_UNITS = ("B", "kB", "MB", "GB", "TB")


def size_text(size_bytes: float) -> str:
    """Return a size as `812 B`, `1.4 kB`, `23 MB`."""
    power = _power_of(size_bytes)
    size = size_bytes / 1000**power
    return f"{size:,.{1 if power and size < 9.95 else 0}f} {_UNITS[power]}"


def share_text(done_bytes: int, total_bytes: int) -> str:
    """Return how much of a size is done, as `0.4/23.0 MB`; always as wide as in the end."""
    power = _power_of(total_bytes)
    done, total = (f"{size / 1000**power:,.{1 if power else 0}f}" for size in (done_bytes, total_bytes))
    return f"{done:>{len(total)}}/{total} {_UNITS[power]}"


def _power_of(size_bytes: float) -> int:
    return next((power for power in range(len(_UNITS)) if size_bytes < 999.5 * 1000**power), len(_UNITS) - 1)
