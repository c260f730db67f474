"""The script: what a deployment has to do, one check after the other."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ..api import Api
from ..shop import Sandbox, ThrowAway, guest, open_clinic, register
from . import webhooks
from .live import Live
from .outcome import CheckFailed, Skipped, insist

PRICE = {"amount": 15_000, "currency": "pln"}
# Long enough for what comes through other services to have come, if it comes.
SETTLED = 1.5
BACK = ("refunded", "voided")


@dataclass
class Deployment:
    """What the checks have found and made so far."""

    api: Api
    webhook_secret: str | None = None
    sandbox: Sandbox | None = None
    clinic: ThrowAway | None = None
    offering: Any = None
    live: Live | None = None
    slots: list[Any] = field(default_factory=list)
    hold: Any = None
    held_at: float = 0.0
    appointment: Any = None
    paid: bool = False
    opened: list[Api] = field(default_factory=list)

    @property
    def here(self) -> ThrowAway:
        """The clinic; what needs it is skipped without it."""
        if self.clinic is None:
            raise Skipped("there is no clinic")
        return self.clinic


def _needed(thing: Any, why: str) -> Any:
    if not thing:
        raise Skipped(why)
    return thing


async def ready(it: Deployment) -> str:
    """The gateway says that it serves."""
    (await it.api.call("GET", "/health/ready")).expect(200)
    return it.api.base_url


async def make_clinic(it: Deployment) -> str:
    """A clinic of its own, with a practitioner and an offering that is paid for."""
    it.clinic = await open_clinic(it.api, "verify")
    it.offering = await it.clinic.offer("visit", price=PRICE, payment={"mode": "full"})
    await it.clinic.offer("free", payment={"mode": "free"})
    return it.clinic.slug


async def search(it: Deployment) -> str:
    """Free times are found."""
    it.slots = await it.here.shop.slots("visit", days=5)
    return f"{len(it.slots)} free times"


async def open_live(it: Deployment) -> str:
    """A live socket says hello."""
    it.live = await Live.open(it.api.base_url, it.here.slug, provider=it.here.provider_id)
    return "hello"


async def hold(it: Deployment) -> str:
    """A time is held."""
    slot = _needed(it.slots, "no time was found")[-1]
    it.held_at = time.perf_counter()
    it.hold = (await it.here.shop.hold(slot["slot_id"])).expect(201)
    insist(it.hold["slot"]["start"] == slot["start"], "The hold is for another time than was asked for.")
    return f"{slot['start']} until {it.hold['expires_at']}"


async def second_hold(it: Deployment) -> str:
    """The same time is refused to anybody else, with other times."""
    _needed(it.hold, "nothing is held")
    answer = await it.here.shop.hold(it.slots[-1]["slot_id"])
    insist(answer.status == 409, f"A time that is held was answered {answer.status} instead of 409.")
    insist(answer.code == "slot-taken", f"The refusal is {answer.code!r} instead of slot-taken.")
    return f"409 slot-taken, {len(answer.body.get('alternatives', []))} other times"


async def live_frame(it: Deployment) -> str:
    """Everybody on the page sees that it is taken."""
    live, held = _needed(it.live, "there is no live socket"), _needed(it.hold, "nothing is held")
    start = held["slot"]["start"]
    _, came = await live.until(
        lambda frame: frame["type"] == "slot_taken" and frame["start"] <= start < frame["end"], "slot_taken"
    )
    return f"slot_taken, {(came - it.held_at) * 1000:.0f} ms after it was asked for"


async def checkout(it: Deployment) -> str:
    """An appointment with something to pay gets a Checkout."""
    it.appointment = (await it.here.shop.request(_needed(it.hold, "nothing is held"), guest())).expect(201)
    payment = it.appointment["payment"]
    due = {"amount": payment["amount_due"], "currency": payment["currency"]}
    insist(due == PRICE, f"The appointment asks for {due} instead of {PRICE}.")
    insist(bool(payment.get("session_id")), "No Checkout was opened: Stripe is not set up, or did not answer.")
    if it.sandbox is None:
        it.sandbox = await _sandbox_behind(it, payment["checkout_url"], payment["session_id"])
    return f"{payment['session_id']}{'' if it.sandbox else ', at Stripe itself'}"


async def _sandbox_behind(it: Deployment, checkout_url: str, session_id: str) -> Sandbox | None:
    """The sandbox whose Checkout this is; None when Stripe's own page is behind it."""
    parts = urlsplit(checkout_url or "")
    if not parts.netloc or parts.hostname == "checkout.stripe.com":
        return None
    api = Api(urlunsplit((parts.scheme, parts.netloc, "", "", "")))
    it.opened.append(api)
    known = (await api.call("GET", f"/_sandbox/stripe/checkout/{session_id}")).status == 200
    return Sandbox(api) if known else None


