"""What locations, resources and offerings have in common: pages, ETags, validation, and finding them."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError

from availability import repository
from availability.domain import named
from availability.errors import not_found
from availability.repository import Kind, Row
from events import Transaction
from events.base import rfc3339
from servicekit.problems import PreconditionFailed, ValidationFailed

M = TypeVar("M", bound=BaseModel)
Sort = Literal["created_at", "-created_at", "updated_at", "-updated_at"]


async def get(tx: Transaction, kind: Kind, name: str, *, staff: bool = True, lock: bool = False) -> Row:
    """By id or slug. `NotFound` for what is not there, and for strangers also for what is not active."""
    wanted = named(name)
    row = await repository.find(tx, kind, wanted, lock=lock) if wanted else None
    if row is None or not (staff or row.get("active", True)):
        raise not_found(kind, name)
    return row


async def lock_to_delete(tx: Transaction, kind: Kind, name: str) -> Row | None:
    """The row under its lock; None when it was deleted before. `NotFound` when it never was."""
    wanted = named(name)
    row = await repository.find(tx, kind, wanted, lock=True, deleted=True) if wanted else None
    if row is None:
        raise not_found(kind, name)
    return row if row["deleted_at"] is None else None


async def page(
    tx: Transaction,
    kind: Kind,
    *,
    filters: Mapping[str, Any],
    limit: int,
    cursor: str | None,
    updated_since: datetime | None,
    sort: Sort,
) -> tuple[Sequence[Row], str | None]:
    """A page and the cursor of the next. Filters that are None are left out."""
    rows = await repository.page(
        tx,
        kind,
        filters={name: value for name, value in filters.items() if value is not None},
        updated_since=updated_since,
        sort=sort,
        after=_place(cursor) if cursor else None,
        limit=limit + 1,
    )
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    place = [rfc3339(last[sort.removeprefix("-")]), str(last["id"])]
    return rows[:limit], base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _place(cursor: str) -> tuple[datetime, UUID]:
    try:
        at, identity = json.loads(base64.urlsafe_b64decode(cursor))
        instant = datetime.fromisoformat(at)
        if instant.tzinfo is None:
            raise ValueError("without an offset")
        return instant, UUID(identity)
    except (binascii.Error, ValueError, TypeError, AttributeError) as error:
        raise ValidationFailed.of("cursor", "is not a next_cursor of this list") from error


def etag(row: Row) -> str:
    """The ETag of a row: its version."""
    return f'"{row["version"]}"'


def require_match(row: Row, if_match: str | None) -> None:
    """`PreconditionFailed` unless `If-Match` is absent, `*`, or names the row's version."""
    if if_match is None or if_match.strip() == "*":
        return
    if etag(row) not in (entry.strip() for entry in if_match.split(",")):
        raise PreconditionFailed(
            f"If-Match names {if_match[:80]}, but it is {etag(row)} now. Nothing was changed; read it again first."
        )


def validated(model: type[M], document: Mapping[str, Any]) -> M:
    """The model of a document; `ValidationFailed` names every field that is wrong."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise ValidationFailed.found(error.errors()) from error


def stored(model: type[BaseModel], row: Row) -> dict[str, Any]:
    """A row as the body that a merge patch applies to."""
    body = model.model_construct(**{name: row[name] for name in model.model_fields if name in row})
    document: dict[str, Any] = body.model_dump(mode="json", warnings=False)
    return {name: value for name, value in document.items() if value is not None}
