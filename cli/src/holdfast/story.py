"""The demo's story: one booking step by step, a race for one time, and a payment that comes too late."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

import psycopg

from events.topics import TOPICS

from .api import Api, CallFailed
from .demo_data import ALFA
from .shop import Sandbox, Shop, ThrowAway, guest, open_clinic
from .system import Ready
from .telling import Teller, money
from .watching import Seen, Watch, watching

EVENT_WITHIN = 20.0
RACERS = 50
LATE_HOLD_MINUTES = 0.1
PATIENT = guest("Jan Kowalski", "patient@example.test")


async def tell_story(ready: Ready, teller: Teller) -> None:
    """All of it, on a running system with the demo data. `CallFailed` when something is not as it should be."""
    if ready.sandbox is None:
        raise CallFailed("The demo pays with a test card, and this system has no sandbox.")
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(Api(ready.gateway))
        sandbox = Sandbox(await stack.enter_async_context(Api(ready.sandbox)))
        watch = await stack.enter_async_context(
            watching(ready.kafka, [topic.name for topic in TOPICS if topic.kind != "dead"])
        )
        story = Story(ready, api, sandbox, watch, teller)
        await story.one_booking()
        await story.race()
        await story.late_payment()


class Story:
    """What the chapters share."""

    def __init__(self, ready: Ready, api: Api, sandbox: Sandbox, watch: Watch, teller: Teller) -> None:
        self._ready = ready
        self._api = api
        self._sandbox = sandbox
        self._watch = watch
        self._teller = teller
        self._told: set[tuple[str, int, int]] = set()

    # -- one booking

    async def one_booking(self) -> None:
        """Search, hold, details, pay, webhook, confirmed, calendar, message."""
        shop, teller = Shop(self._api, ALFA.slug), self._teller
        teller.chapter("One booking", "A patient wants whitening at Alfa Dental and pays by card.")

        found = await shop.search("whitening", "anna")
        slots = found.expect(200)["slots"]
        if not slots:
            raise CallFailed("No time for whitening is free at Alfa Dental.")
        slot = slots[0]
        teller.step("Search", f"whitening with Anna: {len(slots)} free times in three weeks", found.milliseconds)

        begun = time.perf_counter()
        answer = await shop.hold(slot["slot_id"])
        hold = answer.expect(201)
        rooms = [resource["name"] for resource in hold["slot"]["resources"]]
        teller.step("Hold", f"{when(slot)} with {' and '.join(rooms)}, kept until {clock(hold['expires_at'])}",
                    answer.milliseconds)  # fmt: skip
        held = ("booking.hold_created.v1", "booking.slot_blocked.v1", "availability.availability_changed.v1")
        await self._events(hold["id"], held, begun)

        begun = time.perf_counter()
        answer = await shop.request(hold, PATIENT)
        appointment = answer.expect(201)
        payment = appointment["payment"]
        if not payment.get("session_id"):
            raise CallFailed("No Checkout was opened: payment or the sandbox did not answer.")
        due = money(payment["amount_due"], payment["currency"])
        teller.step("Details", f"{PATIENT['name']} is to pay {due}, and gets a Checkout", answer.milliseconds)
        await self._events(hold["id"], ("booking.appointment_requested.v1", "payment.checkout_started.v1"), begun)

        begun = time.perf_counter()
        answer = await self._sandbox.pay(payment["session_id"])
        answer.expect(200)
        teller.step("Pay", f"card 4242 for {due}; Stripe's webhook is on its way", answer.milliseconds)
        paid = ("payment.payment_authorized.v1", "booking.booking_confirmed.v1", "payment.payment_captured.v1")
        await self._events(hold["id"], paid, begun)
        now = await shop.until(appointment, "confirmed")
        teller.step("Confirmed", f"appointment {now['id']}, {(time.perf_counter() - begun) * 1000:.0f} ms after paying")
        await self._outside(hold["id"], begun)

    async def _outside(self, booking_id: str, begun: float) -> None:
        followers = {
            "calendar-sync": ("Calendar", "anna@alfa.test shows the visit", "calendar.calendar_event_written.v1"),
            "notification": ("Message", "an e-mail with the calendar file", "notification.message_sent.v1"),
        }
        for service, (title, text, kind) in followers.items():
            if service in self._ready.services:
                self._teller.step(title, text)
                await self._events(booking_id, (kind,), begun)
            else:
                self._teller.step(title, f"left out: {service} does not run here")

    # -- a race

    async def race(self) -> None:
        """Many at once for one time: one wins."""
        shop, teller = Shop(self._api, ALFA.slug), self._teller
        teller.chapter("A race", f"{RACERS} people want the same hour with Piotr in the same instant.")
        slot = (await shop.slots("whitening", "piotr"))[-1]
        begun = time.perf_counter()
        answers = await asyncio.gather(*(shop.hold(slot["slot_id"]) for _ in range(RACERS)))
        took = (time.perf_counter() - begun) * 1000
        statuses = Counter(answer.status for answer in answers)
        winners = [answer.body for answer in answers if answer.status == 201]
        refused = [answer for answer in answers if answer.status == 409]
        if len(winners) != 1 or len(refused) != RACERS - 1:
            raise CallFailed(
                f"{RACERS} holds at one time were answered {dict(statuses)}: not one 201 and the rest 409."
            )
        helped = sum(1 for answer in refused if answer.body.get("alternatives"))
        teller.step("Race", f"{when(slot)}: one has it, {len(refused)} are refused, {helped} of them with other times",
                    took)  # fmt: skip
        if other := next((answer.body["alternatives"] for answer in refused if answer.body.get("alternatives")), None):
            teller.note(f"offered instead: {', '.join(when(one) for one in other)}")
        (await shop.release(winners[0])).expect(204)

    # -- money that comes too late

    async def late_payment(self) -> None:
        """Paid in time, heard of too late: the time is somebody else's, so the money goes back."""
        self._teller.chapter(
            "Too late", "Stripe's word comes after the hold ran out and the time was taken by somebody else."
        )
        clinic = await open_clinic(self._api, "demo-late", payment_grace_seconds=0)
        try:
            await self._late(clinic)
        finally:
            await self._sandbox.repair()
            await clinic.delete()

    async def _late(self, clinic: ThrowAway) -> None:
        shop, teller = clinic.shop, self._teller
        amount, currency = 20_000, "pln"
        price = {"amount": amount, "currency": currency}
        await clinic.offer("hygiene", price=price, payment={"mode": "full"}, hold_minutes=LATE_HOLD_MINUTES)
        slot = (await shop.slots("hygiene", days=3))[-1]
        hold = (await shop.hold(slot["slot_id"])).expect(201)
        appointment = (await shop.request(hold, guest())).expect(201)
        session = appointment["payment"].get("session_id")
        if not session:
            raise CallFailed("No Checkout was opened: payment or the sandbox did not answer.")
        teller.step("Hold", f"{when(slot)}, for {LATE_HOLD_MINUTES * 60:.0f} seconds only")
        await self._sandbox.fault("webhook_delayed", seconds=30)
        await self._sandbox.fault("unavailable", match="/expire")
        paid = await self._sandbox.pay(session)
        paid.expect(200)
        teller.step("Pay", f"card 4242 for {money(amount, currency)}, and the webhook is held up", paid.milliseconds)
        begun = time.perf_counter()
        other = await self._take_when_free(shop, slot["slot_id"])
        teller.step("Taken", f"the hold ran out, and somebody else has the time until {clock(other['expires_at'])}")
        await self._events(hold["id"], ("booking.hold_expired.v1",), begun)
        begun = time.perf_counter()
        await self._sandbox.repair()
        teller.step("Heard", "now Stripe can be reached again, and payment learns of the money")
        expected = (
            "payment.payment_succeeded.v1",
            "booking.booking_unfulfillable.v1",
            "payment.refund_issued.v1",
        )
        await self._events(hold["id"], expected, begun)
        now = await shop.until(appointment, "unfulfillable")
        row = await self._sandbox.ledger_row(hold["id"])
        kept = row["captured"] - row["refunded"]
        told = ", ".join(f"{what} {money(row[what], 'pln')}" for what in ("captured", "refunded"))
        teller.step(
            "Money back", f"the appointment is {now['status']}; Stripe's books: {told}, kept {money(kept, 'pln')}"
        )
        for line in await asyncio.to_thread(_ledger_lines, self._ready.postgres, hold["id"]):
            teller.note(f"our ledger: {line}")
        if kept:
            raise CallFailed(f"{money(kept, 'pln')} is kept for an appointment that was not given.")
        (await shop.release(other)).expect(204)

    async def _take_when_free(self, shop: Shop, slot_id: str) -> Any:
        deadline = time.monotonic() + LATE_HOLD_MINUTES * 60 + 10
        while True:
            answer = await shop.hold(slot_id)
            if answer.status == 201:
                return answer.body
            if time.monotonic() > deadline:
                answer.expect(201)
            await asyncio.sleep(0.05)

    # -- events

    async def _events(self, booking_id: str, types: Iterable[str], begun: float) -> None:
        """Tells each of these events of the booking's journey as it is there, in the order in which they came."""
        found: list[Seen] = []
        for kind in types:
            seen = await self._watch.until(lambda one, kind=kind: self._is_new(one, kind, booking_id), EVENT_WITHIN)  # type: ignore[misc]
            if seen is None:
                raise CallFailed(f"{kind} of {booking_id} did not come within {EVENT_WITHIN:.0f} s.")
            self._told.add((seen.topic, seen.partition, seen.offset))
            found.append(seen)
        for seen in sorted(found, key=lambda one: one.arrived):
            self._teller.event(seen, (seen.arrived - begun) * 1000)

    def _is_new(self, seen: Seen, kind: str, booking_id: str) -> bool:
        place = (seen.topic, seen.partition, seen.offset)
        return seen.type == kind and seen.is_about(booking_id) and place not in self._told