async def forged_webhook(it: Deployment) -> str:
    """A webhook that Stripe did not sign is refused."""
    session = it.appointment["payment"]["session_id"] if it.appointment else "cs_test_forged"
    answer = await webhooks.deliver(it.api, webhooks.completed(session, {}), "whsec_forged")
    insist(answer.status == 400, f"A forged webhook was answered {answer.status} instead of 400.")
    insist(answer.code == "signature-invalid", f"The refusal is {answer.code!r} instead of signature-invalid.")
    return "400 signature-invalid"


async def unpaid_webhook(it: Deployment) -> str:
    """A signed webhook about a Checkout that nobody paid changes nothing: Stripe is asked, not believed."""
    secret = _needed(it.webhook_secret, "the webhook secret is not known; see --webhook-secret")
    appointment = _needed(it.appointment, "there is no appointment")
    event = webhooks.completed(appointment["payment"]["session_id"], {})
    answer = await webhooks.deliver(it.api, event, secret)
    insist(answer.status == 200, f"A signed webhook was answered {answer.status} instead of 200.")
    await asyncio.sleep(SETTLED)
    now = await it.here.shop.appointment(appointment)
    insist(now["status"] == "pending_payment", f"It made the unpaid appointment {now['status']}.")
    return "200, and the appointment still waits for its payment"


async def pay(it: Deployment) -> str:
    """A test card pays, and the appointment is confirmed once."""
    sandbox = _needed(it.sandbox, "there is a real Stripe behind it")
    appointment = _needed(it.appointment, "there is no appointment")
    begun = time.perf_counter()
    (await sandbox.pay(appointment["payment"]["session_id"])).expect(200)
    await it.here.shop.until(appointment, "confirmed")
    took = (time.perf_counter() - begun) * 1000
    it.paid = True
    times = await _confirmations(it)
    insist(times == 1, f"It was confirmed {times} times.")
    return f"confirmed once, {took:.0f} ms after paying"


async def replay(it: Deployment) -> str:
    """The same webhooks again change nothing."""
    _needed(it.paid, "nothing was paid")
    sandbox = _needed(it.sandbox, "there is a real Stripe behind it")
    before = await it.here.shop.appointment(it.appointment, it.here.token)
    events = [
        row
        for row in (await sandbox.api.call("GET", "/_sandbox/stripe/events")).expect(200)["data"]
        if row["event"]["data"]["object"].get("metadata", {}).get("booking_id") == it.appointment["id"]
    ]
    insist(bool(events), "The sandbox knows of no webhook about this payment.")
    for row in events:
        if it.webhook_secret:
            (await webhooks.deliver(it.api, row["event"], it.webhook_secret)).expect(200)
        else:
            (await sandbox.api.call("POST", f"/_sandbox/stripe/events/{row['id']}/resend")).expect(200)
    await asyncio.sleep(SETTLED)
    after = await it.here.shop.appointment(it.appointment, it.here.token)
    same = [after[name] == before[name] for name in ("status", "history")]
    insist(all(same), "The same webhook again changed the appointment.")
    row = await sandbox.ledger_row(it.appointment["id"])
    insist(row["captured"] == PRICE["amount"], f"{row['captured']} is charged instead of {PRICE['amount']}.")
    return f"{len(events)} webhooks again, nothing changed"


