"""A backend that we did not write understands what arrives: MLflow's own server, in an environment of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra otlp")

from telemetry.plugins import RetryPolicy
from telemetry.sinks.otlp.ids import span_id_of, trace_id_of

MLFLOW = os.environ.get("MLFLOW_PYTHON", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not MLFLOW, reason="`tox -e otlp-mlflow` makes the environment that it needs"),
]

READ = """
import json, sys
import mlflow

client = mlflow.MlflowClient(sys.argv[1])
spans, page = [], None
while True:
    found = client.search_traces(locations=["0"], max_results=100, page_token=page)
    for trace in found:
        for span in trace.data.spans:
            told = {"name": span.name, "id": span.span_id, "parent": span.parent_id, "trace": span.trace_id}
            told |= {"status": span.status.status_code.value, "type": span.span_type, "attributes": span.attributes}
            spans.append(told | {"events": [event.name for event in span.events]})
    page = found.token
    if not page:
        break
json.dump(spans, sys.stdout)
"""

AGENT = """
import sys
from telemetry import TelemetryClient
from telemetry.plugins import RetryPolicy
from telemetry.sinks.ndjson import NdjsonSink
from telemetry.sinks.otlp.sink import OtlpSink

headers = {"x-mlflow-experiment-id": "0"}
retry = RetryPolicy((0.05,), cap_s=0.2)
options = OtlpSink.Options(endpoint=sys.argv[2], headers=headers, logs=False, span_events=True, batch=4, retry=retry)
sinks = {"raw": NdjsonSink(NdjsonSink.Options(fsync="never")), "otlp": OtlpSink(options)}
client = TelemetryClient(sinks=sinks, metrics_dir=sys.argv[1])
for number in range(200):
    run_id = client.start_run("victim", "work", run_id=f"{sys.argv[3]}-{number}")
    client.log_event(run_id, "step", number)
    client.end_run(run_id)
    print(run_id, flush=True)
sys.stdin.read()
"""


class Server:
    """An MLflow server with a database of its own, which can be stopped and started again."""

    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process = None

    def start(self):
        store = f"sqlite:///{self._folder / 'mlflow.db'}"
        command = [MLFLOW, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", store, "--artifacts-destination", str(self._folder / "artifacts")]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, cwd=self._folder)
        self._wait()

    def _wait(self):
        end = time.monotonic() + 180
        while time.monotonic() < end:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.3)
        pytest.fail((self._folder / "server.log").read_text())

    def stop(self):
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def spans(self):
        """Return all spans that MLflow holds, as its own client reads them, by the run id that they tell."""
        done = subprocess.run([MLFLOW, "-c", READ, self.url], capture_output=True, text=True, timeout=300)
        assert 0 == done.returncode, done.stderr
        spans = json.loads(done.stdout)
        by_run = {span["attributes"]["local_telemetry.run_id"]: span for span in spans}
        assert len(spans) == len(by_run)
        return by_run


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """A running server."""
    folder = tmp_path / "mlflow"
    folder.mkdir()
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    server = Server(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(open_client, mlflow):
    """A client that sends to it as the page says."""
    headers = {"x-mlflow-experiment-id": "0"}
    options = {"headers": headers, "logs": False, "span_events": True, "compression": "gzip", "timeout_s": 60}
    return open_client(endpoint=mlflow.url, retry=RetryPolicy((0.2,), cap_s=1.0), **options)


def test_mlflow_shows_runs_as_what_they_are(client, mlflow):
    """Tree, status, kind of span, tokens, events and exception, read back by MLflow's own client."""
    with client.track_run("writer", "draft") as run:
        run.log_llm_call("small", tokens_in=900, tokens_out=12, cost_usd=0.25)
        with run.child("inner") as inner:
            inner.log_event("page", {"n": 1})
    with pytest.raises(ValueError, match="no route"), client.track_run("writer", "broken") as broken:
        raise ValueError("no route: 10.0.0.1")

    assert client.flush(120)

    spans = mlflow.spans()
    outer = spans[run.run_id]
    assert {run.run_id, inner.run_id, broken.run_id} == spans.keys()
    assert f"tr-{trace_id_of(run.run_id):032x}" == outer["trace"] == spans[inner.run_id]["trace"]
    assert f"{span_id_of(run.run_id):016x}" == outer["id"] == spans[inner.run_id]["parent"]
    assert ("draft", "OK", "AGENT", ["llm_call"]) == tuple(outer[key] for key in ("name", "status", "type", "events"))
    assert {"input_tokens": 900, "output_tokens": 12, "total_tokens": 912} == outer["attributes"][
        "mlflow.chat.tokenUsage"
    ]
    assert ("ERROR", ["exception"]) == (spans[broken.run_id]["status"], spans[broken.run_id]["events"])
    assert ["page"] == spans[inner.run_id]["events"]


def test_nothing_is_missing_after_kills_on_both_sides(client, mlflow, child, tmp_path):
    """Agents are killed while they send, the server too; what was acknowledged stands in MLflow, each run once."""
    acknowledged = set()
    for life in range(3):
        process = child(AGENT, tmp_path / "base", mlflow.url, f"life{life}")
        acknowledged |= {process.stdout.readline().strip() for _ in range(120)}
        if life == 1:
            mlflow.stop()
        process.send_signal(signal.SIGKILL)
        acknowledged |= {line for line in process.communicate(timeout=60)[0].splitlines() if line.startswith("life")}
    mlflow.start()

    assert client.flush(300)

    missing = acknowledged - mlflow.spans().keys()
    assert len(acknowledged) >= 360
    assert set() == missing


def test_a_header_that_is_missing_is_told(open_client, mlflow):
    """MLflow wants to know the experiment; without it nothing arrives, and the reason is where one looks."""
    client = open_client(endpoint=mlflow.url, logs=False, timeout_s=60)
    client.end_run(client.start_run("writer"))
    client.flush(60)

    outbox = client._setup.sinks["otlp"].open_outbox(client._setup.contexts["otlp"])
    assert "experiment" in next(outbox.dead_letters()).reason.lower()


def test_the_environment_is_not_ours():
    """What is tested against must not come out of our own environment."""
    assert os.path.realpath(sys.prefix) != os.path.realpath(os.path.dirname(os.path.dirname(MLFLOW)))
