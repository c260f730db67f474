"""Stripe's form encoding: `line_items[0][price_data][currency]=pln`."""

import re
from typing import Any
from urllib.parse import parse_qsl

from sandbox.stripe.errors import StripeError

_NAME = re.compile(r"[^\[\]]+(\[[^\[\]]*\])*")
_PART = re.compile(r"\[([^\[\]]*)\]")
MOST_FIELDS, DEEPEST = 5000, 16


def parse(text: str) -> dict[str, Any]:
    """Nested dictionaries; lists are dictionaries with numbers as keys. StripeError for names that do not nest."""
    result: dict[str, Any] = {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise StripeError(400, f"Too many parameters: {MOST_FIELDS} at most.") from error
    for index, (name, value) in enumerate(pairs):
        if not _NAME.fullmatch(name):
            raise StripeError(400, f"Invalid parameter name: {name[:100]}", param=name[:100])
        head, _, rest = name.partition("[")
        path = [head, *_PART.findall(f"[{rest}")] if rest else [head]
        if len(path) > DEEPEST:
            raise StripeError(400, f"{head} is nested too deeply.", param=head)
        place = result
        for part in path[:-1]:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise StripeError(400, f"Invalid object: {head} is given as a value and as an object.", param=head)
        last = path[-1] or str(index)
        if isinstance(place.get(last), dict):
            raise StripeError(400, f"Invalid string: {head} is given as a value and as an object.", param=head)
        place[last] = value
    return result
