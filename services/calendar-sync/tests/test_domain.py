"""Which events make busy, what changes, and how our events look."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_sync.domain import (
    BusyTime,
    EventText,
    Listing,
    NotUnderstood,
    busy_time,
    changes,
    event_body,
    event_id,
    external_key,
    is_own,
)

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
TENANT = UUID("01890000-0000-7000-8000-000000000001")
CALENDAR = "anna@alfa.test"


def timed(start: str = "2026-12-02T10:00:00+01:00", end: str = "2026-12-02T11:00:00+01:00", **more: Any) -> Any:
    return {"id": "e1", "status": "confirmed", "start": {"dateTime": start}, "end": {"dateTime": end}, **more}


def busy(event: Any, zone: str = "Europe/Warsaw") -> BusyTime | None:
    return busy_time(event, tenant_id=TENANT, calendar_id=CALENDAR, time_zone=zone, now=NOW)


def test_an_ordinary_event_is_busy_in_utc() -> None:
    assert busy(timed()) == BusyTime(
        external_key("e1"), datetime(2026, 12, 2, 9, tzinfo=UTC), datetime(2026, 12, 2, 10, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    "event",
    [
        timed(status="cancelled"),
        {"id": "e1", "status": "cancelled"},
        timed(transparency="transparent"),
        timed(attendees=[{"self": True, "responseStatus": "declined"}]),
        timed(eventType="workingLocation"),
        timed(end="2026-12-02T10:00:00+01:00"),
        timed(start="2026-11-29T10:00:00Z", end="2026-11-29T11:00:00Z"),
        timed(start="2028-06-01T10:00:00Z", end="2028-06-01T11:00:00Z"),
    ],
)
def test_what_is_free_cancelled_declined_empty_or_far_away_is_not_busy(event: Any) -> None:
    assert busy(event) is None


def test_an_event_that_somebody_else_declined_is_busy() -> None:
    assert busy(timed(attendees=[{"responseStatus": "declined"}, {"self": True, "responseStatus": "accepted"}]))


@pytest.mark.parametrize(
    ("zone", "start", "end"),
    [
        ("Europe/Warsaw", "2026-12-04T23:00:00+00:00", "2026-12-05T23:00:00+00:00"),
        ("America/New_York", "2026-12-05T05:00:00+00:00", "2026-12-06T05:00:00+00:00"),
        ("UTC", "2026-12-05T00:00:00+00:00", "2026-12-06T00:00:00+00:00"),
    ],
)
def test_an_all_day_event_is_busy_by_the_calendars_own_zone(zone: str, start: str, end: str) -> None:
    found = busy({"id": "e1", "start": {"date": "2026-12-05"}, "end": {"date": "2026-12-06"}}, zone)
    assert found is not None
    assert (found.start.isoformat(), found.end.isoformat()) == (start, end)


def test_an_all_day_event_over_a_dst_change_has_the_days_real_length() -> None:
    found = busy({"id": "e1", "start": {"date": "2027-03-28"}, "end": {"date": "2027-03-29"}})
    assert found is not None
    assert found.end - found.start == timedelta(hours=23)


def test_a_time_without_an_offset_is_read_in_its_own_zone() -> None:
    moment = {"dateTime": "2026-12-02T10:00:00", "timeZone": "America/New_York"}
    found = busy({"id": "e1", "start": moment, "end": moment | {"dateTime": "2026-12-02T11:00:00"}})
    assert found is not None
    assert found.start == datetime(2026, 12, 2, 15, tzinfo=UTC)


def own_event(booking_id: UUID, tenant_id: UUID = TENANT) -> dict[str, Any]:
    return event_body(
        EventText("Check-up", "Jan Nowak", "jan@example.test", "+48123456789"),
        tenant_id=tenant_id,
        booking_id=booking_id,
        calendar_id=CALENDAR,
        version=3,
        start=datetime(2026, 12, 2, 9, tzinfo=UTC),
        end=datetime(2026, 12, 2, 10, tzinfo=UTC),
        time_zone="Europe/Warsaw",
    )


def test_our_own_event_does_not_make_busy() -> None:
    assert busy(own_event(uuid4())) is None


def test_a_copy_of_our_event_and_another_clinics_event_do_make_busy() -> None:
    assert busy(own_event(uuid4()) | {"id": "copiedbyaperson"}) is not None
    assert busy(own_event(uuid4(), tenant_id=uuid4())) is not None


def test_a_mark_that_is_not_a_booking_is_not_ours() -> None:
    marks = {"booking_id": "nonsense", "tenant": str(TENANT)}
    assert not is_own(timed(extendedProperties={"private": marks}), TENANT, CALENDAR)


def test_the_event_tells_the_practitioner_who_comes_when_in_local_time() -> None:
    booking_id = uuid4()
    body = own_event(booking_id)
    assert body["summary"] == "Check-up: Jan Nowak"
    assert body["description"].splitlines() == [
        "Jan Nowak",
        "jan@example.test",
        "+48123456789",
        f"Order: {booking_id}",
    ]
    assert body["start"] == {"dateTime": "2026-12-02T10:00:00+01:00", "timeZone": "Europe/Warsaw"}
    assert body["extendedProperties"]["private"]["booking_id"] == str(booking_id)
    assert body["extendedProperties"]["private"]["tenant"] == str(TENANT)


def test_an_erased_person_leaves_no_name_behind() -> None:
    body = event_body(
        EventText("Check-up", None, None, None),
        tenant_id=TENANT,
        booking_id=TENANT,
        calendar_id=CALENDAR,
        version=1,
        start=NOW,
        end=NOW + timedelta(minutes=30),
        time_zone="UTC",
    )
    assert (body["summary"], body["description"]) == ("Check-up", f"Order: {TENANT}")


@given(st.uuids(), st.uuids(), st.text(min_size=1, max_size=60))
def test_event_ids_are_what_google_takes_and_always_the_same(tenant: UUID, booking: UUID, calendar: str) -> None:
    made = event_id(tenant, booking, calendar)
    assert 5 <= len(made) <= 1024
    assert set(made) <= set("0123456789abcdefghijklmnopqrstuv")
    assert made == event_id(tenant, booking, calendar)
    assert made != event_id(tenant, booking, calendar + "x")


def listing(*events: Any, full: bool) -> Listing:
    return Listing(list(events), full, "token", "Europe/Warsaw")


def an_hour(key: str, series_key: str | None = None) -> BusyTime:
    return BusyTime(key, NOW, NOW + timedelta(hours=1), series_key)


def compare(known: dict[str, BusyTime], found: Listing) -> Any:
    return changes(known, found, tenant_id=TENANT, calendar_id=CALENDAR, now=NOW)


def test_a_full_listing_touches_only_what_is_different() -> None:
    same = busy(timed())
    assert same is not None
    known = {same.external_key: same, "vanished": an_hour("vanished")}
    found = compare(known, listing(timed(), timed() | {"id": "e2"}, full=True))
    assert [one.external_key for one in found.put] == [external_key("e2")]
    assert found.gone == ["vanished"]
    assert found.added == 1


def test_an_incremental_read_touches_only_what_it_names() -> None:
    known = {external_key("e1"): an_hour(external_key("e1")), "other": an_hour("other")}
    found = compare(known, listing({"id": "e1", "status": "cancelled"}, full=False))
    assert (found.put, found.gone) == ([], [external_key("e1")])
    assert not compare(known, listing({"id": "never-seen", "status": "cancelled"}, full=False))


def test_a_moved_event_is_put_and_never_gone() -> None:
    known = {external_key("e1"): an_hour(external_key("e1"))}
    found = compare(known, listing(timed(), full=False))
    assert (len(found.put), found.gone, found.added) == (1, [], 0)


def test_an_event_that_becomes_free_is_gone() -> None:
    known = {external_key("e1"): an_hour(external_key("e1"))}
    assert compare(known, listing(timed(transparency="transparent"), full=False)).gone == [external_key("e1")]


def test_a_cancelled_recurring_event_takes_its_instances_along() -> None:
    series = external_key("weekly")
    known = {key: an_hour(key, series) for key in ("first", "second")} | {"other": an_hour("other")}
    found = compare(known, listing({"id": "weekly", "status": "cancelled"}, full=False))
    assert found.gone == ["first", "second"]


@pytest.mark.parametrize(
    "event",
    [
        {"id": "e1", "status": "confirmed"},
        timed(start="soon"),
        {"id": "e1", "start": {"dateTime": "2026-12-02T10:00:00", "timeZone": "Mars/Olympus"}, "end": {}},
    ],
)
def test_an_event_in_an_unknown_shape_is_said_to_be_so(event: Any) -> None:
    with pytest.raises(NotUnderstood):
        busy(event)
