"""The care of a store takes paths as everything else does, and names the argument that it cannot use."""

from datetime import timedelta
from pathlib import Path

import pytest

from telemetry.plugins import InputError, NotFound


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_may_be_text(base, tmp_path, monkeypatch, kind):
    """With the home folder understood, and below the working directory where it is no whole path."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    base.record(1)

    made = base.care.backup(kind("~/monday"))
    restored = base.care.restore(kind("monday"))

    assert [str(tmp_path / "monday")] * 2 == [made.path, restored.backup]


def test_a_backup_that_is_not_there_is_named(base, tmp_path):
    """Text or not."""
    with pytest.raises(NotFound, match="nope"):
        base.care.restore(str(tmp_path / "nope"))


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda care: care.backup(5), "to is 5; give a path, as text or as Path."),
        (lambda care: care.restore(5), "backup is 5; give a path, as text or as Path."),
        (lambda care: care.prune("90d"), "older_than is '90d'; give a timedelta, as timedelta(days=90)."),
        (
            lambda care: care.prune(timedelta(days=90), gzip_after=7),
            "gzip_after is 7; give a timedelta, as timedelta(days=90).",
        ),
        (lambda care: care.replay("sqlite", "7d"), "day is '7d'; give a day, as '2026-11-23'."),
        (lambda care: care.replay("sqlite", 7), "day is 7; give a day, as '2026-11-23'."),
    ],
)
def test_an_argument_of_another_kind_is_refused(base, call, told):
    """By its name, with the value and what to give; nothing is done."""
    base.record(1)

    with pytest.raises(InputError) as raised:
        call(base.care)

    assert told == str(raised.value)
    assert {"raw", "db"} == {path.name for path in base.path.iterdir()}
