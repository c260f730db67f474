"""The calls that more than one service answers. No business rule lives here: only who is asked after whom."""

from collections.abc import Awaitable, Callable

from gateway.composing import appointments, audit, conflicts, holds, live, series
from gateway.proxying import Call, Proxy
from gateway.table import CLINIC
from gateway.upstream import Answer

COMPOSED: dict[tuple[str, str], Callable[[Proxy, Call], Awaitable[Answer]]] = {
    ("POST", f"{CLINIC}/holds"): holds.place,
    ("POST", f"{CLINIC}/appointments"): appointments.request,
    ("POST", f"{CLINIC}/appointments/{{id}}/checkout"): appointments.open_checkout,
    ("PUT", f"{CLINIC}/appointments/{{id}}/reschedule"): appointments.reschedule,
    ("POST", f"{CLINIC}/waitlist"): appointments.join_waitlist,
    ("POST", f"{CLINIC}/series"): series.request,
    ("PUT", f"{CLINIC}/series/{{id}}/reschedule"): series.reschedule,
    ("GET", f"{CLINIC}/conflicts"): conflicts.show,
    ("GET", f"{CLINIC}/audit"): audit.show,
    ("GET", f"{CLINIC}/live"): live.refuse,
    ("HEAD", f"{CLINIC}/live"): live.refuse,
}
"""By method and path of the table; everything else is passed on as it is."""
