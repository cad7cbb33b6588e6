"""A metrics API that takes everything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from served_apart import ServedApart


class Collector(ServedApart):
    """The API; of two posts with one idempotency key the first counts."""

    rules = """
import json
CONTENT_TYPE, ANSWER = "application/json", (201, b"{}")
KEEP = lambda headers, body: (headers["Idempotency-Key"], json.loads(body))
"""

    def taken_at(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield the bodies that were posted to *path*, each idempotency key once, in the order in which they came."""
        yield from self.kept_at(path)
