"""Git is asked for a bounded time, tells what it knows, and never a secret."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from telemetry.core.git import GitFailed, read_commit


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository with two commits on a branch."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
        monkeypatch.setenv(f"GIT_{role}_DATE", "2026-11-23T10:00:00+02:00")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    repo = tmp_path / "a repo"
    repo.mkdir()
    git(repo, "init", "-q", "-b", "work")
    (repo / "one.txt").write_text("1\n2\n3\n")
    git(repo, "add", ".")
    git(repo, "commit", "-q", "-m", "first")
    (repo / "one.txt").write_text("1\nzwei\n")
    (repo / "two.txt").write_text("ü\n")
    git(repo, "add", ".")
    git(repo, "commit", "-q", "-m", "second: the subject\n\nThe body,\nin two lines, with ü.")
    return repo


def git(repo: Path, *arguments: str) -> str:
    """Run git and return what it prints."""
    command = ("git", "-C", str(repo), *arguments)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_head_is_told_in_the_words_of_the_table(repo: Path) -> None:
    """Hash, author, date with offset, whole message, counts, folder and branch."""
    assert {
        "commit_hash": git(repo, "rev-parse", "HEAD"),
        "author": "Ada <ada@example.org>",
        "commit_date": "2026-11-23T10:00:00+02:00",
        "message": "second: the subject\n\nThe body,\nin two lines, with ü.",
        "files_changed": 2,
        "insertions": 2,
        "deletions": 2,
        "repo": str(repo),
        "branch": "work",
    } == read_commit(repo)


def test_an_older_commit_is_told_without_a_branch(repo: Path) -> None:
    """A short hash is enough; the first commit of all has counts too."""
    commit = read_commit(repo, git(repo, "rev-parse", "--short", "HEAD~1"))

    assert ("first", 1, 3, 0) == (
        commit["message"],
        commit["files_changed"],
        commit["insertions"],
        commit["deletions"],
    )
    assert "branch" not in commit


def test_a_commit_from_a_folder_inside_and_a_detached_head(repo: Path) -> None:
    """The repository is found from below; without a branch none is told."""
    (repo / "inside").mkdir()
    git(repo, "checkout", "-q", "--detach")

    commit = read_commit(repo / "inside")

    assert ("branch" in commit, commit["repo"]) == (False, str(repo))


def test_a_merge_is_counted_against_its_first_parent(repo: Path) -> None:
    """What came in by the merge is what it changed."""
    git(repo, "checkout", "-q", "-b", "side", "HEAD~1")
    (repo / "three.txt").write_text("a\nb\n")
    git(repo, "add", ".")
    git(repo, "commit", "-q", "-m", "side")
    git(repo, "checkout", "-q", "work")
    git(repo, "merge", "-q", "--no-ff", "-m", "merged", "side")

    commit = read_commit(repo)

    assert ("merged", 1, 2, 0) == (
        commit["message"],
        commit["files_changed"],
        commit["insertions"],
        commit["deletions"],
    )


def test_a_commit_without_changes_has_no_counts(repo: Path) -> None:
    """Nothing is told where git tells nothing."""
    git(repo, "commit", "-q", "--allow-empty", "-m", "empty")

    assert "files_changed" not in read_commit(repo)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://user:ghp_secret@example.org/a/b.git", "https://example.org/a/b.git"),
        ("https://ghp_secret@example.org:8443/a/b.git?token=x#y", "https://example.org:8443/a/b.git"),
        ("ssh://git@example.org/a/b.git", "ssh://example.org/a/b.git"),
        ("git@example.org:a/b.git", "git@example.org:a/b.git"),
        ("../other", "../other"),
    ],
)
def test_the_remote_is_told_without_user_and_password(repo: Path, url: str, told: str) -> None:
    """Tokens stand in the URLs of many working copies."""
    git(repo, "remote", "add", "origin", url)

    assert told == read_commit(repo)["repo"]


@pytest.mark.parametrize("rev", ["nowhere", "--output=/tmp/x", "-1", "", "a\x00b", "HEAD:one.txt"])
def test_what_is_no_commit_is_refused_by_name(repo: Path, rev: str) -> None:
    """An option in disguise is no revision either."""
    with pytest.raises(GitFailed, match=r"revision|failed|no commit"):
        read_commit(repo, rev)


def test_no_repository_is_told_so(tmp_path: Path) -> None:
    """Neither a folder without one nor no folder at all surprises."""
    with pytest.raises(GitFailed, match="not a git repository"):
        read_commit(tmp_path)
    with pytest.raises(GitFailed, match="failed"):
        read_commit(tmp_path / "nowhere")


def test_an_empty_repository_has_no_commit(tmp_path: Path) -> None:
    """A fresh `git init` is not an answer."""
    git(tmp_path, "init", "-q")

    with pytest.raises(GitFailed):
        read_commit(tmp_path)


def test_no_git_is_told_so(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine may do without."""
    monkeypatch.setenv("PATH", "")

    with pytest.raises(GitFailed, match="git log"):
        read_commit(repo)


@pytest.mark.skipif(os.name != "posix", reason="puts a shell script in place of git")
def test_a_git_that_hangs_costs_a_bounded_time(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt, a dead network folder, a lock: the agent goes on."""
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")

    began = time.monotonic()
    with pytest.raises(GitFailed, match="no answer in time"):
        read_commit(repo, timeout_s=0.3)

    assert time.monotonic() - began < 30  # else 60 s


@pytest.mark.skipif(os.name != "posix", reason="puts a shell script in place of git")
def test_what_git_complains_of_is_told_without_a_secret(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its messages quote the remote's URL."""
    broken = tmp_path / "bin" / "git"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'fatal: https://ada:ghp_secret@example.org/x: no' >&2\nexit 128\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}:{os.environ['PATH']}")

    with pytest.raises(GitFailed, match=r"https://example\.org/x") as caught:
        read_commit(repo)

    assert "ghp_secret" not in str(caught.value)
