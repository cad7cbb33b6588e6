"""Tell a line that comes too late, about a run that was pruned, from one that begins another run under its id."""

from __future__ import annotations

from .merge import agent_of
from .records import Record, RunRecord

__all__ = ["is_late"]


def is_late(line: Record, before: str) -> bool:
    """
    Whether *line*, any record, speaks of a run that was pruned, and not of one that begins anew under its id.

    Args:
        before: of the line that pruned it.
    """
    if not isinstance(line, RunRecord) or line.start_time < before:
        return True
    # Who ends a run that he does not know says when, and no more: that is no beginning.
    is_guess = line.job_type is None and line.agent_name in ("unknown", agent_of(line.run_id))
    return is_guess and not line.is_running
