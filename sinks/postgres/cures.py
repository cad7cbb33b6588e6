"""Say what to do about what libpq or the server said: most first set-ups fail at one of these."""

from __future__ import annotations

__all__ = ["cure_of"]

_BY_WORDS = (
    ("certificate verify failed", "set sslrootcert to a file with the certificate of the authority that signed theirs"),
    ("does not match host name", "write host as the certificate has it; hostaddr may say where that is"),
    ("does not support ssl", "set ssl = on there, or ask for a port where it is"),
    ("certificate required", "set sslcert and sslkey, it asks for a certificate of ours"),
    ("alert unknown ca", "set sslcert and sslkey to a certificate that the server's own root vouches for"),
    ("no encryption", "set sslmode to verify-full or require; pg_hba.conf takes this user with TLS alone"),
    ("password authentication failed", "check user and password; PGPASSWORD and ~/.pgpass count too"),
    ("no password supplied", "set password, PGPASSWORD or ~/.pgpass"),
    ("fatal: database", "make it by CREATE DATABASE, ENCODING 'UTF8', or name another"),
    ("too many c", "raise the server's limit, or put a pooler in between"),  # clients already, connections for a role
    ("startup parameter: options", "a pooler passes none on; tell the server, by ALTER ROLE ... SET search_path = ..."),
    ("connection refused", "start the server there, or mend host and port"),
    ("resolve host", "mend the name of the host"),
    ("connection timeout expired", "see that the server is up, and that no firewall is in between"),
    ("due to statement timeout", "raise timeout_s, or lower batch"),
)
_BY_STATE = {
    "3F000": "make the schema that the search path names: CREATE SCHEMA, and GRANT USAGE, CREATE on it to this user",
    "42501": "grant it to this user, or give the tables a schema that is the user's own",
    "25006": "name the primary; among several hosts target_session_attrs=read-write finds it",
}


def cure_of(words: str, state: str | None) -> str:
    """
    Return what to do about an error, empty text where nobody can say.

    Args:
        words: what was said. In English, or no cure is found: a server speaks the language that it was set up with.
        state: the SQLSTATE, None where the server was not reached.
    """
    said = words.lower()
    return _BY_STATE.get(state or "") or next((cure for begin, cure in _BY_WORDS if begin in said), "")
