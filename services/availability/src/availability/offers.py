"""Found starts as answers: slots of the public API as JSON, each with a signed offer to hold it.

A month of slots has thousands, so each is put together from parts that are encoded once. The offer is
`servicekit.capabilities.Offer` in MessagePack, field by field.
"""

import struct
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from availability.assigning import Assignment
from availability.directory import Directory, Offering
from availability.search import Found, Served
from scheduling.instants import DAY, Minute, utc
from scheduling.zones import to_local
from servicekit.capabilities import Offer
from servicekit.signing import Signer

_TIMES = tuple(f"T{minute // 60:02}:{minute % 60:02}:00" for minute in range(DAY))
_PACK = msgspec.msgpack.Encoder(uuid_format="bytes").encode
_FIELDS = len(Offer.__struct_fields__)
# Two instants in epoch seconds as MessagePack's uint32.
_INSTANTS = struct.Struct(">BIBI")
_UINT32 = 0xCE


class Clock:
    """Instants as the texts of an answer; dates and offsets are kept by day."""

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
    """Makes the slots of one answer.

    `provider_chosen`: the patient asked for this practitioner, not for any; `override`: the offers break a rule.
    """

    def __init__(
        self,
        directory: Directory,
        offering: Offering,
        signer: Signer,
        expires: int,
        tz: ZoneInfo,
        *,
        provider_chosen: bool,
        override: bool = False,
        duration: int | None = None,
    ) -> None:
        assert directory.clinic is not None  # searches begin with it
        self._signer = signer
        self._clock = Clock(tz)
        self._duration = duration or offering.duration
        tenant = directory.clinic.tenant_id
        self._head = bytes([0x90 | _FIELDS]) + b"".join(
            _PACK(part) for part in (expires, tenant, offering.id, offering.version)
        )
        self._middle = b"".join(
            _PACK(part)
            for part in (
                offering.amount,
                offering.currency,
                offering.hold_seconds,
                offering.capacity,
                provider_chosen,
                tz.key,
            )
        )
        self._tail = _PACK(override)
        self._offering = b'"offering_id":"%b","remaining":' % str(offering.id).encode()
        self._price = b',"price":' + offering.price + b"}"
        self._providers: dict[int, tuple[Served, bytes, bytes]] = {}
        self._ends: dict[int, bytes] = {}
        self._between: dict[Assignment, tuple[tuple[int, int] | None, list[bytes]]] = {}
        self._texts = _kept_texts(tz.key, self._duration)

    def slot(self, found: Found) -> bytes:
        """The slot as the public API shows it; without a `slot_id` where it is full."""
        return b"".join(self._parts(found))

    def slots(self, all_found: Iterable[Found]) -> list[bytes]:
        """Many of them as the parts of a JSON list's inside: they are copied once, into the answer."""
        parts: list[bytes] = []
        for found in all_found:
            parts += self._parts(found)
            parts.append(b",")
        del parts[-1:]
        return parts

    def _parts(self, found: Found) -> tuple[bytes, ...]:
        times = self._texts.get(found.start) or self._times(found.start)
        _, provider, listed = self._providers.get(id(found.served)) or self._named(found.served)
        begin = b'{"slot_id":"%b",' % self.slot_id(found) if found.served.assignments else b"{"
        return begin, times, provider, listed, b"],", self._number(found)

    def _number(self, found: Found) -> bytes:
        if (known := self._ends.get(found.remaining)) is None:
            known = self._ends[found.remaining] = b"%b%d%b" % (self._offering, found.remaining, self._price)
        return known

    def _times(self, start: Minute) -> bytes:
        local, name = self._clock.local(start)
        text = (
            f'"start":"{self._clock.utc(start)}","end":"{self._clock.utc(start + self._duration)}",'
            f'"local_start":"{local}","zone_abbreviation":"{name}",'
        ).encode()
        self._texts[start] = text
        return text

    def _named(self, served: Served) -> tuple[Served, bytes, bytes]:
        """The provider and the inside of the list of providers; kept together with what they are of."""
        first = served.assignments[0][0].resource if served.assignments else None
        if first is None or first.type == "practitioner":
            one = first.quoted if first else b"null"
            named = (served, b'"provider_id":%b,"provider_ids":[' % one, served.listed)
        else:
            named = (served, b'"provider_id":null,"provider_ids":[', b"")
        self._providers[id(served)] = named
        return named

    def slot_id(self, found: Found) -> bytes:
        """The signed offer."""
        start = found.start * 60
        instants = _INSTANTS.pack(_UINT32, start, _UINT32, start + self._duration * 60)
        assignments = found.served.assignments
        packed = [self._head, instants, self._middle, _ARRAYS[len(assignments)]]
        usual: tuple[int, int] | None = None
        claim = b""
        for assignment in assignments:
            own, between = self._between.get(assignment) or self._pieces(assignment)
            if own is None:
                packed.append(_uneven(assignment, start))
                continue
            if own != usual:
                usual, claim = own, _claim(own, start)
            packed.append(claim.join(between))
        packed.append(self._tail)
        return self._signer.sign_packed(b"".join(packed))

    def _pieces(self, assignment: Assignment) -> tuple[tuple[int, int] | None, list[bytes]]:
        """The offer's candidate as MessagePack without its instants: mostly every seat claims the same, and that is
        all that lies between the pieces."""
        claims = {seat.claim for seat in assignment}
        between = [_ARRAYS[len(assignment)]]
        for seat in assignment:
            between[-1] += seat.head
            between.append(seat.tail)
        pieces = self._between[assignment] = (claims.pop() if len(claims) == 1 else None, between)
        return pieces


def _claim(claim: tuple[int, int], start: int) -> bytes:
    before, after = claim
    return _INSTANTS.pack(_UINT32, start - before * 60, _UINT32, start + after * 60)


def _uneven(assignment: Assignment, start: int) -> bytes:
    parts = [_ARRAYS[len(assignment)]]
    for seat in assignment:
        parts += (seat.head, _claim(seat.claim, start), seat.tail)
    return b"".join(parts)


_TEXTS: dict[tuple[str, int], dict[Minute, bytes]] = {}
_MOST_TEXTS = 100_000


def _kept_texts(zone: str, duration: int) -> dict[Minute, bytes]:
    """The instants of slots as JSON, by start: the same month is asked for again and again."""
    if sum(map(len, _TEXTS.values())) > _MOST_TEXTS:
        _TEXTS.clear()
    return _TEXTS.setdefault((zone, duration), {})


_ARRAYS = tuple(bytes([0x90 | count]) for count in range(16))


def with_seats(slot: bytes, capacity: int, held: int) -> bytes:
    """The slot with what `include=full` adds."""
    return slot[:-1] + b',"capacity":%d,"held":%d}' % (capacity, held)


def providers_of(offer: Offer) -> set[UUID]:
    """Whom the offer would take: the first resource of each candidate."""
    return {candidate[0].resource_id for candidate in offer.candidates if candidate}
