"""Refusals of the sandbox's own routes, as problem+json."""

from fastapi import Request
from fastapi.responses import JSONResponse


class Refusal(Exception):
    """A request to `/_sandbox` that cannot be carried out."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


async def answer_refusal(_: Request, error: Exception) -> JSONResponse:
    """The answer to a Refusal."""
    assert isinstance(error, Refusal)
    body = {
        "type": f"https://holdfast.dev/problems/{error.code}",
        "title": error.code.replace("-", " "),
        "status": error.status,
        "detail": error.detail,
    }
    return JSONResponse(body, error.status, media_type="application/problem+json")
