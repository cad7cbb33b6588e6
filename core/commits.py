"""Make the link between a run and a git commit, asking git for what the agent did not say."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..plugins.commit_link import CommitLink
from ..plugins.complaints import Complaints
from ..plugins.ids import get_iso8601_timestamp
from .git import GitFailed, read_commit
from .intake import Intake
from .snapshot import snapshot_mapping

__all__ = ["commit_link"]

_complaints = Complaints(logging.getLogger("telemetry.client"))


def commit_link(
    intake: Intake,
    stamp: Callable[[], tuple[str, int | None]],
    run_id: Any,
    commit_hash: Any,
    details: Mapping[str, Any],
) -> CommitLink | None:
    """
    Return the link that was asked for, None when there is no commit to link with (which is complained of).

    Git is asked (2 s at most) when no hash is given, or a hash without any details.

    Args:
        stamp: gives writer id and sequence number; called only when there is a link.
    """
    plain, coerced = snapshot_mapping({**details, "commit_hash": commit_hash})
    known = {name: value for name, value in plain.items() if value is not None}
    if len(known) <= ("commit_hash" in known):
        known = {**_asked(str(known.get("commit_hash", "HEAD"))), **known}
    if not known.get("commit_hash"):
        return None
    run_id = intake.text("run_id", run_id)  # in strict mode this may raise, and a number drawn before would be missed
    writer, seq = stamp()
    return CommitLink.from_dict(
        {
            **known,
            "run_id": run_id,
            "timestamp": get_iso8601_timestamp(),
            "writer": writer,
            "seq": seq,
            "coerced": coerced,
        }
    )


def _asked(rev: str) -> dict[str, Any]:
    try:
        return read_commit(Path.cwd(), rev)
    except (GitFailed, OSError) as error:
        _complaints.say("git", "associate_commit() learns nothing from git: %s", error)
        return {}
