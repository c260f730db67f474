"""Runs the script and reports each check as it ends."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..api import Api
from ..errors import HoldfastError
from ..shop import Sandbox
from .checks import SCRIPT, Deployment
from .outcome import Outcome, Skipped


async def verify(
    url: str, *, webhook_secret: str | None, sandbox: str | None, tell: Callable[[Outcome], None]
) -> list[Outcome]:
    """Every check; one that fails does not keep those from being made that do not need it."""
    outcomes: list[Outcome] = []
    async with Api(url) as api:
        it = Deployment(api, webhook_secret=webhook_secret)
        if sandbox:
            it.opened.append(behind := Api(sandbox))
            it.sandbox = Sandbox(behind)
        try:
            for name, check in SCRIPT.items():
                begun = time.perf_counter()
                try:
                    state, detail = "ok", await check(it)
                except Skipped as skipped:
                    state, detail = "skipped", str(skipped)
                except HoldfastError as error:
                    state, detail = "failed", str(error)
                outcome = Outcome(name, state, detail, round((time.perf_counter() - begun) * 1000, 1))  # type: ignore[arg-type]
                outcomes.append(outcome)
                tell(outcome)
        finally:
            for opened in it.opened:
                await opened.__aexit__()
    return outcomes
