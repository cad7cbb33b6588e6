"""Tell what a signal handler of the agent raised from what a plugin did: the former is the agent's own wish."""

from __future__ import annotations

import inspect
import threading
from types import FrameType

__all__ = ["is_agents_own"]


def is_agents_own(error: BaseException) -> bool:
    """
    Return whether *error* came out of a signal handler that ran while our code, or a plugin's, was running.

    `docker stop` sends SIGTERM; an agent that turns it into SystemExit was found to run on for ever when the signal
    came while a sink wrote, because the exception was taken for the sink's.
    """
    if threading.current_thread() is not threading.main_thread():
        return False  # handlers run in the main thread alone
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        if _was_handed(trace.tb_next.tb_frame, trace.tb_frame):
            return True
        trace = trace.tb_next
    return False


def _was_handed(called: FrameType, caller: FrameType) -> bool:
    """Tell whether *caller* is among the arguments of *called*: Python hands a handler the frame that it interrupts."""
    # Not by signal.getsignal(): a handler may put back the default before it raises.
    arguments = inspect.getargvalues(called)
    given = [arguments.locals.get(name) for name in arguments.args]
    if arguments.varargs is not None:
        given.extend(arguments.locals.get(arguments.varargs, ()))
    return any(value is caller for value in given)
