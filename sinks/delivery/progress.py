"""Let a caller wait, for a bounded time, until the pump has delivered what was there when he asked."""

from __future__ import annotations

import threading
import time

__all__ = ["Progress"]


class Progress:
    """
    Questions of callers, answered by the pump's thread.

    A step answers only what was asked before it began: so an answer covers every line that was written before the
    question.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._asked = 0
        self._answered = 0
        self._hurried = 0
        self._patient_waiters = 0
        self._is_drained = False
        self._retry_at = 0.0

    @property
    def asked(self) -> int:
        """The number of the last question."""
        return self._asked

    @property
    def is_hurried(self) -> bool:
        """Whether somebody asked, and was not answered yet, who wants our own pause cut short."""
        return self._hurried > self._answered

    @property
    def has_question(self) -> bool:
        """Whether somebody asked and was not answered yet."""
        return self._asked > self._answered

    @property
    def has_patient_waiter(self) -> bool:
        """Whether somebody waits until all is delivered."""
        return self._patient_waiters > 0

    def ask(self, *, is_hurried: bool) -> int:
        """Ask whether all is delivered; return the number of the question."""
        with self._changed:
            self._asked += 1
            if is_hurried:
                self._hurried = self._asked
            return self._asked

    def answer(self, question: int, *, is_drained: bool, retry_at: float = 0.0) -> None:
        """Say how it stands for all questions up to *question*; *retry_at* (steady clock) is the next try."""
        with self._changed:
            self._answered = max(self._answered, question)
            self._is_drained = is_drained
            self._retry_at = retry_at
            self._changed.notify_all()

    def wait(self, question: int, deadline_s: float, *, is_patient: bool) -> bool:
        """
        Return whether all was delivered within *deadline_s* seconds.

        Returns early when a try failed and the next one comes too late; without *is_patient* after any failed try.
        """
        end = time.monotonic() + deadline_s
        with self._changed:
            self._patient_waiters += is_patient
            try:
                return self._waited(question, end, is_patient)
            finally:
                self._patient_waiters -= is_patient

    def _waited(self, question: int, end: float, is_patient: bool) -> bool:
        while self._answered < question or not self._is_drained:
            if self._answered >= question and (not is_patient or self._retry_at > end):
                return False
            if not self._changed.wait(end - time.monotonic()):
                return False
        return True
