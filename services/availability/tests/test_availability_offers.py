"""Slots and offers that are put together from parts are what the whole would be."""

import json
import time
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from availability.calendars import Resource, Seat
from availability.directory import Directory, Offering
from availability.offers import Desk
from availability.repository.reading import Stamps
from availability.search import Found, Served
from events.contracts.identity import TenantChanged, TenantSettings
from scheduling.instants import floor_minute
from scheduling.zones import zone
from servicekit.capabilities import Offer, OfferedResource
from servicekit.signing import Signer

KINDS = {"practitioner": "p", "room": "r", "equipment": "e", "virtual": "v"}
SIGNER = Signer({3: b"k" * 32}, "offers")


def seat(kind: str, before: int, after: int) -> Seat:
    resource = Resource(
        id=uuid4(), type=kind, name="x", slug="x", time_zone="UTC", location_id=None, bio=None, before=0, after=0,
        approval=kind == "equipment", schedule=None, schedule_version=70_000, version=1, time_off=(),
    )  # fmt: skip
    return Seat(resource, before, 30 + after)


seats = st.builds(seat, st.sampled_from(sorted(KINDS)), st.sampled_from([0, 0, 15]), st.sampled_from([0, 0, 10, 120]))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(seats, min_size=1, max_size=10).map(tuple), min_size=1, max_size=4),
    st.booleans(),
    st.booleans(),
    st.integers(0, 99_999_999),
    st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2030, 1, 1)),
)
def test_an_offer_is_what_its_parts_say(assignments, chosen, override, amount, start) -> None:
    tenant = uuid4()
    clinic = TenantChanged(
        tenant_id=tenant, version=1, slug="c", name="C", time_zone="Europe/Warsaw", currency="pln", locales=["pl"],
        settings=TenantSettings(),
    )  # fmt: skip
    offering = Offering(
        id=uuid4(), slug="v", version=300, active=True, duration=30, step=30, starts=None, before=0, after=0,
        min_notice=0, window_days=365, capacity=12, hold_seconds=600.5, amount=amount, currency="pln", needs=(),
        gaps=(), maxima=(), leading=0, price=b'{"amount":%d,"currency":"pln"}' % amount,
    )  # fmt: skip
    directory = Directory(Stamps(0, 0, 1), clinic, [], {}, {})
    expires = int(time.time()) + 600
    desk = Desk(directory, offering, SIGNER, expires, zone("Europe/Warsaw"), provider_chosen=chosen, override=override)
    minute = floor_minute(start.replace(tzinfo=UTC)) // 5 * 5
    listed = b",".join(one[0].resource.quoted for one in assignments)
    found = Found(minute, Served(tuple(assignments), listed, len(assignments)), 7)
    slot = json.loads(desk.slot(found))
    expected = Offer(
        expires=expires, tenant_id=tenant, offering_id=offering.id, offering_version=300, start=minute * 60,
        end=minute * 60 + 1800, amount=amount, currency="pln", hold_seconds=600.5, capacity=12, provider_chosen=chosen,
        time_zone="Europe/Warsaw", override=override,
        candidates=[
            [
                OfferedResource(
                    one.resource.id, (minute - one.before) * 60, (minute + one.after) * 60, KINDS[one.resource.type],
                    70_000, one.resource.approval,
                )
                for one in assignment
            ]
            for assignment in assignments
        ],
    )  # fmt: skip
    assert SIGNER.verify(slot["slot_id"], Offer) == expected
    assert slot["slot_id"] == SIGNER.sign(expected)
    leads = assignments[0][0].resource.type == "practitioner"
    assert slot["provider_id"] == (str(assignments[0][0].resource.id) if leads else None)
    assert slot["provider_ids"] == ([str(one[0].resource.id) for one in assignments] if leads else [])
    assert (slot["remaining"], slot["price"]) == (7, {"amount": amount, "currency": "pln"})
    assert UUID(slot["offering_id"]) == offering.id
    assert datetime.fromisoformat(slot["end"]) - datetime.fromisoformat(slot["start"]) == timedelta(minutes=30)
    assert datetime.fromisoformat(slot["local_start"]) == datetime.fromisoformat(slot["start"])


async def test_the_claims_of_one_assignment_may_reach_differently_far(clinic, world):
    day = date.today() + timedelta(days=8)
    anna = await clinic.practitioner("Anna", buffer_after_minutes=15)
    room = await clinic.resource("room", "Room", buffer_before_minutes=10)
    offering = await clinic.offering(requirements=[{"type": "practitioner"}, {"type": "room"}])
    slot = (await clinic.availability(offering, day))["slots"][2]
    offer = world.service.signer("offers").verify(slot["slot_id"], Offer)
    [[first, second]] = offer.candidates
    assert [str(first.resource_id), str(second.resource_id)] == [anna["id"], room["id"]]
    assert (first.claim_start, first.claim_end) == (offer.start, offer.end + 15 * 60)
    assert (second.claim_start, second.claim_end) == (offer.start - 10 * 60, offer.end)
