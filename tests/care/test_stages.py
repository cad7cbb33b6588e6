"""Prove that it is known of each stage of long work whether bytes or things are counted: a bar shows the unit."""

from datetime import timedelta

from telemetry.plugins.care import STAGES_IN_BYTES

DAYS = timedelta(days=1)
OF_THE_COMMANDS = {"importing", "merging", "indexing"}


def test_what_is_told_in_bytes_is_known_by_its_name(base, tmp_path):
    """Of a few runs no stage has a hundred of anything but bytes."""
    for day in (40, 20, 10, 1):
        base.record(day, events=3)
    totals = {}

    def told(stage, done, total):
        totals[stage] = max(total, totals.get(stage, 0))

    base.care.rebuild(told)
    base.care.backup(tmp_path / "copy", told)
    base.care.prune(30 * DAYS, gzip_after=5 * DAYS, progress=told)
    base.care.restore(tmp_path / "copy", told)
    base.care.replay("sqlite", progress=told)

    assert {stage for stage, total in totals.items() if total > 100} == STAGES_IN_BYTES - OF_THE_COMMANDS
