"""Prove that a prune that is killed leaves no run of which only a part is there."""

import os
import shutil
import signal
from collections import Counter
from contextlib import closing
from datetime import timedelta

import pytest

from telemetry import TelemetryClient, open_store
from telemetry.plugins import RunQuery

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs signals")

DAYS = timedelta(days=1)
_EVENTS = 9_000  # three times what one step takes at most

# Dies when it is about to begin a step, having ended so many.
_DYING = """
import os, signal, sys
from datetime import timedelta
from telemetry.core.care import Care
from telemetry.sinks.sqlite.thinning import Thinning
left = int(sys.argv[1])
step = Thinning._step
def stepped(*args):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*args)
Thinning._step = stepped
Care().prune(timedelta(days=90))
"""


@pytest.mark.parametrize("steps", range(6))
def test_killed_in_the_middle_no_run_is_left_with_a_part_of_its_events(base, processes, real_command, steps):
    """A run of thousands of events goes in many steps; whoever looks in between finds all of it, or nothing."""
    large, young = base.record(95, events=_EVENTS), base.record(1)
    base.care.rebuild()

    dying = processes.start(_DYING, steps)
    dying.communicate(timeout=60)
    (stored,) = base.sql("SELECT count(*) FROM run_events WHERE run_id = ?", large)[0]
    listed = base.sql("SELECT run_id FROM agent_runs ORDER BY run_id DESC")
    told = base.told()
    shown = real_command("show", large)

    assert -signal.SIGKILL == dying.returncode
    assert 0 < stored
    assert listed == ([(young,)] if steps else [(young,), (large,)])
    assert young in base.ids()
    found = Counter(event[1] for event in told["events"])
    assert found in ({young: 2}, {young: 2, large: _EVENTS})
    assert found.keys() == {run.run_id for run in told["runs"]}
    assert (0 if large in found else 3) == shown.returncode


@pytest.fixture
def half_pruned(base, processes):
    """Return the id of a run of which a prune that was killed has left some events in the database."""
    run_id = base.record(95, events=_EVENTS)
    base.care.rebuild()
    processes.start(_DYING, 2).communicate(timeout=60)
    (left,) = base.sql("SELECT count(*) FROM run_events")[0]
    assert 0 < left < _EVENTS
    return run_id


def test_next_prune_deletes_what_is_left(base, half_pruned):
    """Nothing stays in the file, and the answer counts what this call deleted."""
    pruned = base.care.prune(90 * DAYS)

    assert [] == base.sql("SELECT * FROM run_events")
    assert (0, True) == (pruned.runs, 0 < pruned.stores[0].events < _EVENTS)


@pytest.mark.parametrize("how", ["rebuild", "restore", "restore elsewhere", "import"])
def test_what_is_left_is_carried_nowhere(base, half_pruned, real_command, tmp_path, how):
    """Neither into the database that is built anew, nor by a backup or an import into another one."""
    young = base.record(1)
    base.told()
    other, copy = tmp_path / "other", tmp_path / "copy.sqlite"
    shutil.copyfile(base.database, copy)
    commands = {
        "rebuild": [("rebuild",)],
        "restore": [("backup", "--to", tmp_path / "kept"), ("restore", tmp_path / "kept")],
        "restore elsewhere": [
            ("backup", "--to", tmp_path / "kept"),
            ("--base-dir", other, "restore", tmp_path / "kept"),
        ],
        "import": [("--base-dir", other, "import", copy)],
    }
    other.mkdir(mode=0o700)

    done = [real_command(*command) for command in commands[how]]
    with closing(open_store(other if other.joinpath("db").exists() else base.path)) as store:
        told = {run.run_id for run in store.runs(RunQuery(limit=None))}, {event.run_id for event in store.events()}

    assert [0] * len(done) == [command.returncode for command in done], done[-1].stderr
    assert ({young}, {young}) == told


def test_run_that_begins_anew_has_no_event_of_the_one_that_was_half_pruned(base, half_pruned):
    """What was left of the old run goes at the latest when another one takes its id."""
    with TelemetryClient() as client:
        client.start_run("a", "j", run_id=half_pruned)
        client.log_event(half_pruned, "new")
        client.end_run(half_pruned)

    before = base.told()
    base.care.prune(90 * DAYS)

    assert before == base.told()
    assert ["new"] == [event[2] for event in before["events"]]
    assert [("new",)] == base.sql("SELECT event_type FROM run_events")
