"""`Idempotency-Key`: a request that is sent again is answered again, not carried out again.

The answer is stored in the transaction of its effect, encrypted under a key derived from the client's own key.
"""

import hashlib
import json
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import Request, Response
from fastapi.routing import APIRoute
from sqlalchemy import text

from events import Transaction
from servicekit.problems import Problem, ValidationFailed

HEADER = "idempotency-key"
REQUEST_HASH_HEADER = "x-request-hash"  # of the body as the client sent it, where the gateway changed it
KEPT_HOURS = 24
IN_FLIGHT_SECONDS = 60


class InFlight(Problem):
    """The first request with this key has not ended."""

    status, code, title = 409, "idempotency-in-flight", "The first request is still running"


class Mismatch(Problem):
    """The key was used for another body."""

    status, code, title = 422, "idempotency-mismatch", "The key was used for another request"


@dataclass(frozen=True, slots=True)
class _Scope:
    digest: bytes
    secret: bytes
    request_hash: bytes


# Rows: claimed (no status) → answered. A claim older than a minute is one whose process died before its effect was
# committed, and may be taken over; an answer older than a day is forgotten.
_CLAIM = text(f"""
INSERT INTO idempotency AS i (scope, request_hash) VALUES (:scope, :hash)
ON CONFLICT (scope) DO UPDATE SET request_hash = :hash, status = NULL, answer = NULL, created_at = now()
  WHERE i.created_at < now() - CASE WHEN i.status IS NULL THEN interval '{IN_FLIGHT_SECONDS} s'
                                    ELSE interval '{KEPT_HOURS} h' END
RETURNING 1
""")
_FOUND = text("SELECT request_hash, status, answer FROM idempotency WHERE scope = :scope")
_ANSWER = text("UPDATE idempotency SET status = :status, answer = :answer WHERE scope = :scope")
_FORGET = text("DELETE FROM idempotency WHERE scope = :scope AND status IS NULL")
_PURGE = text(f"DELETE FROM idempotency WHERE created_at < now() - interval '{KEPT_HOURS} h'")


class IdempotentRoute(APIRoute):
    """The route class of every router with POSTs. Routes open their transaction by `servicekit.edge`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wraps the handler."""
        handle = super().get_route_handler()

        async def handle_once(request: Request) -> Response:
            key = request.headers.get(HEADER)
            if key is None or request.method != "POST":
                return await handle(request)
            scope = await _scope(request, key)
            request.state.idempotency_scope = scope
            if (stored := await _claim(request, scope)) is not None:
                return stored
            try:
                response = await handle(request)
            except Problem as problem:
                if problem.status >= 500 or problem.status == 429 or problem.code in ("slot-taken", InFlight.code):
                    await _forget(request, scope)
                else:
                    await _store(None, request, scope, problem.response())
                raise
            except BaseException:
                await _forget(request, scope)
                raise
            if response.status_code >= 500:
                await _forget(request, scope)
            else:
                await _store(getattr(request.state, "transaction", None), request, scope, response)
            return response

        return handle_once


async def _scope(request: Request, key: str) -> _Scope:
    if not 16 <= len(key) <= 255:
        raise ValidationFailed.of("Idempotency-Key", "has to have 16 to 255 characters")
    credential = request.headers.get("authorization", "")
    if not credential:
        try:
            UUID(key)
        except ValueError as error:
            raise ValidationFailed.of("Idempotency-Key", "has to be a UUID where no credential is sent") from error
    text_scope = "\x00".join((request.method, request.url.path, credential, key))
    try:
        given_hash = bytes.fromhex(request.headers.get(REQUEST_HASH_HEADER, ""))
    except ValueError as error:
        raise ValidationFailed.of(REQUEST_HASH_HEADER, "has to be a hash in hexadecimal") from error
    return _Scope(
        digest=hashlib.sha256(text_scope.encode()).digest(),
        secret=hashlib.sha256(b"answer\x00" + key.encode() + credential.encode()).digest(),
        request_hash=given_hash or hashlib.sha256(await request.body()).digest(),
    )


async def _claim(request: Request, scope: _Scope) -> Response | None:
    """None: ours to carry out. Otherwise the stored answer; `Mismatch` or `InFlight` when there is none to give."""
    async with request.app.state.service.database.transaction() as tx:
        parameters = {"scope": scope.digest, "hash": scope.request_hash}
        if (await tx.connection.execute(_CLAIM, parameters)).scalar_one_or_none():
            return None
        found = (await tx.connection.execute(_FOUND, {"scope": scope.digest})).one_or_none()
    if found is None or (found.status is None and found.request_hash == scope.request_hash):
        raise InFlight("A request with this Idempotency-Key is still running. Wait for its answer, then ask again.")
    if found.request_hash != scope.request_hash:
        raise Mismatch("This Idempotency-Key was used with another body. Nothing was done; use a fresh key.")
    nonce, sealed = found.answer[:12], found.answer[12:]
    stored = json.loads(AESGCM(scope.secret).decrypt(nonce, sealed, scope.digest))
    headers = stored["headers"] | {"Idempotent-Replayed": "true"}
    return Response(stored["body"], found.status, headers=headers)


async def _store(tx: Transaction | None, request: Request, scope: _Scope, response: Response) -> None:
    document = {
        "body": bytes(response.body).decode(),
        "headers": {
            name: value
            for name, value in response.headers.items()
            if name in ("content-type", "location", "etag", "cache-control")
        },
    }
    nonce = os.urandom(12)
    answer = nonce + AESGCM(scope.secret).encrypt(nonce, json.dumps(document).encode(), scope.digest)
    parameters = {"scope": scope.digest, "status": response.status_code, "answer": answer}
    if tx is not None:
        await tx.connection.execute(_ANSWER, parameters)
        return
    async with request.app.state.service.database.transaction() as own:
        await own.connection.execute(_ANSWER, parameters)


async def _forget(request: Request, scope: _Scope) -> None:
    async with request.app.state.service.database.transaction() as tx:
        await tx.connection.execute(_FORGET, {"scope": scope.digest})


async def forget_unanswered(request: Request) -> None:
    """The request's transaction could not be committed, so its answer is not stored: it may be sent again at once."""
    scope = getattr(request.state, "idempotency_scope", None)
    if scope is not None:
        await _forget(request, scope)


async def purge(tx: Transaction) -> None:
    """Forgets answers older than a day."""
    await tx.connection.execute(_PURGE)
