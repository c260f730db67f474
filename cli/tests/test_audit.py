"""The audit on real schemas: silent about what is right, and each way to be wrong is found (its control)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import sql

from holdfast.audit.auditor import Finding, compare, look
from holdfast.system import Ready
from servicekit.migrate import create_roles, migrations_of, upgrade

TENANT = uuid.uuid4()
START = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)


@pytest.fixture(scope="module")
def database(postgres_url: str) -> str:
    """Booking's and payment's schemas in one database, as a running system has them."""
    name = f"test_audit_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = postgres_url.rsplit("/", 1)[0] + f"/{name}"
    for service in ("booking", "payment"):
        folder = migrations_of(service)
        assert folder is not None
        create_roles(url, service, "test")
        upgrade(url, service, folder)
    return url


class World:
    """One confirmed and paid appointment, right in every respect until a test changes something."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.booking, self.slot, self.resource, self.payment = (uuid.uuid4() for _ in range(4))
        self.do(
            "INSERT INTO booking.slot (id, tenant_id, offering_id, provider_id, start_at, end_at, status, capacity,"
            " reserved) VALUES (%s, %s, %s, %s, %s, %s, 'blocked', 1, 1)",
            self.slot, TENANT, uuid.uuid4(), self.resource, START, START + timedelta(hours=1),
        )  # fmt: skip
        self.do(
            "INSERT INTO booking.booking (id, tenant_id, slot_id, offering_id, status, seats, start_at, end_at,"
            " time_zone, resources, offer, price, currency, mode, amount_due, terms, needs_approval, expires_at,"
            " claim_until, hold_token, contact_id, payment_status, payment_id, paid)"
            " VALUES (%s, %s, %s, %s, 'confirmed', 1, %s, %s, 'Europe/Warsaw', jsonb_build_array(jsonb_build_object("
            "'id', %s::text)), '', 30000, 'pln', 'full', 30000, '{}', false, now(), 'infinity', '', %s, 'paid', %s,"
            " 30000)",
            self.booking, TENANT, self.slot, uuid.uuid4(), START, START + timedelta(hours=1), self.resource,
            uuid.uuid4(), self.payment,
        )  # fmt: skip
        self.do(
            "INSERT INTO booking.claim (tenant_id, resource_id, during, owner_id)"
            " VALUES (%s, %s, tstzrange(%s, %s), %s)",
            TENANT, self.resource, START, START + timedelta(hours=1), self.booking,
        )  # fmt: skip
        self.do("INSERT INTO payment.account (booking_id, tenant_id) VALUES (%s, %s)", self.booking, TENANT)
        self.do(
            "INSERT INTO payment.payment (id, tenant_id, booking_id, attempt, mode, capture, amount, keep, currency,"
            " status, desired, request, session_id, session_expires_at, hold_ends, captured, answered, announced_at)"
            " VALUES (%s, %s, %s, 1, 'full', true, 30000, 30000, 'pln', 'paid', 'captured', '{}', %s, now(), now(),"
            " 30000, true, now())",
            self.payment, TENANT, self.booking, f"cs_{self.payment.hex}",
        )  # fmt: skip
        self.do(
            "INSERT INTO payment.ledger (tenant_id, booking_id, payment_id, reference, debit, credit, amount, currency)"
            " VALUES (%s, %s, %s, %s, 'stripe', 'patient', 30000, 'pln')",
            TENANT, self.booking, self.payment, f"charge:{self.payment}",
        )  # fmt: skip

    def do(self, statement: str, *values: object) -> None:
        """A change in the database, as its superuser."""
        with psycopg.connect(self.url) as connection:
            connection.execute(statement, values)

    def findings(self) -> set[str]:
        """The kinds of what is off."""
        return {finding.kind for finding in look(Ready("", None, "", self.url))}


@pytest.fixture
def world(database: str) -> Iterator[World]:
    made = World(database)
    try:
        yield made
    finally:
        made.do(
            "TRUNCATE booking.slot, booking.booking, booking.claim, booking.history, booking.outbox, booking.parked,"
            " payment.account, payment.payment, payment.refund, payment.ledger, payment.webhook CASCADE"
        )


def test_says_nothing_about_what_is_right(world: World) -> None:
    assert world.findings() == set()


