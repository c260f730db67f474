"""Rules of the catalogue: names, slugs, merge patches, requirements. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
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


def unmet(requirements: Sequence[Mapping[str, Any]], resources: Iterable[Mapping[Any, Any]]) -> list[str]:
    """Sentences on why the requirements (as documents) can never all be met by the active `resources`; none if they
    can. Optional ones are left out: a visit is offered without them."""
    found: list[str] = []
    able: list[list[UUID]] = []
    there = list(resources)
    for number, one in enumerate(requirements):
        if one["optional"]:
            continue
        kind, any_of = one["type"], one["any_of"]
        active = [row for row in there if row["type"] == kind and (any_of == "all" or str(row["id"]) in any_of)]
        # Only a practitioner has to have working hours; a room without any is always there.
        present = [row["id"] for row in active if kind != "practitioner" or row["schedule"] is not None]
        if not active:
            those = "" if any_of == "all" else " among those named"
            found.append(f"requirements.{number}: there is no active {kind}{those}, so no time is offered.")
        elif not present:
            found.append(f"requirements.{number}: no practitioner has working hours yet, so no time is offered.")
        able.append(present)
    if not found and not _all_served(able):
        found.append(
            "requirements: a resource serves one of them at a time, and there are too few, so no time is offered."
        )
    return found


def _all_served(able: Sequence[Sequence[UUID]]) -> bool:
    """Whether each entry can have a resource of its own: a matching by augmenting paths."""
    holder: dict[UUID, int] = {}

    def serve(number: int, tried: set[UUID]) -> bool:
        for identity in able[number]:
            if identity not in tried:
                tried.add(identity)
                if identity not in holder or serve(holder[identity], tried):
                    holder[identity] = number
                    return True
        return False

    return all(serve(number, set()) for number in range(len(able)))
