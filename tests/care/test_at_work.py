"""Prove that every command answers while an agent writes to the base directory, and that the agent loses nothing."""

import json

import pytest
from attrs import define
from loopback import Act, Loopback, Post

_BEFORE = 40
_TOURS = {
    "what ran": (
        ("runs", "--where", "metrics.pages>1"),
        ("show", "last"),
        ("tail", "-n", "5"),
        ("stats", "--by", "job", "--metric", "pages"),
        ("errors",),
        ("diff", "{first}", "{second}"),
        ("plot", "pages", "--agent", "crawler"),
        ("query", "SELECT count(*) FROM run_events"),
    ),
    "is all well": (
        ("doctor",),
        ("verify",),
        ("outbox", "status"),
        ("migrate", "--list"),
        ("sinks",),
        ("plugins",),
        ("prune", "--older-than", "4d", "--dry-run"),
        ("verify",),
    ),
    "type on": (
        ("completion", "bash"),
        ("completion", "zsh"),
        ("completion", "fish"),
    ),
    "bring in": (
        ("exec", "--agent", "a", "--job", "j", "--", "true"),
        ("import", "{other}"),
        ("merge", "{other}"),
        ("restore", "{other}"),
        ("replay", "--into", "sqlite"),
    ),
    "take out": (
        ("export", "--what", "all", "--out", "{out}.ndjson"),
        ("backup", "--to", "{out}"),
        ("rebuild",),
        ("prune", "--older-than", "4d", "--gzip-after", "2d"),
        ("rebuild",),
    ),
}


@pytest.mark.parametrize("tour", _TOURS)
def test_commands_answer_while_an_agent_writes(base, real_command, request, tmp_path, tour):
    """Each ends well and warns of nothing; whatever the agent was acknowledged meanwhile is there in the end."""
    ids = [base.record(1.5 + number / 10, events=3) for number in range(_BEFORE)]
    base.told()
    places = {"first": ids[0], "second": ids[1], "out": tmp_path / "out", "other": tmp_path / "other"}
    real_command("backup", "--to", places["other"])
    agent = request.getfixturevalue("agent")

    answers = [real_command(*(word.format(**places) for word in words)) for words in _TOURS[tour]]
    acknowledged = agent.stop()

    assert [] == [answer for answer in answers if answer.returncode or "warning" in answer.stderr]
    assert 0 == real_command("verify").returncode
    assert len(acknowledged) > 3
    assert set(acknowledged) <= base.ids()


def test_export_has_the_events_of_what_goes_on(base, real_command, agent, tmp_path):
    """Of a run that ended each event, of one that runs those that it has had."""
    ended, running = base.record(2, events=700), base.record(1, events=5, is_running=True)

    real_command("export", "--what", "events", "--agent", "crawler", "--out", tmp_path / "out")
    agent.stop()

    found = [json.loads(line)["run_id"] for line in (tmp_path / "out").read_text().splitlines()]
    assert [ended] * 700 + [running] * 5 == found


@define(eq=False)
class Api(Loopback):
    """A metrics API, which refuses every third run as long as it is picky."""

    is_picky: bool = True

    def next_act(self, post: Post) -> Act:
        """Take it, or refuse it."""
        take = super().next_act(post)
        return self.say(422) if self.is_picky and len(self.requests) % 3 == 0 else take

    @property
    def runs(self) -> set[str]:
        """The ids of the runs that were taken."""
        return {json.loads(post.body)["run_id"] for post in self.taken}


@pytest.fixture
def api(base, monkeypatch, tmp_path):
    """Return an API on the loopback, to which whoever opens the base directory delivers."""
    api = Api()
    api.start()
    text = f"[sinks.ndjson]\n[sinks.sqlite]\n[sinks.hq]\ntype = 'api'\nurl = '{api.origin}/'\n"
    (tmp_path / "telemetry.toml").write_text(text)
    monkeypatch.setenv("TELEMETRY_CONFIG", str(tmp_path / "telemetry.toml"))
    yield api
    api.stop()
    assert [] == api.faults


# At a pace that an API can follow.
_STEADY = """
import sys, threading, time
from telemetry import TelemetryClient
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
with TelemetryClient() as client:
    while not stop.wait(0.01):
        with client.track_run("steady", "write") as run:
            run.log_event("page")
        print(run.run_id)
"""


def test_outboxes_are_looked_after_while_an_agent_delivers(base, api, processes, real_command):
    """What was given up is listed and queued again; flush and replay end although the agent writes on."""
    agent = processes.start(_STEADY)
    api.wait(lambda: len(api.requests) > 6)

    given_up = real_command("outbox", "dead", "hq", "--nl")
    api.is_picky = False
    answers = [
        given_up,
        real_command("outbox", "dead"),
        real_command("outbox", "retry", "hq"),
        real_command("outbox", "flush"),
        real_command("outbox", "status"),
        real_command("replay", "--into", "hq"),
    ]
    letters = [json.loads(line)["record"]["run_id"] for line in given_up.stdout.splitlines()]
    arrived = api.runs
    written, complaints = agent.communicate(timeout=60)
    last = real_command("outbox", "flush")

    assert [] == [answer for answer in answers if answer.returncode or "warning" in answer.stderr]
    assert "hq: all delivered\n" == answers[3].stdout
    assert letters
    assert set(letters) <= arrived
    assert (0, "hq: all delivered\n") == (last.returncode, last.stdout)
    assert set(written.split()) <= api.runs
    assert "was refused" in complaints
    assert 0 == real_command("verify").returncode
