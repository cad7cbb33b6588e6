"""The names that backends know are those of the release that is pinned."""

import re
from pathlib import Path

import pytest
from attrs import fields

from telemetry.sinks.otlp import conventions as ours
from telemetry.sinks.otlp.options import OtlpOptions

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "opentelemetry.md"
OUTSIDE = {"gen_ai.usage.cost"}  # what no convention names, and backends read all the same


def installed_schemas():
    """Return the releases that the installed conventions know; skips the test where they are too old."""
    schemas = pytest.importorskip("opentelemetry.semconv.schemas", reason="needs the extra otlp").Schemas
    if not hasattr(schemas, "V1_41_1"):
        pytest.skip("the installed conventions are older than the pinned ones")
    return schemas


def every_name():
    """Return each conventional attribute in the table."""
    tables = (ours.RUN_NAMES, *ours.EVENT_NAMES.values())
    return {name for table in tables for name, _ in table.values()}


def test_every_name_is_defined_by_the_conventions():
    """A name that was misspelt would be shown by no backend."""
    installed_schemas()
    from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as known

    defined = {value for name, value in vars(known).items() if name.startswith("GEN_AI_")}
    assert set() == every_name() - defined - OUTSIDE
    assert {"gen_ai.agent.name", "gen_ai.operation.name"} <= defined
    assert set(ours.EVENT_OPERATIONS.values()) | {"invoke_agent"} <= {
        one.value for one in known.GenAiOperationNameValues
    }


def test_the_schema_url_is_a_published_one():
    """Backends translate between releases by it."""
    assert installed_schemas().V1_41_1.value == ours.SCHEMA_URL


def test_the_page_shows_the_table():
    """Each key and its attribute stand in one row of the how-to, with the release that is pinned."""
    page = PAGE.read_text("utf-8")
    rows = set(re.findall(r"^\| `(\w+)` \| `(gen_ai\.[\w.]+)` \|", page, re.MULTILINE))

    tables = (ours.RUN_NAMES, *ours.EVENT_NAMES.values())
    assert {(key, name) for table in tables for key, (name, _) in table.items()} == rows
    assert f"semantic conventions {ours.SEMCONV_VERSION}" in page


def test_the_page_has_each_option_with_its_default():
    """What is left out is what the page says it is."""
    section = PAGE.read_text("utf-8").partition("## Options")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| (`[\w`, ]+`) \| (?:`([^`]*)`)?", section, re.MULTILINE))
    shown = {name: default for names, default in rows.items() for name in re.findall(r"\w+", names)}

    defaults = {option.name: option.default for option in fields(OtlpOptions)}
    assert list(defaults) == [name for name in shown if name != "option"]
    flags = {name: str(default).lower() for name, default in defaults.items() if isinstance(default, bool)}
    assert {**flags, "batch": str(defaults["batch"])} == {name: shown[name] for name in (*flags, "batch")}
