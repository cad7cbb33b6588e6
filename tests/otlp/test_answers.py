"""Each answer of the backend has its consequence: tried again, kept for later, or set aside with its reason."""

import logging
import socket
import threading
import time

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra otlp")

from telemetry.sinks.delivery import dead_letters, status
from telemetry.sinks.otlp.sink import OtlpSink
from telemetry.sinks.timed import TimedAdapter


def finish(client, *names):
    """Record a run for each name."""
    for name in names:
        client.end_run(client.start_run("crawler", name, run_id=name))


def names_of(tellings):
    """Return the runs of spans or log records, in order."""
    return [telling.run_id for telling in tellings]


def dead_in(client):
    """Return run and reason of each dead letter."""
    return [(letter.record.run_id, letter.reason) for letter in dead_letters(client.base_dir / "state", "otlp")]


def trouble_in(client):
    """Return why the delivery rests."""
    trouble = status(client.base_dir / "state", "otlp", client.base_dir / "raw").trouble
    return trouble.reason if trouble is not None else ""


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_answers_that_may_pass_are_tried_again(open_client, backend, code):
    """By our pauses, not by the exporter's own, which would sleep a second in the middle of a step."""
    backend.script = [backend.say(code), backend.say(code)]
    client = open_client(endpoint=backend.url)
    began = time.monotonic()
    finish(client, "a", "b")

    assert client.flush(60)

    assert [["a", "b"]] * 2 == [names_of(backend.logs), names_of(backend.spans)]
    assert time.monotonic() - began < 5
    assert [] == dead_in(client)


def test_the_pause_that_a_backend_asks_for_is_kept(open_client, backend):
    """Retry-After, and not a moment earlier, whoever is in a hurry."""
    backend.script = [backend.refuse(503, "restarting", Retry_After="2")]
    client = open_client(endpoint=backend.url)
    finish(client, "a")

    assert client.flush(60)

    assert backend.requests[1].at - backend.requests[0].at >= 2
    assert ["a"] == names_of(backend.spans)


def test_nothing_is_sent_out_of_order(open_client, backend):
    """The span says that a run is over; while its log records are not taken it waits."""
    backend.script = [backend.say(503)] * 3
    client = open_client(endpoint=backend.url)
    finish(client, "a", "b")

    assert client.flush(60)

    kinds = [request.is_logs for request in backend.requests]
    assert [True] * 4 + [False] == kinds


@pytest.mark.parametrize("code", [400, 413, 422])
def test_a_record_that_is_refused_goes_to_the_dead_letters_alone(open_client, backend, code):
    """Its request is halved until it stands alone; the others arrive, and the reason is the backend's."""

    def poisoned(handler):
        is_bad = b"poison" in handler.post.body
        act = backend.refuse(code, "attribute too sour") if is_bad else backend.take
        act(handler)

    backend.always = poisoned
    client = open_client(endpoint=backend.url)
    with client.track_run("crawler", run_id="r") as run:
        for number in range(20):
            run.log_event("page", {"n": number, "what": "poison" if number == 13 else "bread"})

    assert client.flush(20)

    assert [n for n in range(20) if n != 13] == [
        log.told.body.kvlist_value.values[0].value.int_value for log in backend.logs if log.told.event_name == "page"
    ]
    [(run_id, reason)] = dead_in(client)
    assert ("r", True) == (run_id, "attribute too sour" in reason and str(code) in reason)
    assert ["r"] == names_of(backend.spans)


def test_dead_letters_can_be_tried_again(open_client, backend):
    """After the cause is mended they arrive, under the same key as before."""
    refused = backend.refuse(400, "no")
    backend.always = lambda handler: (refused if handler.post.is_logs else backend.take)(handler)
    client = open_client(endpoint=backend.url)
    client.start_run("crawler", "nightly", run_id="r")
    assert client.flush(60)
    [letter] = dead_letters(client.base_dir / "state", "otlp")

    backend.always = None
    sink = OtlpSink(OtlpSink.Options(endpoint=backend.url))
    assert 1 == sink.open_outbox(client._setup.contexts["otlp"]).retry_dead()
    finish(client, "next")
    assert client.flush(60)

    assert ("r", letter.key) in [(log.run_id, log.attributes["log.record.uid"]) for log in backend.logs]


