"""Compare the pages with the code: every setting stands in the reference, and each sample does what it says."""

import re
import tomllib
from pathlib import Path

import attrs
import pytest

from telemetry import TelemetryConfig
from telemetry.core.config import Redaction
from telemetry.core.config.document import KEYS
from telemetry.core.config.file import read_file
from telemetry.core.config.places import _USUAL
from telemetry.core.config.settings import BASE_DIR_MEANING, BASE_DIR_VARIABLES, SETTINGS
from telemetry.core.config.template import example_file

_DOCS = Path(__file__).resolve().parents[2] / "docs"
_PAGES = {name: (_DOCS / name).read_text("utf-8") for name in ("reference/configuration.md", "how-to/config-file.md")}
_REFERENCE = _PAGES["reference/configuration.md"]


def section(title: str) -> str:
    """Return the part of the reference under the heading *title*."""
    return re.split(r"\n#+ ", _REFERENCE.partition(f"# {title}\n")[2])[0]


def table(title: str) -> list[list[str]]:
    """Return the rows of the table under the heading *title*, without its head."""
    rows = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def samples(language: str) -> list[str]:
    """Return the code samples in *language* of both pages."""
    return [code for page in _PAGES.values() for code in re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)]


def test_reference_lists_every_setting():
    """Key, variable, default and meaning stand there as they do in the code, in the same order."""
    [base, *rows] = table("Settings")

    in_toml = {None: "", True: "`true`", False: "`false`", (): "`[]`"}
    expected = [[f"`{s.name}`", f"`{s.variable}`", in_toml[s.default], s.meaning] for s in SETTINGS.values()]
    assert expected == rows
    assert ["`base_dir`", ", ".join(f"`{name}`" for name in BASE_DIR_VARIABLES)] == base[:2]
    assert BASE_DIR_MEANING == base[3]


def test_reference_lists_redaction():
    """Each option of `[redact]` with its default."""
    defaults = {True: "`true`", (): "`[]`"}

    expected = [[f"`{field.name}`", defaults[field.default]] for field in attrs.fields(Redaction)]
    assert expected == [row[:2] for row in table("Redaction")]


def test_reference_lists_the_usual_directories():
    """In the order in which they are tried."""
    text = section("Base directory")

    assert list(_USUAL) == re.findall(r"`([^`]*)`", text.partition("\n5. ")[2])[: len(_USUAL)]


def test_reference_lists_the_default_sinks():
    """Names and types of the sinks that run without a file."""
    config = TelemetryConfig(api_url="https://hq.example", api_token="t")

    assert [[f"`{s.name}`", f"`{s.type}`"] for s in config.sinks] == [row[:2] for row in table("Sinks")]


@pytest.mark.parametrize("sample", samples("toml"))
def test_toml_samples_have_no_fault(sample, write):
    """Each sample of a file is read without a fault, and sets what it shows."""
    name = "pyproject.toml" if "[tool." in sample else "telemetry.toml"
    write(sample, name)

    config = TelemetryConfig.load()

    read = tomllib.loads(sample)
    named = read.get("tool", {}).get("telemetry", read)
    assert () == config.faults
    assert {"default"} != set(config.origins.values())
    assert list(named.get("sinks", ["ndjson", "sqlite"])) == [spec.name for spec in config.sinks]


@pytest.mark.parametrize("sample", samples("python"))
def test_python_samples_run(sample, capsys):
    """Each sample of code runs as it stands."""
    exec(compile(sample, "sample", "exec"), {})

    assert "comes from" in capsys.readouterr().out


def test_faults_of_the_reference_are_those_of_the_code(write, monkeypatch):
    """The sentences that the page shows are what comes out, but for the directory."""
    monkeypatch.setenv("METRICS_API_ENABLED", "maybe")
    path = write('\nagent_ownr = "me"\n\n\n\n[sinks.hq]\ntype = "api"\n\ntoken = "${HQ_TOKEN}"\n')

    faults = "\n".join(TelemetryConfig.load().faults).replace(str(path), "/srv/app/telemetry.toml")

    [shown] = samples("text")
    assert sorted(shown.strip().splitlines()) == sorted(faults.splitlines())


_FILES = pytest.mark.parametrize(("name", "inside"), [("telemetry.toml", ""), ("pyproject.toml", "tool.telemetry")])


@_FILES
def test_example_file_changes_nothing(write, name, inside):
    """As it is written it has the effect of no file."""
    write(example_file(inside), name)

    assert TelemetryConfig() == TelemetryConfig.load()


@_FILES
def test_example_file_shows_every_setting(write, monkeypatch, name, inside):
    """With the comments taken away it is valid, and has every key that a file may have."""
    monkeypatch.setenv("HQ_TOKEN", "t0ken")
    lines = (re.sub(r"^# (?=[\[a-z_.]+( =|\]))|^# (?=\[)", "", line) for line in example_file(inside).splitlines())
    path = write("\n".join(lines), name)

    config = TelemetryConfig.load()

    assert sorted(KEYS) == sorted(read_file(path).table)
    assert () == config.faults
    assert ["raw", "db"] == [spec.name for spec in config.sinks]  # its test_mode is mock