def _gone(world: World, amount: int, reason: str) -> None:
    """So much has gone back, in all books of payment."""
    refund = uuid.uuid4()
    world.do("UPDATE payment.payment SET refunded = refunded + %s", amount)
    world.do("INSERT INTO payment.refund (id, tenant_id, payment_id, amount, currency, status, reason)"
             " VALUES (%s, %s, %s, %s, 'pln', 'succeeded', %s)",
             refund, TENANT, world.payment, amount, reason)  # fmt: skip
    world.do("INSERT INTO payment.ledger (tenant_id, booking_id, payment_id, reference, debit, credit, amount,"
             " currency) VALUES (%s, %s, %s, %s, 'patient', 'stripe', %s, 'pln')",
             TENANT, world.booking, world.payment, f"refund:{refund}", amount)  # fmt: skip


def _cancelled(world: World, fee: int, kept: int, status: str = "cancelled") -> None:
    world.do(
        "UPDATE booking.booking SET status = %s, seated = false, fee = %s WHERE id = %s", status, fee, world.booking
    )
    world.do("DELETE FROM booking.claim WHERE owner_id = %s", world.booking)
    world.do("UPDATE booking.slot SET reserved = 0, status = 'open' WHERE id = %s", world.slot)
    world.do("UPDATE payment.payment SET desired = 'returned', keep = %s", kept)
    _gone(world, 30_000 - kept, "cancelled")


def test_a_cancelled_appointment_keeps_its_fee_and_no_more(world: World) -> None:
    _cancelled(world, fee=15_000, kept=15_000)
    assert world.findings() == set()
    world.do("UPDATE booking.booking SET fee = 0 WHERE id = %s", world.booking)
    assert world.findings() == {"money_kept_wrongly"}


@pytest.mark.parametrize("status", ["cancelled", "no_show"])
def test_of_a_fee_staff_may_give_back_by_hand_and_nobody_else(world: World, status: str) -> None:
    _cancelled(world, fee=15_000, kept=15_000, status=status)
    world.do("UPDATE payment.payment SET keep = 9000")
    assert world.findings() == {"refund_stuck"}
    _gone(world, 6000, "staff")
    assert world.findings() == set()
    world.do("UPDATE payment.refund SET reason = 'cancelled'")
    assert world.findings() == {"money_kept_wrongly"}


def test_a_cheaper_price_gives_the_difference_back(world: World) -> None:
    world.do("UPDATE payment.payment SET keep = 20000")
    assert world.findings() == {"refund_stuck"}
    _gone(world, 10_000, "surplus")
    assert world.findings() == {"money_kept_wrongly"}, "booking has not noted it"
    world.do("UPDATE booking.booking SET refunded = 10000, payment_status = 'partially_refunded'")
    assert world.findings() == set()


def test_what_was_paid_is_kept_while_a_move_waits_for_approval(world: World) -> None:
    world.do("UPDATE booking.booking SET status = 'pending_approval'")
    assert world.findings() == set()
    world.do("UPDATE booking.booking SET payment_status = 'authorized'")
    assert world.findings() == {"money_kept_wrongly"}


def test_a_class_is_held_by_its_slot(world: World) -> None:
    resources = f'[{{"id": "{world.resource}"}}]'
    world.do(
        "UPDATE booking.slot SET capacity = 12, status = 'open', resources = %s WHERE id = %s", resources, world.slot
    )
    world.do("UPDATE booking.claim SET owner_id = %s", world.slot)
    assert world.findings() == set()
    world.do("DELETE FROM booking.claim; UPDATE booking.slot SET resources = NULL")
    assert world.findings() == {"booking_without_claim"}


