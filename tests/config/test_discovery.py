"""Prove that plugins are found without importing any, and that each that cannot be had says why."""

import logging
import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.core.config import SinkSpec, TelemetryConfig, resolve_sink
from telemetry.core.config.checking import check
from telemetry.core.wiring import build_sinks
from telemetry.plugins import PluginError, discovery, entry_points
from telemetry.plugins.discovery import (
    PluginEntry,
    installed_plugins,
    installed_sink_types,
    load_plugin,
    load_sink_type,
    refusal,
)

SINK = """
from attrs import define, field, frozen

class StrangeSink:
    contract = {contract}

    @frozen
    class Options:
        size: int = 1

    def __init__(self, options=Options()):
        self.options = options

class Bare:
    pass

class WrongOptions:
    Options = dict

text = "no class"
"""


@pytest.fixture(autouse=True)
def fresh_scan():
    """Let each test see the distributions that it installs."""
    entry_points.scanned_entries.cache_clear()
    yield
    entry_points.scanned_entries.cache_clear()


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a distribution into a folder on sys.path."""

    def install_distribution(
        name: str, points: str, group: str = "telemetry.sinks", version: str = "1.2", folder: Path = tmp_path
    ) -> Path:
        info = folder / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: not this\n", "utf-8"
        )
        (info / "entry_points.txt").write_text(f"[console_scripts]\nx = y:z\n\n[{group}]\n{points}\n", "utf-8")
        if str(folder) not in sys.path:
            monkeypatch.syspath_prepend(str(folder))
        entry_points.scanned_entries.cache_clear()
        return info

    return install_distribution


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that writes a module which only this test can import, and returns its name."""
    written = []

    def write_module(text: str) -> str:
        name = f"stranger_{tmp_path.name}_{len(written)}".replace("-", "_")
        (tmp_path / f"{name}.py").write_text(text, "utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))
        written.append(name)
        return name

    yield write_module
    for name in written:
        sys.modules.pop(name, None)


def test_built_in_types_come_by_the_same_door():
    """Our sinks are found as entry points of our own distribution."""
    ours = [entry for entry in installed_sink_types() if entry.distribution == "local-telemetry"]

    assert {"api", "memory", "ndjson", "postgres", "sqlite"} <= {entry.name for entry in ours}
    assert {metadata.version("local-telemetry")} == {entry.version for entry in ours}


def test_folders_say_what_importlib_says(install):
    """The quick reading of the folders finds exactly the entry points that importlib.metadata finds."""
    install("stranger", "strange = somewhere:Sink\nother = a.b : C.d [extra]  ")
    install("more", "processor = x", group="telemetry")

    folders = dict(entry_points._from_folders())
    assert dict(entry_points._from_metadata()) == folders
    everything = {
        (point.name, point.group, point.module, point.attr or "")
        for group in ("telemetry.sinks", "telemetry", "telemetry.engines")
        for point in metadata.entry_points(group=group)
    }
    found = {(e.name, e.group, e.module, e.attribute) for e in entry_points.scanned_entries()}
    assert everything == found
    assert {"stranger", "more", "local-telemetry"} <= folders.keys()


def test_every_entry_point_here_is_read_alike():
    """The text of each installed distribution's entry points is understood as importlib.metadata does."""
    compared = 0
    for distribution in metadata.distributions():
        text = distribution.read_text("entry_points.txt") or ""
        expected = [(point.group, point.name, point.value) for point in distribution.entry_points]
        assert expected == list(entry_points._lines(text))
        compared += len(expected)

    assert compared > 10


@given(st.text(alphabet="[]=#; \n\tab.:é", max_size=60))
def test_any_text_of_entry_points_is_survived(text):
    """A distribution whose file is damaged yields nothing or something, and never an error."""
    name, points = entry_points._distribution(f"[telemetry.sinks]\n{text}", text)

    assert isinstance(name, str)
    assert all(entry.module for entry in points)


def test_zip_on_the_path_is_searched(tmp_path, monkeypatch, install):
    """Where not every distribution is a folder, importlib.metadata is asked."""
    archive = tmp_path / "bundle.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr("zipped-3.0.dist-info/METADATA", "Name: zipped\nVersion: 3.0\n")
        bundle.writestr("zipped-3.0.dist-info/entry_points.txt", "[telemetry.sinks]\nzipped = z:Z\n")
    install("stranger", "strange = somewhere:Sink")
    assert entry_points._folders_say_all()

    monkeypatch.syspath_prepend(str(archive))
    entry_points.scanned_entries.cache_clear()

    assert not entry_points._folders_say_all()
    assert {"zipped", "strange", "ndjson"} <= {entry.name for entry in installed_sink_types()}


def test_odd_folders_are_passed_over(tmp_path, monkeypatch, install):
    """A path that is gone, a file among the metadata, and one that is no text stop nothing."""
    info = install("stranger", "strange = somewhere:Sink")
    (info / "entry_points.txt").write_bytes(b"[telemetry.sinks]\n\xff = x:\xfe\nfine = a:B\n")
    (info / "METADATA").unlink()
    (tmp_path / "single.egg-info").write_text("Name: single", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "gone"))
    entry_points.scanned_entries.cache_clear()

    found = [entry for entry in installed_sink_types() if entry.distribution == "unknown"]

    assert [("fine", "a", "B", "unknown")] == [(e.name, e.module, e.attribute, e.version) for e in found]


