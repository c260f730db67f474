"""Google's consent and its tokens (RFC 6749, PKCE by RFC 7636)."""

import base64
import binascii
import hashlib
import secrets
import time
from typing import Any
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from sandbox.google.errors import GoogleError
from sandbox.state import State

router = APIRouter()

TOKEN_SECONDS = 3599
CODE_SECONDS = 600


@router.get("/o/oauth2/v2/auth")
async def consent(request: Request) -> Response:
    """Consents by itself and goes back with a code."""
    query = request.query_params
    for name in ("client_id", "redirect_uri", "response_type", "scope"):
        if not query.get(name):
            raise GoogleError(400, "invalid_request", f"Missing required parameter: {name}")
    if query["response_type"] != "code":
        raise GoogleError(400, "unsupported_response_type", "Invalid response_type: only code is known here.")
    if not _is_address(query["redirect_uri"]):
        raise GoogleError(400, "invalid_request", "Invalid parameter value for redirect_uri: Not an address.")
    if query.get("code_challenge_method", "plain") not in ("plain", "S256"):
        raise GoogleError(400, "invalid_request", "Invalid code_challenge_method: S256 or plain.")
    code = f"4/{secrets.token_urlsafe(24)}"
    state: State = request.app.state.store
    state.put(
        "google_code",
        code,
        {
            "redirect_uri": query["redirect_uri"],
            "client_id": query["client_id"],
            "challenge": query.get("code_challenge"),
            "method": query.get("code_challenge_method", "plain"),
            "scope": query["scope"],
            "offline": query.get("access_type") == "offline",
            "expires": time.time() + CODE_SECONDS,
        },
    )
    back = {"code": code, "scope": query["scope"]} | ({"state": query["state"]} if "state" in query else {})
    joiner = "&" if "?" in query["redirect_uri"] else "?"
    return RedirectResponse(f"{query['redirect_uri']}{joiner}{urlencode(back)}", 302)


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and not parts.fragment


@router.post("/token")
async def token(request: Request) -> JSONResponse:
    """A code or a refresh token for an access token. A refresh token comes only for `access_type=offline`."""
    form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    state: State = request.app.state.store
    client_id = _client_of(request, form)
    if client_id is None:
        return _error(401, "invalid_client", "Could not determine client ID from request.")
    if form.get("grant_type") == "refresh_token":
        known = state.get("google_refresh", form.get("refresh_token", ""))
        if known is None or known["client_id"] != client_id:
            return _error(400, "invalid_grant", "Token has been expired or revoked.")
        return JSONResponse(_access(state, known["scope"]))
    if form.get("grant_type") != "authorization_code":
        return _error(400, "unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type')}")
    code = form.get("code", "")
    granted = state.get("google_code", code)
    if granted is None or granted["expires"] < time.time() or granted["client_id"] != client_id:
        return _error(400, "invalid_grant", "Bad Request")
    if granted["redirect_uri"] != form.get("redirect_uri"):
        return _error(400, "redirect_uri_mismatch", "Bad Request")
    if granted["challenge"] and not _proves(form.get("code_verifier", ""), granted):
        return _error(400, "invalid_grant", "Invalid code verifier.")
    state.delete("google_code", code)
    answer = _access(state, granted["scope"])
    if granted["offline"]:
        answer["refresh_token"] = f"1//{secrets.token_urlsafe(24)}"
        known = {"scope": granted["scope"], "client_id": client_id}
        state.put("google_refresh", answer["refresh_token"], known)
    return JSONResponse(answer)


def _client_of(request: Request, form: dict[str, str]) -> str | None:
    """The client's id, from the form or from Basic authorization."""
    kind, _, encoded = request.headers.get("authorization", "").partition(" ")
    if kind != "Basic":
        return form.get("client_id") or None
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[0] or None
    except (binascii.Error, ValueError):
        return None


def _proves(verifier: str, granted: dict[str, Any]) -> bool:
    if granted["method"] == "plain":
        return bool(verifier == granted["challenge"])
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return bool(digest == granted["challenge"])


def _access(state: State, scope: str) -> dict[str, Any]:
    access = f"ya29.{secrets.token_urlsafe(32)}"
    state.put("google_token", access, {"expires": time.time() + TOKEN_SECONDS})
    return {"access_token": access, "expires_in": TOKEN_SECONDS, "scope": scope, "token_type": "Bearer"}


def _error(status: int, code: str, description: str) -> JSONResponse:
    return JSONResponse({"error": code, "error_description": description}, status)
