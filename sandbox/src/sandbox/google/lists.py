"""Lists of events: in full, since a sync token, page by page."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import QueryParams

from sandbox.bodies import whole_number
from sandbox.google.errors import GoogleError
from sandbox.google.times import instances, moment, parse
from sandbox.state import Document

DEFAULT_PAGE, LARGEST_PAGE = 250, 2500
# Google expands recurring events as far as it likes when no end is asked for; occurrences end after two years anyway.
OPEN_END = datetime(2100, 1, 1, tzinfo=UTC)
NOT_WITH_A_SYNC_TOKEN = (
    "iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty", "timeMin", "timeMax", "updatedMin",
)  # fmt: skip


def bad(message: str) -> GoogleError:
    """A query that cannot be answered."""
    return GoogleError(400, "badRequest", message)


def check_query(query: QueryParams) -> None:
    """Google's refusals of parameters that do not go together or have no such value."""
    if "syncToken" in query:
        for name in NOT_WITH_A_SYNC_TOKEN:
            if name in query:
                raise bad(f"Sync token cannot be used with {name}.")
    for name in ("singleEvents", "showDeleted"):
        if query.get(name, "false") not in ("true", "false"):
            raise bad(f"Invalid boolean value: '{query[name]}'.")
    if query.get("orderBy", "updated") not in ("startTime", "updated"):
        raise bad(f"Invalid value for orderBy: '{query['orderBy']}'.")
    if query.get("orderBy") == "startTime" and query.get("singleEvents") != "true":
        raise bad("The requested ordering is not available for the particular query.")
    times = [parse(query[name], name) for name in ("timeMin", "timeMax") if name in query]
    if len(times) == 2 and times[0] >= times[1]:
        raise GoogleError(400, "timeRangeEmpty", "The specified time range is empty.")


def size_of(query: QueryParams) -> int:
    """How many events a page has."""
    size = whole_number(query.get("maxResults", str(DEFAULT_PAGE)))
    if size is None or size < 1:
        raise bad(f"Invalid value for maxResults: '{query.get('maxResults')}'.")
    return min(size, LARGEST_PAGE)


def place_of(query: QueryParams, latest: int) -> tuple[int, int]:
    """Where the page starts, and the last change at the time of the first page: what comes later comes with the next
    sync, and what is deleted meanwhile keeps its place."""
    token = query.get("pageToken")
    if not token:
        return 0, latest
    start, mark = (whole_number(part) for part in token.partition(".")[::2])
    if start is None or mark is None or start < 0 or mark < 0:
        raise bad(f"Invalid value for pageToken: '{token}'.")
    return start, mark


def select(events: list[Document], query: QueryParams) -> list[Document]:
    """Those that the query asks for, in its order; recurring ones as single events when it says so."""
    if query.get("singleEvents") == "true":
        until = parse(query["timeMax"], "timeMax") if "timeMax" in query else OPEN_END
        events = [single for event in events for single in instances(event, until)]
    for matches in _filters(query):
        events = [event for event in events if matches(event)]
    if query.get("orderBy") == "startTime":
        return sorted(events, key=lambda event: moment(event["start"]))
    if query.get("orderBy") == "updated":
        return sorted(events, key=lambda event: int(event["changed"]))
    return events


def _filters(query: QueryParams) -> list[Callable[[Document], bool]]:
    found: list[Callable[[Document], bool]] = []
    if "timeMin" in query:
        after = parse(query["timeMin"], "timeMin")
        found.append(lambda event: moment(event["end"]) > after)
    if "timeMax" in query:
        before = parse(query["timeMax"], "timeMax")
        found.append(lambda event: moment(event["start"]) < before)
    if "updatedMin" in query:
        since = parse(query["updatedMin"], "updatedMin")
        found.append(lambda event: datetime.fromisoformat(event["updated"]) >= since)
    if "iCalUID" in query:
        found.append(lambda event: bool(event["iCalUID"] == query["iCalUID"]))
    if "q" in query:
        words = query["q"].lower()
        found.append(lambda event: any(words in event.get(name, "").lower() for name in ("summary", "description")))
    for kind in ("private", "shared"):
        for mark in query.getlist(f"{kind}ExtendedProperty"):
            found.append(_has_property(kind, mark))
    return found


def _has_property(kind: str, mark: str) -> Callable[[Document], bool]:
    name, _, value = mark.partition("=")

    def matches(event: Document) -> bool:
        properties: dict[str, Any] = event.get("extendedProperties", {}).get(kind, {})
        return bool(properties.get(name) == value)

    return matches
