"""Make a call fit that its method does not take as it is: a slip must neither reach the agent nor lose what it says."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from inspect import BoundArguments, Parameter, Signature
from typing import Any

from ..plugins.mend import Complaint
from .keys import free_key

__all__ = ["refitted"]

Call = tuple[tuple[Any, ...], Mapping[str, Any], list[Complaint]]
_SPARE = ("payload", "by")  # what is no number to add, increment() keeps as an event


def refitted(method: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call | None:
    """
    Return arguments that fit *method* and a complaint for each change, None when they fit as they are.

    What is missing is None. What the method does not ask for goes among its further keywords, else into its payload;
    arguments without a name are there as `args`.
    """
    signature = inspect.signature(method)
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return _Fitting(f"{method.__name__}()", signature).call(args, kwargs)
    return None


class _Fitting:
    """One call on its way to fit the *signature* of the method *called*."""

    def __init__(self, called: str, signature: Signature) -> None:
        self._called = called
        self._signature = signature
        self._by_position = self._names(Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
        self._by_name = self._names(Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
        self._further = self._names(Parameter.VAR_KEYWORD)
        self._given: dict[str, Any] = {}
        self._more: dict[str, Any] = {}
        self._complaints: list[Complaint] = []

    def _names(self, *kinds: Any) -> list[str]:
        return [name for name, parameter in self._signature.parameters.items() if parameter.kind in kinds]

    def call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
        self._given.update(zip(self._by_position, args, strict=False))
        unasked = self._sort(kwargs)
        if len(args) > len(self._by_position):
            unasked[free_key("args", unasked, {})] = list(args[len(self._by_position) :])
        self._fill()
        self._keep(unasked)
        bound = BoundArguments(self._signature, self._given)
        return bound.args, bound.kwargs, self._complaints

    def _sort(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Take what is asked for by its name, or by any; return what is not, or was given by position already."""
        unasked = {}
        for name, value in kwargs.items():
            if name in self._by_name and name not in self._given:
                self._given[name] = value
            elif name in self._by_name or not self._further:
                unasked[name] = value
            else:
                self._more[name] = value
        return unasked

    def _fill(self) -> None:
        for name in (*self._by_position, *self._by_name):
            if self._signature.parameters[name].default is Parameter.empty and name not in self._given:
                self._given[name] = None
                self._complaints.append(Complaint(name, None, f"{self._called} was called without it"))

    def _keep(self, unasked: dict[str, Any]) -> None:
        spare = next((name for name in _SPARE if name in self._signature.parameters), None)
        if self._further:
            for name, value in unasked.items():
                free = free_key(name, [*self._by_name, *self._more], {})
                self._more[free] = value
                self._say_of({name: value}, f"kept as {free!r}")
            self._given[self._further[0]] = self._more
        elif spare is None:
            self._say_of(unasked, "left out")
        elif unasked:
            self._given[spare] = _together(spare, self._given.get(spare), unasked)
            self._say_of(unasked, f"kept in {spare!r}")

    def _say_of(self, unasked: Mapping[str, Any], done: str) -> None:
        for name, value in unasked.items():
            self._complaints.append(Complaint(name, value, f"{self._called} has no place for it, and it is {done}"))


def _together(name: str, value: Any, unasked: Mapping[str, Any]) -> dict[str, Any]:
    table = dict(value) if type(value) is dict else {} if value is None else {name: value}
    for key, more in unasked.items():
        table[free_key(key, table, {})] = more
    return table
