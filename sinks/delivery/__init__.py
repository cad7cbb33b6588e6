"""Feed a remote sink from the journal, at least once and in order per run."""

from ...plugins.remote import remote_sink
from .border import Deliver
from .dead import DeadLetter
from .delivery import Delivery
from .item import Item
from .outbox import Outbox, OutboxStatus, dead_letters, retry_dead, status

__all__ = [
    "DeadLetter",
    "Deliver",
    "Delivery",
    "Item",
    "Outbox",
    "OutboxStatus",
    "dead_letters",
    "remote_sink",
    "retry_dead",
    "status",
]
