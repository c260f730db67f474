"""One's own account."""

from uuid import UUID

from pydantic import ValidationError

from events import Transaction
from identity.checks import require_version, usable_phone
from identity.domain import merge_patch
from identity.repository import accounts
from identity.repository.accounts import Account, Membership
from identity.schemas import UserContent, UserPatch
from servicekit.problems import NotFound, Unauthenticated, ValidationFailed


async def read(tx: Transaction, user_id: UUID) -> tuple[Account, list[Membership]]:
    """The account of a signed-in user and where they work; 401 when it is gone."""
    account = await accounts.by_id(tx, user_id)
    if account is None:
        raise Unauthenticated("This account does not exist any more. Sign in with another one.")
    return account, await accounts.memberships(tx, user_id)


async def change(
    tx: Transaction, user_id: UUID, patch: UserPatch, if_match: str | None
) -> tuple[Account, list[Membership]]:
    """Changes the account."""
    account = await accounts.lock(tx, user_id)
    if account is None:
        raise Unauthenticated("This account does not exist any more. Sign in with another one.")
    require_version(if_match, account.version)
    present = {name: getattr(account, name) for name in UserContent.model_fields}
    try:
        content = UserContent.model_validate(merge_patch(present, patch.model_dump(exclude_unset=True)))
    except ValidationError as error:
        raise ValidationFailed.found(error.errors()) from error
    values = content.model_dump()
    if content.phone:
        values["phone"] = usable_phone(content.phone, "phone", None)
    return await accounts.update(tx, user_id, values), await accounts.memberships(tx, user_id)


async def contact(tx: Transaction, user_id: UUID) -> Account:
    """The account for another service; 404 when there is none."""
    account = await accounts.by_id(tx, user_id)
    if account is None:
        raise NotFound("There is no such user.")
    return account
