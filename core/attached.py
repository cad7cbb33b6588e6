"""Open, ask and close the sinks of one bus, all of them within one time: one that hangs costs the others nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

import attrs
from attrs import define, field

from ..plugins.context import SinkContext
from ..plugins.records import RunEvent
from .background import BackgroundGate
from .gates import Answer, Answered, Gate
from .plugs import Plugs
from .shield import nothing

__all__ = ["Attached"]

_HEALTH_S = 0.05
_UNANSWERED = {"health": f"no answer within {_HEALTH_S * 1000:.0f} ms"}


@define(eq=False)
class Attached:
    """
    The sinks that get records, by name, each behind a gate of its own.

    A gate outlives the closing of its sink, with its counts: a record that comes later opens the sink again.
    """

    plugs: Plugs
    gates: dict[str, Gate] = field(factory=dict)
    _contexts: dict[str, SinkContext] = field(factory=dict)
    _closed: dict[str, Gate] = field(factory=dict)

    def add(self, name: str, sink: object, context: SinkContext) -> None:
        """
        Register *sink* and open it.

        Raises:
            PluginError: it has a hook or a hook argument that is not in the contract, or the name is taken.
        """
        # The plug of a sink that hung in its closing was never pulled.
        if name in self.gates or not self.plugs.holds(name, sink):
            self.plugs.add(name, sink)
        # Such a sink keeps its thread, or two would be in it at once.
        gate = self.gates[name] = self._closed.pop(name) if name in self._closed else _new_gate(name, sink)
        self._contexts[name] = context
        gate.open(self._question(name, "telemetry_open", "context", lambda: context))

    def _question(self, name: str, hook: str, argument: str | None, value: Callable[[], Any]) -> Callable[[Any], Any]:
        """Return what calls a hook and returns its first answer; *value* is asked for when the sink's turn has come."""
        if not self.plugs.has(name, hook):
            return nothing
        caller = self.plugs.caller(name, hook, argument)
        return lambda _: next(iter(caller(value())), None)

    def _in_turn(self) -> list[tuple[str, Gate]]:
        # Those with a thread of their own first: they are at work while the others hold the caller.
        return sorted(self.gates.items(), key=lambda item: item[1].is_inline)

    def flush(self, until: float) -> bool:
        """Have every sink bring out what it holds, until this moment of the steady clock; return whether all did."""
        asked = {
            name: gate.ask(self._question(name, "telemetry_flush", "deadline_s", lambda: _left(until)))
            for name, gate in self._in_turn()
        }
        # All of them are waited for, also behind one that has not answered.
        done = [self._is_done(name, answer, until) for name, answer in asked.items()]
        return all(done)

    def _is_done(self, name: str, answer: Answer, until: float) -> bool:
        return self._has_come(name, answer, until) and answer.is_well and answer.value is not False

    def _has_come(self, name: str, answer: Answer, until: float) -> bool:
        if answer.wait(until):
            return True
        gate = self.gates.get(name)
        if gate is not None:
            gate.forget(answer)
        return False

    def health(self) -> dict[str, dict[str, Any]]:
        """Return, for each sink, its counts and what it says of itself; one that hangs is not waited for."""
        asked = {name: self._ask_health(name, gate) for name, gate in self._in_turn()}
        until = time.monotonic() + _HEALTH_S
        told = {name: self._health(name, answer, until) for name, answer in asked.items()}
        return {name: {**gate.facts(), **told.get(name, {})} for name, gate in list(self.gates.items())}

    def _ask_health(self, name: str, gate: Gate) -> Answer | None:
        if not self.plugs.has(name, "telemetry_health"):
            return Answered()
        return None if gate.is_stuck else gate.ask(self._question(name, "telemetry_health", None, nothing))

    def _health(self, name: str, answer: Answer | None, until: float) -> dict[str, Any]:
        if answer is None or not self._has_come(name, answer, until):
            return dict(_UNANSWERED)
        return answer.value if isinstance(answer.value, dict) else {}

    def close(self, names: Collection[str], until: float) -> None:
        """
        Close these sinks until this moment; what one that does not answer has still queued is counted as given up.

        Such a sink is closed when it comes back, should the process still be there.
        """
        leaving = [(name, self.gates.pop(name)) for name, _ in self._in_turn() if name in names]
        asked = [
            (name, gate, gate.close(self._question(name, "telemetry_close", "deadline_s", lambda: _left(until))))
            for name, gate in leaving
        ]
        for name, gate, answer in asked:
            self._closed[name] = gate
            if answer.wait(until):
                gate.end(until)
                self.plugs.remove(name)
            else:
                gate.give_up()

    def is_inline(self, name: str) -> bool:
        """Whether the sink of this name is called in the caller's thread."""
        return name in self.gates and self.gates[name].is_inline

    def last_error(self, name: str) -> str | None:
        """Return the last fault of this sink as text, None when it had none."""
        gate = self.gates.get(name)
        return gate.guard.last_error if gate is not None else None

    def give_up(self) -> None:
        """Count what is still queued as given up: the process is about to end."""
        for gate in list(self.gates.values()):
            gate.give_up()

    def losses(self) -> Iterator[RunEvent]:
        """Yield an event for each sink that was not given records, or did not answer for them, since the last time."""
        for name, gate in self._all():
            event = gate.losses.report("telemetry_records_given_up", sink=name)
            if event is not None:
                yield event

    def given_up(self) -> dict[str, int]:
        """Return how many records were given up by each sink that lost any."""
        return {name: gate.losses.total for name, gate in self._all() if gate.losses.total}

    def _all(self) -> list[tuple[str, Gate]]:
        return [*self.gates.items(), *self._closed.items()]

    def renew_after_fork(self, writer: str) -> None:
        """Let every sink start anew in the child of a fork, as a part of this *writer*."""
        for gate in self._closed.values():
            gate.renew()
        for name, gate in self._in_turn():
            gate.renew()
            self._contexts[name] = attrs.evolve(self._contexts[name], writer=writer)
            gate.open(self._question(name, "telemetry_forked", "context", partial(self._contexts.get, name)))


def _new_gate(name: str, sink: object) -> Gate:
    return Gate(name) if getattr(sink, "runs_inline", False) else BackgroundGate(name)


def _left(until: float) -> float:
    return max(0.0, until - time.monotonic())
