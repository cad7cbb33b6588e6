"""Tell one boot, one process and one host from another, and what the kernel says of a death."""

from __future__ import annotations

import os
import platform
import re
import signal
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["boot_id", "cause_of_death", "host", "self_portrait"]

_KERNEL_LOG = "/dev/kmsg"
_MOST_LOG_LINES = 20_000


@lru_cache(maxsize=1)
def host() -> str:
    """Return this machine's host name."""
    return platform.node()  # not by socket, whose import takes 2 ms; attrs has imported this one


@lru_cache(maxsize=1)
def boot_id() -> str | None:
    """Return what names this boot of this kernel, None where the system does not tell (not Linux)."""
    return _text_of(Path("/proc/sys/kernel/random/boot_id"))


def process_started(pid: int) -> str | None:
    """Return the start time of a process in ticks since boot, None when there is no such process or no /proc."""
    fields = _stat_fields(pid)
    return fields[19] if len(fields) > 19 else None


def process_namespace() -> str | None:
    """Return what names the space in which process ids count (a container has its own), None if nothing does."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None


def memory_events() -> str | None:
    """Return the file in which the kernel counts the out-of-memory kills of our cgroup, None if there is none."""
    groups = dict(re.findall(r"^\d+:([^:]*):(.*)$", _text_of(Path("/proc/self/cgroup")) or "", re.MULTILINE))
    # Version 2 has one tree, version 1 one for memory alone; a machine may have both, and counts in one of them. In a
    # container the path is that of the host, and the container's own group is mounted as the root.
    places = [(Path("/sys/fs/cgroup"), groups.get(""), "memory.events")]
    places += [(Path("/sys/fs/cgroup/memory"), groups.get("memory"), "memory.oom_control")]
    for root, group, name in places:
        for folder in (root / group.lstrip("/"), root) if group is not None else ():
            if (folder / name).is_file():
                return str(folder / name)
    return None


def oom_kills(events_file: str | None) -> int | None:
    """Return how many processes the kernel has killed for want of memory by the word of *events_file*."""
    counts = _text_of(Path(events_file)) if events_file else None
    found = re.search(r"^oom_kill (\d+)", counts or "", re.MULTILINE)
    return int(found[1]) if found else None


def self_portrait() -> dict[str, Any]:
    """Return what another process needs to tell later how this one died."""
    events_file = memory_events()
    return {
        "pid": os.getpid(),
        "started": process_started(os.getpid()),
        "boot_id": boot_id(),
        "host": host(),
        "pid_namespace": process_namespace(),
        "memory_events": events_file,
        "oom_kills": oom_kills(events_file),
    }


def cause_of_death(portrait: Mapping[str, Any]) -> str:
    """
    Return the most precise cause that can still be known of a process that is gone.

    Asked in this order: the boot, the process table (a zombie has its exit status), the kernel's log, the counter of
    its cgroup. What names a process id is asked only where that id means the same process.

    Args:
        portrait: what `self_portrait()` said when it lived; whatever is missing is not asked.
    """
    if portrait.get("boot_id") and boot_id() and portrait["boot_id"] != boot_id():
        return "machine rebooted"
    if portrait.get("exited"):
        return "process exited without ending the run"
    return _word_of_system(portrait) or _word_of_cgroup(portrait) or "process gone without a word"


def _word_of_system(portrait: Mapping[str, Any]) -> str | None:
    pid, started = portrait.get("pid"), portrait.get("started")
    if not isinstance(pid, int) or not started or portrait.get("pid_namespace") != process_namespace():
        return None
    return _word_of_zombie(pid, str(started)) or _word_of_kernel(pid, str(started))


def _word_of_zombie(pid: int, started: str) -> str | None:
    fields = _stat_fields(pid)
    # The id may have been given to a new process since; the start time tells.
    if len(fields) < 50 or fields[0] not in ("Z", "X") or fields[19] != started:
        return None
    status = int(fields[49])
    number = status & 0x7F
    return f"killed by {_signal_name(number)}" if number else f"process exited with code {status >> 8}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _word_of_kernel(pid: int, started: str) -> str | None:
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    since_us = int(started) * 1_000_000 // ticks_per_s
    for line in reversed(_kernel_lines()):
        head, _, text = line.partition(";")
        fields = head.split(",")
        if len(fields) < 3 or not fields[2].isdigit() or int(fields[2]) < since_us:
            continue  # a part of another line, or a death from before this process began
        if re.search(rf"\bKilled process {pid}\b", text):
            return "killed: out of memory (by the kernel's log)"
        if re.search(rf"\[{pid}\]:? (?:segfault|general protection|trap)", text):
            return "killed by SIGSEGV (by the kernel's log)"
    return None


def _kernel_lines() -> list[str]:
    lines: list[str] = []
    try:
        log = os.open(_KERNEL_LOG, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return lines  # not Linux, or not for us to read
    try:
        while len(lines) < _MOST_LOG_LINES:
            lines.append(os.read(log, 8192).decode("utf-8", "replace"))
    except OSError:
        return lines  # EAGAIN is the end of the log, EPIPE a part that was overwritten while we read
    finally:
        os.close(log)
    return lines


def _word_of_cgroup(portrait: Mapping[str, Any]) -> str | None:
    before, now = portrait.get("oom_kills"), oom_kills(portrait.get("memory_events"))
    if not isinstance(before, int) or now is None or now <= before:
        return None
    return "process gone; its memory cgroup counted an out-of-memory kill since the run began"


def _stat_fields(pid: int) -> list[str]:
    # The second field is the command in brackets and may itself hold brackets and blanks: what counts is behind it.
    text = _text_of(Path(f"/proc/{pid}/stat")) or "" if sys.platform.startswith("linux") else ""
    return text.rpartition(")")[2].split()


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