def test_first_copy_on_the_path_counts(install, tmp_path):
    """An older copy of a distribution further down is not mixed in."""
    install("stranger", "old = somewhere:Sink", version="0.9", folder=tmp_path / "old")
    install("stranger", "new = somewhere:Sink", version="1.0", folder=tmp_path / "new")

    assert [("new", "1.0")] == [(e.name, e.version) for e in installed_sink_types() if e.distribution == "stranger"]


def test_listing_imports_nothing(install, module):
    """A plugin that explodes on import is listed like any other."""
    name = module("raise SystemExit('imported')")
    install("stranger", f"strange = {name}:Sink")

    assert f"'strange' of stranger 1.2 ({name}:Sink)" in map(str, installed_sink_types())
    assert name not in sys.modules


def test_loaded_type_knows_where_it_comes_from(install, module):
    """Class, options, distribution, version and module."""
    name = module(SINK.format(contract=1))
    install("stranger", f"strange = {name}:StrangeSink\nbare = {name}:Bare")

    loaded = load_sink_type("strange")

    assert ("strange", "stranger", "1.2", name) == (loaded.name, loaded.distribution, loaded.version, loaded.module)
    assert loaded.cls is sys.modules[name].StrangeSink
    assert loaded.options is loaded.cls.Options
    assert load_sink_type("bare").options is None


def test_only_the_named_type_is_imported(install, module):
    """A broken neighbour in the same group stops nobody."""
    broken, fine = module("1 +"), module(SINK.format(contract=1))
    install("stranger", f"broken = {broken}:Sink\nfine = {fine}:StrangeSink")

    assert "fine" == load_sink_type("fine").name


