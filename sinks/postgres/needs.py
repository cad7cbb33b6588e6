"""Name what the extra `postgres` brings, and tell whoever lacks it."""

from __future__ import annotations

from functools import partial

from ...plugins import extras

__all__ = ["not_importable", "psycopg_for", "require_psycopg"]

require_psycopg = partial(extras.require_extra, "postgres", "psycopg", "psycopg")
psycopg_for = partial(extras.extra_for, "postgres", "psycopg", "psycopg")
not_importable = partial(extras.not_importable, "postgres", "psycopg")
