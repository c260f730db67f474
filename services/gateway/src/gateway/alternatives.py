"""What else there is instead of a time that was refused: one look at availability for all who are refused it now."""

import asyncio
from typing import Any

import msgspec

from gateway.upstream import Answer, Upstreams
from servicekit.problems import Unavailable

WAIT_SECONDS = 0.2
SHARED_SECONDS = 0.3
MOST = 5

_NONE = msgspec.Raw(b"[]")


class _Wanted(msgspec.Struct):
    slot_id: str


class _Found(msgspec.Struct):
    alternatives: msgspec.Raw


_WANTED = msgspec.json.Decoder(_Wanted)
_FOUND = msgspec.json.Decoder(_Found)
_REFUSAL = msgspec.json.Decoder(dict[str, msgspec.Raw])


def is_taken(answer: Answer) -> bool:
    """Whether it is the refusal `slot-taken`."""
    return answer.status == 409 and b'/slot-taken"' in answer.body and answer.is_problem


class Look:
    """What was found for one refused time. It stays JSON text: nobody here reads it."""

    def __init__(self, looking: asyncio.Task[msgspec.Raw]) -> None:
        self._looking = looking
        self._merged: dict[bytes, bytes] = {}

    async def slots(self) -> msgspec.Raw:
        """A JSON list; empty when it does not come in time: a refusal does not wait for it."""
        if not self._looking.done():
            await asyncio.wait({self._looking}, timeout=WAIT_SECONDS)
        return self._looking.result() if self._looking.done() else _NONE

    async def merged(self, refusal: bytes) -> bytes:
        """The refusal with what was found. Everybody is refused in the same words, so it is put together once."""
        found = self._merged.get(refusal)
        if found is None:
            slots = await self.slots()
            found = msgspec.json.encode(_REFUSAL.decode(refusal) | {"alternatives": slots})
            if self._looking.done():
                self._merged[refusal] = found
        return found


class Looks:
    """The looks under way or just done, by what was refused."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._upstreams = upstreams
        self._looks: dict[tuple[str, str], Look] = {}

    async def help(self, tenant_id: str, body: bytes, answer: Answer) -> Answer:
        """The answer to a request for the `slot_id` in its body; with alternatives if it is `slot-taken`."""
        if not is_taken(answer):
            return answer
        try:
            slot_id = _WANTED.decode(body).slot_id
        except msgspec.DecodeError:
            return answer
        return Answer(answer.status, answer.headers, await self.of(tenant_id, slot_id).merged(answer.body))

    async def instead_of(self, tenant_id: str, slot_id: str) -> list[Any]:
        """Slots that can be held instead, up to five."""
        found: list[Any] = msgspec.json.decode(await self.of(tenant_id, slot_id).slots())
        return found

    def of(self, tenant_id: str, slot_id: str) -> Look:
        """The look for this time, begun if there is none."""
        key = (tenant_id, slot_id)
        look = self._looks.get(key)
        if look is None:
            looking = asyncio.create_task(self._ask(tenant_id, slot_id))
            look = self._looks[key] = Look(looking)
            looking.add_done_callback(
                lambda _: asyncio.get_running_loop().call_later(SHARED_SECONDS, self._looks.pop, key, None)
            )
        return look

    async def _ask(self, tenant_id: str, slot_id: str) -> msgspec.Raw:
        try:
            answer = await self._upstreams.post_internal(
                "availability", f"/internal/tenants/{tenant_id}/alternatives", {"slot_id": slot_id, "limit": MOST}
            )
        except Unavailable:
            return _NONE
        return _FOUND.decode(answer.body).alternatives if answer.status == 200 else _NONE
