"""Found starts as answers: slots of the public API, each with a signed offer to hold it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from availability.repository import Row
from availability.search import Found, Placed
from scheduling.instants import utc
from servicekit.capabilities import Offer, OfferedResource
from servicekit.signing import Signer

KINDS = {"practitioner": "p", "room": "r", "equipment": "e", "virtual": "v"}


@dataclass(frozen=True, slots=True)
class Desk:
    """What all slots of one answer have in common."""

    offering: Row
    signer: Signer
    expires: int
    tz: ZoneInfo
    provider_chosen: bool
    full: bool = False

    def slot(self, found: Found) -> dict[str, Any]:
        """The slot as the public API shows it; without a `slot_id` where it is full."""
        offering = self.offering
        start, end = utc(found.start), utc(found.start + offering["duration_minutes"])
        local = start.astimezone(self.tz)
        first = found.candidates[0][0][0] if found.candidates else None
        leads = first is not None and first.resource.type == "practitioner"
        slot: dict[str, Any] = {
            "start": _instant(start),
            "end": _instant(end),
            "local_start": local.isoformat(),
            "zone_abbreviation": local.tzname(),
            "provider_id": first.resource.id if first is not None and leads else None,
            "provider_ids": found.providers if leads or first is None else (),
            "offering_id": offering["id"],
            "remaining": found.remaining,
            "price": offering["price"],
        }
        if found.candidates:
            slot = {"slot_id": self._sign(found)} | slot
        if self.full:
            slot |= {"capacity": found.capacity, "held": found.held}
        return slot

    def _sign(self, found: Found) -> str:
        offering = self.offering
        start = found.start * 60
        return self.signer.sign(
            Offer(
                expires=self.expires,
                tenant_id=offering["tenant_id"],
                offering_id=offering["id"],
                offering_version=offering["version"],
                start=start,
                end=start + offering["duration_minutes"] * 60,
                amount=offering["price"]["amount"],
                currency=offering["price"]["currency"],
                hold_seconds=offering["hold_minutes"] * 60,
                capacity=found.capacity,
                provider_chosen=self.provider_chosen,
                time_zone=self.tz.key,
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
        resource_id=resource.id,
        claim_start=start * 60,
        claim_end=end * 60,
        kind=KINDS[resource.type],
        schedule_version=resource.schedule_version,
        approval=resource.approval,
    )


def _instant(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
