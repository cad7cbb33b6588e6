"""Hold the reference of the Python interface complete: signatures come from the code, the names must be there."""

import re

import pytest

import telemetry
from telemetry import plugins

_DIRECTIVE = re.compile(r"^\.\. auto(\w+):: ([\w.]+)[^\n]*\n((?:   +\S.*\n)*)", re.MULTILINE)


@pytest.fixture(scope="module")
def documented(page) -> dict[str, str]:
    """Return the options of each thing that the two pages take out of the code, by its full name."""
    text = page("reference/api.md") + page("reference/plugins.md")
    return {name: options for _, name, options in _DIRECTIVE.findall(text)}


@pytest.mark.parametrize("name", telemetry.__all__)
def test_every_public_name_is_there(name, documented, page):
    """By its own entry, or in the words about the rest."""
    assert f"telemetry.{name}" in documented or f"`telemetry.{name}`" in page("reference/api.md")


@pytest.mark.parametrize("name", plugins.__all__)
def test_every_name_for_authors_is_there(name, documented, page):
    """On the page for authors, or on those of the errors, the hooks and the agents."""
    elsewhere = page("reference/errors.md") + page("reference/hooks.md") + page("reference/plugins.md")

    is_known = f"telemetry.plugins.{name}" in documented or f"telemetry.{name}" in documented
    assert is_known or re.search(rf"(## |`@?){name}\b", elsewhere)


@pytest.mark.parametrize(
    "name", sorted(name for name in telemetry.__all__ if isinstance(getattr(telemetry, name), type))
)
def test_every_public_method_is_there(name, documented):
    """A class is shown with all that it offers, or with a list of it that leaves nothing out."""
    if issubclass(getattr(telemetry, name), Exception):
        return
    members = re.search(r":members:((?:[^:\n]*\n)+)", documented[f"telemetry.{name}"])
    assert members is not None
    listed = set(re.findall(r"\w+", members[1]))

    cls = getattr(telemetry, name)
    offered = {
        member
        for member in dir(cls)
        if not member.startswith("_") and (callable(getattr(cls, member)) or isinstance(getattr(cls, member), property))
    }
    assert not listed or offered <= listed
