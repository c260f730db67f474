"""Demo data and tests say what is to be; done twice, it is the same."""

from uuid import UUID

from events import Transaction, new_id
from identity import clinics, sessions
from identity.addresses import folded
from identity.checks import usable_email
from identity.errors import MemberExists
from identity.internal_schemas import SeedMember, SeedTenant, SeedUser
from identity.passwords import Passwords
from identity.repository import accounts, members
from identity.repository import clinics as clinic_rows
from identity.repository.accounts import Account
from identity.repository.clinics import Clinic
from identity.repository.members import Member
from identity.schemas import ClinicContent
from identity.settings import IdentitySettings
from identity.staff import member_changed
from servicekit.problems import NotFound, ValidationFailed
from servicekit.service import Service


async def put_user(service: Service, user_id: UUID, body: SeedUser) -> Account:
    """Makes or changes the account with this id; `EmailTaken` when another one has the address."""
    settings, passwords = service.get(IdentitySettings), service.get(Passwords)
    email = usable_email(body.email, "email", allow_test=settings.allow_test_domains)
    async with service.database.transaction() as tx:
        present = await accounts.by_id(tx, user_id)
    known = present is not None and await passwords.fits(body.password, present.password_hash)
    if present and known and (present.email, present.name, present.operator) == (email, body.name, body.operator):
        return present
    values = {
        "id": user_id,
        "email": email,
        "folded": folded(email),
        "verified": settings.addresses_count_as_verified,
        "password_hash": present.password_hash if present and known else await passwords.hash(body.password),
        "name": body.name,
        "phone": None,
        "time_zone": None,
        "locale": None,
        "operator": body.operator,
    }
    async with service.database.transaction() as tx:
        if present is not None:
            return await accounts.reseed(tx, user_id, values)
        return await sessions.open_account(service, tx, values)


async def put_tenant(tx: Transaction, body: SeedTenant, *, allow_test: bool) -> Clinic:
    """Makes, changes or opens again the transaction's clinic and sees that the owner owns it."""
    if await accounts.by_id(tx, body.owner_id) is None:
        raise ValidationFailed.of("owner_id", "is no account")
    clinic = await clinic_rows.lock(tx, tx.tenant_id)
    given = body.content()
    if clinic is None:
        values = clinics.usable(ClinicContent.model_validate(given), allow_test=allow_test)
        clinic = await clinic_rows.insert(tx, tx.tenant_id, values)
        await tx.emit(clinics.tenant_changed(clinic))
    else:
        present = {name: getattr(clinic, name) for name in ClinicContent.model_fields}
        values = clinics.usable(ClinicContent.model_validate(present | given), allow_test=allow_test)
        if not clinic.active or values != clinics.usable(ClinicContent.model_validate(present), allow_test=allow_test):
            clinic = await clinics.store(tx, values)
    if await members.of_user(tx, body.owner_id) is None:
        member_id = new_id()
        await members.insert(tx, member_id, body.owner_id, "owner")
        await _tell(tx, member_id)
    return clinic


async def put_member(tx: Transaction, member_id: UUID, body: SeedMember) -> Member:
    """Makes the membership or gives it the role; `MemberExists` when the account is a member by another id."""
    await clinics.locked(tx)
    if await accounts.by_id(tx, body.user_id) is None:
        raise ValidationFailed.of("user_id", "is no account")
    member = await members.find(tx, member_id)
    if member is None:
        await members.insert(tx, member_id, body.user_id, body.role)
        return await _tell(tx, member_id)
    if member.user_id != body.user_id:
        raise MemberExists
    if member.role == body.role:
        return member
    await members.set_role(tx, member_id, body.role)
    return await _tell(tx, member_id)


async def _tell(tx: Transaction, member_id: UUID) -> Member:
    member = await members.find(tx, member_id)
    if member is None:
        raise NotFound("There is no such member.")
    await tx.emit(member_changed(tx.tenant_id, member))
    return member
