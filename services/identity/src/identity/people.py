"""The `customer` of a request becomes a person of the clinic, known by the keyed hash of their address."""

import time
from typing import Any
from uuid import UUID

from events import Transaction, new_id
from identity import clinics
from identity.addresses import folded
from identity.checks import usable_email, usable_phone
from identity.customer_schemas import CustomerContent
from identity.domain import language_of
from identity.internal_schemas import Customer, CustomerAnswer, CustomerRequest, Recipient
from identity.repository import accounts, customers, members, people
from identity.repository.accounts import Account
from identity.repository.people import Person
from identity.sealing import PeopleKeys, open_document, seal_document
from identity.searching import terms_asked, terms_of
from identity.settings import IdentitySettings
from servicekit.auth import ANONYMOUS, DESK, Principal
from servicekit.capabilities import CustomerToken
from servicekit.people import Contact
from servicekit.problems import NotFound, ValidationFailed
from servicekit.service import Service

TOKEN_SECONDS = 600
# Who may book for somebody that has no e-mail address.
BOOKS_FOR_OTHERS = DESK | {"practitioner"}


async def identify(service: Service, tx: Transaction, request: CustomerRequest) -> CustomerAnswer:
    """Finds or makes the person, stores the contact data of this request, and signs who it is."""
    asking = await _asking(service, request.user_token)
    clinic = await clinics.read(tx)
    country = clinic.settings.get("country")
    customer = _normalised(
        request.customer,
        country,
        allow_test=service.get(IdentitySettings).allow_test_domains,
        phone_is_enough=asking.is_staff(clinic.id, BOOKS_FOR_OTHERS),
    )
    keys = service.get(PeopleKeys)
    locale = language_of(customer.locale, clinic.locales[0])
    person = await _person(tx, keys, customer, locale)
    account = await _linked_account(tx, asking, customer)
    if account is not None and account.email_verified and person.user_id != account.id:
        await people.link(tx, person.id, account.id)
    contact_id = new_id()
    document = {"name": customer.name, "email": customer.email, "phone": customer.phone}
    sealed = seal_document(keys.unwrap(person.id, person.wrapped_key), document, contact_id)
    await people.add_contact(tx, contact_id, person.id, sealed, locale, customer.time_zone)
    await people.add_tokens(tx, person.id, tokens_of(tx, keys, document))
    token = CustomerToken(
        expires=int(time.time()) + TOKEN_SECONDS,
        tenant_id=clinic.id,
        person_id=person.id,
        contact_id=contact_id,
        locale=locale,
        user_id=account.id if account else None,
        verified=bool(account and account.email_verified),
    )
    return CustomerAnswer(
        customer_token=service.signer("customers").sign(token), person_id=person.id, contact_id=contact_id
    )


async def contact(tx: Transaction, keys: PeopleKeys, contact_id: UUID) -> Contact:
    """The contact data that came with one appointment; 404 when the clinic has none with this id."""
    found = await people.contact(tx, contact_id)
    if found is None:
        raise NotFound("There is no such contact in this clinic.")
    document = open_document(keys.unwrap(found.person_id, found.wrapped_key), found.sealed, found.id)
    return Contact(
        contact_id=found.id,
        person_id=found.person_id,
        locale=found.locale,
        time_zone=found.time_zone,
        **document,
    )


async def alerts(tx: Transaction) -> Recipient:
    """Whom the clinic's alerts go to: its own address, else its owner of longest standing."""
    clinic = await clinics.read(tx)
    if clinic.email:
        return Recipient(email=clinic.email, name=clinic.name, locale=clinic.locales[0])
    owner = await members.first_owner(tx)
    account = await accounts.by_id(tx, owner.user_id) if owner and owner.user_id else None
    if account is None:
        raise NotFound("This clinic has neither an e-mail address nor an owner.")
    return Recipient(email=account.email, name=account.name, locale=account.locale or clinic.locales[0])


async def _asking(service: Service, user_token: str | None) -> Principal:
    """Whoever's access token came with the request; a guest's manage token says nothing here."""
    if not user_token or user_token.count(".") != 2:
        return ANONYMOUS
    return await service.tokens.principal(user_token)


def _normalised(customer: Customer, country: str | None, *, allow_test: bool, phone_is_enough: bool) -> Customer:
    if not customer.email and not (phone_is_enough and customer.phone):
        raise ValidationFailed.of("customer.email", "is required")
    changes: dict[str, str] = {}
    if customer.email:
        changes["email"] = usable_email(customer.email, "customer.email", allow_test=allow_test)
    if customer.phone:
        changes["phone"] = usable_phone(customer.phone, "customer.phone", country)
    return customer.model_copy(update=changes)


def tokens_of(tx: Transaction, keys: PeopleKeys, document: dict[str, Any]) -> list[bytes]:
    """What the person of these contact data is found by in the transaction's clinic."""
    terms = terms_of(document["name"], document["email"], document["phone"])
    return [keys.tokens(tx.tenant_id, term)[0] for term in terms]


async def search(tx: Transaction, keys: PeopleKeys, query: str, limit: int) -> list[UUID]:
    """Whom all words of the query fit, newest first: beginnings of names, an address, the end of a number."""
    return await customers.search(tx, asked_tokens(tx, keys, query), limit)


def asked_tokens(tx: Transaction, keys: PeopleKeys, query: str) -> list[list[bytes]]:
    """For each word of a query, what it may be stored as; no words when it has none that could be found."""
    return [keys.tokens(tx.tenant_id, term) for term in sorted(terms_asked(query))]


async def _person(tx: Transaction, keys: PeopleKeys, customer: Customer, locale: str) -> Person:
    if customer.email:
        hashes = keys.address_hashes(tx.tenant_id, "email", folded(customer.email))
    else:
        hashes = keys.address_hashes(tx.tenant_id, "phone", customer.phone or "")
    person = await people.find(tx, hashes)
    if person is None:
        person_id = new_id()
        key, wrapped = keys.new_key(person_id)
        content = CustomerContent(name=customer.name, email=customer.email, phone=customer.phone, locale=locale)
        profile = seal_document(key, content.profile(), person_id)
        person = await people.create(tx, person_id, hashes[0], wrapped, profile) or await people.find(tx, hashes)
    assert person is not None  # made here, or by the transaction that was faster
    return person


async def _linked_account(tx: Transaction, asking: Principal, customer: Customer) -> Account | None:
    """The signed-in user's account when the address is theirs: who books for somebody else stays out of it."""
    if asking.user_id is None or not customer.email:
        return None
    account = await accounts.by_id(tx, asking.user_id)
    return account if account and folded(account.email) == folded(customer.email) else None
