"""Found starts as answers: slots of the public API as JSON, each with a signed offer to hold it.

A month of slots has thousands, so each is put together from parts that are encoded once. The offer is
`servicekit.capabilities.Offer` in MessagePack, field by field.
"""

import struct
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

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
        self._after_providers = b'"offering_id":"%s","remaining":' % str(offering.id).encode()
        self._price = b',"price":' + offering.price + b"}"
        self._providers: dict[int, tuple[Served, bytes]] = {}

    def slot(self, found: Found) -> bytes:
        """The slot as the public API shows it; without a `slot_id` where it is full."""
        start = found.start
        local, name = self._clock.local(start)
        times = (
            f'"start":"{self._clock.utc(start)}","end":"{self._clock.utc(start + self._duration)}",'
            f'"local_start":"{local}","zone_abbreviation":"{name}",'
        ).encode()
        begin = b'{"slot_id":"' + self.slot_id(found) + b'",' if found.served.assignments else b"{"
        return b"".join(
            (
                begin,
                times,
                self._named(found.served),
                self._after_providers,
                str(found.remaining).encode(),
                self._price,
            )
        )

    def _named(self, served: Served) -> bytes:
        """`provider_id` and `provider_ids`; kept for starts that are alike, together with what they are of."""
        known = self._providers.get(id(served))
        if known is not None:
            return known[1]
        first = served.assignments[0][0].resource if served.assignments else None
        if first is None:
            text = b'"provider_id":null,"provider_ids":[' + served.listed + b"],"
        elif first.type == "practitioner":
            text = b'"provider_id":' + first.quoted + b',"provider_ids":[' + served.listed + b"],"
        else:
            text = b'"provider_id":null,"provider_ids":[],'
        self._providers[id(served)] = (served, text)
        return text

    def slot_id(self, found: Found) -> bytes:
        """The signed offer."""
        start = found.start * 60
        parts = [
            self._head,
            _INSTANTS.pack(_UINT32, start, _UINT32, start + self._duration * 60),
            self._middle,
            _ARRAYS[len(found.served.assignments)],
        ]
        around: dict[int, bytes] = {}
        for assignment in found.served.assignments:
            parts.append(_ARRAYS[len(assignment)])
            for seat in assignment:
                key = seat.before << 16 | seat.after
                claim = around.get(key)
                if claim is None:
                    claim = around[key] = _INSTANTS.pack(
                        _UINT32, start - seat.before * 60, _UINT32, start + seat.after * 60
                    )
                parts += (seat.head, claim, seat.tail)
        parts.append(self._tail)
        return self._signer.sign_packed(b"".join(parts))


_ARRAYS = tuple(bytes([0x90 | count]) for count in range(16))


def with_seats(slot: bytes, capacity: int, held: int) -> bytes:
    """The slot with what `include=full` adds."""
    return slot[:-1] + b',"capacity":%d,"held":%d}' % (capacity, held)


def providers_of(offer: Offer) -> set[UUID]:
    """Whom the offer would take: the first resource of each candidate."""
    return {candidate[0].resource_id for candidate in offer.candidates if candidate}
