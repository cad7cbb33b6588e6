"""100 calls of log()."""

import os
import signal
import sys

sys.path.remove(os.path.dirname(os.path.abspath(__file__)))  # this file has the name of the library
os.environ["TRACKIO_DIR"] = os.getcwd()
import trackio

trackio.init(project="probe")
for number in range(9_000_000, 9_000_100):
    trackio.log({"number": number})
if sys.argv[1] == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
trackio.finish()
