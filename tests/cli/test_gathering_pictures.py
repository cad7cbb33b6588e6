"""Compare what import and merge say of their work with stored pictures of it, on every kind of screen."""

from pathlib import Path

import pytest
from old_stores import build_store

from telemetry import TelemetryClient

_SCREENS = {
    "wide": {"is_terminal": True, "width": 140, "has_color": True},
    "narrow": {"is_terminal": True, "width": 60},
    "ascii": {"is_terminal": True, "width": 100, "has_symbols": False},
    "pipe": {},
}


@pytest.fixture
def sources(real_bench, tmp_path: Path):
    """Return a bench beside an old database, torn lines and another machine's base directory."""
    build_store(tmp_path / "old.sqlite", "v5")
    (tmp_path / "lines.ndjson").write_text('{"record_type": "event", "run_id": "r", "event_type": "e"}\n{"record_ty')
    with TelemetryClient(metrics_dir=tmp_path / "ci-1") as client, client.track_run("agent", "job") as run:
        run.log_event("step")
    return real_bench


@pytest.mark.parametrize("screen", _SCREENS)
@pytest.mark.parametrize(
    ("name", "arguments"),
    [("import", ("import", "old.sqlite", "lines.ndjson")), ("merge", ("merge", "ci-1", "--dry-run"))],
)
def test_account_looks_as_stored(sources, picture, tmp_path: Path, name: str, arguments: tuple[str, ...], screen: str):
    """A row a source, and the sum below it; nothing but the rows in a pipe."""
    answer = sources.run(*arguments, on=sources.screen(**_SCREENS[screen]))

    assert 0 == answer.code, answer.err
    picture(f"{name}-{screen}", answer.out.replace(str(tmp_path), "~"))