def _ledger_lines(database: str, booking_id: str) -> list[str]:
    """The double-entry lines of a booking's money, oldest first."""
    statement = "SELECT debit, credit, amount, currency FROM payment.ledger WHERE booking_id = %s ORDER BY id"
    with psycopg.connect(database) as connection:
        rows = connection.execute(statement, [booking_id]).fetchall()
    return [f"{money(amount, currency)} from {credit} to {debit}" for debit, credit, amount, currency in rows]


def when(slot: dict[str, Any]) -> str:
    """`Tue 24 Nov 09:00`, in the clinic's time."""
    return datetime.fromisoformat(slot["local_start"]).strftime("%a %d %b %H:%M")


def clock(instant: str) -> str:
    """`11:52:03`, here."""
    return datetime.fromisoformat(instant).astimezone().strftime("%H:%M:%S")


async def places(ready: Ready) -> dict[str, str]:
    """Where to look at the running demo."""
    async with Api(ready.gateway) as api:
        docs = "/docs" if (await api.call("GET", "/docs")).status == 200 else "/openapi.json"
    found = {
        "Booking page": f"{ready.gateway}/{ALFA.slug}",
        "API": f"{ready.gateway}{docs}",
        "Free times": f"{ready.gateway}/v1/clinics/alfa/providers/anna/availability?offering=whitening",
        "Kafka": ready.kafka,
        "PostgreSQL": ready.postgres,
        "Sign in": "alfa@klinika.test or patient@example.test, password holdfast-demo",
    }
    if ready.sandbox:
        found["Sandbox"] = f"{ready.sandbox}/ (inbox, Checkouts, calendars)"
    found["Try"] = "holdfast tail · lag · audit · dead-letters list · verify " + ready.gateway
    return found
