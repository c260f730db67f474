"""The clinic's audit: identity wrote down who read whom, booking who broke which rule."""

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode

from gateway.proxying import Call, Proxy
from gateway.upstream import Answer
from servicekit.problems import ValidationFailed

DEFAULT, MOST = 50, 200

Json = dict[str, Any]


async def show(proxy: Proxy, call: Call) -> Answer:
    """A page of both, newest first. Both services check who is asking, and answer what is older than an instant."""
    asked = parse_qs(call.query, keep_blank_values=True)
    limit = _limit(asked.get("limit", [str(DEFAULT)])[0])
    before = _instant(asked["cursor"][0]) if "cursor" in asked else None
    most = min(limit + 1, MOST)  # one more than a page says whether there is another
    query = urlencode({"limit": most} | ({"before": before} if before else {}))
    own = call.own_authorization
    answers = await asyncio.gather(
        proxy.upstreams.send("identity", "GET", call.path, query=query, headers=own),
        proxy.upstreams.send("booking", "GET", f"/internal/tenants/{call.tenant_id}/audit", query=query, headers=own),
    )
    for answer in answers:
        if answer.status != 200:
            return answer
    page, following = merged([answer.document()["data"] for answer in answers], limit, most)
    return answers[0].with_document({"data": page, "next_cursor": _cursor(following) if following else None})


def merged(lists: list[list[Json]], limit: int, most: int) -> tuple[list[Json], str | None]:
    """A page of `limit` lines at most, newest first, and the `at` to go on before; None at the end. Each list was
    asked for `most` lines: as many may mean that there are more.

    Lines of one instant stay together, since the next page begins before the last instant of this one: a group that
    may not be here as a whole waits for the next page, unless it is all there is on this one.
    """
    lines = sorted((line for found in lists for line in found), key=lambda line: _time(line["at"]), reverse=True)
    if len(lines) <= limit and all(len(found) < most for found in lists):
        return lines, None
    end = min(limit, len(lines))
    cut = lines[end]["at"] if end < len(lines) else lines[end - 1]["at"]
    whole = next((at for at in range(end, 0, -1) if _time(lines[at - 1]["at"]) != _time(cut)), 0)
    page = lines[: whole or end]
    return page, page[-1]["at"]


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST):
        raise ValidationFailed.of("limit", f"has to be a number from 1 to {MOST}")
    return int(text)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _cursor(at: str) -> str:
    return urlsafe_b64encode(at.encode()).decode()


def _instant(cursor: str) -> str:
    try:
        text = urlsafe_b64decode(cursor).decode()
        aware = datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        raise ValidationFailed.of("cursor", "is not one of ours")
    return text
