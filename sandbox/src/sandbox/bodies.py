"""Request bodies from anybody: JSON that is an object, can be stored, and can be answered again."""

import json
from typing import Any

from fastapi import Request

DEEPEST = 64


def _no_such_number(text: str) -> float:
    raise ValueError(f"{text} is not JSON.")


def object_of(text: bytes) -> dict[str, Any]:
    """The object that the text is. ValueError when it is anything else: no JSON, a list, NaN, half a surrogate pair,
    or nested deeper than any provider takes."""
    try:
        found = json.loads(text, parse_constant=_no_such_number)
        if not isinstance(found, dict):
            raise ValueError("The body has to be an object.")
        if _deeper_than(found, DEEPEST):
            raise ValueError(f"The body is nested deeper than {DEEPEST} levels.")
        json.dumps(found, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("The body is nested too deeply.") from error
    return found


def _deeper_than(value: Any, most: int) -> bool:
    level: list[Any] = [value]
    for _ in range(most):
        level = [
            entry
            for holder in level
            if isinstance(holder, dict | list)
            for entry in (holder.values() if isinstance(holder, dict) else holder)
        ]
        if not level:
            return False
    return True


async def json_object(request: Request) -> dict[str, Any]:
    """The request's body. ValueError when it is not an object, see `object_of`."""
    return object_of(await request.body())


def whole_number(text: str) -> int | None:
    """The number that the text is in ASCII digits, 18 at most, with a sign perhaps; None when it is anything else."""
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdecimal() and len(digits) <= 18 else None
