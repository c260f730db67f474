"""Clinics: opened, changed, closed."""

from typing import Any
from uuid import UUID

from pydantic import ValidationError

from events import Transaction, new_id
from events.contracts.identity import MemberChanged, TenantChanged, TenantSettings
from identity.checks import require_role, require_version, usable_email, usable_phone
from identity.domain import merge_patch, slug_fault
from identity.errors import IllegalTransition
from identity.repository import accounts, clinics, members
from identity.repository.clinics import Clinic
from identity.schemas import ClinicContent, ClinicPatch
from identity.tokens import AccessTokens
from servicekit.auth import MANAGERS, Principal
from servicekit.problems import NotFound, Unauthenticated, ValidationFailed

OWNERS = frozenset(("owner",))


async def open_clinic(
    tx: Transaction, asking: Principal, content: ClinicContent, *, allow_test: bool, tokens: AccessTokens
) -> tuple[Clinic, str]:
    """Opens the transaction's clinic with the caller as its owner; returns it with a fresh token that says so."""
    account = await accounts.by_id(tx, asking.require_user())
    if account is None:
        raise Unauthenticated("This account does not exist any more. Sign in with another one.")
    clinic = await clinics.insert(tx, tx.tenant_id, usable(content, allow_test=allow_test))
    member_id = new_id()
    await members.insert(tx, member_id, account.id, "owner")
    await tx.emit(
        tenant_changed(clinic),
        MemberChanged(tenant_id=clinic.id, version=1, member_id=member_id, user_id=account.id, role="owner"),
    )
    return clinic, tokens.issue(account, await accounts.memberships(tx, account.id), None)


async def read(tx: Transaction) -> Clinic:
    """The transaction's clinic; 404 when there is none or it was deleted."""
    clinic = await clinics.by_id(tx, tx.tenant_id)
    if clinic is None or not clinic.active:
        raise NotFound("There is no such clinic.")
    return clinic


async def find(tx: Transaction, name: str) -> Clinic:
    """The clinic by its slug, or by its id even when it was deleted; 404 when there is none."""
    try:
        clinic = await clinics.by_id(tx, UUID(name))
    except ValueError:
        clinic = None if slug_fault(name) else await clinics.by_slug(tx, name)
    if clinic is None:
        raise NotFound("There is no such clinic.")
    return clinic


async def change(
    tx: Transaction, asking: Principal, patch: ClinicPatch, if_match: str | None, *, allow_test: bool
) -> Clinic:
    """Applies the patch: managers."""
    clinic = await locked(tx)
    await require_role(tx, asking, MANAGERS)
    require_version(if_match, clinic.version)
    present = {name: getattr(clinic, name) for name in ClinicContent.model_fields}
    try:
        content = ClinicContent.model_validate(merge_patch(present, patch.model_dump(exclude_unset=True)))
    except ValidationError as error:
        raise ValidationFailed.found(error.errors()) from error
    return await store(tx, usable(content, allow_test=allow_test))


async def store(tx: Transaction, values: dict[str, Any]) -> Clinic:
    """Stores the content of the clinic, whose row the caller has locked, and tells of it."""
    clinic = await clinics.update(tx, tx.tenant_id, values)
    await tx.emit(tenant_changed(clinic))
    return clinic


async def close(tx: Transaction, asking: Principal, if_match: str | None) -> None:
    """Deletes the clinic: owners, and only when no appointment lies ahead. Again: as the first time."""
    clinic = await clinics.lock(tx, tx.tenant_id)
    if clinic is None:
        raise NotFound("There is no such clinic.")
    await require_role(tx, asking, OWNERS)
    if not clinic.active:
        return
    if ahead := await clinics.visits_ahead(tx):
        raise IllegalTransition(
            f"{ahead} appointments of this clinic lie ahead. Nothing was deleted; cancel them first.",
            appointments_ahead=ahead,
        )
    require_version(if_match, clinic.version)
    await tx.emit(tenant_changed(await clinics.close(tx, tx.tenant_id)))


async def locked(tx: Transaction) -> Clinic:
    """The transaction's clinic with its row locked; 404 when there is none or it was deleted."""
    clinic = await clinics.lock(tx, tx.tenant_id)
    if clinic is None or not clinic.active:
        raise NotFound("There is no such clinic.")
    return clinic


def usable(content: ClinicContent, *, allow_test: bool) -> dict[str, Any]:
    """The content as it is stored: addresses in their one form."""
    values = content.model_dump(mode="json")
    if content.email:
        values["email"] = usable_email(content.email, "email", allow_test=allow_test)
    if content.phone:
        values["phone"] = usable_phone(content.phone, "phone", content.settings.country)
    return values


def tenant_changed(clinic: Clinic) -> TenantChanged:
    """The clinic as other services are told it."""
    settings = TenantSettings.model_validate(clinic.settings)
    return TenantChanged(
        tenant_id=clinic.id,
        version=clinic.version,
        slug=clinic.slug,
        name=clinic.name,
        time_zone=clinic.time_zone,
        currency=clinic.currency,
        locales=clinic.locales,
        country=settings.country,
        settings=settings,
        active=clinic.active,
    )
