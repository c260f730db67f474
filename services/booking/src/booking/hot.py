"""The hot route: `POST …/holds` without an Idempotency-Key, as a plain route with one statement.

With a key, the same request takes FastAPI's route in endpoints/holds.py, which also documents this one.
"""

import json
from uuid import UUID

import msgspec
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from booking import catalogue, holds, presenting
from booking.errors import SlotTaken, refusal
from booking.repository.slots import PLACE_HOLD, Placed
from booking.schemas import HoldCreate
from booking.settings import BookingSettings
from servicekit.auth import Principal, principal
from servicekit.idempotency import HEADER
from servicekit.problems import Malformed, NotFound, ValidationFailed
from servicekit.rushes import Rushes
from servicekit.service import Service
from servicekit.signing import Signer

_KEY = HEADER.encode()
_HEADERS = {"Cache-Control": "no-store"}
_encode = msgspec.json.Encoder().encode
_TAKEN = SlotTaken().response()
"""What most of many get: made once."""


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    slot_id: str
    seats: int = 1


_decode = msgspec.json.Decoder(_Body).decode


class _KeylessRoute(Route):
    """Leaves requests with an Idempotency-Key to the next route."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and any(name == _KEY for name, _ in scope["headers"]):
            return Match.NONE, {}
        match, child = super().matches(scope)
        return (match, child) if match is Match.FULL else (Match.NONE, {})


def install(service: Service) -> None:
    """Puts the route before FastAPI's own."""
    settings = service.settings
    assert isinstance(settings, BookingSettings)
    signer = service.signer("offers")

    rushes: Rushes[Response] = Rushes(lambda answer: answer is _TAKEN)

    async def place_hold(request: Request) -> Response:
        tenant_id, raw, asking = _tenant(request), await request.body(), await principal(request)

        async def ask() -> Response:
            return await _place(service, settings, signer, tenant_id, _body(raw), asking, _origin(request))

        # Of those who want one and the same time at once, one asks the database for all who came before it asked.
        return await rushes.answer((tenant_id, raw, asking.user_id), ask)

    service.app.router.routes.insert(0, _KeylessRoute("/v1/clinics/{clinic}/holds", place_hold, methods=["POST"]))


async def _place(
    service: Service,
    settings: BookingSettings,
    signer: Signer,
    tenant_id: UUID,
    body: _Body,
    asking: Principal,
    origin: bytes | None,
) -> Response:
    wanted = holds.wish(
        signer, settings, tenant_id=tenant_id, slot_id=body.slot_id, seats=body.seats, asking=asking, origin=origin
    )
    placed = Placed(*await service.hot.one(PLACE_HOLD, wanted.parameters))
    if placed.outcome == "unknown":  # faster than the catalogue's events
        async with service.database.transaction(tenant_id) as tx:
            await catalogue.learn(tx, wanted.offer)
        placed = Placed(*await service.hot.one(PLACE_HOLD, wanted.parameters))
    if placed.outcome == "taken":
        return _TAKEN
    if placed.outcome != "held":
        raise refusal(placed.outcome, placed.rule)
    service.waker.wake("relay")
    return Response(_encode(presenting.placed_hold(wanted, placed)), 201, _HEADERS, "application/json")


def _tenant(request: Request) -> UUID:
    try:
        return UUID(request.path_params["clinic"])
    except ValueError as error:
        raise NotFound("There is no such clinic.") from error


def _body(raw: bytes) -> _Body:
    try:
        body = _decode(raw)
    except msgspec.MsgspecError:
        pass  # left to the model, which names every field that is wrong, and takes "2" for 2
    else:
        if 1 <= len(body.slot_id) <= 8000 and 1 <= body.seats <= 1000:
            return body
    try:
        model = HoldCreate.model_validate(json.loads(raw or b"null"))
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
    except ValueError as error:
        raise Malformed("The body is not valid JSON. Nothing was stored.") from error
    return _Body(model.slot_id, model.seats)


def _origin(request: Request) -> bytes | None:
    given = request.headers.get("x-origin-hash")
    if given is None:
        return None
    try:
        return bytes.fromhex(given)
    except ValueError as error:
        raise ValidationFailed.of("x-origin-hash", "has to be a hash in hexadecimal") from error
