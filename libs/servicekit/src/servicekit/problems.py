"""Expected failures as RFC 9457 problem+json: what is wrong, what was not changed, what to do."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from events.reaction import RETRIED_SQLSTATES, is_transient

log = structlog.get_logger(__name__)

TYPE_BASE = "https://holdfast.dev/problems/"


class Problem(Exception):
    """Base of every expected failure. A subclass sets `status`, `code` and `title`; `detail` is a sentence."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "malformed"
    title: ClassVar[str] = "The request is malformed"

    def __init__(self, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra
        self.headers = dict(headers or {})

    def document(self) -> dict[str, Any]:
        """The body."""
        return {
            "type": TYPE_BASE + self.code,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        } | self.extra

    def response(self) -> JSONResponse:
        """The answer."""
        return JSONResponse(self.document(), self.status, headers=self.headers, media_type="application/problem+json")


class Malformed(Problem):
    """Not JSON, or not what the route reads at all."""


class Unauthenticated(Problem):
    """No credential, or one that is not valid."""

    status, code, title = 401, "unauthenticated", "Sign in first"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class Forbidden(Problem):
    """Known, but not allowed."""

    status, code, title = 403, "forbidden", "Not allowed"


class NotFound(Problem):
    """Not there, or not yours to see."""

    status, code, title = 404, "not-found", "Not found"


class PreconditionFailed(Problem):
    """`If-Match` names another version."""

    status, code, title = 412, "precondition-failed", "It changed meanwhile"


class ValidationFailed(Problem):
    """Well-formed, but a value is not acceptable. `errors` names the fields."""

    status, code, title = 422, "validation-failed", "A value is not acceptable"

    def __init__(self, errors: list[dict[str, str]]) -> None:
        named = "; ".join(f"{error['field']}: {error['message']}" for error in errors)
        super().__init__(f"{named}. Nothing was stored; correct these and send the request again.", errors=errors)

    @classmethod
    def of(cls, field: str, message: str) -> "ValidationFailed":
        """For one field."""
        return cls([{"field": field, "message": message}])

    @classmethod
    def found(cls, errors: Iterable[Mapping[str, Any]], outside: Collection[str] = ()) -> "ValidationFailed":
        """For what pydantic found (`ValidationError.errors()`). `outside`: parts of a place that are no field."""
        return cls(
            [
                {
                    "field": ".".join(str(part) for part in entry["loc"] if part not in outside) or "body",
                    "message": entry["msg"].removeprefix("Value error, "),
                }
                for entry in errors
            ]
        )


class RateLimited(Problem):
    """Too much in too short a time."""

    status, code, title = 429, "rate-limited", "Too many requests"

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class Unavailable(Problem):
    """A part that is needed is away."""

    status, code, title = 503, "unavailable", "Not available at the moment"

    def __init__(self, detail: str, retry_after: int = 1) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


_HTTP = {
    404: ("not-found", "Not found", "There is nothing at this address."),
    405: ("method-not-allowed", "Method not allowed", "This address does not know that method."),
    406: ("not-acceptable", "Not acceptable", "None of the representations asked for exists."),
    413: ("too-large", "Too large", "The body is larger than this route takes. Nothing was stored."),
    415: ("unsupported-media-type", "Unsupported media type", "Send JSON with Content-Type: application/json."),
}


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code, title, detail = _HTTP.get(error.status_code, ("malformed", "The request failed", str(error.detail)))
    document = {"type": TYPE_BASE + code, "title": title, "status": error.status_code, "detail": detail}
    return JSONResponse(document, error.status_code, headers=error.headers, media_type="application/problem+json")


async def _problem(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return error.response()


async def _validation(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(entry["type"] == "json_invalid" for entry in found):
        return Malformed("The body is not valid JSON. Nothing was stored.").response()
    return ValidationFailed.found(found, outside=("body", "query", "path")).response()


# What PostgreSQL cannot store as text: U+0000 in JSON and in arrays, half a surrogate pair.
_UNSTORABLE_SQLSTATES = {"22021", "22P05"}


async def _database(_: Request, error: Exception) -> JSONResponse:
    if isinstance(error, DBAPIError | psycopg.Error):
        sqlstate = getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None)
        unsendable = sqlstate is None and isinstance(error, DataError | psycopg.DataError)
        if unsendable or sqlstate in _UNSTORABLE_SQLSTATES:
            return ValidationFailed.of("body", "contains a character that cannot be stored, such as U+0000").response()
        if not (is_transient(error) if isinstance(error, DBAPIError) else sqlstate in RETRIED_SQLSTATES):
            raise error
    log.warning("the database did not answer", error=str(error))
    return Unavailable("The database did not answer. Nothing was changed; try again in a moment.").response()


async def _unexpected(_: Request, error: Exception) -> JSONResponse:
    log.error("a request failed", exc_info=error)
    document = {
        "type": TYPE_BASE + "internal",
        "title": "Something is wrong on our side",
        "status": 500,
        "detail": "The request could not be carried out and nothing was changed. It was logged with its trace id.",
    }
    return JSONResponse(document, 500, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Every failure of the app answers problem+json."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(DBAPIError, _database)
    app.add_exception_handler(psycopg.Error, _database)  # of the hot routes, which have no layer between
    app.add_exception_handler(PoolTimeout, _database)
    app.add_exception_handler(Exception, _unexpected)
