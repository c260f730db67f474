"""Event contracts and the runtime that carries them: the only thing services share about each other."""

from events.base import Deleted, Event, Money, State, new_id
from events.envelope import Envelope
from events.errors import Early, Invalid, Retry
from events.handlers import on, on_deleted
from events.transaction import Transaction

__all__ = [
    "Deleted",
    "Early",
    "Envelope",
    "Event",
    "Invalid",
    "Money",
    "Retry",
    "State",
    "Transaction",
    "new_id",
    "on",
    "on_deleted",
]
