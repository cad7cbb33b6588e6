"""A command that is stopped in the middle of its work: at the same place each time, however fast the machine is."""

__all__ = ["STOPPED"]

# The real command, which gets a real SIGINT at its first, second, ... word about a stage.
STOPPED = """
import os, signal, sys
from telemetry.core.cli import long_work
from telemetry.core.cli.main import main
stage, left = sys.argv[1], int(sys.argv[2])
del sys.argv[1:3]
told = long_work._Stages.__call__
def tell(stages, name, done, total):
    global left
    told(stages, name, done, total)
    left -= name == stage
    if left < 0:
        os.kill(os.getpid(), signal.SIGINT)
long_work._Stages.__call__ = tell
main()
"""
