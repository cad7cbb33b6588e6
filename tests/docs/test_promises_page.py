"""Hold each promise to its proof: no row without a test that exists."""

import ast
import re
from pathlib import Path

import pytest

_LINK = re.compile(r"\[([\w ]+)\]\(\.\./\.\./(tests/[\w/.]+\.py)\)")
_NOT_YET = "## Not yet proved\n"


def names_of_tests_in(path: Path) -> set[str]:
    """Return the names of the tests in the module at *path*; `TestHistories = ...` counts as `test_histories`."""
    tree = ast.parse(path.read_text("utf-8"))
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assigned = {ast.unparse(node.targets[0]) for node in tree.body if isinstance(node, ast.Assign)}
    return functions | {f"test_{name.removeprefix('Test').lower()}" for name in assigned if name.startswith("Test")}


def proofs_in(row: str) -> list[tuple[str, str]]:
    """Return test and module of each proof in a *row*; the words of a link are the name of the test."""
    return [(f"test_{words.replace(' ', '_')}", module) for words, module in _LINK.findall(row)]


def rows_of(text: str) -> list[str]:
    """Return the rows of every table in *text*, without their heads."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [row for row in rows if not row.startswith(("| promise |", "|---", "| rule |"))]


@pytest.fixture(scope="module")
def promises(page) -> list[str]:
    """Return the rows of all promises."""
    return rows_of(page("explanation/promises.md").partition(_NOT_YET)[0])


def test_every_promise_has_a_proof(promises):
    """Each row links to one test or more."""
    assert len(promises) > 20
    assert [] == [row for row in promises if not _LINK.search(row.rsplit("|", 2)[1])]


def test_every_proof_exists(promises, root):
    """The linked modules are there, and have the tests that the rows name."""
    assert [] == missing_in(promises, root)


def test_every_rule_of_the_architecture_is_held(page, root):
    """The table at the end of the architecture leads to tests that are there."""
    rows = rows_of(page("explanation/architecture.md").partition("## Where it is held\n")[2])

    assert rows
    assert [] == [row for row in rows if not _LINK.search(row)]
    assert [] == missing_in(rows, root)


def missing_in(rows: list[str], root: Path) -> list[str]:
    """Return the tests that *rows* name and that are not there."""
    return [
        f"{module}::{name}"
        for row in rows
        for name, module in proofs_in(row)
        if not (root / module).is_file() or name not in names_of_tests_in(root / module)
    ]


def test_long_tests_are_marked_as_long(promises, root):
    """A row says "long" if, and only if, one of its tests is left out of the normal run."""
    for row in promises:
        names = {name for name, _ in proofs_in(row)}
        modules = {module for _, module in proofs_in(row)}
        is_long = any(names & long_tests_in(root / module) for module in modules)
        assert is_long == ("(long)" in row), row


def long_tests_in(path: Path) -> set[str]:
    """Return the tests of a module that carry the mark `faults_long` or `slow`."""
    functions = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)]
    return {
        node.name
        for node in functions
        if {"pytest.mark.faults_long", "pytest.mark.slow"} & {ast.unparse(mark) for mark in node.decorator_list}
    }
