"""No secret reaches a sink: not by the name of its key, not by its shape, in no field and no nesting."""

import string
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from telemetry import RunEvent, RunRecord, TelemetryClient, TelemetryConfig
from telemetry.core.config.settings import Redaction
from telemetry.core.redact import REDACTED, Redactor
from telemetry.core.secret_names import is_secret_name, is_secret_number
from telemetry.core.secret_texts import _RULES, _applied, _lowered, may_hold_secret, without_secrets
from telemetry.plugins import CommitLink, DeliveryReport, MetricsUpdate, encode_line

NOW = "2026-11-23T10:00:00.000000+00:00"
TAIL = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3gH5"

SECRET_NAMES = [
    *("authorization", "Authorization", "proxy-authorization", "api_key", "X-Api-Key", "apiKey", "APIKEY"),
    *("ApiKey", "api.key", "accessToken", "access_token", "password", "PASSWORD", "PGPASSWORD", "dbPassword"),
    *("db_pass", "user_passwd", "passphrase", "passcode", "pwd", "client_secret", "secret", "secret_id", "cookie"),
    *("Set-Cookie", "cookies", "token", "csrftoken", "refresh_token", "id_token", "X-Auth-Token", "private_key"),
    *("privateKey", "PRIVATEKEY", "aws_secret_access_key", "AWS_ACCESS_KEY_ID", "credentials", "credential"),
    *("auth", "auth_header", "jwt", "bearer", "otp", "token_value", "session_key", "signing_key", "encryption_key"),
    *("storage_key", "ssh_key", "master_key", "secrets", "access_tokens", "password1", "my_app_key"),
]
OTHER_NAMES = [
    *("tokens_in", "tokens_out", "tokens_cached", "tokens", "max_tokens", "total_tokens", "tokenizer"),
    *("tokenization", "token_usage", "token_ids", "token_count", "token_limit", "eos_token", "pad_token"),
    *("subtoken", "prompt_tokens", "keyboard", "monkey", "author", "authors", "authority", "authored"),
    *("primary_key", "foreign_key", "key", "keys", "keyword", "secretary", "passed", "passes", "bypass", "compass"),
    *("passenger", "password_policy", "auth_method", "auth_type", "token_type", "cookie_consent", "session_id"),
    *("secret_name", "keynote", "hotkey", "cost_per_1k_tokens", "oauth", "cookiecutter", "turnkey", "donkey"),
    *("jockey", "hockey", "whisky", "passive", "password_length", "overpass", "trespass"),
]

TEXTS = {
    "openai": f"sk-proj-{TAIL}",
    "anthropic": f"sk-ant-api03-{TAIL}-{TAIL}",
    "stripe": f"sk_live_{TAIL}",
    "stripe restricted": f"rk_test_{TAIL}",
    "github": f"ghp_{TAIL}",
    "github app": f"ghs_{TAIL}",
    "github fine-grained": f"github_pat_11ABC_{TAIL}",
    "gitlab": f"glpat-{TAIL}",
    "slack": f"xoxb-1234567890-{TAIL}",
    "slack webhook": f"https://hooks.slack.com/services/T01/B02/{TAIL}",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "google": f"AIzaSy{TAIL}",
    "google oauth": f"ya29.{TAIL}",
    "hugging face": f"hf_{TAIL}",
    "npm": f"npm_{TAIL}",
    "pypi": f"pypi-AgEI{TAIL}",
    "groq": f"gsk_{TAIL}",
    "xai": f"xai-{TAIL}",
    "perplexity": f"pplx-{TAIL}",
    "vault": f"hvs.{TAIL}",
    "sendgrid": f"SG.{TAIL[:22]}.{TAIL}",
    "jwt": f"eyJhbGciOiJIUzI1NiJ9.{TAIL}.{TAIL}",
    "private key": f"-----BEGIN RSA PRIVATE KEY-----\n{TAIL}\n{TAIL}\n-----END RSA PRIVATE KEY-----",
    "torn private key": f"-----BEGIN PRIVATE KEY-----\n{TAIL}",
    "bearer": f"Authorization: Bearer {TAIL}",
    "bearer alone": f"bearer {TAIL}",
    "basic": "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    "digest": f'Authorization: Digest username="bob", response="{TAIL}"',
    "cookie": f"Cookie: theme=dark; session={TAIL}; lang=en",
    "set-cookie": f'Set-Cookie: id="{TAIL}"; Path=/',
    "url": f"postgres://user:{TAIL}@db.example/app",
    "url with a token": f"https://{TAIL}@git.example/repo.git",
    "query": f"https://api.example/v1?page=2&api_key={TAIL}&q=x",
    "assignment": f"password={TAIL}",
    "environment": f"export DB_PASSWORD={TAIL}",
    "yaml": f"database:\n  password: {TAIL}\n  host: db",
    "yaml word": "password: correcthorse\nhost: db",
    "json": f'{{"user": "bob", "api_key": "{TAIL}"}}',
    "json in json": f'{{\\"client_secret\\": \\"{TAIL}\\"}}',
    "json with spaces": '{"password": "correct horse battery staple"}',
    "python": f"connect(user='bob', password='{TAIL}')",
    "setting word": "token=correcthorse",
    "shell": f"mysql --password {TAIL} --host db",
    "option": f"curl --api-key={TAIL}",
    "azure": f"AccountName=x;AccountKey={TAIL};EndpointSuffix=core",
    "prose": f"the call with token: {TAIL} failed",
    "upper case": f"API_KEY: {TAIL}",
}
SECRETS = {
    **dict.fromkeys(TEXTS, TAIL),
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "basic": "QWxhZGRpbjpvcGVuIHNlc2FtZQ",
    "yaml word": "correcthorse",
    "json with spaces": "horse",
    "setting word": "correcthorse",
}


