"""Ask git what a commit is; a repository that is slow, missing or hostile costs a bounded time and never a secret."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ..plugins.errors import TelemetryError

__all__ = ["GitFailed", "read_commit"]

_TIMEOUT_S = 2.0
_FORMAT = "%x00".join(("%H", "%an <%ae>", "%cI", "%B", ""))
_COUNTS = {"files_changed": r"(\d+) files? changed", "insertions": r"(\d+) insertion", "deletions": r"(\d+) deletion"}
# A prompt would hang the agent, a lock would disturb the user's own git, a translated answer could not be read.
_ENVIRONMENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


class GitFailed(TelemetryError):
    """
    Git is not installed, did not answer in time, or knows no such commit here.

    Cure: give the commit's hash and details by yourself, or call from inside the repository.
    """


def read_commit(repo_dir: str | Path, rev: str = "HEAD", *, timeout_s: float = _TIMEOUT_S) -> dict[str, Any]:
    """
    Return what git tells of a commit, by the names of the columns of `commits`; what it does not tell is left out.

    `repo` is the URL of the remote `origin` without user and password, else the folder. `branch` is told when
    *rev* is what HEAD stands at.

    Args:
        timeout_s: for all calls of git together.

    Raises:
        GitFailed: there is nothing to tell.
    """
    if rev.startswith("-") or not rev:
        raise GitFailed(f"{rev!r} is no revision; give a hash, a branch or HEAD")
    git = _Git(Path(repo_dir), time.monotonic() + timeout_s)
    form = ("log", "-1", "--no-color", "--no-show-signature", "--no-ext-diff", "--first-parent", "-m", "--shortstat")
    told = git.ask(*form, f"--format={_FORMAT}", rev, "--")
    commit_hash, author, commit_date, message, counts = (*told.split("\x00", 4), "", "", "", "", "")[:5]
    if not commit_hash:
        raise GitFailed(f"git knows no commit {rev!r} in {repo_dir}")
    facts = {"commit_hash": commit_hash, "author": author, "commit_date": commit_date, "message": message.strip()}
    return {**facts, **_counted(counts), **_place(git, commit_hash)}


class _Git:
    """Run git in one folder until the clock shows *end*."""

    def __init__(self, folder: Path, end: float) -> None:
        self._folder = folder
        self._end = end

    def ask(self, *arguments: str) -> str:
        """Return what git prints; raise GitFailed when it fails."""
        try:
            answer = subprocess.run(
                ("git", "-C", str(self._folder), *arguments),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=max(0.01, self._end - time.monotonic()),
                env={**os.environ, **_ENVIRONMENT},
                check=True,
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise GitFailed(f"git {arguments[0]} in {self._folder} failed: {_reason(error)}") from error
        return answer.stdout.decode("utf-8", "replace")

    def ask_if_known(self, *arguments: str) -> str:
        """Return what git prints, empty text when it fails."""
        try:
            return self.ask(*arguments).strip()
        except GitFailed:
            return ""


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        # git may quote a remote's URL, which may hold a token.
        return re.sub(r"//[^/@\s]*@", "//", error.stderr.decode("utf-8", "replace").strip())[:300]
    if isinstance(error, subprocess.TimeoutExpired):
        return "no answer in time"
    return str(error)


def _counted(text: str) -> dict[str, int]:
    found = {name: re.search(pattern, text) for name, pattern in _COUNTS.items()}
    if found["files_changed"] is None:
        return {}
    return {name: int(match[1]) if match else 0 for name, match in found.items()}


def _place(git: _Git, commit_hash: str) -> dict[str, str]:
    branch = git.ask_if_known("rev-parse", "--abbrev-ref", "HEAD")
    is_head = git.ask_if_known("rev-parse", "HEAD") == commit_hash
    repo = _without_secret(git.ask_if_known("remote", "get-url", "origin"))
    place = {"repo": repo or git.ask_if_known("rev-parse", "--show-toplevel")}
    if is_head and branch != "HEAD":
        place["branch"] = branch
    return {name: value for name, value in place.items() if value}


def _without_secret(url: str) -> str:
    """Return a remote's URL without user, password and query: tokens are put into all three."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if not parts.scheme or not parts.netloc:
        return url
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
