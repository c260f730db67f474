"""Errors as Google's APIs answer them."""

from fastapi import Request
from fastapi.responses import JSONResponse


class GoogleError(Exception):
    """An error with its reason."""

    def __init__(self, status: int, reason: str, message: str, *, domain: str = "global") -> None:
        super().__init__(message)
        self.status, self.reason, self.message, self.domain = status, reason, message, domain


def answer(error: GoogleError) -> JSONResponse:
    """Google's error object."""
    detail = {"domain": error.domain, "reason": error.reason, "message": error.message}
    body = {"error": {"code": error.status, "message": error.message, "errors": [detail]}}
    headers = {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/"'} if error.status == 401 else None
    return JSONResponse(body, error.status, headers=headers)


async def answer_error(_: Request, error: Exception) -> JSONResponse:
    """The answer to a GoogleError."""
    assert isinstance(error, GoogleError)
    return answer(error)
