"""Prove which file is read, what its faults say, and that a broken one never stops the agent."""

import os
import re
import stat
import sys

import pytest

from telemetry import TelemetryConfig
from telemetry.core.config import file
from telemetry.plugins import ConfigError

EVERY_KIND_OF_FAULT = """\
base_dir = 5
agent_ownr = "me"
api_enabled = "no"
test_mode = "mok"
load_plugins = "slack"
disable_plugins = [1]
api_url = "${NOT_SET}/v1"

[redact]
enabled = "yes"
keys = ["ok", 5]
patterns = ["[0-9]+", "("]
key = []

[sinks.raw]
type = "ndjson"
[sinks.hq]
type = "api"
token = "${NOT_SET}"
[sinks.typeless]
type = 5
[sinks."a/b"]
type = "ndjson"
[sinks]
text = "ndjson"
"""


def owner_of(config: TelemetryConfig) -> str | None:
    """Return the setting by which these tests tell files apart."""
    return config.agent_owner


def test_file_in_the_working_directory(write):
    """`telemetry.toml` in the working directory is read; the origin names path and line."""
    path = write('\nagent_owner = "here"')

    config = TelemetryConfig.load()

    assert "here" == config.agent_owner
    assert f"{path}:2" == config.origins["agent_owner"]
    assert () == config.faults


def test_file_up_to_the_root_of_the_repository(write, folder, monkeypatch):
    """A file in a parent counts when both are in one repository, and none beyond its root."""
    write('agent_owner = "outside"')
    write('agent_owner = "root"', "repo/telemetry.toml")
    (folder / "repo/.git").mkdir()
    (folder / "repo/deep/down").mkdir(parents=True)
    monkeypatch.chdir(folder / "repo/deep/down")

    assert "root" == owner_of(TelemetryConfig.load())
    (folder / "repo/telemetry.toml").unlink()
    assert owner_of(TelemetryConfig.load()) is None


def test_parents_count_only_in_a_repository(write, folder, monkeypatch):
    """Without a repository a parent may be anybody's directory, such as /tmp."""
    write('agent_owner = "parent"')
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")

    assert owner_of(TelemetryConfig.load()) is None


def test_table_in_pyproject(write):
    """`[tool.telemetry]` of pyproject.toml works like a file of its own, lines included."""
    path = write('[project]\nname = "x"\n\n[tool.telemetry]\nagent_owner = "project"\n', "pyproject.toml")

    config = TelemetryConfig.load()

    assert "project" == config.agent_owner
    assert f"{path}:5" == config.origins["agent_owner"]


@pytest.mark.parametrize(
    "text",
    [
        '[tool]\ntelemetry.agent_owner = "p"',
        '[tool]\ntelemetry = { agent_owner = "p" }',
        '[tool."telemetry"]\nagent_owner = "p"',
    ],
)
def test_other_spellings_of_the_table(write, text):
    """TOML knows several spellings of one table."""
    write(text, "pyproject.toml")

    assert "p" == owner_of(TelemetryConfig.load())


@pytest.mark.parametrize(
    "text", ['[project]\nname = "telemetry"', "[tool.ruff]", "[tool]\nx = 1", "tool = 5", "[broken"]
)
def test_pyproject_that_is_not_about_us(write, text, folder):
    """Such a file is passed over, even a broken one; the search goes on."""
    (folder / ".git").mkdir()
    write(text, "sub/pyproject.toml")
    write('agent_owner = "root"')
    os.chdir(folder / "sub")

    config = TelemetryConfig.load()

    assert ("root", ()) == (config.agent_owner, config.faults)


def test_own_file_wins_over_pyproject(write):
    """Of both in one directory `telemetry.toml` is read, and only it."""
    write('[tool.telemetry]\nagent_owner = "project"\napi_enabled = false', "pyproject.toml")
    write('agent_owner = "own"')

    config = TelemetryConfig.load()

    assert ("own", True) == (config.agent_owner, config.api_enabled)


@pytest.mark.skipif(sys.platform != "linux", reason="the directory has another name elsewhere")
def test_user_directory_comes_last(write, isolated_environment):
    """The user's configuration directory is looked at when the project has no file."""
    user = isolated_environment / ".config/telemetry"
    user.mkdir(parents=True)
    (user / "telemetry.toml").write_text('agent_owner = "user"', "utf-8")

    assert "user" == owner_of(TelemetryConfig.load())
    write('agent_owner = "project"')
    assert "project" == owner_of(TelemetryConfig.load())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere platformdirs itself is asked")
