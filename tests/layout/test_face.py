"""Hold the face to its promise: every public name, and nothing imported before it is used."""

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import telemetry

_NEW_MODULES = "import sys; before = set(sys.modules); {code}; print(*sorted(set(sys.modules) - before))"

_ONE_RUN = """
import telemetry
client = telemetry.TelemetryClient()
run_id = client.start_run("agent", "job")
client.log_event(run_id, "step", {"n": 1})
client.end_run(run_id)
"""


def modules_loaded_by(code: str, **environment: str) -> list[str]:
    """Return the names of the modules that *code* imports in a fresh interpreter."""
    program = _NEW_MODULES.format(code=f"exec({code!r})")
    found = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return found.stdout.split()


def type_checking_imports(face: ast.Module) -> dict[str, str]:
    """Return name -> relative module for what type checkers see in the *face*."""
    blocks = [node for node in face.body if isinstance(node, ast.If) and "TYPE_CHECKING" == ast.unparse(node.test)]
    return {
        alias.name: "." * node.level + (node.module or "")
        for block in blocks
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_import_loads_the_standard_library_alone():
    """`import telemetry` loads no part of ours and no dependency: no requests, click, attrs, no sink."""
    loaded = modules_loaded_by("import telemetry")

    foreign = {name for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names}
    assert {"telemetry"} == foreign


def test_first_run_loads_no_slow_dependency(tmp_path):
    """A whole run on the default sinks needs neither requests nor asyncio nor the command line's libraries."""
    slow = {"requests", "urllib3", "click", "rich", "telemetry.sinks.api", "asyncio", "ssl", "subprocess", "difflib"}

    loaded = modules_loaded_by(_ONE_RUN, TELEMETRY_BASE_DIR=str(tmp_path))

    assert "telemetry.core.client" in loaded
    assert set() == slow.intersection(loaded)
    assert "win32" == sys.platform or "filelock" not in loaded


@pytest.mark.parametrize("name", telemetry.__all__)
def test_public_name_resolves(name):
    """Each public name is there, under the module that the face names as its home."""
    value = getattr(telemetry, name)

    home = importlib.import_module(telemetry._HOMES[name], "telemetry")
    assert getattr(home, name) is value


def test_names_are_the_same_everywhere(modules):
    """`__all__`, dir(), the lazy table and the imports that type checkers see agree."""
    seen_by_type_checkers = type_checking_imports(modules["__init__.py"])

    assert seen_by_type_checkers == telemetry._HOMES
    assert set(telemetry.__all__) == seen_by_type_checkers.keys()
    assert sorted([*telemetry.__all__, "__version__"]) == dir(telemetry)
    assert len(set(telemetry.__all__)) == len(telemetry.__all__)


def test_nothing_else_is_public():
    """With every name resolved, the face holds only `__all__`, its subpackages and TYPE_CHECKING."""
    for name in telemetry.__all__:
        getattr(telemetry, name)

    # pytest puts `@pytest_ar` into each module of a distribution that brings a plugin of its own.
    public = {name for name in vars(telemetry) if name.isidentifier() and not name.startswith("_")}
    assert public - set(telemetry.__all__) <= {"TYPE_CHECKING", "core", "plugins", "sinks", "testing"}


def test_resolved_name_is_kept():
    """A name is imported once; from then on it is an ordinary attribute."""
    telemetry.__dict__.pop("generate_run_id", None)

    first = telemetry.generate_run_id

    assert first is vars(telemetry)["generate_run_id"]


def test_misspelt_name_is_refused():
    """An unknown name raises the AttributeError that Python users expect, naming it."""
    with pytest.raises(AttributeError, match=r"module 'telemetry' has no attribute 'TelemetryCleint'"):
        telemetry.TelemetryCleint  # noqa: B018


def test_version_is_the_distributions(pyproject: dict[str, Any]):
    """`telemetry.__version__` comes from the installed metadata and equals pyproject.toml."""
    assert pyproject["project"]["version"] == telemetry.__version__


def test_pytest_imports_each_part_once(module_paths: list[Path]):
    """
    No part of the package lives under a second name.

    pytest does import the root's __init__.py as a module of the checkout's folder name; the face being
    lazy, nothing follows.
    """
    parts = {str(path) for path in module_paths[1:]}

    loaded = {name for name, module in sys.modules.items() if getattr(module, "__file__", None) in parts}
    assert [] == [name for name in loaded if not name.startswith("telemetry.")]


@pytest.mark.skipif("TOX_ENV_NAME" not in os.environ, reason="an editable install is the checkout")
def test_tox_tests_the_wheel(root: Path):
    """Under tox the package comes from the built wheel, never from the checkout."""
    assert root / "__init__.py" != Path(telemetry.__file__)
    assert str(root) not in sys.path