@pytest.mark.parametrize("code", [301, 302, 307, 401, 402, 403, 404, 405, 415, 501])
def test_a_wrong_set_up_keeps_everything(open_client, backend, code):
    """It says nothing about a record. Nothing is given up, and the reason tells where to look."""
    backend.always = backend.say(code, Location="http://127.0.0.1:9/elsewhere")
    client = open_client(endpoint=backend.url)
    finish(client, "a")

    assert not client.flush(1)

    assert [] == dead_in(client)
    assert f"/v1/logs answered {code}" in trouble_in(client)
    assert 1 == len(backend.requests)


def test_a_web_page_is_no_answer(open_client, backend):
    """A proxy that wants somebody to log in says 200; to believe it would lose all that is sent."""
    backend.always = backend.say(200, b"<html>Log in</html>", Content_Type="text/html; charset=utf-8")
    client = open_client(endpoint=backend.url)
    finish(client, "a")

    assert not client.flush(1)
    assert "web page" in trouble_in(client)


@pytest.mark.parametrize(
    ("body", "kind"), [(b"", "text/plain"), (b"ok", "text/plain"), (b"{}", "application/json"), (b"\xff", "")]
)
def test_backends_may_say_yes_in_their_own_words(open_client, backend, body, kind):
    """Only what is said in the words of the protocol is a rejection."""
    backend.always = lambda handler: (
        backend.taken.append(handler.post),
        handler.answer(200, body, Content_Type=kind),
    )
    client = open_client(endpoint=backend.url)
    finish(client, "a")

    assert client.flush(60)
    assert ["a"] == names_of(backend.spans)


def test_what_is_rejected_whole_goes_to_the_dead_letters(open_client, backend):
    """A success that rejects as many records as there were is none; said in JSON it counts too."""
    words = b'{"partialSuccess": {"rejectedSpans": "1", "errorMessage": "too old"}}'
    backend.script = [backend.reject(1, "too new"), backend.say(200, words, Content_Type="application/json")]
    client = open_client(endpoint=backend.url)
    finish(client, "a")

    assert client.flush(60)

    assert [("a", True), ("a", True)] == [(run, "too" in reason) for run, reason in dead_in(client)]
    assert 2 == len(backend.requests)


def test_what_is_rejected_in_part_is_counted_and_not_sent_again(open_client, backend, caplog):
    """The protocol forbids to send it again, and nobody says which records it was."""
    backend.script = [backend.reject(2, "too old")]
    client = open_client(endpoint=backend.url)
    finish(client, "a", "b", "c")

    with caplog.at_level(logging.WARNING, "telemetry"):
        assert client.flush(60)

    assert 2 == client.status()["sinks"]["otlp"]["rejected"]
    assert [] == dead_in(client)
    assert 2 == len(backend.requests)
    assert "threw away 2 of 3 records: too old" in caplog.text


def test_a_warning_is_passed_on(open_client, backend, caplog):
    """A backend that took all may still have something to say."""
    backend.script = [backend.reject(0, "soon too old")]
    client = open_client(endpoint=backend.url)
    finish(client, "a")

    with caplog.at_level(logging.WARNING, "telemetry"):
        assert client.flush(60)

    assert "soon too old" in caplog.text
    assert 0 == client.status()["sinks"]["otlp"]["rejected"]


