"""Find secrets in texts by their shape: tokens of known makers, passwords in URLs, `password=...`, headers, keys."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

__all__ = ["REDACTED", "SHORTEST_TOKEN", "is_plain_word", "may_hold_secret", "without_secrets"]

REDACTED = "[redacted]"
"""What stands in the place of a secret."""

SHORTEST_TOKEN = 14
"""Characters of the shortest secret that has neither a `=` nor a `:` in it, which is `basic` and eight more."""

_Match = re.Match[str]
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class _Rule(NamedTuple):
    """
    One shape: *pattern* is tried only where one of *starts* stands in the text, whatever its case.

    To search for the patterns themselves takes 0.5 us a character and, where a part of one is unbounded, time
    without end: 20 kB of `a-a-a-` once took 24 s.
    """

    starts: tuple[str, ...]
    pattern: str
    replace: Callable[[_Match], str]


def without_secrets(text: str) -> str:
    """Return *text* with `[redacted]` in the place of each secret."""
    if len(text) < SHORTEST_TOKEN and "=" not in text and ":" not in text:
        return text
    if not may_hold_secret(text):
        return text
    lowered = _lowered(text)
    for rule in _RULES:
        for start in rule.starts:
            if start in lowered:
                text, lowered = _applied(rule, text, lowered)
                break
    return text


def _applied(rule: _Rule, text: str, lowered: str) -> tuple[str, str]:
    clean = "".join(_pieces(text, lowered, rule))
    return (text, lowered) if clean == text else (clean, _lowered(clean))


# With the first text that may hold a secret, not at import: to compile them all takes 5 ms of an agent's start.
_compiled = lru_cache(maxsize=None)(re.compile)


def _lowered(text: str) -> str:
    lowered = text.lower()
    # Some letters become two in lower case; the places in both texts must be the same.
    return lowered if len(lowered) == len(text) else text.translate(_LOWER)


def _pieces(text: str, lowered: str, rule: _Rule) -> Iterator[str]:
    pattern = _compiled(rule.pattern)
    done = 0
    for place in sorted(place for start in rule.starts for place in _places(lowered, start)):
        if place >= done and (match := pattern.match(text, place)) is not None:
            yield text[done:place]
            yield rule.replace(match)
            done = match.end()
    yield text[done:]


def _places(lowered: str, start: str) -> Iterator[int]:
    place = lowered.find(start)
    while place >= 0:
        yield place
        place = lowered.find(start, place + 1)


def _all(match: _Match) -> str:
    return REDACTED


def _behind(match: _Match) -> str:
    return f"{match['kept']}{REDACTED}"


def _if_no_word(match: _Match) -> str:
    return match[0] if is_plain_word(match["value"]) else _behind(match)


def is_plain_word(value: str) -> bool:
    """Whether *value* is a word of prose, such as `authentication` behind `Basic`, and no token."""
    parts = value.strip(".,;:").split("-")
    return len(value) < 24 and all(part.isalpha() and (part[1:].islower() or part.isupper()) for part in parts)


def _if_option(match: _Match) -> str:
    is_option = _OPTION.search(match.string, max(0, match.start() - 42), match.start()) is not None
    return _if_no_word(match) if is_option else match[0]


def _unless_spared(match: _Match) -> str:
    value = match["value"]
    if match.groupdict().get("quote"):
        is_closing = value.lstrip()[:1] in (")", "]", "}", ",", ";", "")  # `"Cookie:")` ends there and says nothing
        return match[0] if is_closing or _PLACEHOLDER.fullmatch(value) else _behind(match)
    if value[0] not in "\"'":
        return match[0] if _is_spared(match) else _behind(match)
    if _PLACEHOLDER.fullmatch(value, 1, len(value) - 1):
        return match[0]
    return f"{match['kept']}{value[0]}{REDACTED}{value[0]}"


def _is_spared(match: _Match) -> bool:
    """Whether what stands behind `token = ` is code or prose: a name, a placeholder, the next word of a sentence."""
    value, kept = match["value"].rstrip(".,:;)]}\\"), match["kept"].rstrip()
    if value.rpartition(".")[2].strip("_").lower() in _NO_VALUES or _PLACEHOLDER.fullmatch(value) or _CALL.match(value):
        return True
    if not _PLAIN_NAME.fullmatch(value):
        return False
    if kept.endswith("="):
        return kept != match["kept"]  # `token = name` is code, `token=name` a setting
    is_last = match.end() == len(match.string) or match.string[match.end()] in "\r\n"
    return kept[-2] in "\"'" or not is_last


_NO_VALUES = {
    *("", "none", "null", "true", "false", "str", "string", "bytes", "int", "bool", "any", "object", "optional"),
    *("required", "password", "passwd", "pwd", "secret", "token", "api_key", "apikey", "authkey", "cookie"),
    "authorization",
}
_PLACEHOLDER = re.compile(
    r"\{[^{}]*\}?(?::\{[^{}]*\}?)?|\$\{?[A-Z_][A-Z0-9_]*\}?|%\(?\w*\)?s|<[^<>]*>?|\*+|\.+|[\[(].*", re.DOTALL
)
_CALL = re.compile(r"[A-Za-z_][\w.]*[(\[]")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z_.\-]*")
_OPTION = re.compile(r"--[\w\-]{0,40}\Z")

_NAMES = (
    *("password", "passwd", "passphrase", "passcode", "pwd", "secret", "token", "credential", "authorization"),
    *("cookie", "api", "access", "account", "private", "auth"),
)
_NAME = (
    r"(?:passw(?:or)?d|passphrase|passcode|pwd|secret|token|credentials?|authorization|cookie"
    r"|(?:api|access|account|private|secret|auth)[_\-. ]?key)"
)
_QUOTE = r"\\{0,3}[\"']?"


def _token(start: str, rest: str) -> _Rule:
    """Return the rule for a token that begins with the letters *start*, no letter or digit before them."""
    return _Rule((start.lower(),), (rf"(?<![A-Za-z0-9]){re.escape(start)}{rest}"), _all)


_RULES = (
    _token("sk-", r"(?=[A-Za-z0-9_\-]{0,99}[0-9])[A-Za-z0-9_\-]{16,}"),  # OpenAI, Anthropic and the like
    *(_token(f"{kind}_{mode}_", "[A-Za-z0-9]{10,}") for kind in ("sk", "rk") for mode in ("live", "test")),  # Stripe
    *(_token(f"gh{kind}_", "[A-Za-z0-9]{20,}") for kind in "pousr"),  # GitHub
    _token("github_pat_", "[A-Za-z0-9_]{20,}"),
    _token("glpat-", r"[A-Za-z0-9_\-]{16,}"),  # GitLab
    *(_token(f"xox{kind}-", r"[A-Za-z0-9\-]{10,}") for kind in "abeprs"),  # Slack
    *(_token(start, r"[A-Z0-9]{16}(?![A-Za-z0-9])") for start in ("AKIA", "ASIA")),  # AWS
    _token("AIza", r"[A-Za-z0-9_\-]{30,}"),  # Google
    _token("ya29.", r"[A-Za-z0-9_\-]{20,}"),
    _token("hf_", "[A-Za-z0-9]{20,}"),  # Hugging Face
    _token("npm_", "[A-Za-z0-9]{30,}"),
    _token("pypi-", r"[A-Za-z0-9_\-]{30,}"),
    _token("gsk_", "[A-Za-z0-9]{20,}"),  # Groq
    _token("xai-", "[A-Za-z0-9]{20,}"),
    _token("pplx-", "[A-Za-z0-9]{20,}"),  # Perplexity
    _token("hvs.", r"[A-Za-z0-9_\-]{20,}"),  # Vault
    _token("SG.", r"[A-Za-z0-9_\-]{16,64}\.[A-Za-z0-9_\-]{16,}"),  # SendGrid
    _token("eyJ", r"[A-Za-z0-9_\-]{8,8192}\.[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)?"),  # JSON Web Token
    _Rule(
        ("-----begin ",),
        (r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)"),
        _all,
    ),
    _Rule(("hooks.slack.com",), (r"(?i)(?P<kept>hooks\.slack\.com/services/)[A-Za-z0-9/]{16,}"), _behind),
    _Rule(
        ("://",),
        (r"(?P<kept>://(?:[^/\s:@]{0,255}:(?=[^/\s@]{1,1024}@)|(?=[A-Za-z0-9_\-]{20,255}@)))[^/\s@]+"),
        _behind,
    ),
    _Rule(
        ("bearer", "basic"),
        (r"(?i)(?P<kept>\b(?:bearer|basic)\s{1,4})(?P<value>[A-Za-z0-9._~+/\-]{8,}=*)"),
        _if_no_word,
    ),
    _Rule(
        ("cookie", "authorization"),
        # A header has its value to the end of its quotes or of the line; it goes on behind a semicolon or comma.
        (
            r"(?i)(?P<kept>(?:cookie|authorization)\\{0,3}[\"']?\s{0,3}:\s{0,3}(?P<escape>\\{1,3})?(?P<quote>[\"'])?"
            r"(?:(?:basic|bearer|digest|token)\s{1,4})?)"
            r"(?P<value>(?(escape)[^\"'\\\r\n]{1,8192}|(?(quote)(?:[^\"'\\\r\n]|\\.){1,8192}"
            r"|[^\s\"'\\,;)\]}](?:[^\s\"'\\,;]|\"[^\"\r\n]{0,8192}\"){0,8191}"
            r"(?:[,;](?:[^\r\n\"'\\]|\"[^\"\r\n]{0,8192}\"){0,8192})?)))"
        ),
        _unless_spared,
    ),
    _Rule(_NAMES, (rf"(?i)(?P<kept>{_NAME}\s{{1,4}})(?P<value>(?!-)[^\s\"']{{4,}})"), _if_option),
    _Rule(
        _NAMES,
        (
            rf"(?i)(?P<kept>{_NAME}{_QUOTE}\s{{0,3}}[=:]\s{{0,3}})"
            r"(?P<value>\"(?:[^\"\\\r\n]|\\.){1,4096}\"|'(?:[^'\\\r\n]|\\.){1,4096}'|\\{0,3}[\"']?[^\s\"'&,;\\]{4,})"
        ),
        _unless_spared,
    ),
)


def may_hold_secret(text: str) -> bool:
    """Return False only when no shape can match and no name can be secret: half a us instead of a walk of 5."""
    t = text.lower()
    # `in` on str takes 20 to 80 ns a word; on bytes 290 ns, and one regular expression for all 3.6 us. What has a rare
    # character is asked for that first: of prose without digits and dashes it saves half of the words.
    # fmt: off
    return (
        "key" in t or "token" in t or "secret" in t or "pass" in t or "auth" in t or "pwd" in t or "cookie" in t
        or "credential" in t or "akia" in t or "asia" in t or "aiza" in t or "bearer" in t or "basic" in t
        or "jwt" in t or "otp" in t or "eyj" in t
        or ("_" in t and ("k_live" in t or "k_test" in t or "hf_" in t or "npm_" in t or "gsk_" in t or "ghp_" in t
            or "gho_" in t or "ghu_" in t or "ghs_" in t or "ghr_" in t or "github_pat_" in t))
        or ("-" in t and ("sk-" in t or "glpat" in t or "xox" in t or "pypi-" in t or "xai-" in t or "pplx-" in t))
        or ("." in t and ("sg." in t or "ya29" in t or "hvs." in t or "hooks.slack" in t))
        # Pages are named often.
        or ("@" in t and "://" in t)
    )
    # fmt: on
