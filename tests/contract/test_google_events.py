"""Events, free/busy and consent, by Google's client library; every answer against the discovery document."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from googleapiclient.errors import HttpError

from .conftest import Consent, code_of, exchange
from .google_schema import mistakes

DAY = datetime(2026, 12, 1, tzinfo=UTC)


def event(hour: int = 8, *, hours: int = 1, **more: Any) -> dict[str, Any]:
    """An event of the day."""
    start, end = DAY + timedelta(hours=hour), DAY + timedelta(hours=hour + hours)
    return {"summary": "Dentist", "start": {"dateTime": start.isoformat()}, "end": {"dateTime": end.isoformat()}} | more


def status_of(call: Any) -> int:
    """The status of a refused call; its body is Google's error object."""
    with pytest.raises(HttpError) as caught:
        call.execute()
    assert caught.value.error_details[0]["reason"]
    return int(caught.value.resp.status)


def test_an_event_lives_from_insert_to_delete(google: Any, calendar: str) -> None:
    events = google.events()
    mark = {"private": {"booking_id": "b1"}}
    made = events.insert(
        calendarId=calendar, body=event(extendedProperties=mark, reminders={"useDefault": False})
    ).execute()
    assert mistakes(made, "Event") == []
    where = {"calendarId": calendar, "eventId": made["id"]}
    assert events.get(**where).execute() == made
    changes = {"summary": None, "extendedProperties": {"private": {"x": "y"}}}
    patched = events.patch(**where, body=changes).execute()
    assert "summary" not in patched
    assert patched["extendedProperties"]["private"] == {"booking_id": "b1", "x": "y"}
    assert patched["etag"] != made["etag"]
    replaced = events.update(**where, body=event(10)).execute()
    assert mistakes(replaced, "Event") == []
    assert ("extendedProperties" in replaced, replaced["iCalUID"]) == (False, made["iCalUID"])
    assert events.delete(**where).execute() == ""
    assert events.get(**where).execute()["status"] == "cancelled"
    assert status_of(events.delete(**where)) == 410
    revived = events.update(**where, body=event(11)).execute()
    assert revived["status"] == "confirmed"


def test_clients_choose_ids_that_are_never_given_twice(google: Any, calendar: str) -> None:
    events, event_id = google.events(), hashlib.sha256(calendar.encode()).hexdigest()
    assert events.insert(calendarId=calendar, body=event(id=event_id)).execute()["id"] == event_id
    assert status_of(events.insert(calendarId=calendar, body=event(id=event_id))) == 409
    events.delete(calendarId=calendar, eventId=event_id).execute()
    assert status_of(events.insert(calendarId=calendar, body=event(id=event_id))) == 409
    for wrong in ("abc", "zzzzzz", "ABCDEF"):
        assert status_of(events.insert(calendarId=calendar, body=event(id=wrong))) == 400
    for call in (events.get, events.delete):
        assert status_of(call(calendarId=calendar, eventId="none0")) == 404
    assert status_of(events.patch(calendarId=calendar, eventId="none0", body={})) == 404


def test_an_old_etag_changes_nothing(google: Any, calendar: str) -> None:
    made = google.events().insert(calendarId=calendar, body=event()).execute()
    where = {"calendarId": calendar, "eventId": made["id"]}
    current = google.events().patch(**where, body={"summary": "moved"}).execute()
    for call in (
        google.events().patch(**where, body={}), google.events().update(**where, body=event()),
        google.events().delete(**where),
    ):  # fmt: skip
        call.headers["If-Match"] = made["etag"]
        assert status_of(call) == 412
    call = google.events().patch(**where, body={"summary": "again"})
    call.headers["If-Match"] = current["etag"]
    assert call.execute()["summary"] == "again"


