"""Prove that every query of the Grafana dashboard runs on our tables and has something to show."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="psycopg is installed in the tox environment `coverage`")


from telemetry.plugins import RunEvent, RunRecord

_DASHBOARD = json.loads((Path(__file__).parents[2] / "docs/examples/grafana/fleet.json").read_text("utf-8"))
_PANELS = {panel["title"]: panel for panel in _DASHBOARD["panels"]}
_VARIABLES = {each["name"]: each for each in _DASHBOARD["templating"]["list"] if each["type"] == "query"}
_FROM, _TO = "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"


def expanded(sql: str, **chosen: list[str]) -> str:
    """Return *sql* with macros and variables replaced as Grafana's data source for PostgreSQL does it."""
    sql = sql.replace("$__interval", "5m")
    sql = re.sub(r"\$__timeFilter\(([^)]+)\)", rf"\1 BETWEEN '{_FROM}' AND '{_TO}'", sql)
    group = r"floor(extract(epoch from \1)/300)*300"
    sql = re.sub(r"\$__timeGroupAlias\(([^,]+), 5m\)", rf'{group} AS "time"', sql)
    for name, values in chosen.items():
        listed = ",".join("'" + value.replace("'", "''") + "'" for value in values)
        sql = sql.replace(f"${{{name}:sqlstring}}", listed)
    assert "$" not in sql
    return sql


@pytest.fixture
def fleet(host: Any, a_run: Callable[..., RunRecord], ended: Callable[..., RunRecord]) -> None:
    """Deliver runs of two agents: one that succeeded, one that failed, one that goes on, and an event."""
    failed = a_run("r2", seq=3, agent_name="it's", host=None)
    assert host.deliver(
        ended(a_run("r1"), seq=2, metrics={"tokens": 3}),
        ended(failed, seq=4, status="failed", error_summary="Timeout: after 30 s\nTraceback"),
        a_run("r3", seq=5),
        RunEvent("r1", "page", "2026-11-23T10:00:01+00:00", {"n": 1}, "aaaaaaaaaaaa", 6),
    )


def test_each_panel_has_something_to_show(fleet: None, rows: Callable[..., list[Any]]):
    """In the form that its kind of panel wants; a time series needs a time, a name and a number."""
    for title, panel in _PANELS.items():
        [target] = panel["targets"]
        found = rows(expanded(target["rawSql"], agent=["crawler", "it's"], host=["here", ""]))
        assert found, title
        if target["format"] == "time_series":
            assert all(int(time) % 300 == 0 and name and number is not None for time, name, number in found), title
        if panel["type"] == "stat":
            assert 1 == len(found) == len(found[0]), title
            assert found[0][0] is not None, title


def test_panels_tell_what_was_delivered(fleet: None, rows: Callable[..., list[Any]]):
    """Not only some row: the figures are those of the three runs."""

    def shown(title: str) -> list[Any]:
        return rows(expanded(_PANELS[title]["targets"][0]["rawSql"], agent=["crawler", "it's"], host=["here", ""]))

    assert [(3,)] == shown("Runs")
    assert [(0.5,)] == shown("Failed")
    assert [(1,)] == shown("Running now")
    assert [(1500,)] == shown("Median duration")
    assert {("crawler", 2, 0), ("it's", 1, 1)} == {row[:3] for row in shown("Agents")}
    assert [("Timeout: after # s", 1, 1)] == [row[:3] for row in shown("Errors")]
    assert ["r2"] == [row[-1] for row in shown("Latest failures")]
    assert ["r3"] == [row[-1] for row in shown("Running longest")]


def test_each_variable_offers_what_there_is(fleet: None, rows: Callable[..., list[Any]]):
    """And the panels use it, by the way of writing that quotes its values."""
    offered = {name: {value for (value,) in rows(each["query"])} for name, each in _VARIABLES.items()}

    assert {"agent": {"crawler", "it's"}, "host": {"here", ""}} == offered
    assert all(f"${{{name}:sqlstring}}" in json.dumps(_DASHBOARD["panels"]) for name in _VARIABLES)


def test_panels_do_not_overlap():
    """Each stands in its own place, 24 columns wide at most."""
    taken = set()
    for panel in _PANELS.values():
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not taken & cells
        taken |= cells
    assert len(_PANELS) == len({panel["id"] for panel in _PANELS.values()})