BREAKAGES: dict[str, Callable[[World], None]] = {
    "booking_without_claim": lambda it: it.do("DELETE FROM booking.claim"),
    "seats_miscounted": lambda it: it.do("UPDATE booking.slot SET reserved = 0, status = 'open'"),
    "claim_without_owner": lambda it: it.do(
        "INSERT INTO booking.claim (tenant_id, resource_id, during, owner_id) VALUES (%s, %s, tstzrange(%s, %s), %s)",
        TENANT, uuid.uuid4(), START, START + timedelta(hours=1), uuid.uuid4(),
    ),
    "claims_overlap": lambda it: it.do(
        "ALTER TABLE booking.claim DROP CONSTRAINT claim_never_twice;"
        " INSERT INTO booking.claim SELECT * FROM booking.claim;"
        " UPDATE booking.claim SET during = tstzrange(lower(during), upper(during) + interval '1 min')"
        " WHERE ctid = (SELECT max(ctid) FROM booking.claim)"
    ),
    "ledger_unbalanced": lambda it: it.do("DELETE FROM payment.ledger"),
    "refunds_miscounted": lambda it: it.do("UPDATE payment.payment SET refunded = 1"),
    "money_kept_wrongly": lambda it: it.do("UPDATE booking.booking SET status = 'unfulfillable'"),
    "money_without_booking": lambda it: it.do("DELETE FROM booking.booking"),
    "booking_without_payment": lambda it: it.do("DELETE FROM payment.ledger; DELETE FROM payment.payment"),
    "payment_unanswered": lambda it: it.do("UPDATE payment.payment SET answered = false"),
    "refund_stuck": lambda it: it.do("UPDATE payment.payment SET desired = 'returned', keep = 0"),
    "authorization_stuck": lambda it: it.do("UPDATE payment.payment SET status = 'authorized', captured = 0"),
    "authorization_left_open": lambda it: it.do(
        "UPDATE payment.payment SET status = 'authorized', desired = 'open';"
        " UPDATE booking.booking SET status = 'expired'"
    ),
    "webhook_unhandled": lambda it: it.do(
        "INSERT INTO payment.webhook (event_id, type, object_id, received_at)"
        " VALUES ('evt_1', 'checkout.session.completed', 'cs_1', now() - interval '2 min')"
    ),
    "outbox_stuck": lambda it: it.do(
        "INSERT INTO booking.outbox (topic, key, headers, created_at) VALUES ('t', 'k', '{}', now() - interval '2 min')"
    ),
    "event_dead": lambda it: _park(it, "dead", "0 s"),
    "event_waits": lambda it: _park(it, "early", "11 min"),
}  # fmt: skip


def _park(it: World, kind: str, age: str) -> None:
    it.do(
        "INSERT INTO booking.parked (consumer, topic, key, event_id, partition, \"offset\", headers, kind, reason,"
        " parked_at) VALUES ('booking', 't', 'k', gen_random_uuid(), 0, 0, '{}', %s, 'why', now() - %s::interval)",
        kind, age,
    )  # fmt: skip


@pytest.mark.parametrize("kind", [kind for kind in BREAKAGES if kind != "claims_overlap"])
def test_finds(world: World, kind: str) -> None:
    BREAKAGES[kind](world)
    assert kind in world.findings()


def test_finds_claims_that_overlap_once_the_database_lets_them(world: World) -> None:
    BREAKAGES["claims_overlap"](world)
    try:
        assert "claims_overlap" in world.findings()
    finally:
        world.do(
            "TRUNCATE booking.claim; ALTER TABLE booking.claim ADD CONSTRAINT claim_never_twice"
            " PRIMARY KEY (resource_id, during WITHOUT OVERLAPS)"
        )


def _row(**changes: object) -> dict[str, object]:
    row: dict[str, object] = {
        "payment_intent": "pi_1", "metadata": {"payment_id": "p"}, "amount": 300, "authorized": 300, "captured": 300,
        "refunded": 0, "voided": 0, "status": "succeeded",
    }  # fmt: skip
    return row | changes


def test_the_providers_books_are_held_against_ours() -> None:
    ours = {"p": {"id": "p", "status": "paid", "captured": 300, "refunded": 0, "session_id": "cs", "currency": "pln"}}

    def kinds(*rows: dict[str, object]) -> list[str]:
        found: list[Finding] = [*compare([*rows], ours)]
        return [finding.kind for finding in found]

    assert kinds(_row(), _row(metadata={})) == []
    assert kinds(_row(refunded=300)) == ["refunded_differs"]
    assert kinds(_row(captured=200)) == ["captured_differs"]
    assert kinds(_row(metadata={"payment_id": "q"})) == ["charge_unknown_to_us"]
    assert kinds(_row(metadata={"payment_id": "q"}, authorized=0, captured=0)) == []
