"""Series: availability knows which of its times are free, booking takes them."""

import asyncio
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from gateway.alternatives import is_taken
from gateway.composing.people import identify
from gateway.proxying import Call, Proxy
from gateway.upstream import Answer
from servicekit.problems import ValidationFailed

Occurrences = list[dict[str, Any]]


async def request(proxy: Proxy, call: Call) -> Answer:
    """Books every time of the rule that can be had."""
    body = await call.document()
    wanted = {name: _text(body, name) for name in ("slot_id", "rrule")}
    if (refusal := await identify(proxy, call, body)) is not None:
        return refusal
    path = f"/internal/tenants/{call.tenant_id}/occurrences"
    found = await proxy.upstreams.post_internal("availability", path, wanted)
    if found.status != 200:
        return await _stored(proxy, call, body) or found
    body["occurrences"] = found.document()["occurrences"]
    return await _helped(proxy, call, await proxy.send_document(call, body), body["occurrences"])


async def reschedule(proxy: Proxy, call: Call) -> Answer:
    """Moves one visit of the series, it and what follows, or all."""
    body = await call.document()
    slot_id = _text(body, "slot_id")
    asked = urlencode({name: _text(body, name) for name in ("scope", "appointment_id")})
    series_id = call.path.split("/")[5]
    path = f"/internal/tenants/{call.tenant_id}/series/{series_id}/occurrences"
    moving = await proxy.upstreams.send("booking", "GET", path, query=asked, headers=call.own_authorization)
    if moving.status != 200:
        return moving
    present = moving.document()
    path = f"/internal/tenants/{call.tenant_id}/shifted"
    shift = {"slot_id": slot_id, "from_start": present["from_start"], "starts": present["starts"]}
    found = await proxy.upstreams.post_internal("availability", path, shift)
    if found.status != 200:
        return found
    body["occurrences"] = [
        {"appointment_id": appointment_id} | occurrence
        for appointment_id, occurrence in zip(present["appointment_ids"], found.document()["occurrences"], strict=True)
    ]
    return await _helped(proxy, call, await proxy.send_document(call, body), body["occurrences"])


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise ValidationFailed.of(name, "is missing, or is not a text")
    return value


async def _stored(proxy: Proxy, call: Call, body: dict[str, Any]) -> Answer | None:
    """Booking's stored answer for the request's `Idempotency-Key`, which outlives the offer that it was made with.
    Without occurrences booking carries nothing out."""
    if not call.header(b"idempotency-key"):
        return None
    answer = await proxy.send_document(call, body)
    return answer if answer.replayed else None


async def _helped(proxy: Proxy, call: Call, answer: Answer, asked: Occurrences) -> Answer:
    """The answer in which also those that somebody else was faster for say what else there is; when none could be
    had, it is a refusal that lists them."""
    if answer.status not in (200, 201) and not is_taken(answer):
        return answer
    document = answer.document()
    offers = {_instant(one["start"]): one["slot_id"] for one in asked}
    bare = []
    for one in document.get("occurrences", ()):
        slot_id = one.pop("slot_id", None) or offers.get(_instant(one["start"]))
        if one["status"] == "refused" and slot_id and not one.get("alternatives"):
            bare.append((one, slot_id))
    found = await asyncio.gather(*(proxy.looks.instead_of(call.tenant_id, slot_id) for _, slot_id in bare))
    for (one, _), slots in zip(bare, found, strict=True):
        one["alternatives"] = slots
    return await proxy.looks.help(call.tenant_id, await call.body(), answer.with_document(document))


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
