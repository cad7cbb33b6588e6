"""Lend the layout tests the checkout: its root and the modules that belong to the package."""

import ast
import tomllib
from pathlib import Path
from typing import Any

import pytest

# Found from this file, not from the package: under tox the package is an installed wheel.
_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the root of the checkout."""
    return _ROOT


@pytest.fixture(scope="session")
def pyproject(root: Path) -> dict[str, Any]:
    """Return the parsed pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))


@pytest.fixture(scope="session")
def module_paths(root: Path) -> list[Path]:
    """Return each .py file that the package ships, the face included."""
    return [
        root / "__init__.py",
        *(path for folder in ("core", "plugins", "sinks", "testing") for path in sorted((root / folder).rglob("*.py"))),
    ]


@pytest.fixture(scope="session")
def modules(root: Path, module_paths: list[Path]) -> dict[str, ast.Module]:
    """Return the syntax tree of each module, by its path below the root."""
    return {path.relative_to(root).as_posix(): ast.parse(path.read_text("utf-8"), str(path)) for path in module_paths}
