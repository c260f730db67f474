"""Members of a clinic and their roles. Whoever changes them holds the clinic's row lock."""

from uuid import UUID

from events import Transaction, new_id
from events.contracts.identity import MemberChanged
from identity import clinics
from identity.addresses import folded
from identity.checks import require_role, require_version, usable_email
from identity.domain import may_manage
from identity.errors import IllegalTransition
from identity.repository import accounts, audit, members
from identity.repository.members import Member
from identity.schemas import MemberPatch, MemberView, NewMember
from identity.sealing import PeopleKeys
from servicekit.auth import MANAGERS, STAFF, Principal
from servicekit.problems import Forbidden, NotFound

READERS = MANAGERS | {"auditor"}


async def list_members(
    tx: Transaction, asking: Principal, keys: PeopleKeys, after: UUID | None, limit: int
) -> tuple[list[MemberView], UUID | None]:
    """A page of members by age, and the id to go on after: managers and auditors."""
    await clinics.read(tx)
    await require_role(tx, asking, READERS)
    found = await members.page(tx, after, limit + 1)
    return [view(member, keys) for member in found[:limit]], found[limit - 1].id if len(found) > limit else None


async def add(tx: Transaction, asking: Principal, body: NewMember, keys: PeopleKeys, *, allow_test: bool) -> Member:
    """Takes a known account in at once; invites an unknown address. Managers, owners only by owners."""
    await clinics.locked(tx)
    own_role = await require_role(tx, asking, MANAGERS)
    _require_power(own_role, body.role)
    email = usable_email(body.email, "email", allow_test=allow_test)
    account = await accounts.by_email(tx, folded(email))
    hashes = keys.address_hashes(None, "invitation", folded(email))
    invitation = await members.invited(tx, hashes)
    member_id = new_id()
    if account is not None and invitation is not None:
        member_id = invitation
        await members.activate(tx, member_id, account.id, body.role)
    elif account is not None:
        await members.insert(tx, member_id, account.id, body.role)
    else:
        # Also when it is invited already: the constraint says so.
        await members.invite(tx, member_id, hashes[0], keys.seal_text(email, member_id), body.role)
    await audit.write(tx, asking.require_user(), own_role, "member.added", member_id, body.role)
    return await _told(tx, member_id)


async def change(
    tx: Transaction, asking: Principal, member_id: UUID, body: MemberPatch, if_match: str | None
) -> Member:
    """Gives another role; a clinic always keeps an owner."""
    await clinics.locked(tx)
    own_role = await require_role(tx, asking, MANAGERS)
    member = await members.find(tx, member_id)
    if member is None:
        raise NotFound("There is no such member.")
    require_version(if_match, member.version)
    _require_power(own_role, member.role)
    _require_power(own_role, body.role)
    if body.role == member.role:
        return member
    if member.role == "owner":
        await _require_another_owner(tx, member)
    await members.set_role(tx, member_id, body.role)
    await audit.write(tx, asking.require_user(), own_role, "member.changed", member_id, body.role)
    return await _told(tx, member_id)


async def remove(tx: Transaction, asking: Principal, member_id: UUID) -> None:
    """Removes a member or an invitation; everybody may leave by themselves. Again: as the first time."""
    await clinics.locked(tx)
    own_role = await require_role(tx, asking, STAFF)
    member = await members.find(tx, member_id)
    leaving = member is not None and member.user_id == asking.user_id
    if not leaving:
        _require_power(own_role, member.role if member else "auditor")
    if member is None:
        return
    if member.role == "owner":
        await _require_another_owner(tx, member)
    await members.delete(tx, member_id)
    await audit.write(tx, asking.require_user(), own_role, "member.removed", member_id, member.role)
    await tx.emit(
        MemberChanged(
            tenant_id=tx.tenant_id,
            version=member.version + 1,
            member_id=member_id,
            user_id=member.user_id,
            role=None,
        )
    )


def view(member: Member, keys: PeopleKeys) -> MemberView:
    """The member as managers see it."""
    email = member.email
    if email is None:
        assert member.invited_sealed is not None  # a CHECK constraint
        email = keys.open_text(member.invited_sealed, member.id)
    return MemberView.model_validate(
        {
            "id": member.id,
            "user_id": member.user_id,
            "email": email,
            "name": member.name,
            "role": member.role,
            "status": "invited" if member.user_id is None else "active",
            "created_at": member.created_at,
            "updated_at": member.updated_at,
        }
    )


def _require_power(own_role: str, role: str) -> None:
    if not may_manage(own_role, role):
        raise Forbidden(f"A {own_role} may not give or take away the role {role}. Nothing changed.")


async def _require_another_owner(tx: Transaction, member: Member) -> None:
    if member.user_id is not None and await members.owners(tx) < 2:
        raise IllegalTransition("This is the clinic's only owner. Nothing changed; make somebody else an owner first.")


async def _told(tx: Transaction, member_id: UUID) -> Member:
    """The member as it is stored now, told to other services."""
    member = await members.find(tx, member_id)
    assert member is not None  # written in this transaction
    await tx.emit(member_changed(tx.tenant_id, member))
    return member


def member_changed(tenant_id: UUID, member: Member) -> MemberChanged:
    """The member as other services are told it."""
    return MemberChanged.model_validate(
        {
            "tenant_id": tenant_id,
            "version": member.version,
            "member_id": member.id,
            "user_id": member.user_id,
            "role": member.role,
        }
    )
