"""Prove that `telemetry config`, `sinks` and `plugins` tell what is in force, and never a token."""

import json
import stat
from pathlib import Path

import pytest

_TOKEN = "tok-5f3a9b2c7d"


@pytest.fixture
def configured(real_bench, tmp_path: Path, monkeypatch):
    """Return a function that writes the configuration that counts, and gives the bench back."""

    def configure(text: str):
        path = tmp_path / "telemetry.toml"
        path.write_text(text)
        monkeypatch.setenv("TELEMETRY_CONFIG", str(path))
        return real_bench

    return configure


def test_show_tells_values_and_their_origin(configured, monkeypatch):
    """File and line, variable, or default."""
    monkeypatch.setenv("AGENT_OWNER", "team a")
    bench = configured("# mine\ntest_mode = 'live'\n")

    rows = {row["setting"]: row for row in json.loads(bench.run("config", "show", "--json").out)}

    assert ("team a", "AGENT_OWNER") == (rows["agent_owner"]["value"], rows["agent_owner"]["origin"])
    assert ("live", True) == (rows["test_mode"]["value"], rows["test_mode"]["origin"].endswith("telemetry.toml:2"))
    assert ("true", "default") == (rows["redact.enabled"]["value"], rows["redact.enabled"]["origin"])


def test_show_keeps_file_and_line_where_space_is_short(configured, tmp_path: Path, monkeypatch):
    """Of the path to the file the end is shown, which tells where to look."""
    bench = configured("")
    place = tmp_path / "a-folder-whose-name-is-longer" / "than-the-terminal-is-wide" / "telemetry.toml"
    place.parent.mkdir(parents=True)
    place.write_text("# mine\ntest_mode = 'live'\n")
    monkeypatch.setenv("TELEMETRY_CONFIG", str(place))

    lines = bench.show("config", "show", width=80).out.splitlines()

    [shown] = [line for line in lines if line.startswith("test_mode")]
    assert "…" in shown
    assert shown.endswith("/telemetry.toml:2")


@pytest.mark.parametrize(
    "command", [("config", "show"), ("config", "check"), ("sinks",), ("doctor",), ("outbox", "status")]
)
def test_no_command_shows_a_token(configured, command, monkeypatch):
    """Neither the value in the file, nor the one in the environment, nor a key in a URL."""
    monkeypatch.setenv("HQ", _TOKEN)
    monkeypatch.setenv("METRICS_API_TOKEN", f"{_TOKEN}2")
    bench = configured(
        f'api_token = "{_TOKEN}"\n[sinks.hq]\ntype = "api"\nurl = "http://127.0.0.1:9/?key={_TOKEN}"\n'
        'token = "${HQ}"\n'
        '[sinks.raw]\ntype = "ndjson"\n[sinks.db]\ntype = "sqlite"\n'
    )

    for form in ((), ("--json",)):
        answer = bench.run(*command, *form)
        assert _TOKEN not in answer.out + answer.err


def test_check_finds_all_faults_at_once(configured):
    """The exit code is 4, every fault has a line, and where they are is said."""
    bench = configured('colour = 1\nstrict = "no"\n[sinks.a]\ntype = "nosuch"\n[sinks.b]\ntype = "ndjson"\nfsync = 7\n')

    answer = bench.run("config", "check")
    found = json.loads(bench.run("config", "check", "--json").out)

    assert (4, "") == (answer.code, answer.out)
    assert all(word in answer.err for word in ("colour", "strict", "sinks.a", "sinks.b.fsync", "telemetry.toml"))
    assert 4 == len(found["faults"])
    assert not found["ok"]


_UNSET = "mend what is named above; until then agents go on as if it were not set"


@pytest.mark.parametrize(
    ("text", "variable", "where", "cure"),
    [
        ("strict = 5\n", "", "{file}", _UNSET),
        ("", "maybe", "environment", _UNSET),
        ("strict = 5\n", "maybe", "{file}, environment", _UNSET),
        ('[sinks.a]\ntype = "nosuch"\n', "", "{file}", f"{_UNSET}, and without a sink that cannot be built"),
    ],
)
def test_cure_of_a_check_is_true(configured, monkeypatch, tmp_path, text, variable, where, cure):
    """A variable has no line in the file, and a sink of a wrong type has no default that would stand in for it."""
    monkeypatch.setenv("METRICS_API_ENABLED", variable)

    err = configured(text).run("config", "check").err

    assert f"where: {where.format(file=tmp_path / 'telemetry.toml')}\ntry:   {cure}\n" in err


