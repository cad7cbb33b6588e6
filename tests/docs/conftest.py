"""Lend the tests of the documentation its pages, and what their code blocks say."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import frozen

# Found from this file, not from the package: under tox the package is an installed wheel.
_ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=ticks)[ ]*$", re.MULTILINE | re.DOTALL)
_NOTE = re.compile(r"<!-- (?P<note>[^\n]*?) -->\n+\Z")


@frozen
class Block:
    """
    One fenced block of a page.

    `note` is the comment in the line before it, such as `not run: needs a network`; `language` the first word of the
    fence, also inside `{code-block}`; `caption` names a file that the block holds.
    """

    place: str
    language: str
    text: str
    note: str = ""
    caption: str = ""


def blocks_of(path: Path) -> Iterator[Block]:
    """Yield the fenced blocks of the page at *path*."""
    page = path.read_text("utf-8")
    for match in _FENCE.finditer(page):
        words = match["info"].replace("{code-block}", "").split()
        options = dict(re.findall(r"^:(\w+): *(.*)\n", match["body"], re.MULTILINE)) if "{" in match["info"] else {}
        note = _NOTE.search(page, 0, match.start())
        yield Block(
            place=f"{path.relative_to(_ROOT).as_posix()}:{page.count(chr(10), 0, match.start()) + 1}",
            language=words[0] if words else "",
            text=re.sub(r"\A(:\w+:.*\n)+\n?", "", match["body"]),
            note=note["note"] if note else "",
            caption=options.get("caption", ""),
        )


def pages() -> list[Path]:
    """Return every page that a reader may open, the README first."""
    left_out = {"_build", "changelog.d", "examples"}
    found = sorted((_ROOT / "docs").rglob("*.md"))
    return [_ROOT / "README.md", *(path for path in found if left_out.isdisjoint(path.parts))]


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the root of the checkout."""
    return _ROOT


@pytest.fixture(scope="session")
def page(root: Path) -> Callable[[str], str]:
    """Return a function that gives the text of a page by its path below docs/."""
    return lambda name: (root / "docs" / name).read_text("utf-8")


@pytest.fixture(scope="session")
def blocks(root: Path) -> Callable[[str], list[Block]]:
    """Return a function that gives the fenced blocks of a page by its path below docs/."""
    return lambda name: list(blocks_of(root / "docs" / name))


@pytest.fixture(scope="session")
def headings(page: Callable[[str], str]) -> Callable[[str], list[str]]:
    """Return a function that gives the headings of a page, without their marks."""

    def find(name: str) -> list[str]:
        text = _FENCE.sub("", page(name))
        return [line.lstrip("# ").replace("`", "").strip() for line in text.splitlines() if line.startswith("#")]

    return find


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `any_page` once for each page."""
    if "any_page" in metafunc.fixturenames:
        found = pages()
        metafunc.parametrize("any_page", found, ids=[path.relative_to(_ROOT).as_posix() for path in found])


@pytest.fixture
def any_page_blocks(any_page: Path) -> list[Block]:
    """Return the fenced blocks of the page at hand."""
    return list(blocks_of(any_page))
