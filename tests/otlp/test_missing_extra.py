"""Without the extra the sink says what to install; the agent runs on, and so does everything else."""

import subprocess
import sys

import pytest

WITHOUT = """
import sys


class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Nothing())
"""


def run(program, *arguments):
    """Run *program* in an environment that has no OpenTelemetry."""
    command = [sys.executable, "-c", WITHOUT + program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert 0 == done.returncode, done.stderr
    return done


def test_the_sink_says_what_to_install():
    """It can be imported, so that the configuration can be checked; to build it is an error with its cure."""
    program = """
from telemetry.plugins import ConfigError
from telemetry.sinks.otlp.sink import OtlpSink
try:
    OtlpSink(OtlpSink.Options())
except ConfigError as error:
    print(error)
"""
    assert (
        "opentelemetry-exporter-otlp-proto-http is not installed, which the extra 'otlp' brings: "
        "pip install 'local-telemetry[otlp]'" == run(program).stdout.strip()
    )


def test_an_agent_that_is_set_up_for_it_runs_on(tmp_path):
    """One warning; the journal has everything, and the sink can send it once it is installed."""
    (tmp_path / "telemetry.toml").write_text('[sinks.raw]\ntype = "ndjson"\n[sinks.hq]\ntype = "otlp"\n')
    program = """
import logging, os
logging.basicConfig()
from telemetry import TelemetryClient
os.chdir(sys.argv[1])
with TelemetryClient(metrics_dir=sys.argv[1]) as client:
    client.end_run(client.start_run("crawler"))
    print(sorted(client.status()["sinks"]))
"""
    done = run(program, tmp_path)

    assert "['raw']" == done.stdout.strip()
    assert 1 == done.stderr.count("pip install 'local-telemetry[otlp]'")


def test_opentelemetry_is_imported_to_send_and_for_nothing_else(tmp_path):
    """Building, opening and asking for options cost no agent the 0.3 s of that import."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra otlp")
    program = """
import sys
from telemetry import TelemetryClient
from telemetry.sinks.otlp.sink import OtlpSink
client = TelemetryClient(sinks={"otlp": OtlpSink(OtlpSink.Options())}, metrics_dir=sys.argv[1])
print([name for name in ("google.protobuf", "requests", "opentelemetry.sdk") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, timeout=60)

    assert "[]" == done.stdout.strip(), done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"traces": False, "logs": False}, "nothing would be sent"),
        ({"traces": False, "span_events": True}, "no span to tell them with"),
        ({"endpoint": "collector:4318"}, "write it like 'https://collector.example:4318'"),
        ({"endpoint": "https://me:hunter2@collector.example"}, "set headers"),
        ({"headers": {"Content-Type": "text/plain"}}, "this sink sets itself"),
        ({"headers": {"x-key": "a\nb"}}, "no header can carry"),
        ({"compression": "zstd"}, "compression"),
        ({"timeout_s": 0.0}, "timeout_s"),
        ({"batch": 0}, "batch"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, words):
    """The text names the option and its cure, and never a secret."""
    from telemetry.sinks.otlp.sink import OtlpSink

    with pytest.raises(ValueError, match=words.replace("'", ".")) as caught:
        OtlpSink.Options(**options)

    assert "hunter2" not in str(caught.value)
