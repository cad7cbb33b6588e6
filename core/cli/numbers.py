"""Read numbers on the command line, and refuse in plain words what is none."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["Number", "Whole"]


class Whole(click.IntRange):
    """A whole number within bounds."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number that *value* writes."""
        try:
            int(value)
        except ValueError:
            self.fail(f"{value!r} is no whole number.", param, ctx)
        return super().convert(value, param, ctx)


class Number(click.FloatRange):
    """A number within bounds, whole or not."""

    name = "number"
