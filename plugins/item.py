"""Pair a record with the key under which the other side can tell that it saw it before."""

from __future__ import annotations

from attrs import frozen

from .records import Record

__all__ = ["Item"]


@frozen
class Item:
    """
    What a remote sink delivers.

    Args:
        key: 32 hex digits, the same in every process and at every repetition: the idempotency key.
        record: what is to be delivered.
    """

    key: str
    record: Record
