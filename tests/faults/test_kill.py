"""What was acknowledged is in the journal, whenever the process is killed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from victims import massacre

from telemetry.plugins.records import RunEvent
from telemetry.sinks.journal import journal_files, read_records


def _journalled(base_dir: Path) -> Counter[tuple[str, int]]:
    events = (
        found.record
        for file in journal_files(base_dir / "raw")
        for found in read_records(file)
        if isinstance(found.record, RunEvent)
    )
    return Counter((event.run_id, event.payload["number"]) for event in events)


def _check(base_dir: Path, *, kills: int, seed: int, **environment: str) -> None:
    victims = list(massacre(base_dir, kills=kills, at_once=8, seed=seed, **environment))

    journalled = _journalled(base_dir)
    promised = {(str(victim.run_id), n) for victim in victims for n in range(1, victim.acknowledged + 1)}

    assert set() == promised - set(journalled)
    assert {1} == set(journalled.values())
    assert len(promised) > kills


def test_acknowledged_events_survive_sigkill(tmp_path):
    """50 SIGKILLs at random moments over 8 writers at once: every event whose call returned reads back, once."""
    _check(tmp_path, kills=50, seed=1)


@pytest.mark.faults_long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("fsync", ["always", "interval", "never"])
def test_acknowledged_events_survive_a_thousand_sigkills(tmp_path, fsync):
    """1,000 SIGKILLs for each durability class: 0 acknowledged events are lost."""
    config = tmp_path / "telemetry.toml"
    config.write_text(f'[sinks.raw]\ntype = "ndjson"\nfsync = "{fsync}"\n[sinks.db]\ntype = "sqlite"\n')

    _check(tmp_path, kills=1000, seed=2, TELEMETRY_CONFIG=str(config))
