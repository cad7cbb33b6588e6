"""Keep apart the keys of a table that came out alike, so that no value takes the place of another."""

from __future__ import annotations

from collections.abc import Container

__all__ = ["free_key"]


def free_key(key: str, taken: Container[str], numbers: dict[str, int]) -> str:
    """
    Return *key*, or with a number behind it when it is taken: `key#2`, `key#3`.

    Args:
        taken: the keys that are there.
        numbers: remembers where to go on, so that 100,000 equal keys take no longer than others.
    """
    if key not in taken:
        return key
    number = numbers.get(key, 2)
    while f"{key}#{number}" in taken:
        number += 1
    numbers[key] = number + 1
    return f"{key}#{number}"
