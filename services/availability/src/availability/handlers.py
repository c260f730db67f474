"""What the service reacts to."""

from availability import repository, taken, waiting
from events import Deleted, Transaction, on, on_deleted
from events.contracts.booking import Occupancy, WaitlistEntry
from events.contracts.calendar import Busy, CalendarConnectionDegraded
from events.contracts.identity import TenantChanged


@on(TenantChanged)
async def keep_clinic(event: TenantChanged, tx: Transaction) -> None:
    """Time zone, currency, and the buffer around external events."""
    await taken.keep_clinic(tx, event)


@on(Occupancy)
async def occupy(event: Occupancy, tx: Transaction) -> None:
    """A hold or a booking takes a resource's time."""
    await taken.occupy(tx, event)


@on_deleted(Occupancy)
async def vacate(gone: Deleted, tx: Transaction) -> None:
    """It gave the time back."""
    await taken.vacate(tx, gone)


@on(Busy)
async def make_busy(event: Busy, tx: Transaction) -> None:
    """An external calendar has an event."""
    await taken.make_busy(tx, event)


@on_deleted(Busy)
async def unmake_busy(gone: Deleted, tx: Transaction) -> None:
    """It has it no more."""
    await taken.unmake_busy(tx, gone)


@on(CalendarConnectionDegraded)
async def remember_degraded(event: CalendarConnectionDegraded, tx: Transaction) -> None:
    """A calendar's truth is not known, or is known again."""
    await repository.set_degraded(tx, event)


@on(WaitlistEntry)
async def let_wait(event: WaitlistEntry, tx: Transaction) -> None:
    """Somebody waits for a time to come free."""
    await waiting.join(tx, event)


@on_deleted(WaitlistEntry)
async def let_go(gone: Deleted, tx: Transaction) -> None:
    """They wait no more."""
    await waiting.leave(tx, gone)