def test_what_breaks_off_a_request_is_no_refusal(open_client, backend, monkeypatch):
    """The exporter keeps to itself whatever is raised under it; only what was never sent cannot be encoded."""

    def break_off(*arguments, **settings):
        raise RuntimeError("of a library in between")

    client = open_client(endpoint=backend.url)
    with monkeypatch.context() as patched:
        patched.setattr(TimedAdapter, "send", break_off)
        finish(client, "a")
        assert not client.flush(0.5)
        assert "broken off" in trouble_in(client)
    assert client.flush(60)

    assert ["a"] == names_of(backend.spans)
    assert [] == dead_in(client)


def test_a_dead_port_costs_the_agent_nothing(open_client, backend, caplog):
    """Nobody listens; everything is kept, and arrives once somebody does. Only our own complaint is logged."""
    backend.stop()
    client = open_client(endpoint=backend.url)
    with caplog.at_level(logging.DEBUG):
        finish(client, "a", "b")
        assert not client.flush(0.5)
        backend.start()
        assert client.flush(60)

    assert ["a", "b"] == sorted(names_of(backend.spans))
    assert {"telemetry"} == {r.name.partition(".")[0] for r in caplog.records if r.levelno >= logging.WARNING}


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_a_backend_that_never_ends_its_answer(open_client, backend, fault):
    """The timeout holds for the whole answer; afterwards it is tried again."""
    backend.script = [getattr(backend, fault)]
    client = open_client(endpoint=backend.url, timeout_s=0.4)
    began = time.monotonic()
    finish(client, "a")

    assert client.flush(60)
    assert ["a"] == names_of(backend.spans)
    assert time.monotonic() - began < 20  # else 30 s


def test_close_waits_for_nobody(open_client, backend):
    """A backend that hangs holds up the end of the agent for two seconds at most."""
    backend.always = backend.hang
    client = open_client(endpoint=backend.url)
    finish(client, "a")
    backend.wait(lambda: backend.requests)

    began = time.monotonic()
    client.close(60)

    assert time.monotonic() - began < 9  # else 10 s, the timeout of the request


def test_a_backend_that_is_no_web_server(open_client):
    """A port that speaks another protocol, such as OTLP over gRPC, is an outage with a reason."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"\x00\x00\x18\x04\x00\x00\x00\x00\x00")

        threading.Thread(target=speak, daemon=True).start()
        client = open_client(endpoint=f"http://127.0.0.1:{server.getsockname()[1]}")
        finish(client, "a")

        assert not client.flush(0.5)
        assert "/v1/logs" in trouble_in(client)
        client.close(2)
        server.shutdown(socket.SHUT_RDWR)


def test_secrets_that_are_sent_back_are_masked(open_client, backend, tmp_path, caplog):
    """Some servers quote the request; what they quote stands in logs, cursors and dead letters."""
    backend.script = [
        backend.say(500, b"you sent Bearer tok-3f9a7c21 and key-77aa"),
        backend.refuse(400, "tok-3f9a7c21"),
    ]
    client = open_client(
        endpoint=backend.url, headers={"Authorization": "Bearer tok-3f9a7c21", "X-Key": "key-77aa"}, batch=1
    )
    with caplog.at_level(logging.DEBUG):
        finish(client, "a")
        client.flush(60)

    assert "Bearer tok-3f9a7c21" == backend.requests[0].headers["authorization"]
    assert ["tok-3f9a7c21" in reason for _, reason in dead_in(client)] == [False]
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"tok-3f9a7c21" not in files
    assert b"key-77aa" not in files
    assert "tok-3f9a7c21" not in caplog.text + repr(client.status())


def test_a_close_in_mid_request_gives_nothing_up(open_client, backend, tmp_path):
    """What the thread finds closed under its hands is for the next process, and no dead letter."""
    backend.script = [backend.hang]
    client = open_client(endpoint=backend.url, timeout_s=5)
    finish(client, "a")
    backend.wait(lambda: backend.requests)
    client.close(0.1)
    backend.released.set()

    last = open_client(endpoint=backend.url)
    assert last.flush(60)

    assert [] == dead_in(last)
    assert "a" in names_of(backend.spans)