async def free_booking(it: Deployment) -> str:
    """What costs nothing is confirmed at once: how it is checked where no test card can be used."""
    if it.paid:
        raise Skipped("the paid one was confirmed")
    shop = it.here.shop
    slot = (await shop.slots("free", days=5))[0]
    held = (await shop.hold(slot["slot_id"])).expect(201)
    booked = (await shop.request(held, guest())).expect(201)
    insist(booked["status"] == "confirmed", f"A free appointment is {booked['status']} instead of confirmed.")
    if it.appointment:
        (await shop.cancel(it.appointment)).expect(200)
    it.appointment = booked
    return "confirmed in the same request"


async def _confirmations(it: Deployment) -> int:
    seen = await it.here.shop.appointment(it.appointment, it.here.token)
    return sum(1 for entry in seen["history"] if entry["event"] == "confirmed")


async def other_tenant(it: Deployment) -> str:
    """Neither strangers nor another clinic's owner see the appointment."""
    appointment, mine = _needed(it.appointment, "there is no appointment"), it.here
    stranger = await register(it.api, f"verify-stranger-{mine.suffix}")
    path = f"{mine.shop.path}/appointments/{appointment['id']}"
    for who, token in (("a stranger", stranger), ("a wrong manage token", "x" * 43)):
        answer = await it.api.call("GET", path, token=token)
        insist(answer.status == 404, f"{who} was answered {answer.status} instead of 404.")
    agenda = await it.api.call("GET", f"{mine.shop.path}/appointments", token=stranger)
    insist(agenda.status in (403, 404), f"A stranger reading the agenda was answered {agenda.status}.")
    return "404 to everybody else"


async def cancel(it: Deployment) -> str:
    """The patient cancels."""
    appointment = _needed(it.appointment, "there is no appointment")
    answer = (await it.here.shop.cancel(appointment)).expect(200)
    insist(answer["status"] == "cancelled", f"It is {answer['status']} instead of cancelled.")
    again = (await it.here.shop.cancel(appointment)).expect(200)
    insist(again["status"] == "cancelled", "Cancelling again is not answered as the first time.")
    return f"refund {answer['refund']['amount']} {answer['refund']['currency']}, {answer['refund']['status']}"


async def money_back(it: Deployment) -> str:
    """All of it went back."""
    _needed(it.paid, "nothing was paid")
    deadline = time.monotonic() + 20
    while True:
        now = await it.here.shop.appointment(it.appointment)
        if now["payment"]["status"] in BACK:
            break
        if time.monotonic() > deadline:
            raise CheckFailed(f"The payment is {now['payment']['status']} 20 s after cancelling.")
        await asyncio.sleep(0.05)
    row = await _needed(it.sandbox, "there is no sandbox").ledger_row(it.appointment["id"])
    kept = row["captured"] - row["refunded"]
    insist(kept == 0, f"{kept} is kept for a cancelled appointment.")
    return f"{row['refunded']} refunded, 0 kept"


async def clean_up(it: Deployment) -> str:
    """The clinic is deleted."""
    if it.live is not None:
        await it.live.close()
    if it.hold and not it.appointment:
        await it.here.shop.release(it.hold)
    await it.here.delete()
    return f"{it.here.slug} is gone"


SCRIPT = {
    "serves": ready,
    "clinic": make_clinic,
    "search": search,
    "live socket": open_live,
    "hold": hold,
    "second hold": second_hold,
    "live frame": live_frame,
    "checkout": checkout,
    "forged webhook": forged_webhook,
    "unpaid webhook": unpaid_webhook,
    "paid": pay,
    "replay": replay,
    "free booking": free_booking,
    "other tenant": other_tenant,
    "cancelled": cancel,
    "money back": money_back,
    "cleaned up": clean_up,
}
