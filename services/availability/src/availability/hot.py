"""Routes without FastAPI's machinery: their functions take the request as it is. Described in OpenAPI all the same."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError

from servicekit.problems import Malformed, ValidationFailed

M = TypeVar("M", bound=BaseModel)
NO_STORE = {"Cache-Control": "no-store"}


class HotRoute(APIRoute):
    """A route whose function is called with the request alone: nothing is parsed, injected or validated before.

    Its `dependencies` are never called: they say which parameters the route reads, for OpenAPI.
    """

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """The function itself."""
        handler: Callable[[Request], Awaitable[Response]] = self.endpoint
        return handler


def json_response(body: bytes) -> Response:
    """An answer that is JSON already, never kept by anyone on its way."""
    return Response(body, media_type="application/json", headers=NO_STORE)


async def read_body(request: Request, model: type[M]) -> M:
    """The request's JSON; `Malformed`, or `ValidationFailed` with the fields that are wrong."""
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        if any(entry["type"] == "json_invalid" for entry in error.errors(include_context=False)):
            raise Malformed("The body is not valid JSON. Nothing was changed.") from error
        raise ValidationFailed.found(error.errors()) from error


def value_of(adapter: TypeAdapter[Any], field: str, text: str) -> Any:
    """One text of a query or path; `ValidationFailed` names the field."""
    try:
        return adapter.validate_strings(text)
    except ValidationError as error:
        raise ValidationFailed.of(field, error.errors()[0]["msg"].removeprefix("Value error, ")) from error


def encoded(document: dict[str, Any]) -> bytes:
    """JSON; slots in it are `msgspec.Raw`."""
    return msgspec.json.encode(document)


def raw(slots: list[bytes]) -> list[msgspec.Raw]:
    """Slots that are JSON already, as parts of a document."""
    return [msgspec.Raw(slot) for slot in slots]
