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


@pytest.mark.parametrize("name", set(_HOOKS) - {"telemetry_register_commands"})
def test_every_hook_is_implemented_by_a_sample(name, blocks):
    """A sample that runs (tests/docs/test_samples.py) implements it; of the command line's hook the guide has one."""
    samples = [block.text for block in blocks(_PAGE) if block.language == "python" and not block.note]

    assert any(f"@hookimpl\n    def {name}(" in sample for sample in samples)
