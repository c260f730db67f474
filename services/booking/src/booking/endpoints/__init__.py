"""HTTP in, by noun."""

from booking.endpoints import appointments, conflicts, desk, holds, internal, series, waitlist

ROUTERS = (
    holds.router,
    appointments.router,
    desk.router,
    series.router,
    waitlist.router,
    conflicts.router,
    internal.router,
)
