"""Tell which failures are one and the same fault: by type, place and message, without what differs each time."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

from attrs import frozen

from ..plugins.records import RunRecord
from ..plugins.variables import without_variables

__all__ = ["Fingerprint", "fingerprint_of"]

_KIND = re.compile(r"(?:[A-Za-z_]\w*\.)*([A-Za-z_]\w*)(?::\s*|$)")
_FRAME = re.compile(r'^\s*File "(?P<file>[^"\n]+)", line \d+, in (?P<function>\S.*?)\s*$', re.MULTILINE)
_LIBRARY = re.compile(r"^<frozen |[/\\](?:(?:site|dist)-packages[/\\]|lib[/\\]python3\.|Lib[/\\]\w+\.py$)")
_LONGEST_MESSAGE = 300
_BACKSLASH = "\\"
_LINE_OF_A_FRAME = '", line '
_KEPT = 512


@frozen
class Fingerprint:
    """
    One fault.

    `kind` is the type of the error. `place` is the function and file that raised it, of our own code as far as the
    traceback tells; None without a traceback. `message` is its text with numbers, ids, times and paths replaced.
    """

    kind: str
    place: str | None
    message: str

    @property
    def id(self) -> str:
        """Eight hex digits that are the same for the same fault, on every machine."""
        text = "\0".join((self.kind, self.place or "", self.message))
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()


def fingerprint_of(run: RunRecord) -> Fingerprint:
    """Return the fault of a run that failed; of one whose process died the kind is `died`, the message its cause."""
    if run.verdict:
        return Fingerprint("died", None, without_variables(run.status_detail or ""))
    summary = (run.error_summary or run.status_detail or "").strip()
    first_line = summary.partition("\n")[0]
    match = _KIND.match(first_line)
    kind = match[1] if match else "unknown"
    message = first_line[match.end() :] if match else first_line
    return Fingerprint(kind, _place(run.attributes.get("traceback")), without_variables(message[:_LONGEST_MESSAGE]))


def _place(traceback: object) -> str | None:
    if not isinstance(traceback, str) or (last := traceback.rfind(_LINE_OF_A_FRAME)) < 0:
        return None
    # What comes behind the last frame differs from run to run, but never the place.
    end = traceback.find("\n", last)
    return _place_in(traceback if end < 0 else traceback[:end])


@lru_cache(_KEPT)
def _place_in(frames_text: str) -> str | None:
    # The last frame that is not a library's: that is the line which somebody here can mend. The line number is left
    # out, because it moves with every change of the file.
    frames = _FRAME.findall(frames_text)
    if not frames:
        return None
    own = [frame for frame in frames if not _LIBRARY.search(frame[0])]
    path, function = (own or frames)[-1]
    return f"{function} ({path.replace(_BACKSLASH, '/').rpartition('/')[2]})"
