"""Begin the command line: until there is somebody who answers ^C, it ends the process without a traceback."""

from __future__ import annotations

import signal

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process and exit; the console script `telemetry`."""
    # The command line takes 60 ms to import: who types ^C within them wants no list of modules.
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_ours:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .main import main as run_main

    if is_ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run_main()
