"""Say what is recorded, the same for every contestant: an event of 130 bytes that carries its own number."""

from __future__ import annotations

from typing import Any

RUN_ID = "20261123T100000Z-bench-7d7850d0"
EVENT_TYPE = "parsed"


def payload(number: int) -> dict[str, Any]:
    """Return the event's content with its *number*, by which it is found again."""
    return {
        "n": number,
        "file": "os.py",
        "lines": 1234,
        "ok": True,
        "ratio": 0.25,
        "tags": ["a", "b"],
        "note": "a line of prose, as agents write them",
    }