def clean(payload: Any, **options: Any) -> Any:
    """Return what is left of a payload."""
    event = Redactor(**options)(RunEvent("r", "e", NOW, payload))
    assert isinstance(event, RunEvent)
    return event.payload


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_value_under_a_secret_name_is_hidden(name: str) -> None:
    """Whatever the value looks like, in whatever nesting."""
    assert {name: REDACTED} == clean({name: "plain words"})
    assert {"a": [{name: REDACTED, "b": 1}]} == clean({"a": [{name: {"x": ["plain"]}, "b": 1}]})


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_a_value_under_another_name_stays(name: str) -> None:
    """A name that only looks a little like a secret one hides nothing."""
    payload = {name: "plain words", "deeper": [{name: {"x": "plain"}}]}

    assert payload == clean(payload)


@pytest.mark.parametrize("shape", TEXTS)
def test_a_secret_is_hidden_wherever_it_stands_in_a_text(shape: str) -> None:
    """Alone, in a sentence, in a list, in a table, as a key; what stands around it stays."""
    text, secret = TEXTS[shape], SECRETS[shape]

    for payload in (text, f"(see {text}", [1, text], {"a": {"b": [text]}}, {text: 1}):
        assert secret not in repr(clean(payload))
        assert REDACTED in repr(clean(payload))
    assert "see" in clean(f"see {text}")


@pytest.mark.parametrize("shape", TEXTS)
def test_nothing_is_left_to_hide_in_what_was_redacted(shape: str) -> None:
    """A record that is redacted twice, as behind a plugin, stays as it is."""
    once = without_secrets(TEXTS[shape])

    assert once == without_secrets(once)


@pytest.mark.parametrize(
    "text",
    [
        "basic authentication is not enough",
        "Basic DTD-related events",
        "a bearer certificates scheme",
        "tokens_in=5 tokens_out=7 max_tokens=4096",
        "the token is passed to the author's keyboard",
        "def login(user, password=None, token: str = ''):",
        "token = tokenizer.next_token()",
        "if password: check(password)",
        "client = Client(auth_key=self._authkey)",
        "password: the password of the user",
        "secret: shared between both sides",
        "api_key: ${API_KEY}",
        "api_key = os.environ['API_KEY']",
        'api_key: "<your key>"',
        'token: "%s"',
        "sk-learn-contrib-something-long",
        "task-list-with-a-rather-long-name",
        "https://example.org:8080/path/to/@user",
        "ssh://git@github.com/owner/repo",
        "2026-11-23T10:00:00.000000+00:00",
        "ghost ghastly highest",
        "usage: tool --token TOKEN --password PASSWORD",
        "Cookie: ",
        "password=",
        "the secret of success: work",
    ],
)
def test_prose_and_code_stay_as_they_are(text: str) -> None:
    """Only what looks like a value is taken out."""
    assert text == clean(text)


def test_numbers_and_flags_under_a_secret_name() -> None:
    """A password may be a number; a number of tokens is none; a flag and None tell nothing."""
    payload = {"password": 12345678, "pin": 1, "token": 5, "auth": True, "cookie": None, "secret": 1.5}

    assert {**payload, "password": REDACTED, "secret": REDACTED} == clean(payload)


