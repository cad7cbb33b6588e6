"""Hold every module to the rules of the house that no linter knows."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

Modules = dict[str, ast.Module]

_MAX_FILE_LINES = 300
_MAX_FUNCTION_LINES = 40
_EVERYTHING = {"Exception", "BaseException"}
_SHELTERS = ("core/shield.py:", "plugins/shelter.py:")


def nodes_of(modules: Modules, *kinds: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """Yield `file:line` and node for each node of these *kinds*."""
    for path, tree in modules.items():
        for node in ast.walk(tree):
            if isinstance(node, kinds):
                yield f"{path}:{getattr(node, 'lineno', 1)}", node


def names_everything(node: ast.AST | None) -> bool:
    """Tell whether *node*, the subject of an `except`, catches what nobody named."""
    if isinstance(node, ast.Tuple):
        return any(names_everything(element) for element in node.elts)
    return node is None or ast.unparse(node) in _EVERYTHING


def reraises(handler: ast.ExceptHandler) -> bool:
    """Tell whether *handler* ends by passing on what it caught: it raises it, or throws it into a generator."""
    last = handler.body[-1]
    thrown = [ast.unparse(node) for node in ast.walk(last) if isinstance(node, ast.Call)]
    return (isinstance(last, ast.Raise) and last.exc is None) or any(
        text.endswith(f".athrow({handler.name})") for text in thrown
    )


def swallows_everything(node: ast.AST) -> bool:
    """Tell whether *node* stops exceptions that it does not name."""
    if isinstance(node, ast.ExceptHandler):
        return names_everything(node.type) and not reraises(node)
    if isinstance(node, ast.Call) and ast.unparse(node.func) in {"suppress", "contextlib.suppress"}:
        return any(names_everything(argument) for argument in node.args)
    return False


def stops_what_leaves_its_block(node: ast.AST) -> bool:
    """Tell whether *node* is an `__exit__` that returns anything: by that it can swallow what it does not name."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name not in {"__exit__", "__aexit__"}:
        return False
    returned = [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return) and inner.value is not None]
    return any(not (isinstance(value, ast.Constant) and not value.value) for value in returned)


def writes_to_standard_output(node: ast.AST) -> bool:
    """Tell whether *node* prints or reaches for sys.stdout."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and "print" == node.func.id
    return ast.unparse(node) in {"sys.stdout", "sys.__stdout__"}


def imports_the_face(place: str, node: ast.AST) -> bool:
    """Tell whether *node* names the package, or reaches up to its root for more than a subpackage."""
    if isinstance(node, ast.Import):
        return any(name.name.split(".")[0] == "telemetry" for name in node.names)
    assert isinstance(node, ast.ImportFrom)
    if node.level == 0:
        return (node.module or "").split(".")[0] == "telemetry"
    is_root = node.level == place.count("/") + 1 and node.module is None
    return is_root and any(name.name not in {"core", "plugins", "sinks"} for name in node.names)


def opens_folders_to_others(node: ast.AST) -> bool:
    """Tell whether *node* makes folders above the last one, which get the modes of the umask."""
    assert isinstance(node, ast.Call)
    has_parents = any(keyword.arg == "parents" for keyword in node.keywords)
    return has_parents or ast.unparse(node.func).endswith("makedirs")


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of the *function*'s body, its docstring not counted."""
    statements = function.body
    if ast.get_docstring(function) is not None:
        statements = statements[1:]
    return 0 if not statements else (statements[-1].end_lineno or 0) - statements[0].lineno + 1


def test_only_the_shield_catches_everything(modules: Modules):
    """
    `except Exception` lives in core/shield.py and plugins/shelter.py; elsewhere each error is named or passed on.

    Sinks cannot import core, and have strangers' code to call as well: `attempt()` in plugins/ is for them.
    """
    found = nodes_of(modules, ast.ExceptHandler, ast.Call)

    guilty = [place for place, node in found if swallows_everything(node) and not place.startswith(_SHELTERS)]
    assert [] == guilty


def test_no_block_swallows_in_silence(modules: Modules):
    """No `__exit__` of ours returns a value, the other way to catch everything."""
    found = nodes_of(modules, ast.FunctionDef, ast.AsyncFunctionDef)

    assert [] == [place for place, node in found if stops_what_leaves_its_block(node)]


def test_only_the_command_line_prints(modules: Modules):
    """Standard output belongs to the agent."""
    found = nodes_of(modules, ast.Call, ast.Attribute)

    guilty = [place for place, node in found if writes_to_standard_output(node) and not place.startswith("core/cli/")]
    assert [] == guilty


def test_folders_of_records_are_private(modules: Modules):
    """They are made by plugins/private.py; what `telemetry new-sink` writes is code, as open as its user likes."""
    found = nodes_of(modules, ast.Call)

    guilty = [
        place for place, node in found if opens_folders_to_others(node) and not place.startswith("core/scaffold/")
    ]
    assert [] == guilty


def test_imports_inside_are_relative(modules: Modules):
    """A tool that reads text resolves every import without an install, and nothing circles through the face."""
    found = nodes_of(modules, ast.Import, ast.ImportFrom)

    assert [] == [place for place, node in found if imports_the_face(place, node)]


def test_every_module_says_why_it_exists(modules: Modules):
    """Each file opens with a docstring."""
    assert [] == [path for path, tree in modules.items() if not ast.get_docstring(tree)]


def test_files_stay_small(root: Path, modules: Modules):
    """One idea a file, so none needs more than 300 lines."""
    lines = {path: len((root / path).read_text("utf-8").splitlines()) for path in modules}

    assert {} == {path: count for path, count in lines.items() if count > _MAX_FILE_LINES}


def test_functions_stay_small(modules: Modules):
    """One act a function, so none needs more than 40 lines."""
    lengths = {place: length(node) for place, node in nodes_of(modules, ast.FunctionDef, ast.AsyncFunctionDef)}

    assert {} == {place: lines for place, lines in lengths.items() if lines > _MAX_FUNCTION_LINES}


def test_layers_hold(root: Path):
    """import-linter finds no import against the layers and no circle."""
    program = "from importlinter.cli import lint_imports_command as lint; lint()"

    linted = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"], cwd=root, capture_output=True, text=True, timeout=100
    )

    assert 0 == linted.returncode, linted.stdout + linted.stderr
