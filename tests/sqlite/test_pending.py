"""Prove that what is said about records that wait tells what becomes of them."""

from pathlib import Path

import pytest

from telemetry.plugins import Retryable, StoreError
from telemetry.sinks.sqlite.pending import Pending

_LATER = "; the journal has its runs, and they get there from it"


@pytest.mark.parametrize(
    ("has_journal", "error", "told"),
    [
        (True, Retryable("the file is being written by another process"), _LATER),
        (False, Retryable("the file is being written by another process"), ""),
        (True, StoreError("the disk is full"), ""),
    ],
)
def test_a_store_that_is_locked_for_long_is_said_once_with_what_follows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, has_journal: bool, error: StoreError, told: str
) -> None:
    """One line, however often it happens; what is missing in the store comes out of the journal, if there is one."""
    pending = Pending(str(tmp_path), 10, has_journal)

    for _ in range(3):
        pending.complain(error)
        pending.recover()

    assert [f"{error}{told}"] == caplog.messages
