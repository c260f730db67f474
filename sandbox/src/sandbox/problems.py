"""Refusals of the sandbox's own routes, as problem+json."""

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse


class Refusal(Exception):
    """A request to `/_sandbox` that cannot be carried out."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


def _answer(status: int, code: str, detail: str, **more: Any) -> JSONResponse:
    body = {
        "type": f"https://holdfast.dev/problems/{code}",
        "title": code.replace("-", " "),
        "status": status,
        "detail": detail,
    }
    return JSONResponse(body | more, status, media_type="application/problem+json")


async def answer_refusal(_: Request, error: Exception) -> JSONResponse:
    """The answer to a Refusal."""
    assert isinstance(error, Refusal)
    return _answer(error.status, error.code, error.detail)


async def answer_invalid(_: Request, error: Exception) -> JSONResponse:
    """The answer to a body or parameter of the wrong shape: 400 for what is no JSON, 422 with the fields otherwise."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(entry["type"] == "json_invalid" for entry in found):
        return _answer(400, "malformed", "The body is not valid JSON.")
    errors = [
        {"field": ".".join(str(part) for part in entry["loc"][1:]) or str(entry["loc"][0]), "message": entry["msg"]}
        for entry in found
    ]
    detail = "; ".join(f"{entry['field']}: {entry['message']}" for entry in errors)
    return _answer(422, "validation-failed", detail, errors=errors)
