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

from attrs import frozen

__all__ = ["boot_id", "cause_of_death", "host", "is_alive", "self_portrait"]

_KERNEL_LOG = "/dev/kmsg"
_MOST_LOG_LINES = 20_000
_PF_EXITING = 0x4
_HIDDEN = "0"


@lru_cache(maxsize=1)
def host() -> str:
    """Return this machine's host name."""
    return platform.node()  # not by socket, whose import takes 2 ms; attrs has imported this one


@lru_cache(maxsize=1)
def boot_id() -> str | None:
    """Return what names this boot of this kernel, None where the system does not tell (not Linux)."""
    return _text_of(Path("/proc/sys/kernel/random/boot_id"))


def process_namespace() -> str | None:
    """Return what names the space in which process ids count (a container has its own), None if nothing does."""
    try:
        # A /proc of another space tells of other processes by our numbers (`unshare --pid` without `--mount-proc`).
        return os.readlink("/proc/self/ns/pid") if os.readlink("/proc/self") == str(os.getpid()) else None
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
    events_file, own = memory_events(), _process(os.getpid())
    return {
        "pid": os.getpid(),
        "started": own and own.started,
        "stack": own and own.stack,
        "boot_id": boot_id(),
        "host": host(),
        "pid_namespace": process_namespace(),
        "memory_events": events_file,
        "oom_kills": oom_kills(events_file),
    }


def is_alive(portrait: Mapping[str, Any]) -> bool:
    """
    Return whether a process lives and still runs the same program; False where that cannot be told from here.

    Args:
        portrait: what `self_portrait()` said of it.
    """
    # Numbers and start times are told apart within one boot and one space.
    places = (portrait.get("boot_id"), portrait.get("pid_namespace"))
    if None in places or places != (boot_id(), process_namespace()):
        return False
    now = _process(portrait.get("pid"))
    return now is not None and not now.is_ending and now.started == portrait.get("started") and _is_same(now, portrait)


def _is_same(now: _Process, portrait: Mapping[str, Any]) -> bool:
    # A process that has exec'd another program keeps its number and its start, but its stack lies elsewhere. Where that
    # is not told (an earlier writer, a process that hides it), it is taken to be the same.
    then = portrait.get("stack") or _HIDDEN
    return _HIDDEN in (now.stack, then) or now.stack == then


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
    process = _process(pid)
    # The id may have been given to a new process since; the start time tells.
    if process is None or not process.is_zombie or process.started != started:
        return None
    number = process.exit_status & 0x7F
    if number:
        return f"killed by {_signal_name(number)}"
    return f"process exited with code {process.exit_status >> 8}"


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


@frozen
class _Process:
    """A line of the process table: the fields of `/proc/PID/stat` from the third of proc(5) on."""

    fields: list[str]

    @property
    def is_zombie(self) -> bool:
        return self.fields[0] in ("Z", "X")

    @property
    def is_ending(self) -> bool:
        # Its locks are freed a moment before it is a zombie; since before that it has the kernel's mark.
        return self.is_zombie or bool(int(self.fields[6]) & _PF_EXITING)

    @property
    def started(self) -> str:
        """The start time in ticks since boot."""
        return self.fields[19]

    @property
    def stack(self) -> str:
        """Where its stack begins, by chance elsewhere in each program."""
        return self.fields[25]

    @property
    def exit_status(self) -> int:
        return int(self.fields[49])


def _process(pid: object) -> _Process | None:
    """Return what the process table says of *pid*, None when there is no such process or no /proc."""
    if not isinstance(pid, int) or not sys.platform.startswith("linux"):
        return None
    # The second field is the command in brackets and may itself hold brackets and blanks: what counts is behind it.
    fields = (_text_of(Path(f"/proc/{pid}/stat")) or "").rpartition(")")[2].split()
    return _Process(fields) if len(fields) >= 50 else None


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