def test_a_table_of_numbers_under_a_secret_name_stays() -> None:
    """`{"token": {"prompt": 10}}` counts, and hides nothing."""
    payload = {"token": {"prompt": 10, "completion": [5, None]}, "auth": []}

    assert payload == clean(payload)


def test_headers_as_pairs_are_hidden() -> None:
    """The way in which many libraries hold them, which has no keys."""
    headers = [["Accept", "text/html"], ["X-Api-Key", "abc-123"], ["Authorization", "abc 123"]]

    assert {"headers": [["Accept", "text/html"], ["X-Api-Key", REDACTED], ["Authorization", REDACTED]]} == clean(
        {"headers": headers}
    )


@pytest.mark.parametrize("name", ["name", "key", "header"])
def test_headers_as_tables_are_hidden(name: str) -> None:
    """`{"name": "X-Api-Key", "value": ...}`, as in a HAR file; also when it is the whole payload."""
    table = {name: "X-Api-Key", "value": "abc-123"}

    assert {"all": [{name: "X-Api-Key", "value": REDACTED}]} == clean({"all": [table]})
    assert {name: "X-Api-Key", "value": REDACTED} == clean(table)
    assert {name: "colour", "value": "red"} == clean({name: "colour", "value": "red"})


def test_arguments_of_a_command_are_hidden() -> None:
    """The value behind an option with a secret name."""
    argv = ["tool", "--token", "abc-123", "--verbose", "--password", "--user", "bob"]

    assert {"argv": ["tool", "--token", REDACTED, "--verbose", "--password", "--user", "bob"]} == clean({"argv": argv})


def test_words_about_words_are_no_pairs() -> None:
    """A list of tokens of a language model may well begin with such a word."""
    payload = {"words": ["secret", "garden"], "more": ["a", "token", "abc-123"]}

    assert payload == clean(payload)


def test_pass_beside_a_user_is_a_password() -> None:
    """Alone it is any word."""
    assert {"user": "bob", "pass": REDACTED} == clean({"user": "bob", "pass": "hunter"})
    assert {"pass": "second"} == clean({"pass": "second"})


def test_keys_that_were_secrets_do_not_take_each_others_values() -> None:
    """Two of them look alike afterwards; both values are there."""
    assert {REDACTED: 1, f"{REDACTED}#2": 2} == clean({f"ghp_{TAIL}": 1, f"gho_{TAIL}": 2})


def test_own_keys_are_hidden_too() -> None:
    """Case and punctuation do not matter; numbers are hidden as well, since they were named on purpose."""
    payload = {"Social-Security": 123456789, "socialsecurity": "x", "social": "y"}

    assert {"Social-Security": REDACTED, "socialsecurity": REDACTED, "social": "y"} == (
        clean(payload, keys=["social_security"])
    )


def test_own_patterns_are_hidden_too() -> None:
    """In short texts, in long ones, in keys, in numbers; beside what the platform knows by itself."""
    payload = {"a": "123-45-6789", "b": ["see 123-45-6789"], "c": {"n": 4111111111111111}, "d": f"ghp_{TAIL}", "e": 5}

    redacted = clean(payload, patterns=[r"\d{3}-\d\d-\d{4}", r"\b4\d{15}\b"])

    assert {"a": REDACTED, "b": [f"see {REDACTED}"], "c": {"n": REDACTED}, "d": REDACTED, "e": 5} == redacted


def test_own_patterns_hold_once_a_key_is_known() -> None:
    """The quick look at payloads with known keys must not pass over them."""
    redactor = Redactor(patterns=[r"\d{3}-\d\d-\d{4}"])

    events = [redactor(RunEvent("r", "e", NOW, {"a": value})) for value in ("x", "y", "123-45-6789")]

    assert {"a": REDACTED} == events[2].payload


def test_a_pattern_that_matches_nothing_hides_nothing() -> None:
    """`x*` matches between all letters; no text is torn apart for that."""
    assert "ab" == clean("ab", patterns=["x*"])


def test_a_record_without_secrets_is_the_same_object() -> None:
    """Nothing is copied on the usual way."""
    redactor = Redactor()
    event = RunEvent("r", "e", NOW, {"a": "plain"}, payload_bytes=b'{"a":"plain"}')
    run = RunRecord(run_id="r", agent_name="a", start_time=NOW)

    assert all(
        redactor(record) is record for record in (event, run, MetricsUpdate("r", NOW), DeliveryReport("r", NOW, "s"))
    )


SECRET = f"ghp_{TAIL}"


