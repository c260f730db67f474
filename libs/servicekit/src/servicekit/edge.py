"""FastAPI dependencies of endpoints: the transaction of the request, and what the service is made of."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy.exc import DBAPIError

from events import Transaction
from servicekit.auth import Principal, calling_service, principal
from servicekit.idempotency import forget_unanswered

if TYPE_CHECKING:
    from servicekit.service import Service


async def tenant_transaction(request: Request, clinic: UUID) -> AsyncIterator[Transaction]:
    """The request's transaction in the clinic of the path (the gateway has turned its slug into the id)."""
    async with _noted(request, request.app.state.service.database.transaction(clinic)) as tx:
        yield tx


async def plain_transaction(request: Request) -> AsyncIterator[Transaction]:
    """The request's transaction where there is no clinic in the path."""
    async with _noted(request, request.app.state.service.database.transaction()) as tx:
        yield tx


@asynccontextmanager
async def _noted(request: Request, transaction: AbstractAsyncContextManager[Transaction]) -> AsyncIterator[Transaction]:
    """Notes the transaction for the answer that `IdempotentRoute` stores in it."""
    try:
        async with transaction as tx:
            request.state.transaction = tx
            yield tx
    except DBAPIError:
        await forget_unanswered(request)
        raise


def service_of(request: Request) -> "Service":
    """The composed service."""
    service: Service = request.app.state.service
    return service


# scope="function": committed when the endpoint has returned and before the answer is sent.
TenantTx = Annotated[Transaction, Depends(tenant_transaction, scope="function")]
PlainTx = Annotated[Transaction, Depends(plain_transaction, scope="function")]
Asking = Annotated[Principal, Depends(principal)]
CallingService = Annotated[str, Depends(calling_service)]
