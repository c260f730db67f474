"""Appointments: identity knows the person, booking books, payment opens the Checkout (or says that nothing is due)."""

from typing import Any

from gateway.composing.people import identify
from gateway.proxying import Call, Proxy
from gateway.upstream import Answer
from servicekit.capabilities import Settlement
from servicekit.problems import Problem


class Unsettled(Problem):
    """Booking did not take payment's word in time; its event confirms the appointment all the same."""

    status, code, title = 503, "unavailable", "Not available at the moment"


async def request(proxy: Proxy, call: Call) -> Answer:
    """Turns a hold, or a slot at once, into an appointment."""
    body = await call.document()
    if (refusal := await identify(proxy, call, body)) is not None:
        return refusal
    answer = await proxy.send_document(call, body)
    answer = await proxy.looks.help(call.tenant_id, await call.body(), answer)
    return await _with_checkout(proxy, call, answer)


async def open_checkout(proxy: Proxy, call: Call) -> Answer:
    """Another try to pay."""
    return await _with_checkout(proxy, call, await proxy.send(call, await call.body()))


async def reschedule(proxy: Proxy, call: Call) -> Answer:
    """Another time; a dearer one opens a Checkout for the difference, and the old one stays until it is paid."""
    body = await call.body()
    answer = await proxy.looks.help(call.tenant_id, body, await proxy.send(call, body))
    return await _with_checkout(proxy, call, answer)


async def join_waitlist(proxy: Proxy, call: Call) -> Answer:
    """Somebody waits for a time."""
    body = await call.document()
    refusal = await identify(proxy, call, body)
    return refusal if refusal is not None else await proxy.send_document(call, body)


async def _with_checkout(proxy: Proxy, call: Call, answer: Answer) -> Answer:
    """Booking's answer with the Checkout that payment opened for it. `checkout_url` is null while Stripe is away:
    the appointment stands, and `…/checkout` tries again."""
    if answer.status not in (200, 201):
        return answer
    appointment = answer.document()
    due = appointment.pop("payment_request", None)
    if due is None:
        return answer.with_document(appointment)
    payment = appointment["payment"]
    payment["checkout_url"] = None
    opened = await _open(proxy, due)
    if opened is None and answer.replayed:
        # A stored answer carries the payment request of its own minute: booking signs a fresh one.
        opened = await _open(proxy, await _fresh_request(proxy, call, appointment))
    if opened is None:
        return answer.with_document(appointment)
    if opened["status"] == "settled":
        return answer.with_document(await _settled(proxy, call, appointment, opened["settlement"]))
    payment |= {name: opened[name] for name in ("session_id", "checkout_url")}
    return answer.with_document(appointment)


async def _open(proxy: Proxy, due: str | None) -> dict[str, Any] | None:
    if due is None:
        return None
    answer = await proxy.ask("payment", "/internal/checkouts", {"payment_request": due})
    document: dict[str, Any] | None = answer.document() if answer is not None and answer.status == 200 else None
    return document


async def _fresh_request(proxy: Proxy, call: Call, appointment: dict[str, Any]) -> str | None:
    path = f"/v1/clinics/{call.tenant_id}/appointments/{appointment['id']}/checkout"
    headers = {"authorization": f"Bearer {appointment.get('manage_token', '')}"}
    answer = await proxy.upstreams.send("booking", "POST", path, headers=headers)
    return answer.document().get("payment_request") if answer.status == 200 else None


async def _settled(proxy: Proxy, call: Call, appointment: dict[str, Any], settlement: str) -> dict[str, Any]:
    """The appointment after booking was told that nothing is due for it, or for the time that it moves to (whose hold
    is then what is settled)."""
    settled_id = proxy.settlements.verify(settlement, Settlement).booking_id
    path = f"/internal/tenants/{call.tenant_id}/appointments/{settled_id}/settle"
    answer = await proxy.upstreams.post_internal("booking", path, {"settlement": settlement})
    if answer.status == 200 and str(settled_id) != appointment["id"]:
        own = f"/v1/clinics/{call.tenant_id}/appointments/{appointment['id']}"
        answer = await proxy.upstreams.send("booking", "GET", own, headers=call.own_authorization)
    if answer.status != 200:
        raise Unsettled("Nothing is due, but the appointment could not be confirmed yet. Ask for it again.")
    now = answer.document()
    # What only this client may see (its token, staff's history) is in the first answer alone; a move is over.
    before = {name: value for name, value in appointment.items() if name != "move"}
    return before | {name: value for name, value in now.items() if name != "payment_request"}
