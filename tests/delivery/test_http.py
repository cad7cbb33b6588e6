"""What comes over the wire decides what becomes of a record: every answer a server can give, and none at all."""

import email.utils
import socket
import time

import pytest
from patience import quickest

from telemetry.plugins import Retryable, Unreachable
from telemetry.plugins.secret import Secret
from telemetry.sinks.http import Poster

TOKEN = "tok-3f9a7c21"


@pytest.fixture
def post():
    """Return a function that posts once; each poster is closed at the end."""
    made = []

    def act(url, body=b"{}", sent=None, **options):
        poster = Poster(url, Secret(TOKEN), **options)
        made.append(poster)
        return poster.post(body, sent or {})

    yield act
    for poster in made:
        poster.close()


def test_the_request_is_what_the_contract_says(api, post):
    """POST, bearer token, our headers, the body as it is."""
    answer = post(api.url, b'{"a": 1}', {"Idempotency-Key": "k1"}, headers={"X-Team": Secret("ops")})

    (request,) = api.requests
    assert ("/v1/records", b'{"a": 1}', "k1") == (request.path, request.body, request.key)
    assert (f"Bearer {TOKEN}", "ops") == (request.headers["authorization"], request.headers["x-team"])
    assert (201, '{"ok": true}', None) == (answer.status, answer.excerpt, answer.retry_after_s)


def test_one_connection_serves_many_posts(api):
    """A handshake a run would be the greatest part of the cost."""
    seen = set()
    api.always = lambda handler: (seen.add(handler.client_address), handler.answer(200, b"ok"))
    poster = Poster(api.url)

    for _ in range(5):
        poster.post(b"{}", {})

    poster.close()
    assert 1 == len(seen)


@pytest.mark.parametrize("status", [200, 202, 204, 301, 401, 404, 429, 500, 599, 999])
def test_every_status_is_an_answer(api, post, status):
    """Judging it is the sink's business."""
    api.always = api.say(status)

    assert status == post(api.url).status


def test_an_answer_says_what_happened_in_words(api, post):
    """Address without its query, status, reason, the begin of the body on one line."""
    api.always = api.say(422, b"no such\n field: \x00\x1b[31m " + b"x" * 1000)

    text = str(post(f"{api.url}?key=hidden"))

    assert f"{api.url} answered 422 Unprocessable" in text
    assert "no such field: ??[31m xxx" in text
    assert "hidden" not in text
    assert len(text) < 450


def test_a_body_that_echoes_the_token_is_masked(api, post):
    """The text goes into logs, and into the dead letters on disk."""
    api.always = lambda handler: handler.answer(400, str(handler.headers).encode())

    answer = post(api.url, headers={"X-Key": Secret("key-777")})

    assert "***" in answer.excerpt
    assert TOKEN not in answer.excerpt
    assert "key-777" not in answer.excerpt


@pytest.mark.parametrize("value", ["-3", "soon", "", "1e3", "\u0663", "7,8"])
def test_a_retry_after_that_is_none_counts_as_absent(api, post, value):
    """Whatever the server wrote there."""
    api.always = api.say(429, Retry_After=value.encode().decode("latin-1"))

    assert post(api.url).retry_after_s is None


@pytest.mark.parametrize(("value", "seconds"), [("7", 7), (" 7 ", 7), ("0", 0), ("9" * 400, float("inf"))])
def test_retry_after_in_seconds(api, post, value, seconds):
    """Whole seconds; the delivery bounds them."""
    api.always = api.say(429, Retry_After=value)

    assert seconds == post(api.url).retry_after_s


@pytest.mark.parametrize(("in_s", "wanted_s"), [(90, 90), (-90, 0)])
def test_retry_after_as_a_date_is_measured_by_the_servers_own_clock(api, post, in_s, wanted_s):
    """Its clock may be years off ours; the difference of its two dates is right all the same."""
    then = 1_000_000_000

    def act(handler):
        handler.send_response_only(503)
        handler.send_header("Date", email.utils.formatdate(then, usegmt=True))
        handler.send_header("Retry-After", email.utils.formatdate(then + in_s, usegmt=True))
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    api.always = act

    assert wanted_s == post(api.url).retry_after_s


