"""Reading a `slot_id`: a signed offer becomes candidates that may be claimed."""

from datetime import UTC, datetime
from uuid import UUID

from booking.errors import OfferExpired, OfferInvalid
from booking.model import ClaimedResource
from booking.repository.slots import Candidate
from servicekit.capabilities import Offer, OfferedResource
from servicekit.signing import Expired, Forged, Signer, read_stored

LEEWAY_SECONDS = 30  # clocks of two machines


def read(signer: Signer, slot_id: str, tenant_id: UUID) -> Offer:
    """The offer; 410 when it is too old, 422 when it is not ours or another clinic's."""
    try:
        offer = signer.verify(slot_id, Offer, leeway=LEEWAY_SECONDS)
    except Expired as error:
        raise OfferExpired(
            "This time was offered more than ten minutes ago. Nothing was held; search again."
        ) from error
    except Forged as error:
        raise OfferInvalid("The slot_id is not one of ours. Nothing was held; take one from availability.") from error
    if offer.tenant_id != tenant_id:
        raise OfferInvalid("The slot_id belongs to another clinic. Nothing was held.")
    return offer


def read_again(slot_id: str) -> Offer:
    """The offer that a booking was made from, however old: the booking keeps it."""
    return read_stored(slot_id, Offer)


def require_future(offer: Offer) -> None:
    """410 when the start is past."""
    if instant(offer.start) <= datetime.now(UTC):
        raise OfferExpired("This time is past. Nothing was held; search again.")


def candidates(offer: Offer) -> list[Candidate]:
    """The offer's assignments, in order of preference."""
    return [candidate(group) for group in offer.candidates]


def candidate(group: list[OfferedResource]) -> Candidate:
    """One assignment, its claims in the order in which they are locked."""
    ordered = sorted(group, key=lambda entry: entry.resource_id)
    return Candidate(
        next((resource.resource_id for resource in group if resource.kind == "p"), None),
        [
            ClaimedResource(resource.resource_id, instant(resource.claim_start), instant(resource.claim_end))
            for resource in ordered
        ],
        [resource.schedule_version for resource in ordered],
        any(resource.approval for resource in group),
    )


def providers(offer: Offer) -> list[UUID]:
    """The practitioners that the offer's assignments name, in order of preference."""
    named = (resource.resource_id for group in offer.candidates for resource in group if resource.kind == "p")
    return list(dict.fromkeys(named))


def instant(seconds: int) -> datetime:
    """Epoch seconds as an aware datetime."""
    return datetime.fromtimestamp(seconds, UTC)