def test_check_of_a_sound_configuration_is_one_line(configured, real_bench):
    """The file, and how many sinks it names."""
    answer = configured('[sinks.raw]\ntype = "ndjson"\n').run("config", "check")

    assert (0, "") == (answer.code, answer.err)
    assert answer.out.endswith("telemetry.toml: no fault, 1 sink: raw\n")


def test_check_warns_of_what_is_probably_not_meant_so(configured):
    """The exit code stays 0: it may work elsewhere, or later. `doctor` warns of it as well."""
    bench = configured('[sinks.hq]\ntype = "api"\nurl = "http://127.0.0.1:9/"\nca = "/nowhere/ca.pem"\n')
    told = "ca is '/nowhere/ca.pem', which is no file that can be read here"

    answer = bench.run("config", "check")
    [warning] = json.loads(bench.run("config", "check", "--json").out)["warnings"]
    findings = json.loads(bench.run("doctor", "--json").out)

    assert (0, True) == (answer.code, "no fault, 1 sink: hq" in answer.out)
    assert f"warning: {warning}\n" == answer.err
    assert told in warning
    assert [("configuration", "warning")] == [(f["area"], f["level"]) for f in findings if told in f["what"]]


def test_check_without_a_file_says_so(real_bench):
    """Environment and defaults are a configuration too."""
    answer = real_bench.run("config", "check")

    assert (0, "✓ no file, environment and defaults: no fault, 2 sinks: ndjson, sqlite\n") == (answer.code, answer.out)


def test_check_of_a_file_that_is_no_toml(configured):
    """It says what is wrong with the text, and returns 4."""
    answer = configured("= broken").run("config", "check")

    assert (4, "") == (answer.code, answer.out)
    assert "is no TOML" in answer.err


def test_init_begins_a_file_that_changes_nothing(real_bench, tmp_path: Path):
    """It is only for its owner, passes the check, and is never written over."""
    first = real_bench.run("config", "init")
    path = tmp_path / "telemetry.toml"
    text = path.read_text()
    again = real_bench.run("config", "init")

    assert (0, f"{path}\n") == (first.code, first.out)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 0 == real_bench.run("config", "check").code
    assert (1, text) == (again.code, path.read_text())
    assert "other.toml" in again.err


def test_init_in_a_project_file_writes_below_our_table(real_bench, tmp_path: Path):
    """A setting that is uncommented there counts; a project file that is there is left as it is."""
    path = tmp_path / "pyproject.toml"

    first = real_bench.run("config", "init", "pyproject.toml")
    path.write_text(path.read_text().replace('# agent_owner = "platform team"', 'agent_owner = "platform team"'))
    rows = {row["setting"]: row["value"] for row in json.loads(real_bench.run("config", "show", "--json").out)}
    text = path.read_text()
    again = real_bench.run("config", "init", "pyproject.toml")

    assert (0, "platform team") == (first.code, rows["agent_owner"])
    assert "Every line of it but for [tool.telemetry] is commented out" in first.err
    assert (1, text) == (again.code, path.read_text())
    assert "try:   write below [tool.telemetry] in it, or name another" in again.err


def test_init_for_the_user_and_at_a_place(real_bench, tmp_path: Path, isolated_environment: Path):
    """--user writes where every folder finds it; a path is taken as it is."""
    for_user = real_bench.run("config", "init", "--user")
    named = real_bench.run("config", "init", str(tmp_path / "deep" / "mine.toml"))

    assert Path(for_user.out.strip()).is_relative_to(isolated_environment)
    assert Path(for_user.out.strip()).name == "telemetry.toml"
    assert (0, True) == (named.code, (tmp_path / "deep" / "mine.toml").is_file())


def test_path_names_every_place(configured, tmp_path: Path):
    """All of them, or one alone for a script; a journal that was moved is where its sink says."""
    bench = configured('[sinks.raw]\ntype = "ndjson"\ndirectory = "elsewhere"\n[sinks.db]\ntype = "sqlite"\n')

    places = {row["name"]: row["path"] for row in json.loads(bench.run("config", "path", "--json").out)}
    base = bench.run("config", "path", "base").out

    assert {"config", "base", "database", "journal", "state"} == places.keys()
    assert str(tmp_path / "elsewhere") == places["journal"]
    assert str(bench.base_dir) == places["base"] == base.strip()


def test_path_of_a_file_that_is_not_there(real_bench):
    """No configuration file is not found, and the way to one is told."""
    answer = real_bench.run("config", "path", "config")

    assert (3, "") == (answer.code, answer.out)
    assert "telemetry config init" in answer.err


