"""Prove that a reader gets every run, in order and whole, from whatever store he asks."""

import os
import threading
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from stories import ids, moment, three_runs

from telemetry.plugins import CommitLink, InputError, RunQuery, RunRecord, RunStore

Runs = Callable[..., RunRecord]
PAGE = 500


@pytest.fixture
def three(journal: Callable[..., None], a_run: Runs, ended: Callable[..., RunRecord]) -> list[RunRecord]:
    """Put three runs into the store and return them, the newest first."""
    runs = three_runs(a_run, ended)
    journal(*runs)
    return runs[::-1]


def test_it_is_a_run_store(store: RunStore):
    """The store keeps the protocol that client and command line read by."""
    assert isinstance(store, RunStore)


def test_each_call_sees_what_was_written_before_it(store: RunStore, journal: Callable[..., None], a_run: Runs):
    """An agent that goes on writing is followed."""
    journal(a_run(run_id="r1"))
    before = store.get_run("r1")
    journal(a_run(run_id="r1", status="success"), a_run(run_id="r2"))

    after = store.get_run("r1")

    assert before is not None
    assert after is not None
    assert ("running", "success") == (before.status, after.status)
    assert 2 == store.stats()["total_runs"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, "r3 r2 r1"),
        ({"agent": "crawler"}, "r3 r1"),
        ({"agent": "nobody"}, ""),
        ({"job": "index"}, "r3"),
        ({"status": "failed"}, "r1"),
        ({"status": "failure"}, "r1"),
        ({"status": "running", "agent": "crawler"}, "r3"),
        ({"parent_run_id": "r1"}, "r2"),
        ({"since": "2026-11-23T10:00:02Z"}, "r3 r2"),
        ({"since": "2026-11-23T11:00:02+01:00"}, "r3 r2"),
        ({"since": "2026-11-23"}, "r3 r2 r1"),
        ({"since": "2026-11-23T10:00:02.000001Z"}, "r3"),
        ({"until": "2026-11-23T10:00:02Z"}, "r1"),
        ({"until": "2026-11-23T10:00:02.5Z"}, "r2 r1"),
        ({"limit": 2}, "r3 r2"),
        ({"limit": 0}, ""),
        ({"limit": None}, "r3 r2 r1"),
        ({"oldest_first": True}, "r1 r2 r3"),
        ({"after": (moment(3), "r3")}, "r2 r1"),
        ({"after": (moment(2), "r2"), "oldest_first": True}, "r3"),
        ({"where": ["metrics.tokens>5"]}, "r1"),
        ({"where": ["agent_name=crawler", "status!=failed"]}, "r3"),
        ({"agent": "\ud800"}, ""),
    ],
    ids=str,
)
def test_runs_are_filtered(store: RunStore, three: list[RunRecord], asked: dict[str, Any], expected: str):
    """Each part of a query counts, and they count together."""
    assert expected.split() == ids(store.runs(RunQuery(**asked)))


@pytest.mark.parametrize("asked", [{"since": "yesterday"}, {"until": "\ud800"}, {"where": ["tokens>1"]}])
def test_a_query_that_cannot_be_understood_is_refused_at_once(store: RunStore, asked: dict[str, Any]):
    """The call itself raises, not the first use of its result; also while the store is empty."""
    with pytest.raises(InputError):
        store.runs(RunQuery(**asked))


