"""Move records from the journal to the other side, a bounded step at a time, in one process at a time."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

import msgspec

from ...plugins.complaints import Complaints
from ...plugins.context import SinkContext
from ...plugins.errors import StoreError
from ...plugins.ids import get_iso8601_timestamp
from .aside import Aside
from .cursor import Cursor, Trouble, create_cursor, first_cursor, load_cursor, save_cursor
from .feed import Fed, Feed
from .isolating import isolate
from .ledger import Ledger
from .locks import PathLock
from .places import Places
from .plan import Plan
from .progress import Progress
from .rounds import Round
from .sources import sources_of
from .visiting import visit
from .window import Window

__all__ = ["Pump"]

_ROUND_S = 0.1
"""A round ends after this time: it bounds what a kill repeats, and what a fork or an exit waits for."""
_ISOLATING_ROUND_S = 60.0
_ISOLATE_AFTER = 4
_SETTLE_S = 0.02
"""How long the thread leaves the interpreter to the agent that woke it; and what ends meanwhile goes along."""
_LINGER_S = 5.0
_LONGEST_HOLD_S = 5.0
"""Over a longer pause the lock is let go: another process may have the token or the proxy that works."""
_POLL_S = (0.5, 5.0)
_HURRIED_POLL_S = 0.05
_UNSAVED_BYTES = 1 << 20


class Pump:
    """
    The work of one sink's delivery in this process; all but `begin()` belongs to one thread.

    While the delivery's lock is held here, nobody else reads or moves the cursor. When all is delivered, and over
    longer pauses, the lock is let go and everything but the counts forgotten.

    Attributes:
        rests_until: no step does anything before this moment (steady clock), unless somebody hurries it.
        fault: the last thing that went wrong, None after something went well.
    """

    def __init__(self, plan: Plan, places: Places, context: SinkContext) -> None:
        self._plan = plan
        self._places = places
        self._context = context
        self._lock = PathLock(places.lock)
        self._complaints = Complaints(logging.getLogger("telemetry.delivery"))
        self._start = self._cursor = Cursor()
        self._window: Window | None = None
        self._failures = 0
        self._is_pause_asked_for = False
        self._is_for_suspects = False
        self._poll_s = _POLL_S[0]
        self._is_down = False
        self.ledger = Ledger(places, Aside(places, plan.first_aside_s), context.report if plan.reports else None)
        self.progress = Progress()
        self.rests_until = self._settles_until = 0.0
        self._has_delivered = False
        self.fault: str | None = None
        self.is_closed = False

    def begin(self) -> None:
        """
        Note where the journal stands, if this sink was never here before; called before this process writes a line.

        Raises:
            OSError: it cannot be written down; then it is kept in mind.
        """
        if self._places.cursor.exists():
            self._start = Cursor(first_day=get_iso8601_timestamp()[:10].replace("-", ""))
            return
        self._start = first_cursor(self._context.journal_dir, is_backfill=self._plan.is_backfill)
        self._places.prepare()
        create_cursor(self._places.cursor, self._start)

    def hear(self) -> bool:
        """
        Hear that there is more to deliver; return whether that is a reason to work now. For any thread.

        A pause after an outage holds for all records. One that only suspects have to keep is over: what is new need
        not wait for them, and helps to tell whether they are at fault.
        """
        if self._is_for_suspects:
            self.rests_until = 0.0
        now = time.monotonic()
        if now < max(self.rests_until, self._settles_until):
            return False
        self._settles_until = now + _SETTLE_S
        return True

    @property
    def is_leading(self) -> bool:
        """Whether this process is the one that delivers at the moment."""
        return self._lock.is_held

    def step(self) -> float | None:
        """Do one piece of work; return the seconds until the next one, None when nothing is left."""
        question = self.progress.asked
        try:
            return self._step(question)
        except (OSError, StoreError) as error:
            return self._broken(question, error)
        finally:
            if self.is_closed:
                self.let_go()

    def _step(self, question: int) -> float | None:
        if self.is_closed:
            return None
        if not self.progress.has_question and (left_s := self._settles_until - time.monotonic()) > 0:
            return left_s
        # Before the journal is read: whoever writes a line from now on must wake us again.
        self._settles_until = 0.0
        if (left_s := self._rest_left_s()) > 0:
            self.progress.answer(question, is_drained=False, retry_at=self.rests_until)
            return left_s
        window = self._led()
        if window is None:
            return self._follow(question)
        window.fill(None if self._is_down else self.ledger.tries_of)
        return self._one_round(window, question) if window.waiting else self._finish(window, question)

    def _rest_left_s(self) -> float:
        if self.progress.is_hurried and not self._is_pause_asked_for:
            self.rests_until = 0.0
        return max(0.0, self.rests_until - time.monotonic())

    def _feed_from(self, cursor: Cursor) -> Feed:
        sources = sources_of(self._places, self._context.journal_dir, cursor)
        return Feed(sources, cursor.marks, self._plan.wants)

    def _led(self) -> Window | None:
        """Return the window of the process that leads, None when that is another one."""
        if self._window is None:
            self._places.prepare()
            if not self._lock.acquire():
                return None
            self._cursor = cursor = self._loaded_cursor()
            self._window = Window(self._feed_from(cursor), cursor.ahead, self._plan.batch)
            self.ledger.resume(cursor.trouble)
            self.ledger.aside.look()
            self._poll_s = _POLL_S[0]
        return self._window

    def _loaded_cursor(self) -> Cursor:
        path = self._places.cursor
        try:
            cursor = load_cursor(path) or self._start
        except ValueError as error:
            # Twice is better than never, and the keys tell the other side that it was there before.
            os.replace(path, path.with_name(f"{path.name}.damaged"))
            self._complaints.say("damaged", "%s; the whole journal is delivered again", error)
            return Cursor()
        return self._from_the_beginning(cursor)

    def _from_the_beginning(self, cursor: Cursor) -> Cursor:
        # The journal's beginning, where the sink is to have that too and never had it.
        return Cursor() if self._plan.is_backfill and cursor.first_day else cursor

    def _follow(self, question: int) -> float | None:
        """Wait for the process that leads: it may die, or have looked just before our last line was written."""
        if not self._has_pending():
            self.progress.answer(question, is_drained=True)
            return None
        pause_s = _HURRIED_POLL_S if self.progress.has_patient_waiter else self._poll_s
        self._poll_s = min(2 * self._poll_s, _POLL_S[1])
        self._is_pause_asked_for = False
        self.rests_until = time.monotonic() + pause_s
        self.progress.answer(question, is_drained=False, retry_at=self.rests_until)
        return pause_s

    def _has_pending(self) -> bool:
        try:
            feed = self._feed_from(self._from_the_beginning(load_cursor(self._places.cursor) or self._start))
        except ValueError:
            return True  # the one who leads will mend it
        has_pending = bool(feed.read(1, 1))
        feed.close()
        return has_pending

    def _one_round(self, window: Window, question: int) -> float:
        found = self._tried(window.waiting)
        self._is_down = found.is_unreachable
        self.ledger.book_taken(found.taken)
        window.drop(found.taken)
        self._has_delivered = True
        self.ledger.book_failed(found)
        self.ledger.bury(found.refused)
        self.ledger.set_aside(found.aside)
        window.drop(fed for fed, _ in (*found.refused, *found.aside))
        if not found.failed:
            self._failures, self.fault, self._is_for_suspects = 0, None, False
            self._save(window, None)
            return 0.0
        return self._pause_after(window, found, question)

    def _tried(self, waiting: list[Fed]) -> Round:
        behind, waiting = self.ledger.aside.parted(waiting)
        persistence = max(self._failures, self.ledger.tries_of(waiting[0]) if waiting else 0)
        # Where nobody listens, to send records one by one would tell nothing about them.
        is_isolating = not self._is_down and (persistence >= _ISOLATE_AFTER or self.ledger.most_strikes > 0)
        if is_isolating:
            is_over = self._is_over_after(_ISOLATING_ROUND_S)
            found = isolate(self._plan.deliver, waiting, self.ledger, persistence, is_over)
        else:
            found = Round(self._plan.deliver, self._plan.batch, 1, self._is_over_after(_ROUND_S))
            found.run(waiting)
        found.aside += behind
        return found

    def _is_over_after(self, seconds: float) -> Callable[[], bool]:
        end = time.monotonic() + seconds
        return lambda: self.is_closed or time.monotonic() > end

    def _pause_after(self, window: Window, found: Round, question: int) -> float:
        self._failures = max(1, self.ledger.most_strikes) if found.has_answer else self._failures + 1
        pauses = [error.retry_after_s for _, error in found.failed if error.retry_after_s is not None]
        asked_s = max(pauses, default=None)
        self._is_for_suspects = asked_s is None and self.ledger.are_suspects([fed for fed, _ in found.failed])
        pause_s = self._plan.pause_s(self._failures, asked_s)
        trouble = self.ledger.trouble(found, self._cursor.trouble, get_iso8601_timestamp(time.time() + pause_s))
        self._save(window, trouble)
        self._complaints.say(
            "failed",
            "sink %s: %s; tried again in %.0f s, and kept until then",
            *(self._places.sink, trouble.reason, pause_s),
        )
        return self._rest(question, pause_s, trouble.reason, is_asked_for=asked_s is not None)

    def _broken(self, question: int, error: Exception) -> float:
        """Rest after a fault on our own side: a disk that is full, a folder that is gone."""
        self._failures += 1
        pause_s = self._plan.pause_s(self._failures, None)
        self._complaints.say(
            "broken",
            "sink %s cannot deliver: %s: %s; tried again in %.0f s",
            *(self._places.sink, type(error).__name__, error, pause_s),
        )
        self.let_go()
        return self._rest(question, pause_s, f"{type(error).__name__}: {error}", is_asked_for=False)

    def _rest(self, question: int, pause_s: float, fault: str, *, is_asked_for: bool) -> float:
        self.fault = fault
        self._is_pause_asked_for = is_asked_for
        if pause_s > _LONGEST_HOLD_S:
            self.let_go()
        self.rests_until = time.monotonic() + pause_s
        self.progress.answer(question, is_drained=False, retry_at=self.rests_until)
        return pause_s

    def _finish(self, window: Window, question: int) -> float | None:
        # Reports of what was delivered are lines of the journal as well: skipping them is not worth a sync each.
        if self._cursor.trouble is not None or window.unsaved_bytes > _UNSAVED_BYTES:
            self._save(window, None)
        window.clean()
        self.ledger.clear()
        if self._visited():
            return 0.0
        self.let_go()
        self.progress.answer(question, is_drained=True)
        # Starting a thread takes 0.1 ms of the agent's time, waking it 6 us: it stays a while for the next run.
        lingers, self._has_delivered = self._has_delivered, False
        if not lingers and self._plan.on_idle is not None:
            self._plan.on_idle()
        return _LINGER_S if lingers else self.ledger.aside.wait_s

    def _visited(self) -> bool:
        """Try those aside that are due; return whether that is worth another look at once."""
        found = visit(self._plan.deliver, self.ledger, self._is_over_after(_ROUND_S))
        self._has_delivered |= found is not None
        return found is not None and found.has_answer

    def _save(self, window: Window, trouble: Trouble | None) -> None:
        self._cursor = msgspec.structs.replace(
            self._cursor, marks=window.marks(), ahead=window.ahead(), trouble=trouble
        )
        save_cursor(self._places.cursor, self._cursor)

    def let_go(self) -> None:
        """Forget what was read, and let another process deliver."""
        if self._window is not None:
            self._window.close()
            self._window = None
        self._lock.release()