@pytest.mark.parametrize("kind", ["config", "data"])
@pytest.mark.parametrize("is_set", [True, False])
def test_user_directories_are_those_of_platformdirs(kind, is_set, monkeypatch):
    """What is written down here to save an import is what platformdirs says."""
    import platformdirs

    from telemetry.core.config.places import user_directory

    if not is_set:
        monkeypatch.delenv(f"XDG_{kind.upper()}_HOME")

    expected = getattr(platformdirs, f"user_{kind}_dir")("telemetry", appauthor=False)
    assert expected == str(user_directory(kind, os.environ))


def test_named_file_replaces_the_search(write, monkeypatch):
    """TELEMETRY_CONFIG names the file, and an argument wins over it; nothing else is read."""
    write('agent_owner = "found"\napi_enabled = false')
    monkeypatch.setenv("TELEMETRY_CONFIG", str(write('agent_owner = "named"', "other/mine.toml")))
    passed = write('agent_owner = "passed"', "third.toml")

    named = TelemetryConfig.load()

    assert ("named", True) == (named.agent_owner, named.api_enabled)
    assert "passed" == owner_of(TelemetryConfig.load(passed))


def test_no_file_at_all(monkeypatch, write):
    """The null device as TELEMETRY_CONFIG keeps every file out."""
    write('agent_owner = "found"')
    monkeypatch.setenv("TELEMETRY_CONFIG", os.devnull)

    config = TelemetryConfig.load()

    assert (None, ()) == (config.agent_owner, config.faults)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"base_dir = \n", r"is no TOML: Invalid value \(at line 1, column 12\)"),
        (b'agent_owner = "\xff"', r"is not written in UTF-8 \(byte 15\)"),
        (b"x = " + b"[" * 5000, r"is no TOML: "),
        (b"x = " + b"9" * 5000, r"is no TOML: "),
        (b"#" * 1_000_001, r"is larger than 1000000 bytes"),
    ],
)
def test_broken_file_counts_as_none(folder, content, reason):
    """The agent goes on with the defaults and one fault, which names the file."""
    path = folder / "telemetry.toml"
    path.write_bytes(content)

    config = TelemetryConfig.load()

    [fault] = config.faults
    assert re.match(re.escape(str(path)) + " " + reason, fault)
    assert fault.endswith("nothing of it is used")
    assert TelemetryConfig() == config


def test_missing_and_unreadable_files(folder, monkeypatch):
    """A named file that is not there, or is a directory, is a fault too."""
    missing = TelemetryConfig.load(folder / "missing.toml")
    monkeypatch.setenv("TELEMETRY_CONFIG", str(folder))
    directory = TelemetryConfig.load()

    assert (
        f"{folder / 'missing.toml'} cannot be read: No such file or directory; nothing of it is used",
    ) == missing.faults
    assert 1 == len(directory.faults)
    assert directory.faults[0].startswith(f"{folder} cannot be read: ")


def test_broken_table_in_pyproject(write):
    """A `tool.telemetry` that is no table is a fault."""
    path = write("[tool]\ntelemetry = 5 # tool.telemetry", "pyproject.toml")

    assert (f"{path} has a tool.telemetry that is no table; nothing of it is used",) == TelemetryConfig.load().faults


def test_byte_order_mark_is_no_fault(folder):
    """Editors on Windows write one."""
    (folder / "telemetry.toml").write_bytes(b'\xef\xbb\xbfagent_owner = "me"\r\n')

    config = TelemetryConfig.load()

    assert ("me", ()) == (config.agent_owner, config.faults)


