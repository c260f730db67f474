"""Errors as Stripe's API answers them."""

from fastapi import Request
from fastapi.responses import JSONResponse


class StripeError(Exception):
    """An error object. `param` names the parameter that is wrong."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.status = status
        body = {"message": message, "type": kind, "code": code, "param": param}
        self.body = {"error": {name: value for name, value in body.items() if value is not None}}


def missing(kind: str, object_id: str) -> StripeError:
    """There is no such object."""
    return StripeError(404, f"No such {kind}: '{object_id}'", code="resource_missing", param="id")


async def answer_error(_: Request, error: Exception) -> JSONResponse:
    """The answer to a StripeError."""
    assert isinstance(error, StripeError)
    return JSONResponse(error.body, error.status)
