"""Measure the bytes that an event takes on the disk, and read a day that was compressed."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

from harness.figures import Figure, Section, Table
from harness.setting import Setting

from telemetry import TelemetryClient

_EVENTS = 1000
_FACTOR, _EXTRA = 1.3, 120
_PAYLOADS: dict[str, Any] = {
    "none": None,
    "a number": 1,
    "130 bytes": {"file": "os.py", "lines": 1234, "ok": True, "tags": ["a", "b"], "note": "a line of prose " * 4},
    "2 kB of text": {"text": "It was a bright cold day in April. " * 60},
    "2 kB of text in Greek": {"text": "ἄνδρα μοι ἔννεπε, μοῦσα " * 45},
    "300 numbers": {"values": [number / 7 for number in range(300)]},
}
_TEXT = f"""\
The size of the journal over {_EVENTS:,} events of one run, beside the payload's own JSON (compact, UTF-8). Asked for
are at most {_FACTOR} times that and {_EXTRA} bytes. The promised format takes 147 bytes around the payload: 78 for
names and marks, 31 for the run's id, 6 for the type here, 32 for the time; so by itself it meets this from 90 bytes
of payload on, (147 - 120) / 0.3. `writer` and `seq`, by which a loss is found, take 34 to 38 more, with which it is met
from 204 bytes on. Their names could give 7 bytes, for which no reader of older lines should pay. Then yesterday's file
is compressed with gzip, and read.
"""


def measure(setting: Setting) -> Section:
    """Log each kind of payload, compare sizes, compress a day."""
    rows, shares = [], []
    for number, (name, payload) in enumerate(_PAYLOADS.items()):
        size = _bytes_each(setting.directory / f"base-{number}", payload)
        own = 0 if payload is None else len(json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode())
        limit = _FACTOR * own + _EXTRA
        shares.append((own, size / limit))
        rows.append((name, f"{own:,}", f"{size:,.0f}", f"{limit:,.0f}", f"{size - own:,.0f}"))
    plain, compressed, missing = _compressed(setting.directory / "zipped")
    figures = (
        _worst("bytes an event, payloads of 256 bytes and more", [share for own, share in shares if own >= 256]),
        _worst("bytes an event, smaller payloads", [share for own, share in shares if own < 256]),
        Figure("events missing after the day was compressed", missing, "events", 0),
        Figure("a compressed day", compressed / plain, "x", against="the plain file"),
    )
    table = Table(("payload", "its JSON, bytes", "on disk", "asked", "more than the JSON"), tuple(rows))
    return Section("disk", "Disk", _TEXT, figures, (table,))


def _worst(work: str, shares: list[float]) -> Figure:
    return Figure(work, max(shares), "x", 1.0, against=f"{_FACTOR} x its JSON + {_EXTRA}")


def _journal(base: Path) -> Path:
    (path,) = (base / "raw").glob("events_*.ndjson")
    return path


def _bytes_each(base: Path, payload: Any) -> float:
    with TelemetryClient(base_dir=base) as client:
        run_id = client.start_run("bench", "disk")
        before = _journal(base).stat().st_size
        for _ in range(_EVENTS):
            client.log_event(run_id, "parsed", payload)
        return (_journal(base).stat().st_size - before) / _EVENTS


def _compressed(base: Path) -> tuple[int, int, int]:
    """Return the bytes of a day, of the same compressed, and how many events cannot be read from that."""
    with TelemetryClient(base_dir=base) as client, client.track_run("bench", "disk") as run:
        for number in range(_EVENTS):
            run.log_event("parsed", {"n": number, "note": "a line of prose"})
    plain = _journal(base)
    packed = plain.with_name("events_20250101.ndjson.gz")
    with plain.open("rb") as source, gzip.open(packed, "wb") as target:
        shutil.copyfileobj(source, target)
    sizes = plain.stat().st_size, packed.stat().st_size
    plain.unlink()
    shutil.rmtree(base / "db")
    with TelemetryClient(base_dir=base) as client:
        found = sum(1 for _ in client.events(run.run_id, "parsed"))
    return *sizes, _EVENTS - found
