"""Prove that all the ways to a server which the page names lead there: hosts, passwords, service files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("psycopg", reason="psycopg is installed in the tox environment `coverage`")

from postgres_server import PASSWORD, Server

import telemetry
from telemetry.plugins import RunQuery, RunRecord


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing count that stands in the environment of whoever runs the tests."""
    for name in ("PGPASSWORD", "PGPASSFILE", "PGSERVICE", "PGSERVICEFILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def bare(server: Server, url: str) -> str:
    """Return the URL of an empty schema, without a password."""
    return f"{server.uri(has_password=False)}?{urlsplit(url).query}"


def escaped(text: str) -> str:
    """Return *text* as a field of a password file."""
    return text.replace("\\", "\\\\").replace(":", "\\:")


def by_variable(bare: str, home: Path, patch: pytest.MonkeyPatch) -> str:
    """Leave the password to PGPASSWORD."""
    patch.setenv("PGPASSWORD", PASSWORD)
    return bare


def by_password_file(bare: str, home: Path, patch: pytest.MonkeyPatch) -> str:
    """Leave it to ~/.pgpass."""
    (file := home / ".pgpass").write_text(f"127.0.0.1:*:*:agent:{escaped(PASSWORD)}\n")
    file.chmod(0o600)
    return bare


def by_service(bare: str, home: Path, patch: pytest.MonkeyPatch) -> str:
    """Leave all but the schema to a service file."""
    parts = urlsplit(bare)
    (file := home / "services").write_text(
        f"[hq]\nhost={parts.hostname}\nport={parts.port}\nuser=agent\ndbname=postgres\npassword={PASSWORD}\n"
    )
    patch.setenv("PGSERVICEFILE", str(file))
    return f"postgresql://?service=hq&{parts.query}"


def by_second_host(bare: str, home: Path, patch: pytest.MonkeyPatch) -> str:
    """Name a host first where nobody listens."""
    patch.setenv("PGPASSWORD", PASSWORD)
    return bare.replace("@", "@127.0.0.1:9,")


WAYS = [by_variable, by_password_file, by_service, by_second_host]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_each_way_leads_to_the_server(
    way: Callable[..., str],
    bare: str,
    new_host: Callable[..., Any],
    a_run: Callable[..., RunRecord],
    isolated_environment: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """For the sink as for the reader."""
    url = way(bare, isolated_environment, monkeypatch)

    assert new_host(url=url).deliver(a_run())
    store = telemetry.open_store(url)
    assert ["r1"] == [run.run_id for run in store.runs(RunQuery())]
    store.close()


def test_without_a_password_the_cure_is_told(bare: str, new_host: Callable[..., Any], a_run: Callable[..., RunRecord]):
    """None at all, and a wrong one."""
    host = new_host(url=bare)
    host.write(a_run())
    assert "PGPASSWORD" in host.refusal().partition("no password supplied")[2]

    host.options["password"] = "another"
    assert "~/.pgpass" in host.refusal().partition("password authentication failed")[2]
