"""A sink is small: what the guide shows stays within the lines that authors are promised."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

_CONTRACT = '''
"""Hold the remote sink of the guide to the contract, before a room on 127.0.0.1."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from chat import ChatSink

from telemetry.testing import SinkConformance


class Room(BaseHTTPRequestHandler):
    def do_POST(self):
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.told.setdefault(self.path, {}).setdefault(self.headers["Idempotency-Key"], told)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def room():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Room)
    server.told = {}
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class TestChatSink(SinkConformance):
    @pytest.fixture(autouse=True)
    def _room(self, room):
        self.room = room

    def make_sink(self, tmp_path):
        return ChatSink(ChatSink.Options(url=f"http://127.0.0.1:{self.room.server_port}{tmp_path}"))

    def read_back(self, sink, tmp_path):
        for told in list(self.room.told.get(str(tmp_path), {}).values()):
            yield {"run_id": told["run_id"], "agent_name": told["text"].partition(" failed: ")[0]}

    def expects(self, record):
        return getattr(record, "status", None) == "failed"
'''
_PAGE = "how-to/write-a-sink.md"
_MOST_LINES = 40


@pytest.mark.parametrize("name", ["FailuresSink", "ChatSink"])
def test_useful_sink_needs_forty_lines(blocks, name):
    """One that takes records as they come, and one that sends them to another machine, imports included."""
    [text] = [
        block.text
        for block in blocks(_PAGE)
        if block.language == "python"
        and any(isinstance(node, ast.ClassDef) and node.name == name for node in ast.parse(block.text).body)
    ]

    assert sum(1 for line in text.splitlines() if line.strip()) <= _MOST_LINES


def test_it_imports_the_contract_alone(blocks):
    """Of the platform, `telemetry.plugins` is all that a sink of the guide needs."""
    for name in ("FailuresSink", "ChatSink"):
        [text] = [block.text for block in blocks(_PAGE) if f"class {name}:" in block.text]
        named = [node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
        assert ["telemetry.plugins"] == [module for module in named if module.startswith("telemetry")]


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.timeout(600)
def test_remote_sink_of_the_guide_keeps_the_whole_contract(blocks, tmp_path: Path):
    """Forty lines bear what a sink has to bear, as they stand on the page: the rest comes with @remote_sink."""
    [text] = [block.text for block in blocks(_PAGE) if "class ChatSink:" in block.text]
    (tmp_path / "chat.py").write_text(text, "utf-8")
    (tmp_path / "test_chat.py").write_text(_CONTRACT, "utf-8")

    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider", "--rootdir", tmp_path]
    done = subprocess.run(
        [*command, "-W", "error", "--basetemp", tmp_path / "base", tmp_path / "test_chat.py"],
        env=os.environ | {"PYTHONPATH": str(tmp_path), "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=590,
    )

    assert 0 == done.returncode, done.stdout[-3000:] + done.stderr
    assert int(done.stdout.split(" passed")[0].split()[-1]) >= 100
