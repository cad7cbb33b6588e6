"""Contract tests: what a sink's class and its options have to be."""

from __future__ import annotations

import ast
import inspect
import sys
import threading
from pathlib import Path
from typing import Any

import attrs
import pytest

from ...plugins.discovery import CONTRACT
from ...plugins.errors import ConfigError
from ...plugins.options import read_options
from ...plugins.secret import Secret
from .contract import Contract
from .driving import Driver

__all__ = ["Building"]

_NONSENSE = object()


class Building(Contract):
    """The class, its options, and an instance that nobody has opened."""

    def test_contract_is_stated(self, base: Path) -> None:
        """The class says for which version of the contract it was written, and this one is not older."""
        contract = vars(type(self.make_sink(base))).get("contract")

        assert type(contract) is int, "the class has no `contract = 1`; without it nobody can tell what it was made for"
        assert 1 <= contract <= CONTRACT

    def test_hooks_are_in_the_contract(self, base: Path) -> None:
        """Every hook and every argument is known, and there is one that takes records."""
        driver = Driver(self.make_sink(base), base)

        takes_records = ("telemetry_run_started", "telemetry_run_ended", "telemetry_event_logged")
        assert any(hasattr(driver.sink, hook) for hook in takes_records)

    def test_instances_are_told_apart(self, base: Path) -> None:
        """The class is hashable and compares by identity, or pluggy refuses the second sink of a type."""
        one, other = self.make_sink(base), self.make_sink(base)

        assert one != other
        assert {one, other}

    def test_building_touches_nothing(self, base: Path) -> None:
        """`telemetry sinks` builds every sink to ask it questions: no file, no thread, no connection comes of it."""
        threads = threading.active_count()

        self.make_sink(base)

        assert [] == list(base.rglob("*"))
        assert threading.active_count() <= threads

    def test_options_are_an_attrs_class(self, base: Path) -> None:
        """The configuration is checked against their types."""
        options = self._options(base)

        assert isinstance(options, type)
        assert attrs.has(options)
        assert all(field.type is not None for field in attrs.fields(options)), "an option has no type"

    def test_unknown_option_is_told(self, base: Path) -> None:
        """A misspelt name is a fault with its place, and stops nothing."""
        faults = _faults_of(self._options(base), {"no_such_option_of_anybody": 1})

        assert any("sinks.it.no_such_option_of_anybody is no known option" in fault for fault in faults)

    def test_wrong_type_is_told(self, base: Path) -> None:
        """For each option, a value that no file can mean is a fault that names the option, and nothing else happens."""
        options = self._options(base)
        for field in attrs.fields(options):
            faults = _faults_of(options, {field.alias: _NONSENSE})
            assert any(field.alias in fault for fault in faults), f"{field.alias} takes any object"

    def test_secrets_are_not_shown(self, base: Path) -> None:
        """What an option of type `Secret` holds stands in no repr."""
        options = self._options(base)
        known = getattr(self.make_sink(base), "options", None)
        hidden = [field.name for field in attrs.fields(options) if "Secret" in str(field.type)]
        if known is None or not hidden:
            pytest.skip("no option is a secret")

        for name in hidden:
            assert "hush-hush" not in _shown_with(known, name)

    def test_imports_the_contract_alone(self, base: Path) -> None:
        """Of this platform the module uses `telemetry.plugins` and `telemetry`; the rest may change without notice."""
        module = sys.modules[type(self.make_sink(base)).__module__]
        if module.__name__.startswith("telemetry."):
            pytest.skip("a part of the platform itself")

        named = set(_imported_by(inspect.getsource(module)))
        assert {name for name in named if name.split(".")[0] == "telemetry"} <= {"telemetry", "telemetry.plugins"}

    def _options(self, base: Path) -> Any:
        options = getattr(type(self.make_sink(base)), "Options", None)
        if options is None:
            pytest.skip("the sink takes no options")
        return options


def _faults_of(options: Any, values: dict[str, Any]) -> tuple[str, ...]:
    try:
        return read_options(options, values, path="sinks.it", origin="the test")[1]
    except ConfigError as error:
        return error.faults


def _shown_with(known: Any, name: str) -> str:
    """Return the repr of the options *known* with a secret under *name*, or why they do not take it."""
    try:
        return repr(attrs.evolve(known, **{name: _secret_like(getattr(known, name))}))
    except ValueError as error:
        return str(error)


def _secret_like(value: Any) -> Any:
    return {"header": Secret("hush-hush")} if hasattr(value, "items") else Secret("hush-hush")


def _imported_by(source: str) -> list[str]:
    nodes = list(ast.walk(ast.parse(source)))
    plain = [name.name for node in nodes if isinstance(node, ast.Import) for name in node.names]
    return plain + [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0]
