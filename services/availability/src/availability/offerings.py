"""Use cases of offerings: what can be booked."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from availability import catalogue, repository
from availability.domain import merge_patch, slug_for, unmet
from availability.repository import Row
from availability.schemas import OfferingBody
from availability.slots import Slots
from availability.states import offering_state
from events import Deleted, Transaction, new_id
from events.contracts.availability import OfferingState
from events.contracts.identity import TenantChanged
from servicekit.database import Database
from servicekit.problems import ValidationFailed


class Page(NamedTuple):
    """A page as it was asked for; filters that are None are left out."""

    filters: dict[str, Any]
    limit: int
    cursor: str | None
    updated_since: datetime | None
    sort: catalogue.Sort


class Listed(NamedTuple):
    """A page of offerings, the cursor of the next, and first free starts by offering where they were asked for."""

    rows: Sequence[Row]
    following: str | None
    firsts: dict[UUID, dict[str, Any] | None]

    def next_slot(self, identity: UUID) -> dict[str, Any]:
        """The field `next_slot` of an offering, or nothing."""
        return {"next_slot": self.firsts[identity]} if identity in self.firsts else {}


async def listed(database: Database, clinic_id: UUID, page: Page, searching: Slots | None) -> Listed:
    """A page of offerings; with `searching` their first free starts, looked for when the page's transaction is over:
    none waits for a second connection while it holds one."""
    async with database.transaction(clinic_id) as tx:
        rows, following = await catalogue.page(tx, "offering", **page._asdict())
    firsts = await searching.next_slots(clinic_id, [row["id"] for row in rows]) if searching else {}
    return Listed(rows, following, firsts)


class Saved(NamedTuple):
    """An offering, and sentences on why nobody could book it as it is."""

    row: Row
    warnings: list[str]


async def create(tx: Transaction, body: OfferingBody, clinic: TenantChanged) -> Saved:
    """A new offering."""
    return await _saved(tx, await _create(tx, body, clinic, new_id()))


async def _create(tx: Transaction, body: OfferingBody, clinic: TenantChanged, identity: UUID) -> Row:
    values = await _values(tx, body, clinic)
    await _require_resources(tx, values["requirements"])
    await _require_offerings(tx, values["rules"])
    row = await repository.create(tx, "offering", {"id": identity, **values})
    await tx.emit(offering_state(row))
    return row


async def patch(
    tx: Transaction, name: str, changes: dict[str, Any], if_match: str | None, clinic: TenantChanged
) -> Saved:
    """A merge patch. `NotFound`, `PreconditionFailed`, `ValidationFailed`."""
    row = await catalogue.get(tx, "offering", name, lock=True)
    catalogue.require_match(row, if_match)
    body = catalogue.validated(OfferingBody, merge_patch(catalogue.stored(OfferingBody, row), changes))
    return await _saved(tx, await _update(tx, row, body, clinic))


async def _saved(tx: Transaction, row: Row) -> Saved:
    return Saved(row, unmet(row["requirements"], await repository.active(tx, "resource")))


async def _update(tx: Transaction, row: Row, body: OfferingBody, clinic: TenantChanged) -> Row:
    values = await _values(tx, body, clinic, slug=row["slug"])
    if all(row[name] == value for name, value in values.items()):
        return row
    if values["requirements"] != row["requirements"]:
        await _require_resources(tx, values["requirements"])
    if values["rules"] != row["rules"]:
        await _require_offerings(tx, values["rules"])
    changed = await repository.change(tx, "offering", row["id"], values)
    await tx.emit(offering_state(changed))
    return changed


async def delete(tx: Transaction, name: str, if_match: str | None) -> None:
    """Nobody can find or book it any more. Where bookings name it, others keep its state as inactive."""
    row = await catalogue.lock_to_delete(tx, "offering", name)
    if row is None:
        return
    catalogue.require_match(row, if_match)
    gone = await repository.change(tx, "offering", row["id"], {"active": False, "deleted_at": repository.now()})
    kept = offering_state(gone)
    if await repository.is_referenced(tx, "offering", row["id"]):
        await tx.emit(kept)
    else:
        await tx.emit(Deleted(OfferingState.TYPE, kept.key(), tx.tenant_id, kept.version))


async def seed(tx: Transaction, identity: UUID, body: OfferingBody, clinic: TenantChanged) -> Row:
    """Makes or changes the offering with this id; the same body again changes nothing."""
    row = await repository.find(tx, "offering", identity, lock=True, deleted=True)
    if row is None:
        return await _create(tx, body, clinic, identity)
    if row["deleted_at"] is not None:
        row = await repository.change(tx, "offering", identity, {"deleted_at": None})
    return await _update(tx, row, body, clinic)


async def _values(
    tx: Transaction, body: OfferingBody, clinic: TenantChanged, slug: str | None = None
) -> dict[str, Any]:
    """The columns, with what was left out filled in; `ValidationFailed` where fields contradict each other."""
    values = body.model_dump(mode="json")
    values["price"] = price = values["price"] or {"amount": 0, "currency": clinic.currency}
    if price["currency"] != clinic.currency:
        raise ValidationFailed.of("price.currency", f"has to be the clinic's, {clinic.currency}")
    mode = "authorize" if price["amount"] else "free"
    values["payment"] = payment = values["payment"] or {"mode": mode, "deposit_amount": None}
    deposit = payment["deposit_amount"]
    if payment["mode"] == "deposit" and deposit is None:
        raise ValidationFailed.of("payment.deposit_amount", "is required with mode deposit")
    if payment["mode"] != "deposit" and deposit is not None:
        raise ValidationFailed.of("payment.deposit_amount", "belongs to mode deposit only")
    if deposit is not None and deposit > price["amount"]:
        raise ValidationFailed.of("payment.deposit_amount", "is more than the price")
    values["slug"] = body.slug or slug or slug_for(body.name, "offering", await repository.slugs(tx, "offering"))
    return values


async def _require_resources(tx: Transaction, requirements: list[dict[str, Any]]) -> None:
    """`ValidationFailed` names every id that is no resource of the requirement's type or not among its `any_of`."""
    wanted: list[tuple[str, str, UUID]] = []
    wrong: list[dict[str, str]] = []
    for index, requirement in enumerate(requirements):
        where, kind, any_of = f"requirements.{index}", requirement["type"], requirement["any_of"]
        if any_of != "all":
            wanted += [(f"{where}.any_of", kind, UUID(identity)) for identity in any_of]
        for identity in requirement["preferences"]:
            if any_of == "all":
                wanted.append((f"{where}.preferences.{identity}", kind, UUID(identity)))
            elif identity not in any_of:
                wrong.append({"field": f"{where}.preferences.{identity}", "message": "is not among its any_of"})
    types = await repository.types_of(tx, [identity for _, _, identity in wanted])
    wrong += [
        {"field": field, "message": f"{identity} is no {kind} of this clinic"}
        for field, kind, identity in wanted
        if types.get(identity) != kind
    ]
    if wrong:
        raise ValidationFailed(wrong)


async def _require_offerings(tx: Transaction, rules: list[dict[str, Any]]) -> None:
    """`ValidationFailed` names every `after_offering` that is no offering of the clinic."""
    named = {number: UUID(rule["after_offering"]) for number, rule in enumerate(rules) if rule["kind"] == "gap"}
    there = await repository.existing_offerings(tx, named.values())
    wrong = [
        {"field": f"rules.{number}.after_offering", "message": f"{identity} is no offering of this clinic"}
        for number, identity in named.items()
        if identity not in there
    ]
    if wrong:
        raise ValidationFailed(wrong)
