"""Prove that a token is shown nowhere: not in str, repr, errors, faults, log lines, tracebacks or listings."""

import json
import logging
import pickle
import traceback

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry import TelemetryConfig
from telemetry.core.config import SinkSpec
from telemetry.core.config.effective import effective_values
from telemetry.plugins import ConfigError
from telemetry.plugins.options import structure
from telemetry.plugins.secret import MASK, Secret, looks_secret, masked
from telemetry.plugins.typed import EnvText, read_secret, shown

TOKEN = "tOp-s3cret-t0ken"


@attrs.frozen
class Options:
    """Options with a secret, and with texts that may hold one."""

    token: Secret | None = None
    password: str = attrs.field(default="", validator=attrs.validators.max_len(3))
    url: str = attrs.field(default="", validator=attrs.validators.matches_re("|https://.*"))
    size: int = 0


@given(st.text(min_size=4))
def test_secret_shows_itself_only_on_request(text):
    """Whatever the text: str, repr, format and every container show the mask."""
    secret = Secret(text)

    assert [MASK] * 4 == [str(secret), repr(secret), f"{secret}", f"{secret!r}"]
    assert f"[{MASK}]" == str([secret])
    assert f"{MASK}       " == f"{secret:10}"
    assert f"Bearer {MASK}" == "Bearer %s" % secret  # noqa: UP031  # as logging does it
    assert text == secret.reveal()


def test_secret_compares_by_its_text():
    """A secret equals its text and another secret with it, and nothing else."""
    assert Secret("a") == Secret(Secret("a")) == "a"
    assert Secret("a") != Secret("b")
    assert Secret("a") != "b"
    assert Secret("1") != 1
    assert 1 == len({Secret("a"), "a"})
    assert Secret("a")
    assert not Secret("")
    assert Secret("a") == pickle.loads(pickle.dumps(Secret("a")))


def test_secret_of_something_else():
    """What is no text is refused, without showing it."""
    with pytest.raises(TypeError, match=r"^a Secret holds text, not int$"):
        Secret(12345)


def test_secret_is_no_json():
    """A secret that ends up in somebody's JSON is an error there, not a leak."""
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps({"token": Secret(TOKEN)})


@pytest.mark.parametrize(
    "name",
    [
        *("token", "api_key", "API-KEY", "hq.accessToken", "client_secret", "db.password", "Authorization", "auth"),
        *("cookie", "dsn", "private-key", "passwd", "credentials"),
    ],
)
def test_names_that_look_secret(name):
    """Options of these names are masked where options are shown."""
    assert looks_secret(name)


@pytest.mark.parametrize("name", ["author", "path", "fsync", "url", "key", "delays_s", "authored_by", "keyspace"])
def test_names_that_do_not(name):
    """Options of these names are shown."""
    assert not looks_secret(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://user:pw@host/x", "https://***@host/x"),
        (
            "see 'postgres://u:p@h' and https://h/?a=1&api_key=abc&b=2",
            "see 'postgres://***@h' and https://h/?a=1&api_key=***&b=2",
        ),
        ("https://host/@x?signature=abc", "https://host/@x?signature=***"),
        ("no url: a@b", "no url: a@b"),
    ],
)
def test_secrets_in_urls(text, expected):
    """Passwords and tokens inside a URL are masked, the rest of it stays."""
    assert expected == masked(text)


def test_configuration_never_shows_its_token(write, monkeypatch, caplog):
    """A token from file, environment or argument, as setting or option, is in no text that we make."""
    monkeypatch.setenv("HQ_TOKEN", TOKEN)
    monkeypatch.setenv("METRICS_API_URL", f"https://me:{TOKEN}@hq.example/?token={TOKEN}")
    write(
        f'api_token = "{TOKEN}"\n[sinks.hq]\ntype = "api"\nurl = "https://me:{TOKEN}@x"\ntoken = "{TOKEN}"\n'
        f'headers = {{ Authorization = "Bearer {TOKEN}", X = ["${{HQ_TOKEN}}"] }}\nother = "a ${{HQ_TOKEN}}"\n'
        f'bearer = "Bearer {TOKEN}"\n'
    )
    config = TelemetryConfig.load()

    logging.getLogger("test").warning("%s %r %r", config, config.sinks, config.api_token)
    rows = effective_values(config)

    assert TOKEN == config.api_token
    for text in (str(config), repr(config), str(config.sinks), str(dict(config.origins)), caplog.text, str(rows)):
        assert TOKEN not in text
    shown_rows = {row.name: row.value for row in rows}
    assert MASK == shown_rows["api_token"] == shown_rows["sinks.hq.token"]
    assert "${HQ_TOKEN}" == shown_rows["sinks.hq.headers.X"]
    assert "a ${HQ_TOKEN}" == shown_rows["sinks.hq.other"]