@pytest.mark.parametrize(
    ("text", "attribute", "reason"),
    [
        ("import no_such_module_at_all", "Sink", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("from os import no_such_name", "Sink", "ImportError: cannot import name 'no_such_name'"),
        ("x = 1", "Sink", "AttributeError: module"),
        ("1 +", "Sink", "SyntaxError: invalid syntax"),
    ],
)
def test_import_that_fails(text, attribute, reason, install, module):
    """The error has the plugin, its distribution and the cause, and is chained to it."""
    name = module(text)
    install("stranger", f"strange = {name}:{attribute}")

    with pytest.raises(PluginError) as raised:
        load_sink_type("strange")

    start = f"The plugin 'strange' of stranger 1.2 ({name}:{attribute}) cannot be imported: {reason}"
    assert str(raised.value).startswith(start)
    assert type(raised.value.__cause__).__name__ == reason.partition(":")[0]


def test_other_errors_of_a_module_are_told_with_their_place(install, module):
    """What nobody can name passes here; who builds from a configuration names type, distribution and error."""
    name = module("1 / 0")
    install("stranger", f"strange = {name}:Sink")
    config = TelemetryConfig(sinks={"x": {"type": "strange"}})

    with pytest.raises(ZeroDivisionError):
        load_sink_type("strange")
    expected = (
        f"sinks.x.type is 'strange' (in argument); importing the sink type 'strange' of stranger 1.2 ({name}:Sink) "
        "raised ZeroDivisionError: division by zero"
    )
    assert (expected,) == check(config).faults
    assert ({}, {"x": [expected]}) == build_sinks(config)


def test_errors_of_a_constructor_are_told_with_their_place(install, module):
    """So is what the class raises when it is built."""
    name = module("class Sink:\n    def __init__(self):\n        raise OSError('no such port')\n")
    install("stranger", f"strange = {name}:Sink")

    sinks, faults = build_sinks(TelemetryConfig(sinks={"x": {"type": "strange"}}))

    told = f"building the sink type 'strange' of stranger 1.2 ({name}:Sink) raised OSError: no such port"
    assert ({}, {"x": [f"sinks.x.type is 'strange' (in argument); {told}"]}) == (sinks, faults)


@pytest.mark.parametrize(
    ("contract", "reason"),
    [
        ("2", "needs contract 2, and this is contract 1; update local-telemetry"),
        ("0", "states the contract 0; a contract is 1 or more"),
        ("True", "states the contract True; a contract is 1 or more"),
        ("'1'", "states the contract '1'; a contract is 1 or more"),
    ],
)
def test_other_contract(contract, reason, install, module):
    """A sink written for a newer contract is not run on this one."""
    install("stranger", f"strange = {module(SINK.format(contract=contract))}:StrangeSink")

    with pytest.raises(PluginError, match=reason):
        load_sink_type("strange")


@pytest.mark.parametrize(("attribute", "reason"), [("text", "is no class but str"), ("WrongOptions", "no attrs class")])
def test_what_is_no_sink(attribute, reason, install, module):
    """An entry point must name a class, and its options must be an attrs class."""
    install("stranger", f"strange = {module(SINK.format(contract=1))}:{attribute}")

    with pytest.raises(PluginError, match=reason):
        load_sink_type("strange")


def test_unknown_type_names_what_is_installed():
    """With the nearest name."""
    with pytest.raises(PluginError) as raised:
        load_sink_type("sqlit")

    installed = ", ".join(sorted({entry.name for entry in installed_sink_types()}))
    assert f"No sink type 'sqlit' is installed. Installed: {installed}; did you mean 'sqlite'?" == str(raised.value)


def test_missing_metadata_is_explained(monkeypatch):
    """Bundled without its metadata, no sink is known; the message says how to mend that."""
    monkeypatch.setattr(discovery, "scanned_entries", lambda: ())

    with pytest.raises(PluginError, match=r"the metadata of local-telemetry is missing; install it with pip"):
        load_sink_type("ndjson")


def test_two_plugins_of_one_name(install, module, caplog):
    """Ours is used, else the first distribution by name, whatever the order on the path; the clash is logged once."""
    name = module(SINK.format(contract=1))
    install("zebra", f"strange = {name}:Bare\nndjson = {name}:Bare")
    install("ant", f"strange = {name}:StrangeSink")
    discovery._complaints._said.clear()

    with caplog.at_level(logging.WARNING):
        first, second = load_sink_type("strange"), load_sink_type("strange")

    assert "ant" == first.distribution == second.distribution
    [record] = caplog.records
    assert (
        f"two plugins have one name: 'strange' of ant 1.2 ({name}:StrangeSink) is used, "
        f"and not 'strange' of zebra 1.2 ({name}:Bare)" == record.getMessage()
    )
    assert "local-telemetry" == discovery.sink_entry("ndjson").distribution


@pytest.mark.parametrize(
    ("allow", "block", "reason"),
    [
        (None, (), None),
        ((), (), "TELEMETRY_LOAD_PLUGINS (load_plugins) does not name it"),
        (("other",), (), "TELEMETRY_LOAD_PLUGINS (load_plugins) does not name it"),
        (("strange",), (), None),
        (("strange",), ("strange",), "TELEMETRY_DISABLE_PLUGINS (disable_plugins) names it"),
        (None, ("strange",), "TELEMETRY_DISABLE_PLUGINS (disable_plugins) names it"),
    ],
)
def test_allow_and_block(allow, block, reason, install, module):
    """A blocked plugin is never imported."""
    name = module(SINK.format(contract=1))
    install("stranger", f"strange = {name}:StrangeSink")

    resolved, faults = resolve_sink(SinkSpec("x", "strange", {}, "here"), allow=allow, block=block)

    assert (reason is None) == (resolved is not None) == (name in sys.modules)
    entry = f"'strange' of stranger 1.2 ({name}:StrangeSink)"
    expected = f"sinks.x.type is 'strange' (in here); The sink type {entry} is not loaded: {reason}"
    assert (() if reason is None else (expected,)) == faults


def test_our_own_are_always_allowed_but_can_be_blocked():
    """An allow list keeps strangers out; a block list may take one of ours too."""
    entry = PluginEntry("ndjson", "telemetry.sinks", "telemetry.sinks.ndjson", "NdjsonSink", "local-telemetry", "1")

    assert refusal(entry, allow=("slack",), block=()) is None
    assert refusal(entry, allow=None, block=("ndjson",)) is not None


def test_plugins_of_the_other_group(install, module):
    """Processors and commands stand in the group `telemetry`; an entry may be a module or an attribute inside one."""
    name = module("class Group:\n    inner = 'loaded'\n")
    install("stranger", f"whole = {name}\ninner = {name}:Group.inner", group="telemetry")

    inner, whole = installed_plugins()

    assert "loaded" == load_plugin(inner)
    assert name == load_plugin(whole).__name__


def test_check_goes_down_to_the_options(install, module, tmp_path):
    """`config check` sees what only the class of a sink can know, beside all that the file itself tells."""
    install("stranger", f"strange = {module(SINK.format(contract=1))}:StrangeSink")
    path = tmp_path / "telemetry.toml"
    path.write_text(
        "nope = 1\nskip_validation = true\n[sinks.a]\ntype = 'strange'\nsize = '1'\n[sinks.b]\ntype = 'strnge'\n"
    )

    top, options, kind = check(TelemetryConfig.load(path)).faults

    assert f"nope is no known setting (in {path}:1)" == top
    assert f"sinks.a.size is '1' (in {path}:5); wanted a whole number" == options
    assert kind.startswith(f"sinks.b.type is 'strnge' (in {path}:7); No sink type 'strnge' is installed. Installed: ")
    assert kind.endswith("did you mean 'strange'?")


CHECKING = """
from telemetry.plugins import ConfigError


class StrangeSink:
    contract = 1

    @staticmethod
    def check_options(options):
        {check}
"""
ANSWERS = {
    "return ['odd']": ((), ("odd",)),
    "raise ConfigError('all wrong', ('one', 'two'))": (("one", "two"), ()),
    "raise ConfigError('wrong')": (("wrong",), ()),
    "return 1 / 0": (("check_options() raised ZeroDivisionError: division by zero",), ()),
    "return None": (("check_options() raised TypeError: 'NoneType' object is not iterable",), ()),
    "raise SystemExit(3)": (("check_options() raised SystemExit: 3",), ()),
}


@pytest.mark.parametrize(("answer", "found"), ANSWERS.items())
def test_check_asks_the_class_of_a_sink(install, module, tmp_path, answer, found):
    """It may know what no type of an option can say; whatever its code does, the check goes on."""
    install("stranger", f"strange = {module(CHECKING.format(check=answer))}:StrangeSink")
    path = tmp_path / "telemetry.toml"
    path.write_text("[sinks.a]\ntype = 'strange'\n")

    checked = check(TelemetryConfig.load(path))

    place = f"sinks.a (in {path}:1): "
    assert tuple(tuple(f"{place}{text}" for text in texts) for texts in found) == (checked.faults, checked.warnings)


class TestResolve:
    """A sink with its class and options, not opened."""

    def test_built_from_its_options(self, install, module):
        """The options are read by the class of the type, and the sink is built with them."""
        install("stranger", f"strange = {module(SINK.format(contract=1))}:StrangeSink")

        resolved, faults = resolve_sink(SinkSpec("x", "strange", {"size": 5, "sise": 1}, "here"))

        expected = "sinks.x.sise is no known option (in here); did you mean 'size'? Known are size"
        assert (expected,) == faults
        assert 5 == resolved.build().options.size

    def test_options_that_were_set_by_the_platform(self, install, module):
        """They are passed as they are; if the class does not take them it is said what it takes."""
        install("stranger", f"strange = {module(SINK.format(contract=1))}:StrangeSink")

        fine, _ = resolve_sink(SinkSpec("x", "strange", {"size": 2}, is_typed=True))
        resolved, faults = resolve_sink(SinkSpec("x", "strange", {"url": "https://x"}, is_typed=True))

        assert 2 == fine.options.size
        assert 1 == resolved.options.size
        assert ("sinks.x.url is no known option (in default); known are size",) == faults

    def test_sink_without_options(self, install, module):
        """Whatever is set for it is a fault; it is built all the same."""
        name = module(SINK.format(contract=1))
        install("stranger", f"bare = {name}:Bare")

        resolved, faults = resolve_sink(SinkSpec("x", "bare", {"size": 2}, "here"))

        assert ("sinks.x.size is no known option (in here); sinks of type 'bare' take none",) == faults
        assert isinstance(resolved.build(), sys.modules[name].Bare)

    def test_relative_path_starts_from_the_file(self, install, module, tmp_path, monkeypatch):
        """Like every path in a file; a default and an absolute path stay as they are."""
        text = (
            "from attrs import frozen\nfrom pathlib import Path\nclass S:\n    @frozen\n    class Options:\n"
            "        set: Path | None = None\n        left: Path = Path('left')\n        whole: Path | None = None\n"
        )
        install("stranger", f"strange = {module(text)}:S")
        whole = tmp_path / "whole"
        file = tmp_path / "conf" / "telemetry.toml"
        file.parent.mkdir()
        file.write_text(f"[sinks.strange]\nset = 'data'\nwhole = '{whole}'\n", "utf-8")

        [spec] = TelemetryConfig.load(file).sinks
        resolved, faults = resolve_sink(spec)

        assert () == faults
        options = resolved.options
        assert (tmp_path / "conf/data", Path("left"), whole) == (options.set, options.left, options.whole)

    def test_option_that_is_required(self, install, module):
        """Without it there is no sink."""
        text = "from attrs import frozen\nclass S:\n    @frozen\n    class Options:\n        url: str\n"
        install("stranger", f"strange = {module(text)}:S")

        assert (None, ("sinks.x.url is missing (in here)",)) == resolve_sink(SinkSpec("x", "strange", {}, "here"))


def test_default_start_imports_nothing_slow(tmp_path):
    """Loading the configuration, finding plugins and reading the API from the environment needs no slow module."""
    program = (
        "import sys, telemetry\n"
        "from telemetry.plugins.discovery import installed_plugins, installed_sink_types\n"
        "config = telemetry.TelemetryConfig.load()\n"
        "installed_plugins(), installed_sink_types(), config.sinks, repr(config)\n"
        "print(*config.faults)\n"
        "slow = ('cattrs', 'platformdirs', 'tomllib', 'difflib', 'importlib.metadata', 'tempfile')\n"
        "print(*[name for name in slow if name in sys.modules])\n"
    )
    environment = {"METRICS_API_URL": "https://hq", "METRICS_API_TOKEN": "t"}

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, env=_inherited() | environment
    )

    assert ("\n\n", "") == (done.stdout, done.stderr)


def _inherited() -> dict[str, str]:
    # Coverage measures child processes too, and would bring its own imports.
    return {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE", "COV_"))}
