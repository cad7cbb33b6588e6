"""100 calls of log() in offline mode."""

import os
import signal
import sys

import wandb

with wandb.init(project="probe", mode="offline", dir=os.getcwd()) as run:
    for number in range(9_000_000, 9_000_100):
        run.log({"number": number})
    if sys.argv[1] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