WRONG: list[dict[str, Any]] = [
    {"start": None}, {"end": {"dateTime": "2026-12-01T07:00:00Z"}}, {"start": {"dateTime": "noon"}},
    {"start": {"dateTime": "2026-12-01T08:00:00"}}, {"start": {"date": "2026-12-01"}}, {"start": {}},
    {"start": {"dateTime": "0001-01-01T00:00:00+14:00"}},
    {"start": {"dateTime": "2026-12-01T08:00:00", "timeZone": "Mars"}},
    {"start": {"dateTime": "2026-12-01T08:00:00", "timeZone": "../../etc"}}, {"start": "2026"}, {"start": [1]},
    {"start": {"dateTime": "2026-12-01T08:00:00", "timeZone": "Europe"}}, {"id": 12345}, {"status": "gone"},
    {"extendedProperties": {"private": [1]}}, {"extendedProperties": {"private": {"a": 1}}}, {"attendees": ["x"]},
    {"recurrence": "RRULE:FREQ=DAILY"}, {"recurrence": ["RRULE:FREQ=SECONDLY"]}, {"recurrence": ["RRULE"]},
    {"recurrence": ["RRULE:FREQ=DAILY;COUNT=x"]}, {"recurrence": ["EXDATE:tomorrow"]}, {"recurrence": [1]},
    {"recurrence": ["RRULE:FREQ=DAILY;INTERVAL=0"]}, {"transparency": 1}, {"summary": {}},
]  # fmt: skip


@pytest.mark.parametrize("more", WRONG)
def test_a_wrong_event_is_refused(google: Any, calendar: str, more: dict[str, Any]) -> None:
    assert status_of(google.events().insert(calendarId=calendar, body=event(**more))) == 400
    assert google.events().list(calendarId=calendar).execute()["items"] == []


def test_a_client_cannot_write_what_is_googles(google: Any, calendar: str) -> None:
    body = event(htmlLink="javascript:1", kind="x", etag="1", creator={"email": "x"}, surprise=1, updated="never")
    made = google.events().insert(calendarId=calendar, body=body).execute()
    assert mistakes(made, "Event") == []
    assert made["creator"]["email"] == calendar


def test_freebusy_joins_clips_and_names_calendars_that_are_not_there(google: Any, calendar: str) -> None:
    insert = google.events().insert
    for body in (
        event(8), event(8, hours=2), event(12, transparency="transparent"),
        {"start": {"date": "2026-12-02"}, "end": {"date": "2026-12-03"}},
        event(14, start={"dateTime": "2026-12-03T09:00:00", "timeZone": "Europe/Warsaw"},
              end={"dateTime": "2026-12-03T10:00:00", "timeZone": "Europe/Warsaw"},
              recurrence=["RRULE:FREQ=DAILY;COUNT=3", "EXDATE;TZID=Europe/Warsaw:20261204T090000"]),
    ):  # fmt: skip
        insert(calendarId=calendar, body=body).execute()
    gone = insert(calendarId=calendar, body=event(20)).execute()
    google.events().delete(calendarId=calendar, eventId=gone["id"]).execute()
    query = {
        "timeMin": "2026-12-01T09:00:00Z", "timeMax": "2026-12-10T00:00:00Z",
        "items": [{"id": calendar}, {"id": "nobody@none.test"}],
    }  # fmt: skip
    answer = google.freebusy().query(body=query).execute()
    assert mistakes(answer, "FreeBusyResponse") == []
    spans = [(span["start"], span["end"]) for span in answer["calendars"][calendar]["busy"]]
    assert spans == [
        ("2026-12-01T09:00:00Z", "2026-12-01T10:00:00Z"), ("2026-12-02T00:00:00Z", "2026-12-03T00:00:00Z"),
        ("2026-12-03T08:00:00Z", "2026-12-03T09:00:00Z"), ("2026-12-05T08:00:00Z", "2026-12-05T09:00:00Z"),
    ]  # fmt: skip
    assert answer["calendars"]["nobody@none.test"]["errors"][0]["reason"] == "notFound"
    for wrong in (
        {"items": [{"id": str(number)} for number in range(51)]}, {"timeMin": None},
        {"timeMin": "2026-12-11T00:00:00Z"},
        {"timeMax": "2027-12-01T00:00:00Z"}, {"items": [1]}, {"items": {"id": calendar}}, {"timeMax": 5},
    ):  # fmt: skip
        assert status_of(google.freebusy().query(body=query | wrong)) == 400


