"""The calls that more than one service answers. No business rule lives here: only who is asked after whom."""

import asyncio
import json
from typing import Any

from fastapi import Request, Response

from gateway.proxying import Proxy, back, read_body, read_object, request_hash
from gateway.upstream import Answer
from servicekit.problems import Problem, Unavailable, ValidationFailed

ALTERNATIVES_SECONDS = 0.2
SHARED_SECONDS = 0.3


async def place_hold(proxy: Proxy, request: Request) -> Response:
    """Booking holds; when the time is taken, availability is asked what else there is."""
    route, path = await proxy.target(request)
    body = await read_body(request)
    answer = await proxy.send(request, route, path, body)
    if answer.status != 409 or not answer.is_problem:
        return back(answer)
    problem = json.loads(answer.body)
    if not problem["type"].endswith("/slot-taken"):
        return back(answer)
    return back(answer, problem | {"alternatives": await _alternatives(proxy, path, json.loads(body))})


async def _alternatives(proxy: Proxy, path: str, body: dict[str, Any]) -> list[Any]:
    """Up to five; an empty list when they do not come in time: the refusal does not wait for them. Those who are
    refused the same time at the same moment share one look."""
    key = f"{path} {body['slot_id']}"
    looking = proxy.looks.get(key)
    if looking is None:
        looking = asyncio.create_task(_look_for_alternatives(proxy, path.split("/")[3], body["slot_id"]))
        proxy.looks[key] = looking
        looking.add_done_callback(
            lambda _: asyncio.get_running_loop().call_later(SHARED_SECONDS, proxy.looks.pop, key, None)
        )
    try:
        async with asyncio.timeout(ALTERNATIVES_SECONDS):
            return await asyncio.shield(looking)
    except TimeoutError:
        return []


async def _look_for_alternatives(proxy: Proxy, tenant_id: str, slot_id: str) -> list[Any]:
    try:
        answer = await proxy.upstreams.post_internal(
            "availability", f"/internal/tenants/{tenant_id}/alternatives", {"slot_id": slot_id, "limit": 5}
        )
    except Unavailable:
        return []
    return list(json.loads(answer.body)["alternatives"]) if answer.status == 200 else []


async def request_appointment(proxy: Proxy, request: Request) -> Response:
    """Identity knows the person, booking books, payment opens the Checkout (or says that nothing is due)."""
    route, path = await proxy.target(request)
    raw = await read_body(request)
    body = read_object(raw)
    customer = body.pop("customer", None)
    if not isinstance(customer, dict):
        raise ValidationFailed.of("customer", "is missing: name and email are needed")
    body.pop("customer_token", None)
    tenant_id = path.split("/")[3]
    known = await proxy.upstreams.post_internal(
        "identity",
        f"/internal/tenants/{tenant_id}/customers",
        {"customer": customer} | _user_token(request),
    )
    if known.status != 200:
        return back(known)
    body["customer_token"] = json.loads(known.body)["customer_token"]
    changed = json.dumps(body).encode()
    answer = await proxy.send(request, route, path, changed, request_hash(raw))
    return await _with_checkout(proxy, path, answer)


def _user_token(request: Request) -> dict[str, str]:
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    return {"user_token": credential} if scheme.lower() == "bearer" and credential.count(".") == 2 else {}


async def open_checkout(proxy: Proxy, request: Request) -> Response:
    """Another try to pay."""
    route, path = await proxy.target(request)
    answer = await proxy.send(request, route, path, await read_body(request))
    return await _with_checkout(proxy, path, answer)


async def _with_checkout(proxy: Proxy, path: str, answer: Answer) -> Response:
    """Booking's answer with the Checkout that payment opened for it. `checkout_url` is null while Stripe is away:
    the appointment stands, and `…/checkout` tries again."""
    if answer.status not in (200, 201):
        return back(answer)
    appointment = json.loads(answer.body)
    due = appointment.pop("payment_request", None)
    if due is None:
        return back(answer, appointment)
    payment = appointment["payment"]
    payment["checkout_url"] = None
    opened = await _open(proxy, due)
    if opened is None and any(name == "idempotent-replayed" for name, _ in answer.headers):
        # A stored answer carries the payment request of its own minute: booking signs a fresh one.
        opened = await _open(proxy, await _fresh_request(proxy, path, appointment))
    if opened is None:
        return back(answer, appointment)
    if opened["status"] == "settled":
        settled = await _settle(proxy, path, appointment, opened["settlement"])
        return back(answer, appointment | {key: settled[key] for key in ("status", "payment", "updated_at")})
    payment |= {name: opened[name] for name in ("session_id", "checkout_url")}
    return back(answer, appointment)


async def _open(proxy: Proxy, due: str | None) -> dict[str, Any] | None:
    if due is None:
        return None
    try:
        answer = await proxy.upstreams.post_internal("payment", "/internal/checkouts", {"payment_request": due})
    except Unavailable:
        return None
    document: dict[str, Any] | None = json.loads(answer.body) if answer.status == 200 else None
    return document


async def _fresh_request(proxy: Proxy, path: str, appointment: dict[str, Any]) -> str | None:
    target = f"{path.split('/checkout')[0].rstrip('/')}"
    if not target.endswith(appointment["id"]):
        target = f"{target}/{appointment['id']}"
    headers = {"Authorization": f"Bearer {appointment.get('manage_token', '')}"}
    answer = await proxy.upstreams.send("booking", "POST", f"{target}/checkout", headers=headers)
    return json.loads(answer.body).get("payment_request") if answer.status == 200 else None


async def _settle(proxy: Proxy, path: str, appointment: dict[str, Any], settlement: str) -> dict[str, Any]:
    tenant_id = path.split("/")[3]
    answer = await proxy.upstreams.post_internal(
        "booking",
        f"/internal/tenants/{tenant_id}/appointments/{appointment['id']}/settle",
        {"settlement": settlement},
    )
    if answer.status != 200:
        raise _Unsettled("Nothing is due, but the appointment could not be confirmed yet. Ask for it again.")
    settled: dict[str, Any] = json.loads(answer.body)
    return settled


class _Unsettled(Problem):
    """Booking did not take payment's word in time; its event confirms the appointment all the same."""

    status, code, title = 503, "unavailable", "Not available at the moment"
