"""Registering, signing in, refreshing, signing out.

Hashing a password takes tens of milliseconds, so these open their own transactions around it.
"""

import hashlib
from dataclasses import dataclass
from uuid import UUID

from events import Transaction, new_id
from events.contracts.identity import MemberChanged, UserRegistered
from identity.addresses import Unusable, email_address, folded
from identity.checks import usable_email, usable_phone
from identity.errors import EmailTaken, InvalidCredentials, SessionOver
from identity.passwords import Passwords
from identity.repository import accounts, sessions
from identity.repository.accounts import Account, Membership
from identity.schemas import Login, Register
from identity.sealing import PeopleKeys
from identity.settings import IdentitySettings
from identity.tokens import AccessTokens
from servicekit.auth import hash_token, new_manage_token
from servicekit.problems import RateLimited
from servicekit.service import Service

NO_TENANT = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Granted:
    """A session's new pair of tokens."""

    account: Account
    memberships: list[Membership]
    access_token: str
    refresh_token: str


async def register(service: Service, body: Register) -> Granted:
    """Opens an account and signs it in; `EmailTaken` when the address has one."""
    settings = service.get(IdentitySettings)
    email = usable_email(body.email, "email", allow_test=settings.allow_test_domains)
    phone = usable_phone(body.phone, "phone", None) if body.phone else None
    password_hash = await service.get(Passwords).hash(body.password)
    async with service.database.transaction() as tx:
        account = await open_account(
            service,
            tx,
            {
                "id": new_id(),
                "email": email,
                "folded": folded(email),
                "verified": settings.addresses_count_as_verified,
                "password_hash": password_hash,
                "name": body.name,
                "phone": phone,
                "time_zone": body.time_zone,
                "locale": body.locale,
                "operator": False,
            },
        )
        return await _begin(service, tx, account)


async def open_account(service: Service, tx: Transaction, values: dict[str, object]) -> Account:
    """Stores the account, tells of it, and takes up the invitations that it got; `EmailTaken`."""
    account = await accounts.insert(tx, values)
    if account is None:
        raise EmailTaken
    await tx.emit(UserRegistered(tenant_id=NO_TENANT, version=account.version, user_id=account.id))
    await _take_up_invitations(service, tx, account)
    return account


async def login(service: Service, body: Login, client: str) -> Granted:
    """Signs in; `InvalidCredentials`, or `RateLimited` after 10 failures a minute for (account, client address)."""
    settings = service.get(IdentitySettings)
    name = folded(_spelling(body.email))
    scope = _attempt_scope(service, name, client)
    async with service.database.transaction() as tx:
        attempts, seconds_left = await accounts.count_attempt(tx, scope)
        account = await accounts.by_email(tx, name)
    if attempts > settings.failed_logins_per_minute:
        raise RateLimited(f"Too many failed logins. Wait {seconds_left} s, then try again.", seconds_left)
    fits = await service.get(Passwords).fits(body.password, account.password_hash if account else None)
    if account is None or not fits:
        raise InvalidCredentials
    async with service.database.transaction() as tx:
        await accounts.take_attempt_back(tx, scope)
        await _take_up_invitations(service, tx, account)
        return await _begin(service, tx, account)


async def refresh(service: Service, refresh_token: str) -> Granted:
    """Exchanges the token for the next pair. A token that was used before ends its whole session: somebody else
    has a copy (RFC 9700 §4.14.2)."""
    token_hash = hash_token(refresh_token)
    async with service.database.transaction() as tx:
        taken = await sessions.take(tx, token_hash)
        if taken is None or not (taken.alive or taken.used):
            raise SessionOver
        account = None if taken.used else await accounts.by_id(tx, taken.user_id)
        if account is not None:
            await sessions.use(tx, token_hash)
            return await _grant(service, tx, account, taken.session_id)
        await sessions.revoke(tx, taken.session_id)
    # Raised only here, so that the revocation is committed.
    raise SessionOver


async def logout(service: Service, refresh_token: str | None, session_id: UUID | None) -> None:
    """Ends the session of the refresh token, and the one named; nothing happens when they are over already."""
    async with service.database.transaction() as tx:
        ending = {session_id}
        if refresh_token:
            ending.add(await sessions.session_of(tx, hash_token(refresh_token)))
        for ended in ending - {None}:
            assert ended is not None
            await sessions.revoke(tx, ended)


async def _take_up_invitations(service: Service, tx: Transaction, account: Account) -> None:
    """A verified address becomes a member wherever it was invited. Looked for at each login too: an invitation may
    be written in the moment that its address registers."""
    if not account.email_verified:
        return
    hashes = service.get(PeopleKeys).address_hashes(None, "invitation", folded(account.email))
    for accepted in await accounts.accept_invitations(tx, account.id, hashes):
        await tx.emit(
            MemberChanged.model_validate(
                {
                    "tenant_id": accepted.tenant_id,
                    "version": accepted.version,
                    "member_id": accepted.id,
                    "user_id": account.id,
                    "role": accepted.role,
                }
            )
        )


async def _begin(service: Service, tx: Transaction, account: Account) -> Granted:
    session_id = new_id()
    await sessions.open_session(tx, session_id, account.id)
    return await _grant(service, tx, account, session_id)


async def _grant(service: Service, tx: Transaction, account: Account, session_id: UUID) -> Granted:
    refresh_token = new_manage_token()
    await sessions.issue(tx, session_id, hash_token(refresh_token))
    memberships = await accounts.memberships(tx, account.id)
    access_token = service.get(AccessTokens).issue(account, memberships, session_id)
    return Granted(account, memberships, access_token, refresh_token)


def _spelling(email: str) -> str:
    """The address as it would be stored; as it is when it is none, so that nothing tells the two apart."""
    try:
        return email_address(email, allow_test=True)
    except Unusable:
        return email.strip()


def _attempt_scope(service: Service, name: str, client: str) -> bytes:
    keyed = service.get(PeopleKeys).address_hashes(None, "login", name)[0]
    return hashlib.sha256(keyed + client.encode()).digest()
