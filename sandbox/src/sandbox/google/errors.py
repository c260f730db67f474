"""Errors as Google's APIs answer them."""

from fastapi import Request
from fastapi.responses import JSONResponse


class GoogleError(Exception):
    """An error with its reason."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


async def answer_error(_: Request, error: Exception) -> JSONResponse:
    """The answer to a GoogleError."""
    assert isinstance(error, GoogleError)
    detail = {"domain": "global", "reason": error.reason, "message": error.message}
    body = {"error": {"code": error.status, "message": error.message, "errors": [detail]}}
    return JSONResponse(body, error.status)
