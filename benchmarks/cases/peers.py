"""Call in the peers: the contestants that need an environment of their own."""

from __future__ import annotations

from attrs import frozen
from harness.contest import Entry
from harness.setting import Setting

__all__ = ["Peer", "entries_of", "words"]


@frozen
class Peer:
    """A contestant that runs in *environment*, one of `harness.environments.PEERS`."""

    name: str
    kind: str
    environment: str
    calls: int


def entries_of(peers: tuple[Peer, ...], setting: Setting) -> list[Entry]:
    """Return an entry for each of *peers* that can be installed."""
    found = []
    for peer in peers:
        python = setting.environments.python(peer.environment)
        if python is not None:
            found.append(Entry(peer.name, peer.kind, python=python, calls=peer.calls))
    return found


def words(peers: tuple[Peer, ...], setting: Setting) -> str:
    """Return a sentence on the releases of *peers* and on those that were left out."""
    names = dict.fromkeys(peer.environment for peer in peers)
    releases = [text for name in names if (text := setting.environments.versions(name))]
    text = f"Peers: {'; '.join(releases) or 'none'}."
    reasons = setting.environments.skipped
    skipped = [f"{name} ({reasons[name]})" for name in names if name in reasons]
    return f"{text} Left out, as it could not be installed: {'; '.join(skipped)}." if skipped else text
