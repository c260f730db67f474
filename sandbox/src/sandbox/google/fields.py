"""What of an event a client may write, and of which shape."""

from typing import Any

from sandbox.google.errors import GoogleError
from sandbox.google.times import moment, occurrences
from sandbox.state import Document

TEXTS = (
    "id", "summary", "description", "location", "colorId", "iCalUID", "status", "transparency", "visibility",
    "eventType",
)  # fmt: skip
FLAGS = ("guestsCanInviteOthers", "guestsCanModify", "guestsCanSeeOtherGuests", "anyoneCanAddSelf")
OBJECTS = ("start", "end", "extendedProperties", "reminders", "source")
LISTS = ("attendees", "recurrence")
TYPES: dict[str, type] = (
    dict.fromkeys(TEXTS, str)
    | dict.fromkeys(FLAGS, bool)
    | dict.fromkeys(OBJECTS, dict)
    | dict.fromkeys(LISTS, list)
    | {"sequence": int}
)
ALLOWED = {
    "status": ("confirmed", "tentative", "cancelled"),
    "transparency": ("opaque", "transparent"),
    "visibility": ("default", "public", "private", "confidential"),
}
TIME_FIELDS = ("date", "dateTime", "timeZone")


def _invalid(name: str) -> GoogleError:
    return GoogleError(400, "invalid", f"Invalid value for: {name}")


def written(body: Document) -> Document:
    """The fields of a body that a client may write; null stands for absent. Others are Google's own and ignored."""
    found: Document = {}
    for name, value in body.items():
        if name not in TYPES:
            continue
        if value is not None and (
            not isinstance(value, TYPES[name]) or (isinstance(value, bool) and name == "sequence")
        ):
            raise _invalid(name)
        if value is not None and value not in ALLOWED.get(name, (value,)):
            raise _invalid(name)
        found[name] = value
    return found


def merged(before: Document, patch: Document) -> Document:
    """PATCH: what is named replaces, null removes, objects are merged, lists replaced."""
    result = dict(before)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict) and isinstance(result.get(name), dict):
            result[name] = merged(result[name], value)
            if name in ("start", "end") and "date" in value and "dateTime" in value:
                raise _invalid(name)
            if name in ("start", "end"):
                # An all-day event that gets a time (or the other way round) keeps only the new one.
                for given, other in (("date", "dateTime"), ("dateTime", "date")):
                    if value.get(given) is not None:
                        result[name].pop(other, None)
        else:
            result[name] = value
    return result


def checked(event: Document) -> Document:
    """A whole event, or Google's error for what does not hold together."""
    event = {name: value for name, value in event.items() if value is not None}
    for name in ("start", "end"):
        if name not in event:
            raise GoogleError(400, "required", f"Missing {name} time.")
        event[name] = _time(event[name], name)
    if ("date" in event["start"]) != ("date" in event["end"]):
        raise _invalid("start and end times must either both be date or both be dateTime.")
    if moment(event["end"]) < moment(event["start"]):
        raise GoogleError(400, "timeRangeEmpty", "The specified time range is empty.")
    if "extendedProperties" in event:
        event["extendedProperties"] = {
            kind: _properties(event["extendedProperties"].get(kind))
            for kind in ("private", "shared")
            if event["extendedProperties"].get(kind) is not None
        }
    if not all(_is_attendee(entry) for entry in event.get("attendees", [])):
        raise _invalid("attendees")
    if not all(isinstance(rule, str) for rule in event.get("recurrence", [])):
        raise _invalid("recurrence")
    next(occurrences(event, moment(event["start"])), None)
    return event


def _time(value: Document, name: str) -> Document:
    found = {part: value[part] for part in TIME_FIELDS if value.get(part) is not None}
    if not all(isinstance(part, str) for part in found.values()) or ("date" in found) == ("dateTime" in found):
        raise _invalid(name)
    moment(found)
    return found


def _properties(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(entry is None or isinstance(entry, str) for entry in value.values()):
        raise _invalid("extendedProperties")
    return {name: entry for name, entry in value.items() if entry is not None}


def _is_attendee(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("email"), str) and set(value) <= {
        "additionalGuests", "comment", "displayName", "email", "id", "optional", "organizer", "resource",
        "responseStatus", "self",
    }  # fmt: skip
