"""Write a configuration file to start from: every setting with its meaning, all of it commented out."""

from __future__ import annotations

from .settings import BASE_DIR_MEANING, SETTINGS

__all__ = ["example_file"]

_HEAD = """\
# Settings of the Local Telemetry Platform. Everything here has a default, so each line may be left out.
# Environment variables win over this file; `telemetry config show` tells what is in force, and why.
# In a text ${NAME} is an environment variable, ${NAME:-default} one with a default, and $$ a dollar.
"""
_TABLES = """\
# What is hidden in records, beside what looks secret by itself.
# [redact]
# enabled = true
# keys = ["customer_number"]
# patterns = ["CUST-[0-9]+"]

# Naming one sink replaces the default ones, which are `ndjson`, `sqlite`, and `api` when its URL and token are set.
# [sinks.raw]
# type = "ndjson"
# fsync = "always"

# [sinks.db]
# type = "sqlite"
# retry = { delays_s = [0.1, 0.2, 0.4] }

# [sinks.hq]
# type = "api"
# url = "https://hq.example/v1/records"
# token = "${HQ_TOKEN}"
# retry = { delays_s = [1, 2, 4] }
"""


def example_file(inside: str = "") -> str:
    """
    Return the text of a `telemetry.toml`; as it stands it changes nothing.

    Args:
        inside: the table of a larger file that it all is to stand in, as `tool.telemetry`.
    """
    settings = [("base_dir", '"~/.telemetry"', BASE_DIR_MEANING)]
    settings += [(setting.name, setting.example, setting.meaning) for setting in SETTINGS.values()]
    lines = [f"# {meaning}\n# {name} = {example}\n" for name, example, meaning in settings]
    if not inside:
        return "\n".join((_HEAD, *lines, _TABLES))
    # The heading is none to take away: without it the settings would be the file's own, and count for nothing.
    return "\n".join((_HEAD, f"[{inside}]", *lines, _TABLES.replace("# [", f"# [{inside}.")))
