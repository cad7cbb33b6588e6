"""Redaction seldom hides what is no secret: measured over the names, docstrings and lines of the standard library."""

import ast
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry.core.secret_names import is_secret_name
from telemetry.core.secret_texts import without_secrets

pytestmark = pytest.mark.once

_STRIDE = 4  # each fourth file, so that the test takes two seconds; docs/explanation has the numbers for all
_SKIPPED = {"site-packages", "test", "tests", "idle_test", "lib2to3", "__pycache__"}


def _sources() -> Iterator[str]:
    root = Path(sysconfig.get_path("stdlib"))
    paths = sorted(path for path in root.rglob("*.py") if _SKIPPED.isdisjoint(path.relative_to(root).parts))
    for path in paths[::_STRIDE]:
        yield path.read_text("utf-8", errors="replace")


@pytest.fixture(scope="module")
def sources() -> list[str]:
    """Return the text of modules that come with Python."""
    return list(_sources())


@pytest.fixture(scope="module")
def trees(sources: list[str]) -> list[ast.Module]:
    """Return their syntax trees."""
    return [ast.parse(source) for source in sources]


def test_of_a_thousand_names_at_most_eight_are_taken_for_secret(trees: list[ast.Module]) -> None:
    """0.5 % of 22,960 names; nearly all of those do name a cookie, a password or a token."""
    names = {name for tree in trees for node in ast.walk(tree) if (name := _name_of(node))}

    hidden = [name for name in names if is_secret_name(name)]

    assert len(names) > 3_000
    assert len(hidden) <= 0.008 * len(names), sorted(hidden)


def _name_of(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.arg if isinstance(node, ast.arg | ast.keyword) else None


def test_of_a_thousand_docstrings_at_most_two_are_changed(trees: list[ast.Module]) -> None:
    """0.04 % of 8,351: two that show cookies, one that shows a password."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = [
        text
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, kinds) and (text := ast.get_docstring(node))
    ]

    changed = [text for text in texts if without_secrets(text) != text]

    assert len(texts) > 1_000
    assert len(changed) <= 0.002 * len(texts), changed


def test_of_ten_thousand_lines_of_code_at_most_two_are_changed(sources: list[str]) -> None:
    """0.005 % of 275,036, nearly all of them cookies and passwords in examples."""
    lines = [line for source in sources for line in source.splitlines() if line.strip()]

    changed = [line for line in lines if without_secrets(line) != line]

    assert len(lines) > 40_000
    assert len(changed) <= 0.0002 * len(lines), changed
