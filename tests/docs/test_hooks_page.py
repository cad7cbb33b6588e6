"""Compare the page of the hooks with the hooks."""

import inspect
import re

import pytest

from telemetry.plugins.hookspecs import TelemetryHooks

_PAGE = "reference/hooks.md"
_HOOKS = [name for name in vars(TelemetryHooks) if name.startswith("telemetry_")]


def test_every_hook_has_a_heading(headings):
    """And no heading names a hook that is not there."""
    named = [heading for heading in headings(_PAGE) if heading.startswith("telemetry_")]

    assert sorted(_HOOKS) == sorted(named)


@pytest.mark.parametrize("name", _HOOKS)
def test_signature_is_the_codes(name, page):
    """Under its heading stands the hook's signature, letter by letter."""
    section = page(_PAGE).partition(f"\n## {name}\n")[2]

    signature = str(inspect.signature(getattr(TelemetryHooks, name))).replace("'", "")
    assert section.startswith(f"\n```py\ndef {name}{signature}\n```\n")


def test_every_hook_is_named_in_the_overview(page):
    """The table at the top of the page links to each of them."""
    linked = re.findall(r"\[`(telemetry_\w+)`\]\(#", page(_PAGE).partition("\n## ")[0])

    assert sorted(_HOOKS) == sorted(linked)


@pytest.mark.parametrize("name", _HOOKS)
def test_every_hook_has_an_example_that_runs(name, page):
    """In its own section; tests/docs/test_samples.py runs it and compares what it prints."""
    section = page(_PAGE).partition(f"\n## {name}\n")[2].partition("\n## ")[0]

    samples = re.findall(r"^```python\n(.*?)^```\n\n<!-- output -->\n", section, re.MULTILINE | re.DOTALL)
    assert any(f"@hookimpl\n    def {name}(" in sample for sample in samples)
