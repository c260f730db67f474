"""One live socket: what everybody on a booking page sees."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from .outcome import CheckFailed

Frame = dict[str, Any]


class Live:
    """An open socket of a clinic's channel."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, base_url: str, clinic: str, **query: str) -> Live:
        """Connects and waits for `hello`; `CheckFailed` when either does not come."""
        parts = urlsplit(base_url)
        scheme = "wss" if parts.scheme == "https" else "ws"
        path = f"{parts.path.rstrip('/')}/v1/clinics/{clinic}/live"
        url = urlunsplit((scheme, parts.netloc, path, urlencode(query), ""))
        try:
            live = cls(await connect(url, proxy=None, open_timeout=10))
        except (WebSocketException, OSError, TimeoutError) as error:
            raise CheckFailed(f"{url} could not be opened ({error}).") from error
        await live.until(lambda frame: frame["type"] == "hello", "hello", within=10)
        return live

    async def until(self, fits: Callable[[Frame], bool], what: str, *, within: float = 10) -> tuple[Frame, float]:
        """The first frame that fits, and when it came (`time.perf_counter()`)."""
        try:
            async with asyncio.timeout(within):
                while True:
                    frame = json.loads(await self._connection.recv())
                    if fits(frame):
                        return frame, time.perf_counter()
        except TimeoutError:
            raise CheckFailed(f"No frame {what} came within {within:.0f} s.") from None
        except (WebSocketException, ValueError) as error:
            raise CheckFailed(f"The live socket ended before {what} came ({error}).") from error

    async def close(self) -> None:
        """Hang up."""
        await self._connection.close()
