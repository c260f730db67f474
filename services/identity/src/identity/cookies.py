"""The refresh token in a cookie that scripts cannot read and other sites cannot send."""

from urllib.parse import urlsplit

from fastapi import Request, Response

from identity.repository.sessions import LIFE_DAYS
from servicekit.problems import Forbidden
from servicekit.settings import ServiceSettings

NAME = "holdfast_refresh"
PATH = "/v1/auth"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def put(response: Response, refresh_token: str) -> None:
    """Sets the cookie."""
    response.set_cookie(
        NAME,
        refresh_token,
        max_age=LIFE_DAYS * 24 * 3600,
        path=PATH,
        secure=True,
        httponly=True,
        samesite="strict",
    )


def remove(response: Response) -> None:
    """Ends the cookie."""
    response.delete_cookie(NAME, path=PATH, secure=True, httponly=True, samesite="strict")


def require_own_origin(request: Request, settings: ServiceSettings) -> None:
    """403 unless the browser says that one of our own pages is asking."""
    origin = request.headers.get("origin", "")
    if _comparable(origin, settings) != _comparable(settings.public_url, settings):
        raise Forbidden(
            "Sessions in a cookie are for our own pages: the Origin header does not match. Nothing changed."
        )


def _comparable(url: str, settings: ServiceSettings) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    # One's own machine has several names, and during development either is typed.
    if settings.environment == "development" and host in _LOOPBACK:
        host = "localhost"
    try:
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        port = None
    return parts.scheme, host, port
