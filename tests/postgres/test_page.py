"""Prove that what the page about PostgreSQL shows can be done as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="psycopg is installed in the tox environment `coverage`")

from certificates import Certificates

from telemetry import TelemetryClient, TelemetryConfig
from telemetry.plugins import RunRecord, get_iso8601_timestamp

_DOCS = Path(__file__).parents[2] / "docs"
_PAGE = (_DOCS / "how-to" / "postgres.md").read_text("utf-8")
_NOTE, _FENCE = r"(<!-- not run: .*? -->\n)?", r"```(?:\{code-block\} )?(\w+)\n(?::caption:[^\n]*\n)?(.*?)```"
_BLOCKS = re.compile(_NOTE + _FENCE, re.DOTALL)


def blocks(language: str, why: str = "") -> list[str]:
    """Return the samples of the page in *language* that are to be run, or those that the page's own test leaves out."""
    found = [(note, text) for note, kind, text in _BLOCKS.findall(_PAGE) if kind == language]
    return [text for note, text in found if (why in note if why else not note)]


def test_the_configuration_of_the_page_works(
    secure_url: str, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: Any
):
    """As it stands there, but for the place of the root certificate."""
    [sample] = blocks("toml")
    assert "verify-full" == tomllib.loads(sample)["sinks"]["fleet"]["connect"]["sslmode"]
    assert "/etc/ssl/hq.pem" in sample
    file = tmp_path / "telemetry.toml"
    file.write_text(sample.replace("/etc/ssl/hq.pem", str(certificates / "ca.pem")))
    monkeypatch.setenv("DATABASE_URL", secure_url)
    monkeypatch.setenv("TELEMETRY_BASE_DIR", str(tmp_path / "base"))

    config = TelemetryConfig.load(file)
    with TelemetryClient(config) as client:
        client.end_run(client.start_run("a", "j"))
        assert client.flush(30)

    assert () == config.faults
    assert ["success"] == [status for _, status in rows()]


def test_the_page_reads_what_hosts_delivered(
    host: Any, a_run: Callable[..., RunRecord], ended: Callable[..., RunRecord], url: str, tmp_path: Path
):
    """Its commands and its lines of Python, by a shell and an interpreter of their own."""
    run = ended(a_run(start_time=get_iso8601_timestamp()), status="failed", error_summary="it broke", end_time=None)
    assert host.deliver(run)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "DATABASE_URL": url, "PATH": path}

    told = [
        subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        for command in (
            *(
                ["bash", "-euc", text.replace("$ ", "", 1)]
                for text in blocks("console", "needs a server")[0].splitlines()
            ),
            [sys.executable, "-c", blocks("python", "needs a server")[0]],
        )
    ]

    assert 4 == len(told)
    assert ["crawler" in text or "it broke" in text for text in told] == [True] * 4
    assert "here crawler it broke\n" == told[-1]


@pytest.mark.parametrize("sql", blocks("sql"))
def test_each_query_of_the_page_runs(
    sql: str, host: Any, a_run: Callable[..., RunRecord], rows: Callable[..., list[Any]]
):
    """On the tables that the sink makes."""
    assert host.deliver(a_run(metrics={"tokens": 3}))

    rows(sql)
