"""The journey of a patient, for each way to pay."""

import asyncio
import json
import re

import websockets

from .conftest import Client, Clinic, eventually


async def test_a_free_visit_is_confirmed_at_once_and_everybody_hears_of_it(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("free")
    await clinic.resource()
    email = f"free@{clinic.slug}.test"
    appointment = await clinic.book(offering, email=email)
    assert (appointment["status"], appointment["payment"]["status"]) == ("confirmed", "none")
    assert appointment["customer"]["email"] == email

    async def confirmation() -> object:
        return await client.messages(email)

    message = (await eventually(confirmation))[0]
    assert [part["content_type"].split(";")[0] for part in message["attachments"]] == ["text/calendar"]

    # Its link is the patient's key to the visit, on any device.
    token = re.search(r"/manage/[0-9a-f-]{36}\?clinic=[0-9a-f-]{36}#token=([\w-]+)", message["text"])
    assert token is not None
    path = f"{clinic.path}/appointments/{appointment['id']}"
    assert (await client.call("GET", path, token=token[1], expect=200))["status"] == "confirmed"

    async def alert() -> object:
        return await client.messages(clinic.email)

    assert await eventually(alert)


async def test_paid_in_full(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("full")
    await clinic.resource()
    appointment = await clinic.book(offering)
    assert appointment["status"] == "pending_payment"
    payment = appointment["payment"]
    assert (payment["status"], payment["amount_due"], payment["currency"]) == ("pending", 20000, "pln")
    assert payment["checkout_url"].startswith("http")
    assert "payment_request" not in appointment
    assert (await client.pay(payment["session_id"])).status_code == 200
    seen = await clinic.reaches(appointment, "confirmed", payment="paid")
    assert seen["payment"]["amount_paid"] == 20000
    row = (await client.ledger(appointment["id"]))[0]
    assert (row["captured"], row["refunded"]) == (20000, 0)
    assert {"booking_id", "hold_id", "slot_id", "tenant", "product", "user_id"} <= set(row["metadata"])


async def test_authorized_first_and_charged_once_it_is_confirmed(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("authorize", requirements=[{"type": "practitioner", "any_of": "all"}])
    await clinic.resource()
    appointment = await clinic.book(offering)
    await client.pay(appointment["payment"]["session_id"])
    await clinic.reaches(appointment, "confirmed", payment="paid")
    row = (await client.ledger(appointment["id"]))[0]
    assert (row["authorized"], row["captured"]) == (20000, 20000)


async def test_a_deposit_is_all_that_is_due(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("deposit")
    await clinic.resource()
    appointment = await clinic.book(offering)
    assert appointment["payment"]["amount_due"] == 5000
    await client.pay(appointment["payment"]["session_id"])
    await clinic.reaches(appointment, "confirmed", payment="paid")
    assert (await client.ledger(appointment["id"]))[0]["captured"] == 5000


async def test_approval_takes_nothing_before_the_clinic_has_said_yes(clinic: Clinic, client: Client) -> None:
    scanner = await clinic.resource("equipment", approval_required=True)
    await clinic.resource()
    requirements = [{"type": "practitioner", "any_of": "all"}, {"type": "equipment", "any_of": [scanner["id"]]}]
    offering = await clinic.offering("full", requirements=requirements)
    for decision, status, payment in (("approve", "confirmed", "paid"), ("reject", "rejected", "voided")):
        appointment = await clinic.book(offering)
        await client.pay(appointment["payment"]["session_id"])
        await clinic.reaches(appointment, "pending_approval", payment="authorized")
        assert (await client.ledger(appointment["id"]))[0]["captured"] == 0
        path = f"{clinic.path}/appointments/{appointment['id']}/{decision}"
        await client.call("POST", path, token=clinic.token, expect=200)
        await clinic.reaches(appointment, status, payment=payment)


async def test_a_declined_card_may_be_followed_by_another(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("full")
    await clinic.resource()
    appointment = await clinic.book(offering)
    session = appointment["payment"]["session_id"]
    assert (await client.pay(session, card="4000000000000002")).status_code == 402
    await clinic.reaches(appointment, "pending_payment", payment="failed")
    again = await client.call(
        "POST",
        f"{clinic.path}/appointments/{appointment['id']}/checkout",
        token=appointment["manage_token"],
        expect=200,
    )
    assert again["payment"]["session_id"] == session
    await client.pay(session)
    await clinic.reaches(appointment, "confirmed", payment="paid")


async def test_cancelling_in_time_gives_everything_back(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("full")
    await clinic.resource()
    appointment = await clinic.book(offering)
    await client.pay(appointment["payment"]["session_id"])
    await clinic.reaches(appointment, "confirmed", payment="paid")
    cancelled = await clinic.cancel(appointment)
    assert (cancelled["status"], cancelled["refund"]["amount"]) == ("cancelled", 20000)
    await clinic.reaches(appointment, "cancelled", payment="refunded")
    assert (await client.ledger(appointment["id"]))[0]["refunded"] == 20000
    assert (await clinic.cancel(appointment))["status"] == "cancelled"


async def test_a_slot_vanishes_from_other_open_pages_and_comes_back(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("free")
    provider = await clinic.resource()
    slot = await clinic.slot(offering)
    url = client.system.ready["gateway"].replace("http", "ws") + f"{clinic.path}/live?provider={provider['id']}"
    async with websockets.connect(url) as page, websockets.connect(url) as other:
        for socket in (page, other):
            assert json.loads(await socket.recv())["type"] == "hello"
        hold = await clinic.hold(slot)
        for socket in (page, other):
            frame = await _next(socket, "slot_taken")
            assert (frame["provider_id"], frame["start"]) == (provider["id"], slot["start"])
        assert slot["start"] not in [entry["start"] for entry in await clinic.slots(offering)]
        await client.call("DELETE", f"{clinic.path}/holds/{hold['id']}", token=hold["manage_token"], expect=204)
        assert (await _next(page, "slot_freed"))["start"] == slot["start"]


async def _next(socket: websockets.ClientConnection, kind: str) -> dict[str, object]:
    while True:
        frame = json.loads(await asyncio.wait_for(socket.recv(), 10))
        if frame["type"] == kind:
            return dict(frame)


async def test_a_class_sells_its_seats_and_says_how_many_are_left(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("free", capacity=3)
    await clinic.resource()
    slot = await clinic.slot(offering)
    assert slot["remaining"] == 3
    for left in (2, 1, 0):
        await clinic.hold(slot)

        async def look(left: int = left) -> bool:
            found = [entry for entry in await clinic.slots(offering) if entry["start"] == slot["start"]]
            return [entry["remaining"] for entry in found] == ([left] if left else [])

        await eventually(look)
    await clinic.hold(slot, expect=409)
