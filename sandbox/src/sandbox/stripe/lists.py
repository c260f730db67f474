"""Pages of objects, newest first, with Stripe's filters."""

from typing import Any

from sandbox.state import Document, State
from sandbox.stripe.errors import StripeError, missing
from sandbox.stripe.expansion import expanded
from sandbox.stripe.shapes import check

DEFAULT, MOST = 10, 100
_COMPARISONS = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}


def listing(state: State, objects: list[Document], url: str, raw: Document, params: type) -> Document:
    """The page that the query asks for; `params` is the SDK's class of this list's parameters."""
    query = check(raw, params)
    limit = query.pop("limit", DEFAULT)
    if not 1 <= limit <= MOST:
        raise StripeError(400, f"Invalid limit: must be between 1 and {MOST}.", param="limit")
    expand = [name.removeprefix("data.") for name in query.pop("expand", [])]
    after, before = query.pop("starting_after", None), query.pop("ending_before", None)
    if after and before:
        raise StripeError(400, "You can only specify one of starting_after and ending_before.", param="ending_before")
    found = [entry for entry in reversed(objects) if all(_fits(entry, *wanted) for wanted in query.items())]
    ids = [entry["id"] for entry in found]
    for name, cursor in (("starting_after", after), ("ending_before", before)):
        if cursor and cursor not in ids:
            raise missing("object", cursor, param=name)
    if before:
        earlier = found[: ids.index(before)]
        page, more = earlier[-limit:], len(earlier) > limit
    else:
        rest = found[ids.index(after) + 1 :] if after else found
        page, more = rest[:limit], len(rest) > limit
    return {"object": "list", "url": url, "has_more": more, "data": [expanded(state, entry, expand) for entry in page]}


def _fits(entry: Document, name: str, wanted: Any) -> bool:
    if name == "types":
        return entry["type"] in wanted
    if isinstance(wanted, dict):
        return all(_COMPARISONS[how](entry[name], bound) for how, bound in wanted.items() if how in _COMPARISONS)
    if name == "type" and wanted.endswith(".*"):
        return bool(entry["type"].startswith(wanted[:-1]))
    return bool(entry.get(name) == wanted)
