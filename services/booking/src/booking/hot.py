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
from booking.errors import refusal
from booking.repository.slots import PLACE_HOLD, Placed
from booking.schemas import HoldCreate
from booking.settings import BookingSettings
from servicekit.auth import principal
from servicekit.idempotency import HEADER
from servicekit.problems import Malformed, NotFound, ValidationFailed
from servicekit.service import Service

_KEY = HEADER.encode()
_HEADERS = {"Cache-Control": "no-store"}
_encode = msgspec.json.Encoder().encode


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

    async def place_hold(request: Request) -> Response:
        tenant_id = _tenant(request)
        body = _body(await request.body())
        wanted = holds.wish(
            signer,
            settings,
            tenant_id=tenant_id,
            slot_id=body.slot_id,
            seats=body.seats,
            asking=await principal(request),
            origin=_origin(request),
        )
        placed = Placed(*await service.hot.one(PLACE_HOLD, wanted.parameters))
        if placed.outcome == "unknown":  # faster than the catalogue's events
            async with service.database.transaction(tenant_id) as tx:
                await catalogue.learn(tx, wanted.offer)
            placed = Placed(*await service.hot.one(PLACE_HOLD, wanted.parameters))
        if placed.outcome != "held":
            raise refusal(placed.outcome, placed.rule)
        service.waker.wake("relay")
        content = _encode(presenting.placed_hold(wanted, placed))
        return Response(content, 201, _HEADERS, "application/json")

    service.app.router.routes.insert(0, _KeylessRoute("/v1/clinics/{clinic}/holds", place_hold, methods=["POST"]))


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
