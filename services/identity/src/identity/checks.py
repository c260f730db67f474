"""What several use cases ask: may this person do it, is it still the version they saw, is the address usable."""

from events import Transaction
from identity.addresses import Unusable, email_address, phone_number
from identity.repository import members
from servicekit.auth import Principal
from servicekit.problems import Forbidden, NotFound, PreconditionFailed, ValidationFailed


async def require_role(tx: Transaction, asking: Principal, among: frozenset[str]) -> str:
    """The person's role in the clinic as it is now (a token may be 15 minutes behind); 401 or 403 without one."""
    role = await members.role_of(tx, asking.require_user())
    if role is None or role not in among:
        raise Forbidden(f"This needs one of the roles {', '.join(sorted(among))} in this clinic. Nothing changed.")
    return role


async def require_staff(tx: Transaction, asking: Principal, among: frozenset[str]) -> str:
    """The same for what nobody else learns of: 404 for who does not work in the clinic."""
    if await members.role_of(tx, asking.require_user()) is None:
        raise NotFound("There is no such clinic, or it is not yours to see.")
    return await require_role(tx, asking, among)


def etag(version: int) -> str:
    """The ETag of a version."""
    return f'"{version}"'


def require_version(if_match: str | None, version: int) -> None:
    """412 when `If-Match` names other versions (RFC 9110 §13.1.1)."""
    if if_match is None or if_match.strip() == "*":
        return
    if etag(version) not in [tag.strip() for tag in if_match.split(",")]:
        raise PreconditionFailed("It was changed since you read it. Nothing was stored; read it again and repeat.")


def usable_email(text: str, field: str, *, allow_test: bool) -> str:
    """The normalised address; 422 naming the field otherwise."""
    try:
        return email_address(text, allow_test=allow_test)
    except Unusable as error:
        raise ValidationFailed.of(field, str(error)) from error


def usable_phone(text: str, field: str, region: str | None) -> str:
    """The number as E.164; 422 naming the field otherwise."""
    try:
        return phone_number(text, region)
    except Unusable as error:
        raise ValidationFailed.of(field, str(error)) from error