def test_pages_follow_each_other_without_a_gap(store: RunStore, journal: Callable[..., None], a_run: Runs):
    """More runs than fit a page come once each, also those that started at one moment."""
    count = 2 * PAGE + 3
    journal(*(a_run(run_id=f"r{number:05}", start_time=moment(number // 100)) for number in range(count)))

    forth = ids(store.runs(RunQuery(limit=None, oldest_first=True)))
    back = ids(store.runs(RunQuery(limit=PAGE + 1)))

    assert [f"r{number:05}" for number in range(count)] == forth
    assert forth[: -PAGE - 2 : -1] == back


def test_a_run_that_comes_meanwhile_shifts_nothing(store: RunStore, journal: Callable[..., None], a_run: Runs):
    """Between two pages the newest run does not push an old one into the next page a second time."""
    journal(*(a_run(run_id=f"r{number:05}", start_time=moment(number // 100)) for number in range(PAGE + 2)))
    runs = store.runs(RunQuery(limit=None))
    first = next(runs)
    journal(a_run(run_id="newest", start_time=moment(3000)))
    assert "newest" == next(store.runs(RunQuery(limit=1))).run_id

    found = [first.run_id, *ids(runs)]

    assert [f"r{number:05}" for number in reversed(range(PAGE + 2))] == found


def test_a_run_comes_back_as_it_was_written(
    store: RunStore, journal: Callable[..., None], a_run: Runs, ended: Callable[..., RunRecord]
):
    """Every field of the record is there; the database adds only its own times."""
    run = ended(a_run(run_id="r1", metrics={"n": 1.5}, attributes={"a": [1, None]}, parent_run_id="p", coerced=("x",)))
    journal(run)

    found = store.get_run("r1")

    assert found is not None
    assert run == attrs.evolve(found, created_at=None, updated_at=None)
    assert found.created_at
    assert store.get_run("r2") is None
    assert store.get_run("\ud800") is None


CRAWLER = "20261123T100001Z-crawler-0000abcd"


PARSER = "20261123T100003Z-parser-9999abcd"


SHORT = "short-0000abcd"


LONGER = "short-0000abcd-longer"


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("20261123T100001Z-crawler-0000abcd", [CRAWLER]),
        ("20261123T10000", [PARSER, CRAWLER]),
        ("0000abcd", [SHORT, CRAWLER]),
        ("abcd", [SHORT, PARSER, CRAWLER]),
        ("99ab", [PARSER]),
        ("parser", []),
        ("r-9999abcd", [PARSER]),
        ("short", [SHORT, LONGER]),
        ("short-0000abcd", [SHORT]),
        ("%", []),
        ("", []),
        ("\ud800", []),
    ],
)
def test_ids_are_found_by_a_piece(
    store: RunStore, journal: Callable[..., None], a_run: Runs, part: str, expected: list[str]
):
    """By the beginning, the end, or a piece of the hex tail; never by the agent's name in the middle."""
    journal(*(a_run(run_id=run_id, start_time=moment(n)) for n, run_id in enumerate([LONGER, CRAWLER, PARSER, SHORT])))

    assert expected == store.find_ids(part)


def test_as_many_ids_are_found_as_are_asked_for(store: RunStore, journal: Callable[..., None], a_run: Runs):
    """The newest ones, those that begin with the piece before those that end with it."""
    journal(*(a_run(run_id=f"r{number}-x", start_time=moment(number)) for number in range(5)), a_run(run_id="x"))

    assert ["r4-x", "r3-x"] == store.find_ids("r", limit=2)
    assert ["r4-x", "r3-x", "r2-x"] == store.find_ids("-x", limit=3)


def test_commits_of_a_run_are_told(store: RunStore, journal: Callable[..., None], a_run: Runs):
    """Each link that the journal has, as a dict by column name."""
    link = CommitLink(run_id="r1", timestamp=moment(2), commit_hash="c0ffee", author="a", insertions=3)
    journal(a_run(run_id="r1"), link)

    [commit] = store.commits("r1")

    assert ("c0ffee", "r1", "a", 3) == (commit["commit_hash"], commit["run_id"], commit["author"], commit["insertions"])
    assert [] == store.commits("\ud800")


def test_threads_share_a_store(store: RunStore, three: list[RunRecord]):
    """Questions from several threads at once are all answered."""
    answers: list[list[str]] = []

    def ask() -> None:
        for _ in range(20):
            answers.append(ids(store.runs(RunQuery())))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [ids(three)] * 80 == answers


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_reads_through_the_store_of_its_parent(store: RunStore, three: list[RunRecord]):
    """After a fork both go on reading, each by a connection of its own."""
    list(store.runs(RunQuery()))

    child = os.fork()
    if child == 0:
        os._exit(10 + len(list(store.runs(RunQuery()))))

    assert 13 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert 3 == len(list(store.runs(RunQuery())))


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda store: store.get_run(None), "run_id is None; give text."),
        (lambda store: store.find_ids(5), "part is 5; give text."),
        (lambda store: store.commits(b"r1"), "run_id is b'r1'; give text."),
        (lambda store: store.events(5), "run_id is 5; give text."),
        (lambda store: store.events("r1", 5), "event_type is 5; give text."),
    ],
)
def test_what_is_no_text_is_refused(store: RunStore, ask: Callable[[RunStore], object], told: str):
    """By the call itself, which names what was given."""
    with pytest.raises(InputError) as raised:
        ask(store)

    assert told == str(raised.value)
