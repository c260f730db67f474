"""Found starts as answers: slots of the public API, each with a signed offer to hold it."""

from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from availability.repository import Row
from availability.search import Found, Placed
from scheduling.instants import DAY, Minute, utc
from scheduling.zones import to_local
from servicekit.capabilities import Offer, OfferedResource
from servicekit.signing import Signer

_TIMES = tuple(f"T{minute // 60:02}:{minute % 60:02}:00" for minute in range(DAY))
KINDS = {"practitioner": "p", "room": "r", "equipment": "e", "virtual": "v"}


class Clock:
    """Instants as the texts of an answer. A month of slots has thousands, so dates and offsets are kept by day."""

    def __init__(self, tz: ZoneInfo) -> None:
        self._tz = tz
        self._dates: dict[int, str] = {}
        self._offsets: dict[int, tuple[int, str, str] | None] = {}

    def utc(self, minute: Minute) -> str:
        """`2026-12-01T08:00:00Z`."""
        return f"{self._wall(minute)}Z"

    def local(self, minute: Minute) -> tuple[str, str]:
        """`2026-12-01T09:00:00+01:00` and `CET`."""
        day = minute // DAY
        if day not in self._offsets:
            opens, closes = (to_local(at, self._tz) for at in (day * DAY, day * DAY + DAY))
            same = opens.utcoffset() == closes.utcoffset() and opens.tzname() == closes.tzname()
            self._offsets[day] = _offset(opens) if same else None
        offset, suffix, name = self._offsets[day] or _offset(to_local(minute, self._tz))
        return self._wall(minute + offset) + suffix, name

    def _wall(self, minute: Minute) -> str:
        day, rest = divmod(minute, DAY)
        if (text := self._dates.get(day)) is None:
            text = self._dates[day] = utc(day * DAY).date().isoformat()
        return text + _TIMES[rest]


def _offset(local: datetime) -> tuple[int, str, str]:
    offset = local.utcoffset()
    assert offset is not None  # a ZoneInfo always knows
    return int(offset.total_seconds()) // 60, local.isoformat()[-6:], local.tzname() or ""


class Desk:
    """Makes the slots of one answer."""

    def __init__(self, offering: Row, signer: Signer, expires: int, tz: ZoneInfo, *, provider_chosen: bool) -> None:
        self._offering = dict(offering)
        self._signer = signer
        self._expires = expires
        self._tz = tz
        self._provider_chosen = provider_chosen
        self._clock = Clock(tz)

    def slot(self, found: Found) -> dict[str, Any]:
        """The slot as the public API shows it; without a `slot_id` where it is full."""
        offering = self._offering
        local_start, abbreviation = self._clock.local(found.start)
        first = found.candidates[0][0][0] if found.candidates else None
        leads = first is not None and first.resource.type == "practitioner"
        slot: dict[str, Any] = {"slot_id": self._sign(found)} if found.candidates else {}
        slot |= {
            "start": self._clock.utc(found.start),
            "end": self._clock.utc(found.start + offering["duration_minutes"]),
            "local_start": local_start,
            "zone_abbreviation": abbreviation,
            "provider_id": first.resource.id if first is not None and leads else None,
            "provider_ids": found.providers if leads or first is None else (),
            "offering_id": offering["id"],
            "remaining": found.remaining,
            "price": offering["price"],
        }
        return slot

    def _sign(self, found: Found) -> str:
        offering = self._offering
        start = found.start * 60
        return self._signer.sign(
            Offer(
                expires=self._expires,
                tenant_id=offering["tenant_id"],
                offering_id=offering["id"],
                offering_version=offering["version"],
                start=start,
                end=start + offering["duration_minutes"] * 60,
                amount=offering["price"]["amount"],
                currency=offering["price"]["currency"],
                hold_seconds=offering["hold_minutes"] * 60,
                capacity=found.capacity,
                provider_chosen=self._provider_chosen,
                time_zone=self._tz.key,
                candidates=[[_offered(placed) for placed in assignment] for assignment in found.candidates],
            )
        )


def providers_of(offer: Offer) -> set[UUID]:
    """Whom the offer would take: the first resource of each candidate."""
    return {candidate[0].resource_id for candidate in offer.candidates if candidate}


def _offered(placed: Placed) -> OfferedResource:
    calendar, (start, end) = placed
    resource = calendar.resource
    return OfferedResource(
        resource.id, start * 60, end * 60, KINDS[resource.type], resource.schedule_version, resource.approval
    )
