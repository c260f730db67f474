"""Errors as Stripe's API answers them."""

from fastapi import Request
from fastapi.responses import JSONResponse

from sandbox.state import Document
from sandbox.stripe.ids import new_id

API_VERSION = "2026-10-28.endive"


class StripeError(Exception):
    """An error object. `param` names the parameter that is wrong. `began`: the endpoint had begun its work, so the
    error is kept under the idempotency key; refused parameters begin nothing."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
        began: bool = False,
    ) -> None:
        super().__init__(message)
        self.status, self.began = status, began
        body = {"message": message, "type": kind, "code": code, "param": param}
        self.body: Document = {"error": {name: value for name, value in body.items() if value is not None}}


def missing(kind: str, object_id: str, *, param: str = "id") -> StripeError:
    """There is no such object."""
    return StripeError(404, f"No such {kind}: '{object_id}'", code="resource_missing", param=param)


def answer(body: Document, status: int, *, key: str | None = None, replayed: bool = False) -> JSONResponse:
    """A response with the headers that Stripe's have; `key` is the request's idempotency key."""
    headers = {"Request-Id": new_id("req"), "Stripe-Version": API_VERSION}
    if key:
        headers["Idempotency-Key"] = key
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    return JSONResponse(body, status, headers=headers)


async def answer_error(_: Request, error: Exception) -> JSONResponse:
    """The answer to a StripeError."""
    assert isinstance(error, StripeError)
    return answer(error.body, error.status)
