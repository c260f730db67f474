"""The clinic's customers: its people as staff find, see and correct them. Whoever does so is written down."""

import base64
import json
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from events import Transaction
from events.base import rfc3339
from identity import clinics
from identity.checks import require_staff, require_version, usable_email, usable_phone
from identity.customer_schemas import CustomerContent, CustomerPatch, CustomerView
from identity.domain import merge_patch
from identity.people import asked_tokens, tokens_of
from identity.repository import audit, customers, people
from identity.repository.customers import SealedCustomer
from identity.sealing import PeopleKeys, open_document, seal_document
from servicekit.auth import DESK, STAFF, Principal
from servicekit.problems import NotFound, ValidationFailed

WRITERS = DESK | {"practitioner"}


async def listed(
    tx: Transaction,
    keys: PeopleKeys,
    asking: Principal,
    *,
    query: str | None,
    external_ref: str | None,
    updated_since: datetime | None,
    sort: str,
    cursor: str | None,
    limit: int,
) -> tuple[list[CustomerView], str | None]:
    """A page of customers and the cursor of the next one: everybody who works in the clinic."""
    role = await require_staff(tx, asking, STAFF)
    words = asked_tokens(tx, keys, query) if query and query.strip() else None
    found: list[SealedCustomer] = []
    if words != []:  # a query without a word that anybody could be found by finds nobody
        found = await customers.page(
            tx,
            words=words,
            external_ref=external_ref,
            updated_since=updated_since,
            sort=sort,
            after=_place(cursor) if cursor else None,
            limit=limit + 1,
        )
    shown = [view(keys, customer) for customer in found[:limit]]
    action = "customers.listed" if words is None else "customers.searched"
    await audit.write(tx, asking.require_user(), role, action, detail=f"{len(shown)} shown")
    last = found[limit - 1] if len(found) > limit else None
    return shown, _cursor(last, sort) if last else None


async def read(tx: Transaction, asking: Principal, person_id: UUID) -> SealedCustomer:
    """One customer: everybody who works in the clinic."""
    role = await require_staff(tx, asking, STAFF)
    customer = _found(await customers.find(tx, person_id))
    await audit.write(tx, asking.require_user(), role, "customer.read", person_id)
    return customer


async def change(
    tx: Transaction,
    keys: PeopleKeys,
    asking: Principal,
    person_id: UUID,
    patch: CustomerPatch,
    if_match: str | None,
    *,
    allow_test: bool,
) -> SealedCustomer:
    """Corrects what staff see of a customer. The contacts that came with appointments stay as they were, and the
    person stays known by the address they first came with."""
    role = await require_staff(tx, asking, WRITERS)
    customer = _found(await customers.lock(tx, person_id))
    require_version(if_match, customer.version)
    clinic = await clinics.read(tx)
    key = keys.unwrap(customer.id, customer.wrapped_key)
    present = open_document(key, customer.profile, customer.id) | {"external_ref": customer.external_ref}
    content = _content(present, patch, clinic.settings.get("country"), allow_test=allow_test)
    profile = content.profile()
    stored = await customers.store(tx, person_id, seal_document(key, profile, person_id), content.external_ref)
    await people.add_tokens(tx, person_id, tokens_of(tx, keys, profile))
    changed = sorted(name for name in CustomerContent.model_fields if getattr(content, name) != present[name])
    await audit.write(tx, asking.require_user(), role, "customer.changed", person_id, ", ".join(changed) or None)
    return stored


async def complete(tx: Transaction, keys: PeopleKeys, person_id: UUID) -> None:
    """Gives a person of before there were profiles theirs: what came with their newest appointment."""
    contacts = await customers.contacts_of(tx, person_id)
    key = keys.unwrap(person_id, contacts[0].wrapped_key)
    documents = [open_document(key, contact.sealed, contact.id) for contact in contacts]
    content = CustomerContent(**documents[0], locale=contacts[0].locale)
    await customers.complete(tx, person_id, seal_document(key, content.profile(), person_id))
    tokens = {token for document in documents for token in tokens_of(tx, keys, document)}
    await people.add_tokens(tx, person_id, sorted(tokens))


def view(keys: PeopleKeys, customer: SealedCustomer) -> CustomerView:
    """The customer as staff see them."""
    profile = open_document(keys.unwrap(customer.id, customer.wrapped_key), customer.profile, customer.id)
    return CustomerView(
        id=customer.id,
        external_ref=customer.external_ref,
        created_at=customer.created_at,
        updated_at=customer.updated_at,
        **profile,
    )


def _content(
    present: dict[str, Any], patch: CustomerPatch, country: str | None, *, allow_test: bool
) -> CustomerContent:
    try:
        content = CustomerContent.model_validate(merge_patch(present, patch.model_dump(exclude_unset=True)))
    except ValidationError as error:
        raise ValidationFailed.found(error.errors()) from error
    if content.email is None and content.phone is None:
        raise ValidationFailed.of("email", "may be empty only where there is a phone number")
    usable: dict[str, str] = {}
    if content.email:
        usable["email"] = usable_email(content.email, "email", allow_test=allow_test)
    if content.phone:
        usable["phone"] = usable_phone(content.phone, "phone", country)
    return content.model_copy(update=usable)


def _found(customer: SealedCustomer | None) -> SealedCustomer:
    if customer is None:
        raise NotFound("There is no such customer in this clinic.")
    return customer


def _cursor(last: SealedCustomer, sort: str) -> str:
    at = last.created_at if sort.endswith("created_at") else last.updated_at
    return base64.urlsafe_b64encode(json.dumps([rfc3339(at), str(last.id)]).encode()).decode()


def _place(cursor: str) -> tuple[datetime, UUID]:
    try:
        at, person_id = json.loads(base64.urlsafe_b64decode(cursor))
        return datetime.fromisoformat(at), UUID(person_id)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValidationFailed.of("cursor", "is not one of ours") from error