def test_path_on_a_terminal_tells_sizes(real_bench):
    """What is not there yet is said to be so."""
    real_bench.base_dir.joinpath("raw").mkdir()
    real_bench.base_dir.joinpath("raw", "events_20261124.ndjson").write_text("x" * 1400)

    shown = real_bench.show("config", "path").out

    assert "1 file, 1.4 kB" in shown
    assert "not there yet" in shown
    assert "none" in shown


def test_sinks_say_where_records_go(real_bench):
    """The default ones, as a table and as JSON."""
    rows = json.loads(real_bench.run("sinks", "--json").out)

    assert [("ndjson", "ok", str(real_bench.base_dir / "raw")), ("sqlite", "ok", None)] == [
        (row["sink"], row["state"], row["place"] if row["sink"] == "ndjson" else None) for row in rows
    ]
    assert "✓ ok" in real_bench.show("sinks").out


def test_a_broken_sink_is_told_beside_the_others(configured):
    """A type that is not installed is broken; the rest is ok."""
    bench = configured('[sinks.a]\ntype = "nosuch"\n[sinks.raw]\ntype = "ndjson"\n')

    rows = {row["sink"]: row for row in json.loads(bench.run("sinks", "--json").out)}

    assert ("broken", "ok") == (rows["a"]["state"], rows["raw"]["state"])
    assert "nosuch" in rows["a"]["trouble"]


def test_no_sink_at_all_is_said(configured, monkeypatch):
    """A set-up whose only sink is off records nothing."""
    bench = configured('test_mode = "mock"\n[sinks.hq]\ntype = "api"\nurl = "http://127.0.0.1:9/"\ntoken = "x"\n')

    assert "nothing is recorded" in bench.show("sinks").err


def test_plugins_tell_which_are_used(configured):
    """Ours are there and can be used; told is which of them a sink is of."""
    rows = json.loads(configured('[sinks.raw]\ntype = "ndjson"\n').run("plugins", "--json").out)

    told = {row["name"]: (row["state"], row["used"], row["contract"]) for row in rows if row["kind"] == "sink"}
    assert ("ok", True, 1) == told["ndjson"]
    assert [("ok", False, 1)] * 3 == [told[name] for name in ("sqlite", "api", "memory")]


