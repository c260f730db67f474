"""Asking the parts how they are."""

from __future__ import annotations

import httpx


class Health:
    """Asks /health/live and /health/ready. Never by way of a proxy."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(trust_env=False, timeout=3)

    async def is_live(self, base_url: str) -> bool:
        """Whether the part says it works."""
        return await self._ask(base_url, "live")

    async def is_ready(self, base_url: str) -> bool:
        """Whether the part says it serves."""
        return await self._ask(base_url, "ready")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _ask(self, base_url: str, what: str) -> bool:
        try:
            answer = await self._client.get(f"{base_url}/health/{what}")
        except httpx.HTTPError:
            return False
        return answer.status_code == 200
