"""Compare the page of the errors with the errors."""

import inspect
import re

import pytest

from telemetry.plugins import errors

_PAGE = "reference/errors.md"


def sections(text: str) -> dict[str, str]:
    """Return what stands under each heading of the second level, on one line."""
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)[1:]
    return {title: " ".join(body.split()) for title, body in zip(parts[::2], parts[1::2], strict=True)}


def test_every_error_has_a_heading(page):
    """In the order of the code, root first; and no heading names an error that is not there."""
    assert sorted(errors.__all__) == sorted(sections(page(_PAGE)))


@pytest.mark.parametrize("name", errors.__all__)
def test_page_tells_cause_and_cure(name, page):
    """Both stand on the page as in the docstring."""
    docstring = inspect.getdoc(getattr(errors, name)) or ""
    paragraphs = [" ".join(paragraph.split()) for paragraph in docstring.split("\n\n")]

    cause, cure = paragraphs[:2]
    assert cure.startswith("Cure: ")
    assert f"{cause} {cure}" in sections(page(_PAGE))[name]


def test_family_has_one_root():
    """Whoever catches TelemetryError catches all of them."""
    assert all(issubclass(getattr(errors, name), errors.TelemetryError) for name in errors.__all__)
