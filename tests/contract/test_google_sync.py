"""Lists, sync tokens and channels, by Google's client library."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from .conftest import Receiver, Shop, eventually
from .google_schema import mistakes
from .test_google_events import event, status_of


def _pages(google: Any, calendar: str, **query: Any) -> tuple[list[dict[str, Any]], str]:
    """All items, and the sync token at the end."""
    items: list[dict[str, Any]] = []
    token = None
    while True:
        page = google.events().list(calendarId=calendar, pageToken=token, **query).execute()
        assert mistakes(page, "Events") == []
        items += page["items"]
        if (token := page.get("nextPageToken")) is None:
            return items, str(page["nextSyncToken"])


def _insert(google: Any, calendar: str, **more: Any) -> str:
    return str(google.events().insert(calendarId=calendar, body=event(**more)).execute()["id"])


def test_a_sync_token_brings_what_changed_also_deletions_page_by_page(google: Any, calendar: str) -> None:
    ids = [_insert(google, calendar) for _ in range(5)]
    items, token = _pages(google, calendar, maxResults=2)
    assert [item["id"] for item in items] == ids
    assert _pages(google, calendar, syncToken=token)[0] == []
    google.events().delete(calendarId=calendar, eventId=ids[0]).execute()
    google.events().patch(calendarId=calendar, eventId=ids[3], body={"summary": "new"}).execute()
    ids.append(_insert(google, calendar))
    items, later = _pages(google, calendar, syncToken=token, maxResults=1)
    assert [(item["id"], item["status"]) for item in items] == [
        (ids[0], "cancelled"), (ids[3], "confirmed"), (ids[5], "confirmed"),
    ]  # fmt: skip
    assert _pages(google, calendar, syncToken=later)[0] == []
    assert len(_pages(google, calendar)[0]) == 5
    assert len(_pages(google, calendar, showDeleted=True)[0]) == 6


def test_what_changes_between_two_pages_is_not_lost(google: Any, calendar: str) -> None:
    ids = [_insert(google, calendar) for _ in range(4)]
    page = google.events().list(calendarId=calendar, maxResults=2).execute()
    google.events().delete(calendarId=calendar, eventId=ids[0]).execute()
    rest = google.events().list(calendarId=calendar, maxResults=2, pageToken=page["nextPageToken"]).execute()
    assert [item["id"] for item in page["items"] + rest["items"]] == ids
    changed, _ = _pages(google, calendar, syncToken=rest["nextSyncToken"])
    assert [(item["id"], item["status"]) for item in changed] == [(ids[0], "cancelled")]


def test_tokens_that_are_gone_ask_for_a_full_sync(google: Any, calendar: str, shop: Shop) -> None:
    _insert(google, calendar)
    other = f"other-{calendar}"
    _, token = _pages(google, calendar)
    _, others = _pages(google, other)
    shop.fault("sync_token_gone", "google", match=f"/{calendar}/events")
    assert status_of(google.events().list(calendarId=calendar, syncToken=token)) == 410
    assert status_of(google.events().list(calendarId=calendar, syncToken="nonsense")) == 410
    assert _pages(google, other, syncToken=others)[0] == []
    items, token = _pages(google, calendar)
    assert len(items) == 1
    assert _pages(google, calendar, syncToken=token)[0] == []


@pytest.mark.parametrize("more", [
    {"timeMin": "2026-12-01T00:00:00Z"}, {"timeMax": "2026-12-01T00:00:00Z"}, {"q": "x"}, {"orderBy": "updated"},
    {"updatedMin": "2026-12-01T00:00:00Z"}, {"privateExtendedProperty": "a=b"}, {"iCalUID": "x"},
    {"sharedExtendedProperty": "a=b"},
])  # fmt: skip
def test_a_sync_token_stands_alone(google: Any, calendar: str, more: dict[str, Any]) -> None:
    _, token = _pages(google, calendar)
    assert status_of(google.events().list(calendarId=calendar, syncToken=token, **more)) == 400


BAD_QUERIES = (
    "maxResults=abc", "maxResults=0", "maxResults=-1", "pageToken=abc", "pageToken=1", "pageToken=-1.5", "timeMin=x",
    "timeMin=2026-12-01T00:00:00", "orderBy=size", "orderBy=startTime", "singleEvents=maybe",
    "timeMin=2026-12-02T00:00:00Z&timeMax=2026-12-01T00:00:00Z", "updatedMin=x",
)  # fmt: skip


@pytest.mark.parametrize("query", BAD_QUERIES)
def test_bad_queries_are_refused_as_google_does(consent: Any, http: httpx.Client, calendar: str, query: str) -> None:
    headers = {"Authorization": f"Bearer {consent.tokens['access_token']}"}
    answer = http.get(f"/calendar/v3/calendars/{calendar}/events?{query}", headers=headers)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["errors"][0]["reason"]


def test_lists_are_filtered_and_ordered(google: Any, calendar: str) -> None:
    late = _insert(google, calendar, hour=12, extendedProperties={"private": {"a": "1", "b": "2"}})
    early = _insert(google, calendar, hour=6, summary="Yoga", extendedProperties={"private": {"a": "1"}})

    def found(**query: Any) -> list[str]:
        return [item["id"] for item in _pages(google, calendar, **query)[0]]

    assert found(singleEvents=True, orderBy="startTime") == [early, late]
    assert found(orderBy="updated") == [late, early]
    assert found(privateExtendedProperty="a=1") == [late, early]
    assert found(privateExtendedProperty=["a=1", "b=2"]) == [late]
    assert found(timeMin="2026-12-01T08:00:00Z") == [late]
    assert found(timeMax="2026-12-01T08:00:00Z") == [early]
    assert found(q="yoga") == [early]
    assert found(iCalUID=f"{late}@google.test") == [late]
    assert found(updatedMin="2100-01-01T00:00:00Z") == []


def _channel(receiver: Receiver, path: str, **more: Any) -> dict[str, Any]:
    return {"id": uuid4().hex, "type": "web_hook", "address": f"{receiver.url}{path}", "token": "secret"} | more


def test_a_channel_tells_of_changes_until_it_is_stopped(
    google: Any, calendar: str, receiver: Receiver, shop: Shop
) -> None:
    path = f"/google/{uuid4().hex}"
    body = _channel(receiver, path)
    opened = google.events().watch(calendarId=calendar, body=body).execute()
    assert mistakes(opened, "Channel") == []
    assert int(opened["expiration"]) > 0
    _, headers, content = eventually(lambda: receiver.of(path=path))[0]
    assert content == b""
    named = {
        name: headers[f"X-Goog-{name}"] for name in ("Channel-ID", "Channel-Token", "Resource-State", "Resource-ID")
    }
    assert named == {
        "Channel-ID": body["id"], "Channel-Token": "secret", "Resource-State": "sync",
        "Resource-ID": opened["resourceId"],
    }  # fmt: skip
    made = shop.http.post(f"/_sandbox/google/{calendar}/events", json=event())
    assert made.status_code == 201
    shop.http.delete(f"/_sandbox/google/{calendar}/events/{made.json()['id']}")
    notices = eventually(lambda: len(found := receiver.of(path=path)) == 3 and found)
    assert sorted(int(headers["X-Goog-Message-Number"]) for _, headers, _ in notices) == [1, 2, 3]
    assert [headers["X-Goog-Resource-State"] for _, headers, _ in notices] == ["sync", "exists", "exists"]
    shop.fault("channel_dead", "google", match=calendar, times=1)
    _insert(google, calendar)
    _insert(google, calendar)
    eventually(lambda: len(receiver.of(path=path)) == 4)
    stop = {"id": body["id"], "resourceId": opened["resourceId"]}
    assert status_of(google.channels().stop(body=stop | {"resourceId": "other"})) == 404
    assert google.channels().stop(body=stop).execute() == ""
    assert status_of(google.channels().stop(body=stop)) == 404
    _insert(google, calendar)
    assert len(receiver.of(path=path)) == 4


def test_a_wrong_channel_is_refused(google: Any, calendar: str, receiver: Receiver) -> None:
    body = _channel(receiver, "/google/none")
    google.events().watch(calendarId=calendar, body=body).execute()
    wrong = (
        {}, {"id": "x" * 65}, {"id": None}, {"id": ["x"]}, {"type": "mail"}, {"address": "nowhere"}, {"address": 5},
        {"token": "t" * 257}, {"token": "a\r\nb"}, {"expiration": "soon"}, {"expiration": "1"},
    )  # fmt: skip
    for more in wrong:
        request = body | ({"id": uuid4().hex} if more else {}) | more
        assert status_of(google.events().watch(calendarId=calendar, body=request)) == 400, more


def test_staff_see_their_calendar_and_deleting_twice_is_no_error(http: httpx.Client, calendar: str) -> None:
    path = f"/_sandbox/google/{calendar}/events"
    made = http.post(path, json=event()).json()
    assert http.get(path).json() == {"data": [made]}
    for _ in range(2):
        assert http.delete(f"{path}/{made['id']}").status_code == 204
    assert http.get(path).json() == {"data": []}
    assert http.delete(f"{path}/none0").status_code == 404