def test_retry_after_as_a_date_without_the_servers_own():
    """Then our clock has to do."""
    from telemetry.sinks.answers import asked_pause_s

    pause_s = asked_pause_s({"Retry-After": email.utils.formatdate(time.time() + 90, usegmt=True)})

    assert 80 < pause_s <= 91


# -- no answer


def free_port():
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_refused_connection(post):
    """The usual outage, told in the system's words."""
    with pytest.raises(Unreachable, match=r"ConnectionRefusedError: .*refused") as caught:
        post(f"http://127.0.0.1:{free_port()}/v1?key=hidden")

    assert "hidden" not in str(caught.value)


def test_a_port_that_does_not_answer(post):
    """Its queue is full, or a firewall drops what we send: told apart from a server that is slow."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())

        with pytest.raises(Unreachable, match="no connection in time"):
            post(f"http://127.0.0.1:{full.getsockname()[1]}/", timeout_s=0.2)

        for one in waiting:
            one.close()


def test_a_header_that_cannot_be_sent_is_not_quoted(api, post):
    """requests quotes what it refuses; options that come from elsewhere than a file may hold anything."""
    with pytest.raises(Retryable, match=r"records: InvalidHeader$"):
        post(api.url, headers={"X-Key": Secret("hidden\n")})


def test_a_piece_that_comes_after_the_end_is_not_read():
    """The moment counts, however ready the next byte is."""
    from telemetry.sinks.timed import _TimedReader

    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.01)
        reader = _TimedReader(ours)
        theirs.sendall(b"x")
        time.sleep(0.02)

        with pytest.raises(TimeoutError):
            reader.read(1)

        reader.close()


def test_a_name_that_does_not_exist(post):
    """The resolver's word, whatever it is here."""
    with pytest.raises(Unreachable, match=r"http://no-such-host\.invalid/: \w+"):
        post("http://no-such-host.invalid/")


def test_a_server_that_hangs(api, post):
    """The whole answer has timeout_s."""
    api.always = api.hang
    started = time.monotonic()

    with pytest.raises(Retryable, match="no answer in time"):
        post(api.url, timeout_s=0.2)

    assert time.monotonic() - started < 15  # else 30 s


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\nX-Drip: "])
def test_a_server_that_drips(api, post, beginning):
    """Each byte would start a common timeout anew, and this could go on for days."""
    api.always = api.raw(beginning, *[b"H"] * 1500, pause_s=0.02)
    started = time.monotonic()

    with pytest.raises(Retryable, match="no answer in time"):
        post(api.url, timeout_s=0.3)

    assert time.monotonic() - started < 15  # else 30 s, until the last byte


def test_a_server_that_stops_in_the_middle_has_only_the_rest_of_the_time(api, post):
    """What was used up before a byte came is not granted again after it."""

    def act(handler):
        api.raw(b"HTTP/1.1 200", pause_s=0.7)(handler)
        api.raw(b" OK\r\n", pause_s=30)(handler)

    api.always = act

    def cut_short():
        with pytest.raises(Retryable, match="no answer in time"):
            post(api.url, timeout_s=1.0)

    assert quickest(cut_short, 1.5) < 1.5  # else 1.7 s


def test_a_body_that_drips_does_not_change_the_status(api, post):
    """201 is known: the record was taken, whatever happens to the words after it."""
    head = b"HTTP/1.1 201 Created\r\nContent-Length: 1000\r\n\r\n"
    api.always = api.raw(head, *[b"x"] * 1000, pause_s=0.03)
    started = time.monotonic()

    assert 201 == post(api.url, timeout_s=0.3).status

    assert time.monotonic() - started < 15  # else 30 s


