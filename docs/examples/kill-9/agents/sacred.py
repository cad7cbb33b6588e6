"""100 scalars of a run, with the observer that writes files."""

import os
import signal
import sys

sys.path.remove(os.path.dirname(os.path.abspath(__file__)))  # this file has the name of the library
from sacred import Experiment
from sacred.observers import FileStorageObserver

experiment = Experiment("probe", save_git_info=False)
experiment.observers.append(FileStorageObserver("runs"))


@experiment.main
def main(_run):
    """Log the scalars."""
    for number in range(9_000_000, 9_000_100):
        _run.log_scalar("number", number)
    if sys.argv[1] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)


experiment.run()