def test_recurring_events_come_as_single_ones(google: Any, calendar: str) -> None:
    body = event(recurrence=["RRULE:FREQ=WEEKLY;UNTIL=20261215T080000Z"])
    whole = {
        "start": {"date": "2026-12-24"},
        "end": {"date": "2026-12-26"},
        "recurrence": ["RRULE:FREQ=YEARLY;COUNT=2"],
    }
    series = [google.events().insert(calendarId=calendar, body=one).execute()["id"] for one in (body, whole)]
    listed = google.events().list(calendarId=calendar, singleEvents=True, orderBy="startTime").execute()
    assert mistakes(listed, "Events") == []
    assert [one["start"].get("date") or one["start"]["dateTime"][:10] for one in listed["items"]] == [
        "2026-12-01", "2026-12-08", "2026-12-15", "2026-12-24", "2027-12-24",
    ]  # fmt: skip
    assert [one["recurringEventId"] for one in listed["items"]] == [series[0]] * 3 + [series[1]] * 2
    assert len(google.events().list(calendarId=calendar).execute()["items"]) == 2


def test_calendars_are_there_as_soon_as_they_are_named(google: Any, calendar: str) -> None:
    assert mistakes(google.calendars().get(calendarId=calendar).execute(), "Calendar") == []
    assert mistakes(google.calendarList().get(calendarId=calendar).execute(), "CalendarListEntry") == []
    assert status_of(google.colors().get()) == 404


def test_a_code_with_pkce_is_good_once(http: httpx.Client) -> None:
    verifier = "v" * 43
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    code = code_of(http, code_challenge=challenge, code_challenge_method="S256")
    for wrong in (
        {}, {"code_verifier": "w" * 43}, {"code_verifier": verifier, "redirect_uri": "https://evil.test/"},
        {"code_verifier": verifier, "client_id": "other"}, {"grant_type": "password"},
    ):  # fmt: skip
        answer = exchange(http, code, **wrong)
        assert (answer.status_code, "error_description" in answer.json()) == (400, True), wrong
    tokens = exchange(http, code, code_verifier=verifier).json()
    assert set(tokens) == {"access_token", "expires_in", "refresh_token", "scope", "token_type"}
    assert exchange(http, code, code_verifier=verifier).json()["error"] == "invalid_grant"
    online = exchange(http, code_of(http, access_type="online")).json()
    assert "refresh_token" not in online


@pytest.mark.parametrize("wrong", [
    {"response_type": "token"}, {"redirect_uri": "javascript:1"}, {"client_id": ""}, {"code_challenge_method": "md5"},
])  # fmt: skip
def test_a_wrong_consent_address_is_refused(http: httpx.Client, wrong: dict[str, str]) -> None:
    query = {"client_id": "c", "redirect_uri": "https://a.test/", "response_type": "code", "scope": "calendar"}
    assert http.get("/o/oauth2/v2/auth", params=query | wrong).status_code == 400


def test_an_access_token_that_is_over_is_refreshed(
    google: Any, consent: Consent, calendar: str, http: httpx.Client
) -> None:
    google._http.credentials = consent.credentials("ya29.over")
    assert google.events().list(calendarId=calendar).execute()["items"] == []
    assert google._http.credentials.token != "ya29.over"
    form = {"grant_type": "refresh_token", "refresh_token": "1//none", "client_id": "client"}
    assert http.post("/token", data=form).json()["error"] == "invalid_grant"
    assert http.get(f"/calendar/v3/calendars/{calendar}/events").status_code == 401