@pytest.mark.parametrize(
    "line",
    [
        'api_url = "${HQ_TOKEN}"',
        f'api_url = "ftp://me:{TOKEN}@hq/"',
        f'api_tokn = "{TOKEN}"',
        f'api_token = ["{TOKEN}"]',
        'test_mode = "${HQ_TOKEN}"',
        'api_enabled = "${HQ_TOKEN}"',
        'base_dir = "\\u0000${HQ_TOKEN}"',
        f'[redact]\ntoken = "{TOKEN}"',
        f'[sinks]\ntoken = "{TOKEN}"',
        '[sinks.x]\ntype = ["${HQ_TOKEN}"]',
    ],
)
def test_no_fault_shows_a_token(line, write, monkeypatch):
    """A token in the wrong place is a fault, whose sentence hides it."""
    monkeypatch.setenv("HQ_TOKEN", TOKEN)
    write(line)

    config = TelemetryConfig.load()

    assert 1 == len(config.faults)
    assert TOKEN not in str(config.faults)


@pytest.mark.parametrize(
    "values",
    [
        {"token": ["x", TOKEN]},
        {"token": {"a": TOKEN}},
        {"tokn": TOKEN},
        {"password": TOKEN},
        {"password": 1234567},
        {"size": EnvText(TOKEN, "${HQ_TOKEN}")},
        {"url": EnvText(f"ftp://{TOKEN}", "${HQ_URL}")},
        {"url": f"ftp://me:{TOKEN}@x"},
    ],
)
def test_no_error_of_options_shows_a_token(values):
    """Neither the message nor a traceback of wrong options shows it, though a validator may quote the value."""
    with pytest.raises(ConfigError) as raised:
        structure(Options, values, path="sinks.hq", origin="here")

    text = str(raised.value) + str(raised.value.faults) + "".join(traceback.format_exception(raised.value))
    assert TOKEN not in text
    assert "1234567" not in text


@pytest.mark.parametrize(
    "url",
    [
        *("https://me:{}@x/y", "https://me:a@{}@x", "https://me:a/{}@x", "https://{}@x", "me:{}@x:80", "//me:{}@x"),
        *("https:me:{}@x", "ftp:/me:{}@x", "host=x password={} user=me", "password={}", "https://x/#token={}"),
        *("https://x/?a=1&api_key={}", "https://x/?api_key={}&a=1"),
    ],
)
def test_no_way_to_write_a_password_is_quoted(url):
    """Nor one that is no URL, which is why it is quoted."""
    assert TOKEN not in shown("url", url.format(TOKEN))


@pytest.mark.parametrize("text", ["https://x:8080/users/@me", "https://x/@me", "C:/y@z", "16:00", "a: b", "x@y.org"])
def test_what_holds_no_password_is_shown_whole(text):
    """An address would help nobody who cannot read it."""
    assert repr(text) == shown("url", text)


def test_error_of_options_brings_no_cause():
    """An error whose cause is the converter's would show the value in the traceback."""
    with pytest.raises(ConfigError) as raised:
        structure(Options, {"password": TOKEN}, path="sinks.hq", origin="here")

    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


def test_text_of_the_environment_shows_its_source():
    """What came out of a variable is shown as the reference to it."""
    text = EnvText(TOKEN, "${HQ_TOKEN}")

    assert "'${HQ_TOKEN}'" == repr(text) == shown("anything", text)
    assert TOKEN == text == read_secret(text)
    assert "'${HQ_TOKEN}'" == repr(pickle.loads(pickle.dumps(text)))


def test_sink_shows_the_names_of_its_options_only():
    """Only the sink knows which of its options are secret."""
    spec = SinkSpec("hq", "api", {"token": TOKEN, "url": "https://x"}, "here")

    assert "SinkSpec(name='hq', type='api', options=<token, url>, origin='here')" == repr(spec) == str(spec)
