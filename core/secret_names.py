"""Tell by its name whether a key holds a secret: `api_key` and `accessToken` do, `tokens_in` and `keyboard` do not."""

from __future__ import annotations

import itertools
import re

__all__ = ["bare", "is_secret_name", "is_secret_number"]

_STRICT = {
    *("password", "passwd", "passphrase", "passcode", "pwd", "secret", "apikey", "passkey", "otp", "totp"),
    "privatekey",
}
_WORDS = _STRICT | {
    *("authorization", "token", "cookie", "cookies", "credential", "credentials", "secrets", "passwords", "apikeys"),
    *("auth", "bearer", "jwt", "accesskey", "secretkey", "authkey", "accountkey", "masterkey", "sshkey"),
}
_SUFFIXES = ("password", "passwd", "passphrase", "secret", "token", "apikey", "secretkey", "accesskey", "privatekey")
_KEYS = ("api", "app", "access", "account", "auth", "consumer", "encryption", "master", "private", "secret", "session")
_PASSES = ("admin", "db", "email", "ftp", "imap", "ldap", "login", "mail", "mysql", "pg", "postgres", "proxy", "redis")
_PAIRS = frozenset(
    (
        *itertools.product((*_KEYS, "signing", "ssh", "storage"), ("key", "keys")),
        *itertools.product((*_PASSES, "root", "smtp", "ssh", "user"), ("pass",)),
        *itertools.product(("access", "api", "auth", "bearer", "csrf", "id", "refresh", "session"), ("tokens",)),
    )
)
# `token_usage`, `auth_method`, `password_policy`: what follows such a word is about the secret, and none itself.
_ABOUT = {
    *("age", "arn", "budget", "consent", "count", "counts", "domain", "enabled", "endpoint", "expires", "expiry"),
    *("field", "file", "files", "ids", "index", "length", "lifetime", "limit", "manager", "method", "mode", "name"),
    *("names", "path", "policy", "provider", "required", "scheme", "server", "stats", "status", "strength", "ttl"),
    *("type", "types", "uri", "url", "usage", "version"),
}
_TEXT_MODEL = ("bos", "eos", "pad", "unk", "sep", "cls", "mask", "stop", "special", "start", "end", "sub")
_NO_SECRETS = frozenset(itertools.product(_TEXT_MODEL, ("token",)))
_JOINED = frozenset(f"{first}token" for first in _TEXT_MODEL)
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def is_secret_name(name: str) -> bool:
    """Whether a text under this *name* is to be hidden."""
    return bool(_secret_words(name))


def is_secret_number(name: str) -> bool:
    """Whether a number under this *name* is to be hidden too: a password may be one, a `token` is then a count."""
    return any(word in _STRICT or word.endswith(("key", "pass", "password", "passwd")) for word in _secret_words(name))


def bare(name: str) -> str:
    """Return *name* without case and punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _secret_words(name: str) -> list[str]:
    words = [word.lower() for word in _PARTS.findall(name)]
    found = [second for first, second in itertools.pairwise(words) if (first, second) in _PAIRS]
    for before, word, behind in zip(["", *words], words, [*words[1:], ""], strict=False):
        if _is_secret_word(word) and behind not in _ABOUT and (before, word) not in _NO_SECRETS:
            found.append(word)
    return found


def _is_secret_word(word: str) -> bool:
    return word in _WORDS or (word.endswith(_SUFFIXES) and word not in _JOINED)
