"""Rules of the catalogue: names, slugs, merge patches. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
RESERVED_SLUGS = frozenset(
    ("any", "v1", "me", "ops", "health", "docs", "assets", "embed", "login", "desk", "_sandbox")
)  # api.md
SLUG_LENGTH = 63

# What NFKD leaves whole.
_LETTERS = str.maketrans({"ł": "l", "Ł": "l", "ß": "ss", "ø": "o", "Ø": "o", "æ": "ae", "Æ": "ae", "đ": "d", "Đ": "d"})


def named(text: str) -> UUID | str | None:
    """What a path or query means: an id, a slug, or None when it can be neither."""
    try:
        return UUID(text)
    except ValueError:
        return text if SLUG.fullmatch(text) and len(text) <= SLUG_LENGTH else None


def slug_for(name: str, kind: str, taken: Iterable[str]) -> str:
    """A free slug made of a name: "Łukasz Żak" → `lukasz-zak`, then `lukasz-zak-2`, …; `kind` when nothing is left."""
    plain = unicodedata.normalize("NFKD", name.translate(_LETTERS)).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]+", "-", plain)[: SLUG_LENGTH - 7].strip("-")
    if len(base) < 2 or isinstance(named(base), UUID):
        base = f"{kind}-{base}".strip("-")
    used = RESERVED_SLUGS | set(taken)
    number = 1
    while (slug := base if number == 1 else f"{base}-{number}") in used:
        number += 1
    return slug


def merge_patch(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7396: members of `patch` replace those of `target`, objects recursively; null takes one out."""
    result = dict(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            before = result.get(key)
            result[key] = merge_patch(before if isinstance(before, Mapping) else {}, value)
        else:
            result[key] = value
    return result
