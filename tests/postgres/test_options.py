"""Prove that the sink says what it lacks, passes on what libpq understands, and shows its password to nobody."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="psycopg is installed in the tox environment `coverage`")


from telemetry import TelemetryClient, TelemetryConfig
from telemetry.plugins import ConfigError, Retryable, RunRecord
from telemetry.plugins.options import structure
from telemetry.sinks.postgres.connection import opened
from telemetry.sinks.postgres.options import Access, PostgresOptions, place_of
from telemetry.sinks.postgres.parameters import parameters_of
from telemetry.sinks.postgres.sink import PostgresSink

PASSWORD = "hunter2hunter2"


def test_it_says_how_psycopg_is_installed():
    """Without psycopg the type can be imported and listed; to build it is an error with the command to run."""
    script = """
        import sys
        sys.modules["psycopg"] = None
        from telemetry.plugins import ConfigError
        from telemetry.sinks.postgres.sink import PostgresSink
        try:
            PostgresSink(PostgresSink.Options(url="postgres://h/d"))
        except ConfigError as error:
            print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "pip install 'local-telemetry[postgres]'" in done.stdout


def test_a_set_up_goes_on_without_psycopg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any):
    """The fault is told at start-up, and the other sinks record."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    file = tmp_path / "t.toml"
    file.write_text(
        f'base_dir = "{tmp_path}/b"\n[sinks.raw]\ntype = "ndjson"\n[sinks.hq]\ntype = "postgres"\nurl = "postgres://h/d"\n'
    )

    with TelemetryClient(TelemetryConfig.load(file)) as client:
        client.end_run(client.start_run("a", "j"))

    assert "sinks.hq" in caplog.text
    assert "pip install 'local-telemetry[postgres]'" in caplog.text
    assert list((tmp_path / "b" / "raw").glob("*.ndjson"))


@pytest.mark.parametrize(
    "url", ["", "host=h password=hunter2hunter2", "https://h/d", "postgres:hunter2hunter2", "postgres://h\n"]
)
def test_what_is_no_url_is_refused(url: str):
    """At start-up, with an example, and without the text itself: it may hold a password."""
    with pytest.raises(ConfigError, match="postgresql://hq") as caught:
        structure(PostgresOptions, {"url": url}, path="sinks.hq", origin="t.toml:3")

    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"timeout_s": 0}, {"connect": {"ssl mode": "x"}}, {"nothing": 1}])
def test_wrong_options_are_refused(wrong: dict[str, Any]):
    """Each is told with its place."""
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        structure(PostgresOptions, {"url": "postgres://h/d", **wrong}, path="sinks.hq", origin="t.toml:3")


def test_what_libpq_understands_is_passed_on():
    """TLS and the rest, from the URL and from the table, which wins; ours stand only where nobody said anything."""
    url = f"postgresql://me:{PASSWORD}@one:5433,two/db?sslmode=require&keepalives_idle=7&sslcert=/c"

    given = parameters_of(
        Access(url=url, connect={"sslmode": "verify-full", "sslrootcert": "/ca.pem"}, password="other")
    )

    expected = {"sslmode": "verify-full", "sslrootcert": "/ca.pem", "sslcert": "/c", "keepalives_idle": "7"}
    assert expected.items() <= given.items()
    assert ("one,two", "me", "other", "db") == tuple(given[name] for name in ("host", "user", "password", "dbname"))
    assert "30000" == given["tcp_user_timeout"]


UNKNOWN = [
    ({"url": "postgresql://h/d?sslmod=require"}, "did you mean 'sslmode'"),
    ({"url": f"postgresql://h/d?password=a&{PASSWORD}=b"}, "%XX"),
    ({"url": "postgresql://h/d", "connect": {"sslrotcert": "/ca.pem"}}, "'sslrotcert'.*did you mean 'sslrootcert'"),
    ({"url": "postgresql://h/d", "connect": {"prepare_threshold": "1"}}, "'prepare_threshold'"),
    ({"url": "postgresql://h/d", "connect": {"conninfo": "host=other"}}, "'conninfo'"),
    ({"url": "postgresql://h/d", "connect": {"autocommit": "0"}}, "'autocommit'"),
]


@pytest.mark.parametrize(("given", "told"), UNKNOWN)
def test_a_parameter_that_libpq_does_not_know_is_told(given: dict[str, Any], told: str):
    """With the nearest that it does; one of the URL is not quoted, for it may be a piece of a password."""
    with pytest.raises(Retryable, match=told) as caught:
        opened(Access(**given))

    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(("given", "told"), UNKNOWN)
def test_check_finds_them_before_an_agent_does(given: dict[str, Any], told: str):
    """With psycopg, which no agent imports for that."""
    with pytest.raises(ConfigError, match=told):
        PostgresSink.check_options(PostgresOptions(**given))


def test_check_looks_for_the_files(tmp_path: Path):
    """Those of the URL and those of the table; `system` is no file."""
    (there := tmp_path / "there.pem").touch()
    url = f"postgresql://h/d?sslcert={there}&sslkey=/nowhere/key.pem"

    doubts = [
        PostgresSink.check_options(PostgresOptions(url=url, connect={"sslrootcert": root}))
        for root in ("system", str(there), "/nowhere/ca.pem", "~/ca.pem")
    ]

    key = "sslkey is '/nowhere/key.pem', which is no file that can be read here"
    root = key.replace("sslkey", "sslrootcert").replace("key.pem", "ca.pem")
    relative = "sslrootcert is '~/ca.pem', which libpq looks for in the folder of each process; write the whole path"
    assert [[key], [key], [root, key], [relative, key]] == doubts


def test_psycopg_that_cannot_be_imported_is_told_with_its_cure(tmp_path: Path):
    """It needs libpq, which it may not find: no traceback, whoever meets it."""
    file = tmp_path / "telemetry.toml"
    file.write_text('[sinks.raw]\ntype = "ndjson"\n[sinks.hq]\ntype = "postgres"\nurl = "postgres://127.0.0.1:9/d"\n')
    script = """
        import sys
        from telemetry.core.cli.main import run
        from telemetry import TelemetryClient, TelemetryConfig

        with TelemetryClient(TelemetryConfig.load(sys.argv[1])) as client:
            client.end_run(client.start_run("a", "j"))
            client.flush(2)
            print(client.status()["sinks"]["hq"]["fault"])
        run(["--store", "postgres://127.0.0.1:9/d", "runs"])
        run(["--config", sys.argv[1], "config", "check"])
    """
    environment = {**os.environ, "PSYCOPG_IMPL": "none", "TELEMETRY_BASE_DIR": str(tmp_path / "base")}
    command = [sys.executable, "-c", textwrap.dedent(script), file]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    cure = "psycopg cannot be imported (requested psycopg implementation 'none' unknown)"
    assert 3 <= (done.stdout + done.stderr).count(cure)
    assert 3 <= (done.stdout + done.stderr).count("pip install 'local-telemetry[postgres]'")
    assert "Traceback" not in done.stderr


SECRETS = [
    {"url": f"postgresql://me:{PASSWORD}@127.0.0.1:{{port}}/db"},
    {"url": f"postgresql://127.0.0.1:{{port}}/db?user=me&password={PASSWORD}"},
    {"url": "postgresql://me@127.0.0.1:{port}/db", "password": PASSWORD},
    {"url": "postgresql://me@127.0.0.1:{port}/db", "connect": {"password": PASSWORD}},
    {"url": "postgresql://me@127.0.0.1:{port}/db", "connect": {"sslpassword": PASSWORD, "wrong_name": "x"}},
]


@pytest.mark.parametrize("given", SECRETS, ids=["user", "parameter", "option", "connect", "wrong"])
def test_a_password_is_never_shown(given: dict[str, Any], tmp_path: Path, caplog: Any, capsys: Any):
    """Neither by repr, nor in what a failed delivery says, nor by the command line."""
    from telemetry.core.cli.main import run

    caplog.set_level(logging.DEBUG)
    url = given["url"].format(port=9)
    file = tmp_path / "telemetry.toml"
    options = "".join(f'{name} = "{value}"\n' for name, value in given.items() if name in ("password",))
    table = "".join(f'{name} = "{value}"\n' for name, value in given.get("connect", {}).items())
    file.write_text(
        f'base_dir = "{tmp_path}/base"\n[sinks.raw]\ntype = "ndjson"\n[sinks.hq]\ntype = "postgres"\nurl = "{url}"\n'
        + options
        + (f"[sinks.hq.connect]\n{table}" if table else "")
    )
    sink = PostgresSink(PostgresSink.Options(**{**given, "url": url}))
    shown = [repr(sink), repr(sink.options), str(sink.options), repr(sink.options.access), sink.place]

    with TelemetryClient(TelemetryConfig.load(file)) as client:
        client.end_run(client.start_run("a", "j"))
        client.flush(0.5)
        shown += [repr(client.status()), repr(client)]
    for words in (["config", "show"], ["config", "check"], ["sinks"], ["outbox", "status"]):
        run(["--config", str(file), *words])
    shown += [*capsys.readouterr(), caplog.text, *(path.read_text() for path in (tmp_path / "base").rglob("*.json"))]

    assert PASSWORD not in "\n".join(shown)
    assert "127.0.0.1:9/db" in "\n".join(shown)


def test_a_place_is_shown_without_its_secrets():
    """Server and database, whatever stands around them."""
    access = Access(url="postgres://me:p%40ss@one:1,two:2/db?sslpassword=x", password="other")

    assert "postgres://one:1,two:2/db" == place_of(access.url)
    assert "no *** or *** here" == access.without_secrets("no p@ss or other here")


def test_a_server_that_is_not_there_costs_the_agent_nothing(
    new_host: Callable[..., Any], a_run: Callable[..., RunRecord]
):
    """Hooks return at once while the thread behind them waits for a dead address."""
    host = new_host(url="postgresql://127.0.0.1:9/db")
    host.write(a_run())
    sink = host.open()
    start = time.perf_counter()

    for number in range(1000):
        sink.telemetry_run_started(a_run(f"r{number}"))

    assert time.perf_counter() - start < 2
    assert not sink.telemetry_flush(1.0)
    assert "127.0.0.1:9" in sink.telemetry_health()["fault"]
