"""Know of each run who it is and whose part: its events do not say it, and a child has its parent's trace."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from ...plugins.merge import agent_of
from ...plugins.records import RunRecord
from .look_back import LookBack

__all__ = ["Kin", "Relations"]

_MOST_RUNS = 20_000
_MOST_GENERATIONS = 64


@frozen
class Kin:
    """What the first line of a run says of it, as far as its events need it."""

    agent_name: str
    agent_owner: str | None = None
    host: str | None = None
    parent: str | None = None


class Relations:
    """
    The runs that were seen, and those that were looked up in the journal.

    The journal has the start of a run before everything else of it, and the same in every process and at every
    replay: so the answers are always the same, though the memory here is bounded and forgets.
    """

    def __init__(self, look_back: LookBack) -> None:
        self._look_back = look_back
        self._known: dict[str, Kin] = {}

    def note(self, run: RunRecord) -> None:
        """Learn what *run* says of itself."""
        parent = run.parent_run_id if run.parent_run_id != run.run_id else None
        self._keep(run.run_id, Kin(run.agent_name, run.agent_owner, run.host, parent))

    def _keep(self, run_id: str, kin: Kin) -> None:
        self._known.pop(run_id, None)
        self._known[run_id] = kin
        if len(self._known) > _MOST_RUNS:
            del self._known[next(iter(self._known))]

    def look_up(self, run_ids: Mapping[str, str]) -> None:
        """
        Learn of the runs that are not known, and of those that they are part of.

        Args:
            run_ids: a time at or after the begin of each, ISO 8601 text, by run id.
        """
        times = dict(run_ids)
        for _ in range(_MOST_GENERATIONS):
            self._learn({run_id: time for run_id, time in times.items() if run_id not in self._known})
            kin = ((self.kin_of(run_id).parent, time) for run_id, time in times.items())
            times = {parent: time for parent, time in kin if parent is not None}
            if not times:
                return

    def _learn(self, wanted: Mapping[str, str]) -> None:
        found = self._look_back.starts(wanted) if wanted else {}
        for run_id in wanted:
            if run_id in found:
                self.note(found[run_id])
            else:
                self._keep(run_id, Kin(agent_of(run_id)))

    def kin_of(self, run_id: str) -> Kin:
        """Return what is known of a run; what its id tells when it is in no journal here."""
        return self._known.get(run_id) or Kin(agent_of(run_id))

    def root_of(self, run_id: str) -> str:
        """Return the outermost run that *run_id* is part of, as far as that is known."""
        root, seen = run_id, {run_id}
        while (parent := self.kin_of(root).parent) is not None and parent not in seen:
            root = parent
            seen.add(root)
        return root
