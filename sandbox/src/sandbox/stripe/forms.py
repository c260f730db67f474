"""Stripe's form encoding: `line_items[0][price_data][currency]=pln`."""

import re
from typing import Any
from urllib.parse import parse_qsl

_PART = re.compile(r"\[([^\[\]]*)\]")


def parse(text: str) -> dict[str, Any]:
    """Nested dictionaries; lists are dictionaries with numbers as keys."""
    result: dict[str, Any] = {}
    for index, (name, value) in enumerate(parse_qsl(text, keep_blank_values=True)):
        head, _, rest = name.partition("[")
        path = [head, *_PART.findall("[" + rest)] if rest else [head]
        place = result
        for part in path[:-1]:
            place = place.setdefault(part, {})
        place[path[-1] or str(index)] = value
    return result