@pytest.mark.parametrize(
    "record",
    [
        RunRecord(
            run_id="r",
            agent_name=SECRET,
            start_time=NOW,
            job_type=SECRET,
            host=SECRET,
            error_summary=f"see {SECRET}",
            metrics={"a": SECRET},
            attributes={SECRET: [SECRET]},
            coerced=(f"$.{SECRET}: x",),
            status_detail=SECRET,
            product=SECRET,
            git_repo=SECRET,
            agent_owner=SECRET,
            insight_id=SECRET,
            parent_run_id=SECRET,
        ),
        RunEvent(SECRET, SECRET, NOW, {"a": SECRET}, coerced=(SECRET,)),
        RunEvent("r", "e", NOW, [SECRET], payload_bytes=f'["{SECRET}"]'.encode()),
        MetricsUpdate(SECRET, NOW, {"a": SECRET}, {"product": SECRET}, attributes={"a": SECRET}, coerced=(SECRET,)),
        DeliveryReport("r", NOW, "hq", ok=False, reason=f"401 for {SECRET}"),
        CommitLink(run_id=SECRET, timestamp=NOW, commit_hash="c", message=SECRET, author=SECRET, repo=SECRET),
    ],
    ids=lambda record: type(record).__name__,
)
def test_no_field_of_any_record_is_forgotten(record: Any) -> None:
    """The line that would be written holds nothing of it."""
    assert TAIL.encode() not in encode_line(Redactor()(record))


def test_ids_with_secrets_still_join_the_lines_of_a_run() -> None:
    """They are replaced by a digest, the same on every line and another one for another id."""
    redactor = Redactor()

    first, second = redactor(RunEvent(SECRET, "e", NOW)), redactor(MetricsUpdate(SECRET, NOW))
    other = redactor(RunEvent(f"ghp_{TAIL[::-1]}", "e", NOW))

    assert first.run_id == second.run_id
    assert first.run_id != other.run_id
    assert first.run_id.startswith("redacted-")


TOKENS = st.text(string.ascii_letters + string.digits, min_size=20, max_size=40).map("Zq9{}".format)
AROUND = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def hidden(secret: str) -> st.SearchStrategy[Any]:
    """Return a strategy for values that hold *secret* in one way or another, in any nesting."""
    shapes = (
        "sk-{}",
        "ghp_{}",
        "hf_{}",
        "Authorization: Bearer {}",
        "password={}",
        "https://user:{}@host/",
        "glpat-{}",
    )
    shaped = st.sampled_from(shapes).map(lambda shape: shape.format(secret))
    text = st.tuples(AROUND, st.sampled_from("\n ,("), shaped, st.sampled_from("\n "), AROUND).map("".join)
    named = st.sampled_from(SECRET_NAMES).map(lambda name: {name: secret})
    held = named | st.sampled_from(SECRET_NAMES).map(lambda name: {name: [{"x": secret}]})
    return st.recursive(
        text | held | text.map(lambda key: {key: 1}),
        lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(AROUND, inner, min_size=1, max_size=3),
        max_leaves=4,
    )


@given(data=st.data(), secret=TOKENS)
def test_planted_secrets_reach_no_sink(remembering_once: Any, data: st.DataObject, secret: str) -> None:
    """In any field, metric, attribute or payload: the lines of what the sink saw hold none of them."""
    client, sink = remembering_once
    value = data.draw(hidden(secret))
    texts = [text for text in _texts_of(value) if secret in text]
    sink.records.clear()

    run_id = client.start_run("agent", "job", anything=value, product=texts[0] if texts else "p")
    client.log_event(run_id, "event", value)
    client.set_metrics(run_id, found=value, metrics={"more": value})
    client.end_run(run_id, error_summary=texts[0] if texts else "e", attributes={"a": value})

    seen = b"".join(map(encode_line, sink.records))
    assert 4 == len(sink.records)
    assert secret.encode() not in seen