def test_all_faults_at_once(write):
    """Each fault has path, value, origin with its line, and what is wanted; what fits is used."""
    path = write(EVERY_KIND_OF_FAULT)

    config = TelemetryConfig.load()

    name_rule = "a name that cannot be used; wanted letters, digits, and _ . - between them, 64 at most"
    assert {
        f"agent_ownr is no known setting (in {path}:2); did you mean 'agent_owner'?",
        f"api_url is '${{NOT_SET}}/v1' (in {path}:7); the environment variable NOT_SET is not set",
        f"sinks.hq.token is '${{NOT_SET}}' (in {path}:19); the environment variable NOT_SET is not set",
        f"base_dir is 5 (in {path}:1); wanted a path",
        f"api_enabled is 'no' (in {path}:3); wanted true or false",
        f"test_mode is 'mok' (in {path}:4); wanted 'mock' or 'live'",
        f"load_plugins is 'slack' (in {path}:5); wanted a list of names",
        f"disable_plugins is a list (in {path}:6); wanted text",
        f"redact.keys[1] is 5 (in {path}:11); wanted text",
        f"redact.patterns[1] is '(' (in {path}:12); wanted a regular expression, and this is none: "
        "missing ), unterminated subpattern at position 0",
        f"redact.enabled is 'yes' (in {path}:10); wanted true or false",
        f"redact.key is no known option (in {path}:13); did you mean 'keys'? Known are enabled, keys, patterns",
        f"sinks.typeless.type is 5 (in {path}:21); wanted the name of an installed sink type",
        f"sinks.a/b (in {path}:22) has {name_rule}",
        f"sinks.text is 'ndjson' (in {path}:25); wanted a table with a type",
    } == set(config.faults)
    assert ["raw", "hq"] == [spec.name for spec in config.sinks]
    assert (True, ("ok",), ("[0-9]+",)) == (config.redact.enabled, config.redact.keys, config.redact.patterns)


def test_strict_mode_of_the_file_raises(write):
    """`strict = true` in the file makes its own faults an error."""
    write('strict = true\ntest_mode = "mok"')

    with pytest.raises(ConfigError, match=r"^test_mode is 'mok' \(in .*telemetry.toml:2\); wanted 'mock' or 'live'$"):
        TelemetryConfig.load()


def test_wrong_tables(write):
    """`redact` and `sinks` must be tables; a file in which no sink is right keeps the default ones."""
    path = write("redact = true\n[[sinks]]\ntype = 'ndjson'")

    config = TelemetryConfig.load()

    assert (
        f"redact is true (in {path}:1); wanted a table",
        f"sinks is a list (in {path}:2); wanted tables, each headed [sinks.NAME]",
    ) == config.faults
    assert ["ndjson", "sqlite"] == [spec.name for spec in config.sinks]


def test_relative_path_starts_from_the_file(write, folder, monkeypatch):
    """A path in a file means the same from wherever the agent is started."""
    write('base_dir = "data"\nndjson_dir = "../lines"', "conf/telemetry.toml")

    config = TelemetryConfig.load("conf/telemetry.toml")

    assert folder / "conf/data" == config.metrics_dir
    assert folder / "conf/../lines" == config.ndjson_dir


def test_variables(write, monkeypatch):
    """`${VAR}`, `${VAR:-default}` and `$$`, in texts at any depth."""
    monkeypatch.setenv("OWNER", "me & Ünï")
    monkeypatch.setenv("EMPTY", "")
    write(
        'agent_owner = "${OWNER}/${EMPTY}${EMPTY:-x}${UNSET:-a-b}$$/$5$"\n'
        'api_enabled = "${FLAG:-false}"\n'
        'disable_plugins = ["${OWNER}", "$${OWNER}"]\n'
        '[sinks.raw]\ntype = "${TYPE:-ndjson}"\nnested = { list = [{ text = "${OWNER}" }] }\n'
    )

    config = TelemetryConfig.load()

    assert () == config.faults
    assert "me & Ünï/xa-b$/$5$" == config.agent_owner
    assert config.api_enabled is False
    assert ("me & Ünï", "${OWNER}") == config.disable_plugins
    assert "ndjson" == config.sinks[0].type
    assert {"nested": {"list": [{"text": "me & Ünï"}]}} == config.sinks[0].options


@pytest.mark.parametrize("text", ["${", "${}", "${A B}", "${A:-${B}}", "x${1}", "${A:default}"])
def test_misspelt_reference_is_a_fault(write, text):
    """What looks like a reference and is none is not passed on as text."""
    path = write(f'agent_owner = "{text}"')

    config = TelemetryConfig.load()

    wanted = "a reference is written ${NAME} or ${NAME:-default}, and a dollar before a brace $$"
    assert (f"agent_owner is {text!r} (in {path}:1); {wanted}",) == config.faults
    assert config.agent_owner is None


