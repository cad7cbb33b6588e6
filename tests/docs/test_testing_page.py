"""Compare the page of the test kit with the kit."""

import inspect

from telemetry.testing import SinkConformance, strategies

_PAGE = "reference/testing.md"


def test_every_contract_test_is_on_the_page(page):
    """With its sentence, under the heading of its group; nothing else is."""
    groups = [cls for cls in SinkConformance.__mro__ if any(name.startswith("test_") for name in vars(cls))]
    tests = [(cls, name) for cls in groups for name in vars(cls) if name.startswith("test_")]

    text = page(_PAGE)
    expected = [f"| `{name}` | {inspect.cleandoc(vars(cls)[name].__doc__)} |" for cls, name in tests]
    assert expected == [line for line in text.splitlines() if line.startswith("| `test_")]
    assert [] == [cls.__name__ for cls in groups if f"\n### {cls.__name__}\n\n{cls.__doc__}\n" not in text]


def test_every_strategy_is_on_the_page(page):
    """None is left to be found by chance."""
    assert [] == [name for name in strategies.__all__ if f"`{name}()`" not in page(_PAGE)]