def _texts_of(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in _texts_of(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts_of(item)]
    # A bare token under a secret name has no shape of its own, so it could not be told in a text field.
    return [value] if isinstance(value, str) and not value.startswith("Zq9") else []


@pytest.fixture(scope="module")
def remembering_once() -> Any:
    """Return one client and its sink for all examples of a property."""
    from telemetry import hookimpl

    class Sink:
        runs_inline = True

        def __init__(self) -> None:
            self.records: list[Any] = []

        @hookimpl
        def telemetry_run_started(self, run: Any) -> None:
            self.records.append(run)

        telemetry_run_ended = hookimpl(lambda self, run: self.records.append(run), specname="telemetry_run_ended")

        @hookimpl
        def telemetry_event_logged(self, event: Any) -> None:
            self.records.append(event)

        @hookimpl
        def telemetry_metrics_set(self, update: Any) -> None:
            self.records.append(update)

    sink = Sink()
    client = TelemetryClient(sinks={"memory": sink})
    yield client, sink
    client.close()


FRAGMENTS = st.sampled_from(
    [
        *(text for text in TEXTS.values()),
        "token",
        "key=",
        ": ",
        " ",
        "\n",
        "-",
        "sk-",
        '"',
        "'",
        "://",
        "@",
        "Basic ",
        "\u017f",
    ]
)


@given(st.lists(FRAGMENTS, max_size=6).map("".join) | st.text(max_size=60))
def test_the_quick_look_passes_over_nothing(text: str) -> None:
    """Where it says that there is no secret, no rule changes the text and no name in it is secret."""
    if not may_hold_secret(text):
        lowered = _lowered(text)
        assert [text] * len(_RULES) == [_applied(rule, text, lowered)[0] for rule in _RULES]
        assert not is_secret_name(text)


@given(st.text())
@example("İpassword=aB3dE5gH7")
def test_any_text_can_be_searched(text: str) -> None:
    """Also one whose lower case is longer; without a secret it comes back as it was."""
    result = without_secrets(text)

    assert text == result or REDACTED in result


LONG = {
    "dashes": "a-" * 30_000 + " token",
    "prefixes": "sk-" * 20_000,
    "quotes": 'token="' * 8_000,
    "colons": "://:" * 15_000 + "@",
    "keys": "-----BEGIN PRIVATE KEY-----" * 2_000,
    "cookies": "cookie:;" * 8_000,
    "options": "--a" * 20_000 + " token",
    "json web tokens": "eyJaaaaaaaa." * 5_000,
    "spaces": "token" + " " * 60_000,
    "backslashes": "token" + "\\" * 60_000,
    "prose": "The agent walked the token list and passed the key to the author. " * 900,
}


@pytest.mark.parametrize("kind", LONG)
def test_no_text_takes_without_end(kind: str) -> None:
    """60 kB of the worst that we know takes a fraction of a second; one such text once took a minute."""
    began = time.process_time()

    without_secrets(LONG[kind])

    assert time.process_time() - began < 2.0


def test_redaction_can_be_turned_off(build: Callable[..., TelemetryClient], remembering: Callable[[], Any]) -> None:
    """For those whose stores are as safe as their secrets."""
    sink = remembering()
    client = build(overrides={"redact": Redaction(enabled=False)}, memory=sink)

    client.log_event(client.start_run("a"), "e", {"password": "hunter2"})

    assert {"password": "hunter2"} == sink.events[0].payload


def test_redaction_is_on_without_being_asked(client: TelemetryClient, sink: Any) -> None:
    """And the sink gets a sealed payload all the same."""
    client.log_event(client.start_run("a"), "e", {"password": "hunter2", "path": ("a",)})

    (event,) = sink.events
    assert {"password": REDACTED, "path": ["a"]} == event.payload
    assert b"hunter2" not in encode_line(event)


def test_keys_and_patterns_come_from_the_configuration(
    build: Callable[..., TelemetryClient], remembering: Callable[[], Any]
) -> None:
    """They are added to what the platform knows by itself."""
    sink = remembering()
    config = TelemetryConfig(redact={"keys": ["ssn"], "patterns": ["C-[0-9]+"]})
    client = build(config, memory=sink)

    client.log_event(client.start_run("a"), "e", {"ssn": 1, "note": "C-17", "token": "t", "other": 1})

    assert {"ssn": REDACTED, "note": REDACTED, "token": REDACTED, "other": 1} == sink.events[0].payload


def test_a_warning_shows_no_secret(client: TelemetryClient, warnings_of: Callable[[], list[str]]) -> None:
    """The log is a file too."""
    client.start_run("a", items_failed=f"ghp_{TAIL}")

    (warning,) = warnings_of()
    assert TAIL not in warning
    assert "items_failed" in warning


def test_memory_of_known_names_is_bounded() -> None:
    """Names may be made up without end."""
    redactor = Redactor()

    for number in range(12_000):
        redactor(RunEvent(f"run {number}", f"event {number}", NOW, {f"key {number}": "plain"}))

    assert max(len(redactor._clean_words), len(redactor._secret_keys)) <= 10_000


@pytest.mark.parametrize(
    ("name", "is_hidden"), [("password", True), ("api_key", True), ("token", False), ("auth", False)]
)
def test_only_some_names_hide_numbers(name: str, is_hidden: bool) -> None:
    """Those that are never the name of a count."""
    assert is_hidden == is_secret_number(name)
