"""Connections that can be cut: what "the answer was lost" looks like to a client."""

import asyncio

from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

_TRANSPORTS: dict[tuple[str, int], asyncio.Transport] = {}


class CuttableProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, remembering each connection by its client's address."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        _TRANSPORTS[transport.get_extra_info("peername")[:2]] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        _TRANSPORTS.pop(self.transport.get_extra_info("peername")[:2], None)
        super().connection_lost(exc)


def cut(scope: Scope) -> None:
    """Ends the connection of a request at once, without another byte."""
    transport = _TRANSPORTS.get(tuple(scope["client"]))
    if transport is not None:
        transport.abort()