def test_strangers_plugins_are_told_apart(configured, installed, monkeypatch, tmp_path):
    """Broken, blocked, shadowed by one of ours, written for a later contract, or fine."""
    (tmp_path / "acme_later.py").write_text("class Sink:\n    contract = 9\n", "utf-8")
    (tmp_path / "acme_bursting.py").write_text("raise ZeroDivisionError('at import')\n", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    installed(name="later", module="acme_later", attribute="Sink")
    installed(name="bursting", module="acme_bursting", attribute="Sink")
    installed(name="odd")
    installed(name="ndjson")
    installed(name="hooks", group="telemetry", module="string", attribute="")
    installed(name="gone", group="telemetry", module="no_such_module")
    installed(name="banned", group="telemetry")
    monkeypatch.setenv("TELEMETRY_DISABLE_PLUGINS", "banned")
    bench = configured('[sinks.x]\ntype = "odd"\n[sinks.raw]\ntype = "ndjson"\n')

    rows = json.loads(bench.run("plugins", "--json").out)

    strangers = {row["name"]: (row["state"], row["detail"]) for row in rows if row["distribution"].startswith("acme")}
    expected = {"odd": "broken", "ndjson": "shadowed", "hooks": "ok", "gone": "import error", "banned": "blocked"}
    expected |= {"later": "contract too old", "bursting": "import error"}
    assert expected == {name: state for name, (state, _) in strangers.items()}
    assert "ModuleNotFoundError: No module named 'no_such_module'" == strangers["gone"][1]
    assert "ZeroDivisionError: at import" == strangers["bursting"][1]
    assert "needs contract 9, and this is contract 1" in strangers["later"][1]
    assert "TELEMETRY_DISABLE_PLUGINS" in strangers["banned"][1]
    assert "acme 1.0" in bench.show("plugins").out


def test_commands_of_plugins_are_commands(real_bench, installed, tmp_path, monkeypatch):
    """A plugin's command is listed and runs; one of our names, or a broken plugin, changes nothing."""
    (tmp_path / "acme_commands.py").write_text(
        "import click\nfrom telemetry.plugins import hookimpl\n"
        "@click.command()\n@click.pass_obj\ndef greet(desk):\n    'Say hello.'\n    desk.screen.say('hello')\n"
        "@click.command()\ndef runs():\n    raise RuntimeError('never')\n"
        "@hookimpl\ndef telemetry_register_commands(cli):\n    cli.add_command(greet)\n    cli.add_command(runs)\n"
    )
    (tmp_path / "acme_broken.py").write_text("raise RuntimeError('on import')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    installed(name="cmds", group="telemetry", module="acme_commands", attribute="")
    installed(name="bad", group="telemetry", module="acme_broken", attribute="")
    from telemetry.core.cli.main import cli

    monkeypatch.setattr(cli, "commands", {})

    greeting, ours = real_bench.run("greet"), real_bench.run("runs")

    assert (0, "hello\n") == (greeting.code, greeting.out)
    assert 0 == ours.code
    assert "run_id" in ours.out


def test_show_on_a_terminal_marks_what_is_set(configured):
    """What somebody has set stands out from the defaults."""
    shown = configured('agent_owner = "team a"\n').show("config", "show", has_color=True, width=200).out

    assert "\x1b[1mteam a\x1b[0m" in shown
    assert "\x1b[2mdefault\x1b[0m" in shown


def test_path_of_a_set_up_with_the_journal_alone(configured):
    """No sink keeps a database; told is where it would lie."""
    bench = configured('[sinks.raw]\ntype = "ndjson"\n')

    assert f"{bench.base_dir / 'db' / 'telemetry.sqlite'}\n" == bench.run("config", "path", "database").out


def test_a_user_without_a_home_must_name_a_file(real_bench, monkeypatch):
    """--user has no place to write to then."""
    monkeypatch.setattr("telemetry.core.config.places.user_directory", lambda kind, environ: None)

    answer = real_bench.run("config", "init", "--user")

    assert (1, "") == (answer.code, answer.out)
    assert "telemetry config init PATH" in answer.err


def test_a_forbidden_sink_type_is_told_as_such(real_bench, installed, monkeypatch):
    """The allow list keeps strangers out, and `plugins` says so."""
    installed(name="odd")
    monkeypatch.setenv("TELEMETRY_LOAD_PLUGINS", "other")

    rows = {row["name"]: row for row in json.loads(real_bench.run("plugins", "--json").out)}

    assert "blocked" == rows["odd"]["state"]
    assert "TELEMETRY_LOAD_PLUGINS" in rows["odd"]["detail"]


def test_warnings_of_the_library_come_out_as_ours(configured, monkeypatch):
    """What a sink complains of while a command runs has the form of a warning, once."""
    import logging

    from telemetry.core.cli import opening

    bench, built = configured(""), opening.built_sinks
    monkeypatch.setattr(
        opening,
        "built_sinks",
        lambda config: logging.getLogger("telemetry.sqlite").warning("the store is behind") or built(config),
    )

    assert "warning: the store is behind\n" == bench.run("sinks").err


def test_a_broken_plugin_costs_its_commands_alone(real_bench, installed, monkeypatch):
    """The list of commands still comes; the plugin is complained of."""
    installed(name="gone", group="telemetry", module="no_such_module", attribute="")
    from telemetry.core.cli.main import cli

    monkeypatch.setattr(cli, "commands", {})

    answer = real_bench.run("no-such-command")

    assert 2 == answer.code
    assert "there is no command 'no-such-command'" in answer.err


@pytest.mark.parametrize("variable", ["TELEMETRY_BASE_DIR", "TELEMETRY_DB_PATH", "TELEMETRY_NDJSON_DIR"])
def test_a_named_base_directory_makes_others_no_matter(configured, monkeypatch, tmp_path, variable):
    """Nothing is told of a place that is not used; other faults are; everything lies in the one that was named."""
    (tmp_path / "file").write_text("")
    named = tmp_path / "named"
    named.mkdir()
    bench = configured(f'strict = 5\ndatabase_path = "{(tmp_path / "file" / "db" / "x.sqlite").as_posix()}"\n')
    monkeypatch.setenv(variable, str(tmp_path / "file" / "deep" / "place"))

    answer = bench.run("--base-dir", str(named), "config", "path", "--json")
    rows = json.loads(bench.run("--base-dir", str(named), "config", "show", "--json").out)

    assert 1 == answer.err.count("warning:")
    assert answer.err.startswith("warning: strict is 5 ")
    places = {place["name"]: place["path"] for place in json.loads(answer.out)}
    assert [str(named), str(named / "db" / "telemetry.sqlite"), str(named / "raw")] == [
        places[name] for name in ("base", "database", "journal")
    ]
    origins = {row["setting"]: row["origin"] for row in rows}
    assert ["--base-dir"] * 3 == [origins[name] for name in ("base_dir", "database_path", "ndjson_dir")]