def test_a_flood_is_cut(api, post):
    """64 kB are read of a body without end; the rest stays on the wire."""
    sent = []

    def act(handler):
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 500 Oops\r\n\r\n")
        for _ in range(2000):
            handler.wfile.write(b"x" * 65536)
            sent.append(65536)

    api.always = act

    assert 300 == len(post(api.url).excerpt)
    assert sum(sent) < 32 << 20


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\xff\x13\x37 garbage\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/9000\r\n",
        b"\r\n\r\n",
        b"",
        b"HTTP/1.1 200 " + b"x" * 70000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
    ],
)
def test_garbage_is_no_answer(api, post, garbage):
    """It may pass: a proxy that restarts, a port that belongs to something else for a moment."""
    api.always = api.raw(garbage)

    with pytest.raises(Retryable, match=r"/v1/records: \w+"):
        post(api.url, timeout_s=2)


def test_a_body_that_breaks_off_does_not_change_the_status(api, post):
    """The server died after it had taken the record."""
    api.always = api.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort")

    assert 200 == post(api.url).status


def test_a_chunked_body_that_is_nonsense_does_not_change_the_status(api, post):
    """Neither does one that cannot be decoded."""
    api.always = api.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")

    assert (200, "") == ((answer := post(api.url)).status, answer.excerpt)


def test_a_missing_certificate_bundle(api, post, tmp_path):
    """Told by name: a typo in `ca` is mended by the user."""
    with pytest.raises(Retryable, match=r"no-such\.pem"):
        post("https://127.0.0.1:1/", ca=tmp_path / "no-such.pem")


def test_a_server_that_speaks_no_tls(api, post):
    """https to a plain port."""
    with pytest.raises(Retryable, match=r"SSLError.*; no TLS is spoken there"):
        post(api.url.replace("http://", "https://"))


def test_the_environments_netrc_never_replaces_the_token(api, post, monkeypatch, tmp_path):
    """requests would put its user and password over ours."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    post(api.url)
    poster = Poster(api.url)
    poster.post(b"{}", {})
    poster.close()

    assert [f"Bearer {TOKEN}", None] == [request.headers.get("authorization") for request in api.requests]


def test_a_proxy_of_the_environment_is_used_and_gets_no_other_token(api, other_api, post, monkeypatch):
    """The request goes by way of it, with the bearer token for the API inside."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{other_api.port}")
    monkeypatch.setenv("no_proxy", "")

    post(api.url)

    assert [] == api.requests
    (request,) = other_api.requests
    assert (api.url, f"Bearer {TOKEN}") == (request.path, request.headers["authorization"])


def test_a_proxy_that_is_down_is_told_without_its_password(api, post, monkeypatch):
    """Proxy addresses often hold one."""
    monkeypatch.setenv("http_proxy", f"http://me:hidden@127.0.0.1:{free_port()}")
    monkeypatch.setenv("no_proxy", "")

    with pytest.raises(Retryable, match="ConnectionRefused") as caught:
        post(api.url)

    assert "hidden" not in f"{caught.value!r} {caught.value}"


def test_cookies_are_not_kept(api):
    """A post depends on nothing but the options."""
    api.always = api.say(200, Set_Cookie="session=1")
    poster = Poster(api.url)
    poster.post(b"{}", {})
    poster.post(b"{}", {})
    poster.close()

    assert "cookie" not in api.requests[1].headers


def test_no_traceback_leads_to_the_token(post):
    """The error has no cause that holds the request, whose headers hold the token."""
    with pytest.raises(Retryable) as caught:
        post(f"http://127.0.0.1:{free_port()}/")

    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


# -- redirects


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_that_keeps_the_post_is_followed(api, post, status):
    """Same origin, same token, same body."""
    api.script = [api.say(status, Location="/v2/records")]

    assert 201 == post(api.url, b'{"a": 1}', {"Idempotency-Key": "k1"}).status

    assert ["/v1/records", "/v2/records"] == [request.path for request in api.requests]
    assert (b'{"a": 1}', "k1") == (api.requests[1].body, api.requests[1].key)
    assert f"Bearer {TOKEN}" == api.requests[1].headers["authorization"]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "me:pw@127.0.0.1"])
