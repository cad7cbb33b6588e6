"""What is set for the api sink is checked once, and no message, repr or file shows the token."""

import re
from pathlib import Path

import attrs
import pytest

from telemetry.plugins import ConfigError, RetryPolicy
from telemetry.plugins.options import structure
from telemetry.plugins.secret import Secret
from telemetry.sinks.api import ApiSink

TOKEN = "tok-3f9a7c21"
Options = ApiSink.Options


def test_the_defaults_are_those_of_the_contract():
    """1, 2, 4 seconds, then longer; ten seconds for an answer; ends only, from now on."""
    options = Options(url="https://hq.example/v1/records")

    assert (1.0, 2.0, 4.0, 8.0, 300.0) == tuple(options.retry.wait_s(number) for number in (1, 2, 3, 4, 50))
    assert (None, 10.0, None, {}, False, "ends") == (
        options.token,
        options.timeout_s,
        options.ca,
        options.headers,
        options.backfill,
        options.post,
    )


def test_options_are_read_from_a_file():
    """As the contract's example writes them."""
    table = {
        "url": "https://hq.example/v1/records",
        "token": TOKEN,
        "retry": {"delays_s": [1, 2, 4], "cap_s": 60},
        "headers": {"X-Team": "ops"},
        "timeout_s": 5,
        "ca": "/etc/hq.pem",
        "post": "all",
        "backfill": True,
    }

    options = structure(Options, table, path="sinks.hq", origin="telemetry.toml")

    assert (Secret(TOKEN), RetryPolicy((1, 2, 4), 60), "all", True) == (
        options.token,
        options.retry,
        options.post,
        options.backfill,
    )
    assert {"X-Team": Secret("ops")} == options.headers


def test_a_missing_url_is_told():
    """Without an address there is no such sink."""
    with pytest.raises(ConfigError, match=r"sinks\.hq\.url is missing"):
        structure(Options, {"token": TOKEN}, path="sinks.hq", origin="telemetry.toml")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hq.example/v1",
        "ftp://hq.example/v1",
        "file:///etc/passwd",
        "htps://hq.example",
        "https://",
        "https:///v1",
        "http://hq.example:notaport/",
        "http://hq.example:0/",
        "http://[::1/",
        "http://hq.example/a b",
        "http://hq.example/\nX: y",
    ],
)
def test_a_bad_url_is_told_with_its_value_and_the_cure(url):
    """Only http and https, with a host."""
    with pytest.raises(ValueError, match=r"url is .*; write it like 'https://hq\.example/v1/records'") as caught:
        Options(url=url)

    assert repr(url) in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "https://hq.example/v1?x=1", "HTTP://hq.example/", "http://[::1]:80/"]
)
def test_good_urls_are_taken_as_they_are(url):
    """Nothing is rewritten."""
    assert url == Options(url=url).url


def test_a_password_in_the_url_is_refused_and_not_shown():
    """It would end up in log lines; there is `token` for that."""
    with pytest.raises(ValueError, match="set token") as caught:
        Options(url=f"https://me:{TOKEN}@hq.example/v1")

    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f"{TOKEN}\r\nX-Evil: 1", f"{TOKEN}é", f"{TOKEN}\x00"])
def test_a_token_that_fits_no_header_is_refused_and_not_shown(token):
    """A newline at its end is the usual accident of reading it from a file."""
    for place in ({"token": token}, {"headers": {"X-Key": token}}):
        with pytest.raises(ValueError, match="copy it anew") as caught:
            Options(url="https://hq.example", **place)

        assert TOKEN not in f"{caught.value!r} {caught.value}"


@pytest.mark.parametrize("name", ["Authorization", "idempotency-key", "Content-Type", "Host", "", "X Y", "X:", "X\n"])
def test_headers_that_are_ours_or_none_are_refused(name):
    """Each has its own setting, or would break the request."""
    with pytest.raises(ValueError, match="headers has"):
        Options(url="https://hq.example", headers={name: "x"})


@pytest.mark.parametrize("change", [{"timeout_s": 0}, {"timeout_s": -1}, {"post": "starts"}])
def test_other_values_are_checked(change):
    """A time that is none, a word that is unknown."""
    with pytest.raises(ValueError, match=r"timeout_s|post"):
        Options(url="https://hq.example", **change)


@pytest.mark.parametrize("token", [None, "", Secret("")])
def test_no_token_is_possible(token):
    """An API inside one's own network may need none."""
    assert Options(url="https://hq.example", token=token).token is None


def test_nothing_shows_the_token():
    """Neither the options nor the sink, in any way of writing them."""
    options = Options(url=f"https://hq.example/v1?key={TOKEN}", token=TOKEN, headers={"X-Key": TOKEN})
    sink = ApiSink(options)

    for thing in (options, sink):
        assert TOKEN not in f"{thing} {thing!r} {[thing]}"
    assert "https://hq.example/v1" in repr(options)


def test_each_option_stands_in_the_docs():
    """With its name, and nothing that is no option."""
    page = (Path(__file__).parents[2] / "docs" / "explanation" / "delivery.md").read_text("utf-8")
    table = page.partition("| option | default |")[2].partition("\n\n")[0]

    told = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)

    assert [field.name for field in attrs.fields(Options)] == told


def test_the_sink_promises_what_the_bus_asks_for():
    """It is quick enough for the agent's thread, and keeps contract 1."""
    assert (1, True) == (ApiSink.contract, ApiSink.runs_inline)