def test_missing_variables_are_all_named(write):
    """In a list and a table too, each with its place; a sink without its type is left out."""
    path = write(
        'load_plugins = ["${A}", "x", "${B}"]\n[sinks.one]\ntype = "${C}"\n'
        '[sinks.two]\ntype = "api"\nretry = { delays_s = ["${D}"] }\n'
    )

    config = TelemetryConfig.load()

    assert {
        f"load_plugins[0] is '${{A}}' (in {path}:1); the environment variable A is not set",
        f"load_plugins[2] is '${{B}}' (in {path}:1); the environment variable B is not set",
        f"sinks.one.type is '${{C}}' (in {path}:3); the environment variable C is not set",
        f"sinks.two.retry.delays_s[0] is '${{D}}' (in {path}:6); the environment variable D is not set",
    } == set(config.faults)
    assert [("two", {}, ("retry",))] == [(spec.name, spec.options, spec.left_out) for spec in config.sinks]


def test_planted_file_is_not_read(shared_folder, as_ordinary_user):
    """In a directory like /tmp another user could put a file under the agent, and send its records anywhere."""
    planted = shared_folder / "telemetry.toml"
    planted.write_text('agent_owner = "stranger"', "utf-8")
    if os.geteuid() != 0:
        pytest.skip("needs a second user")
    os.chown(planted, 65533, 65533)
    planted.chmod(0o644)

    def load() -> tuple[str | None, tuple[str, ...]]:
        os.chdir(shared_folder)
        config = TelemetryConfig.load()
        return config.agent_owner, config.faults

    owner, faults = as_ordinary_user(load)
    shared_folder.chmod(stat.S_IMODE(0o755))
    trusted, _ = as_ordinary_user(load)

    assert owner is None
    assert f"{planted} is not read: another user owns it, in a directory that everybody can write" in faults[0]
    assert "stranger" == trusted


def test_closed_directories_on_the_way(shared_folder, as_ordinary_user, monkeypatch):
    """A home directory of somebody else, and a pyproject.toml that we may not read, are passed over."""
    home, project = shared_folder / "home", shared_folder / "project"
    home.mkdir(mode=0o700)
    project.mkdir(mode=0o755)
    project.chmod(0o755)
    (project / "pyproject.toml").write_text("[tool.telemetry]\nagent_owner = 'x'\n", "utf-8")
    (project / "pyproject.toml").chmod(0)
    if os.geteuid() != 0:
        home.chmod(0)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("TELEMETRY_BASE_DIR", str(shared_folder))
    monkeypatch.chdir(project)

    owner, faults = as_ordinary_user(_owner_and_faults)
    home.chmod(0o700)

    assert (None, ()) == (owner, faults)


def _owner_and_faults() -> tuple[str | None, tuple[str, ...]]:
    config = TelemetryConfig.load()
    return config.agent_owner, config.faults


def test_file_that_is_gone_while_we_look(folder, monkeypatch):
    """It counts as one that cannot be read."""
    if os.name != "posix":
        pytest.skip("there is no owner to look at")

    with pytest.raises(file.Broken, match=r"gone.toml cannot be read: No such file or directory$"):
        file._refuse_planted(folder / "gone.toml")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows forbids it")
def test_deleted_working_directory(folder, monkeypatch):
    """An agent whose directory was deleted starts all the same."""
    doomed = folder / "doomed"
    doomed.mkdir()
    os.chdir(doomed)
    doomed.rmdir()
    monkeypatch.setenv("TELEMETRY_BASE_DIR", "relative")

    config = TelemetryConfig.load()

    assert config.metrics_dir.is_absolute()
    assert "relative" == config.metrics_dir.name


@pytest.mark.parametrize("name", ["Ordner mit Leerzeichen", "ünï-コード", "a'b\"c", "x" * 200, "$HOME", "%20"])
def test_odd_names_of_directories(name, folder, write, toml, monkeypatch):
    """A path may hold whatever the file system takes; only `${...}` means something here."""
    if sys.platform == "win32" and '"' in name:
        pytest.skip("no file name on Windows")
    (folder / name).mkdir()
    monkeypatch.setenv("TELEMETRY_CONFIG", str(write(f"base_dir = {toml(name)}", f"{name}/telemetry.toml")))

    config = TelemetryConfig.load()

    assert ((), folder / name / name) == (config.faults, config.metrics_dir)