def test_another_origin_gets_neither_token_nor_headers(api, other_api, post, name, monkeypatch, tmp_path):
    """Another port is another origin; nor does the netrc or the address itself fill the gap."""
    (tmp_path / "netrc").write_text("default login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    api.script = [api.say(307, Location=f"http://{name}:{other_api.port}/x")]

    assert 201 == post(api.url, headers={"X-Key": Secret("key-777")}).status

    (request,) = other_api.requests
    assert not {"authorization", "x-key", "cookie"} & set(request.headers)
    assert "key-777" == api.requests[0].headers["x-key"]


def test_the_token_is_back_when_the_way_leads_home(api, other_api, post):
    """Each step is judged by where it goes."""
    api.script = [api.say(307, Location=f"http://127.0.0.1:{other_api.port}/x")]
    other_api.always = other_api.say(307, Location=api.url)

    assert 201 == post(api.url).status

    assert f"Bearer {TOKEN}" == api.requests[1].headers["authorization"]
    assert "authorization" not in other_api.requests[0].headers


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305])
def test_other_redirects_are_not_followed(api, post, status):
    """They turn the POST into a GET, and the 200 of some login page would pass for success."""
    api.script = [api.say(status, Location="/login")]

    assert status == post(api.url).status

    assert 1 == len(api.requests)


@pytest.mark.parametrize(
    "location", [None, "ftp://127.0.0.1/", "file:///etc/passwd", "http://", "http://[::1", "javascript:alert(1)"]
)
def test_a_redirect_to_nowhere_is_an_answer_like_any_other(api, post, location):
    """The sink tells the user to look at the address."""
    api.always = api.say(308, **({"Location": location} if location else {}))

    assert 308 == post(api.url).status


def test_redirects_in_a_circle_end(api, post):
    """After five."""
    api.always = api.say(307, Location="/v1/records")

    assert 307 == post(api.url).status

    assert 6 == len(api.requests)


def test_a_redirect_with_a_flood_behind_it_is_cut(api, post):
    """requests would read the whole body of a redirect that is not followed."""
    sent = []

    def act(handler):
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n")
        for _ in range(2000):
            handler.wfile.write(b"x" * 65536)
            sent.append(65536)

    api.always = act

    assert 302 == post(api.url).status
    assert sum(sent) < 32 << 20


def test_https_never_falls_back_to_http():
    """Whatever the server says: the record would go over the wire in the clear."""
    from requests import Response

    from telemetry.sinks.http import _target_of

    response = Response()
    response.status_code = 307
    response.headers["Location"] = "http://hq.example/v1"

    assert _target_of("https://hq.example/v1", response) is None
    assert "http://hq.example/v1" == _target_of("http://hq.example/", response)


def test_tls_is_verified_by_the_bundle_that_is_named(new_api, post, certificates):
    """A server with a certificate of its own is trusted by `ca`, and by nothing else."""
    api = new_api(tls=certificates.of_server())

    with pytest.raises(Retryable, match=r"CERTIFICATE_VERIFY_FAILED.*; set ca to a file"):
        post(api.url)
    assert [] == api.requests
    assert 201 == post(api.url, ca=certificates / "ca.pem").status


REFUSALS = {
    "another": ("127.0.0.1", "another.pem", "set ca to"),
    "name": ("localhost", "ca.pem", "use the name"),
    "no certificate": ("127.0.0.1", "ca.key", "the file that ca names"),
}


@pytest.mark.parametrize(("host", "ca", "cure"), REFUSALS.values(), ids=REFUSALS)
def test_each_refusal_of_a_certificate_has_its_cure(new_api, post, certificates, host, ca, cure):
    """OpenSSL says what is wrong and not which option mends it."""
    api = new_api(tls=certificates.of_server())

    with pytest.raises(Retryable, match=cure):
        post(f"https://{host}:{api.port}/", ca=certificates / ca)

    assert [] == api.requests
