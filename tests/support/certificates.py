"""Make the certificates of a small world, by the command openssl: two authorities, a server, a client."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

from attrs import frozen

_REQUEST = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
# From Python 3.13 on certificates have to say all that RFC 5280 demands of them.
_AUTHORITY = f"{_REQUEST} -x509 -days 2 -addext keyUsage=critical,keyCertSign,cRLSign"
_COMMANDS = f"""
{_AUTHORITY} -subj /CN=ours -keyout ca.key -out ca.pem
{_AUTHORITY} -subj /CN=another -keyout another.key -out another.pem
{_REQUEST} -subj /CN=server -keyout server.key -out server.csr
{_REQUEST} -subj /CN=agent -keyout client.key -out client.csr
x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile server.txt -out server.pem
x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile client.txt -out client.pem
"""


@frozen
class Certificates:
    """
    What lies in *folder*, each certificate as `.pem`, its key as `.key`.

    `ca` vouches for `server`, which is 127.0.0.1 and no other name, and for `client`; `another` vouches for nobody.
    """

    folder: Path

    def __truediv__(self, name: str) -> Path:
        """Return the file *name*."""
        return self.folder / name

    def of_server(self, *, asks: bool = False) -> ssl.SSLContext:
        """Return what a server needs; *asks* says whether it demands a certificate of the client."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self / "server.pem", self / "server.key")
        if asks:
            context.load_verify_locations(self / "ca.pem")
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def made_in(folder: Path) -> Certificates | None:
    """Return certificates that are made in *folder*, None where there is no openssl."""
    program = shutil.which("openssl")
    if program is None:
        return None
    names = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    (folder / "server.txt").write_text(f"{names}subjectAltName=IP:127.0.0.1\n")
    (folder / "client.txt").write_text(names)
    for command in _COMMANDS.strip().splitlines():
        subprocess.run([program, *command.split()], cwd=folder, check=True, capture_output=True, timeout=60)
    return Certificates(folder)
