"""Conflicts: booking knows them, availability knows how each could be repaired."""

import asyncio
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from gateway.proxying import Call, Proxy
from gateway.upstream import Answer

PAGE = 20
REPAIR_SECONDS = 1.0
# Waiting and keeping move nothing, but give no time either: they come after the longest move there can be, which is
# from one end of the longest booking window to the other.
WAITLIST_DISRUPTION = 730 * 24 * 60
KEEP_DISRUPTION = WAITLIST_DISRUPTION + 1

Json = dict[str, Any]


async def show(proxy: Proxy, call: Call) -> Answer:
    """The clinic's conflicts, each open one with its options, best first; twenty a page at most."""
    call.query = _bounded(call.query)
    answer = await proxy.pass_on(call)
    if answer.status != 200:
        return answer
    page = answer.document()
    await asyncio.gather(*(_complete(proxy, call.tenant_id, conflict) for conflict in page["data"]))
    return answer.with_document(page)


def _bounded(query: str) -> str:
    """The query with a limit of a page; what is not a number is booking's to refuse."""
    asked = parse_qsl(query, keep_blank_values=True)
    limit = next((value for name, value in asked if name == "limit"), str(PAGE))
    if limit.isascii() and limit.isdigit() and int(limit) > PAGE:
        limit = str(PAGE)
    return urlencode([(name, value) for name, value in asked if name != "limit"] + [("limit", limit)])


async def _complete(proxy: Proxy, tenant_id: str, conflict: Json) -> None:
    """Puts `options` in place of `repair`, which says what availability is to be asked."""
    repair = conflict.pop("repair", None)
    if repair is None:
        conflict["options"] = []
        return
    path = f"/internal/tenants/{tenant_id}/repairs"
    found = await proxy.ask("availability", path, repair, timeout=REPAIR_SECONDS)
    repairs = found.document() if found is not None and found.status == 200 else {}
    conflict["options"] = options(repairs, datetime.fromisoformat(repair["start"]))


def options(repairs: Json, start: datetime) -> list[Json]:
    """What can be done about a visit at `start`, least disruption (in minutes moved) first. Availability's own order
    stands among equals."""
    found = [
        _option("substitute", start, one["slot"]) | {"resource": one["resource"]}
        for one in repairs.get("substitutes", ())
    ] + [_option("reschedule", start, slot) for slot in repairs.get("alternatives", ())]
    found.sort(key=lambda option: option["disruption"])
    return [
        *found,
        {"id": "waitlist", "kind": "waitlist", "disruption": WAITLIST_DISRUPTION},
        {"id": "keep", "kind": "keep", "disruption": KEEP_DISRUPTION},
    ]


def _option(kind: str, start: datetime, slot: Json) -> Json:
    moved = abs(datetime.fromisoformat(slot["start"]) - start)
    return {
        "id": f"{kind}.{slot['slot_id']}",
        "kind": kind,
        "slot": slot,
        "disruption": int(moved.total_seconds() // 60),
    }
