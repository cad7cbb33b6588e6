"""Bring all contract tests together in the class that the author of a sink derives from."""

from __future__ import annotations

from typing import Any, ClassVar

from .building import Building
from .crowds import Crowds
from .deaths import Deaths
from .ending import Ending
from .hostile import Hostile
from .storing import Storing
from .together import Together
from .traces import Traces

__all__ = ["SinkConformance"]

_PREFIX = "test_"


class SinkConformance(Building, Storing, Hostile, Crowds, Deaths, Ending, Traces, Together):
    """
    The contract of a sink as tests; pytest runs all of them for each class that derives from this one::

        class TestMySink(SinkConformance):
            def make_sink(self, tmp_path):
                return MySink(MySink.Options(directory=tmp_path / "mine"))

            def read_back(self, sink, tmp_path):
                yield from ...

    `read_back` is not needed where the sink has `open_store()`. A sink that filters says so in `expects`; one that
    keeps nothing outside of its process sets `is_durable = False`. Tests of one's own stand beside. One that is part
    of the contract can only be replaced by one that says why the sink does not keep it::

            @pytest.mark.xfail(reason="a text file knows no upsert")
            def test_verdict_gives_way_to_the_true_end(self, driver):
                super().test_verdict_gives_way_to_the_true_end(driver)

    Raises:
        TypeError: a derived class replaces a test of the contract and gives no reason.
    """

    tests_of_the_contract: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse a class that replaces a test of the contract without a word; pytest shows that at collection."""
        super().__init_subclass__(**options)
        for name in sorted(_replaced_by(cls)):
            if not _reason_of(vars(cls)[name]):
                raise TypeError(
                    f"{cls.__name__}.{name} replaces a test of the sink contract. If the sink cannot keep this part of "
                    f"the contract, say why with @pytest.mark.xfail(reason=...); if it is another test, rename it"
                )


def _replaced_by(cls: type[Any]) -> set[str]:
    return {name for name in vars(cls) if name in SinkConformance.tests_of_the_contract}


def _reason_of(test: object) -> str:
    marks = getattr(test, "pytestmark", [])
    reasons = [mark.kwargs.get("reason") for mark in marks if mark.name == "xfail"]
    return str(next((reason for reason in reasons if reason), ""))


SinkConformance.tests_of_the_contract = frozenset(name for name in dir(SinkConformance) if name.startswith(_PREFIX))
