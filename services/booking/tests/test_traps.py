"""The measured traps of the hot path, each pinned: plans, locks, writes and rights as PostgreSQL itself tells them.

docs/decisions/0007 and 0013 say why they matter. A trap that is moot here is said so in its test's docstring.
"""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

import booking
from booking.repository import slots
from booking.repository.slots import PLACE_HOLD
from events import new_id

from . import racing
from .conftest import Clinic
from .racing import at, book, confirm, hold
from .server import Connection, Waiting, nodes_of, plans_of, rows, rows_with

TENANT_TABLES = {
    "slot", "claim", "booking", "history", "block", "copy", "clinic", "offering", "gap_rule", "resource", "series",
    "waitlist", "conflict", "audit",
}  # fmt: skip


@pytest.fixture
def admin(clinic: Clinic, postgres_url: str) -> Iterator[Connection]:
    """The superuser in booking's schema: past every policy, and able to become any role."""
    url = racing.admin_url(postgres_url, clinic)
    with psycopg.connect(url, autocommit=True, options="-c search_path=booking,public") as connection:
        yield connection


@pytest.fixture
def app(clinic: Clinic) -> Iterator[Connection]:
    """The service's own login role."""
    with psycopg.connect(clinic.service.settings.database_url, autocommit=True) as connection:
        yield connection


def a_year_of_claims(admin: Connection, tenant_id: UUID, resource_id: UUID, count: int = 4_000) -> None:
    """So many claims of the resource, one an hour and all in the past, so that a scan of them all would be dear."""
    admin.execute(
        "INSERT INTO claim (tenant_id, resource_id, during, owner_id) SELECT %s, %s,"
        " tstzrange(now() - make_interval(hours => n + 1), now() - make_interval(hours => n)), gen_random_uuid()"
        " FROM generate_series(1, %s) AS n",
        [tenant_id, resource_id, count],
    )
    admin.execute("ANALYZE claim")


# -- trap 1: ranges behind Row Level Security ----------------------------------------------------------------------


async def test_a_range_is_no_index_condition_for_the_app_and_one_for_the_definer(
    clinic: Clinic, admin: Connection
) -> None:
    anna = await clinic.resource()
    a_year_of_claims(admin, clinic.tenant_id, anna.resource_id)
    statement = (
        f"EXPLAIN (FORMAT json) SELECT FROM claim WHERE resource_id = '{anna.resource_id}'"
        f" AND during && tstzrange('{at(0)}', '{at(1)}')"
    )
    conditions = {}
    for role in ("booking_app", "booking_definer"):
        with admin.transaction():
            admin.execute("SELECT set_config('app.tenant', %s, true)", [str(clinic.tenant_id)])
            admin.execute(f"SET LOCAL ROLE {role}".encode())
            (plan,) = rows(admin, statement)
        conditions[role] = " ".join(node.get("Index Cond", "") for node in nodes_of(plan[0]["Plan"]))
    assert "&&" not in conditions["booking_app"], "row security lets the range in: the functions need no definer then"
    assert "resource_id =" in conditions["booking_definer"]
    assert "&&" in conditions["booking_definer"]


# -- trap 2: types of conditions; trap 3: a loop over the array ----------------------------------------------------


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_place_hold_finds_claims_and_blocks_by_index_whatever_the_plan(
    clinic: Clinic, admin: Connection, mode: str
) -> None:
    """Both columns are conditions of the index, of the key's own types; nothing is read from end to end, and no claim
    is read that does not matter. Trap 3 is pinned by the same plans: a hold sorts and unnests nothing, since the arrays
    come sorted and a loop goes through them (only a move merges two lists)."""
    anna, room = await clinic.resource(), await clinic.resource("room")
    a_year_of_claims(admin, clinic.tenant_id, anna.resource_id)
    slot = clinic.offer(await clinic.offering(), [anna, room])
    admin.execute("LOAD 'auto_explain'")
    admin.execute(f"SET plan_cache_mode = {mode}".encode())
    plans = plans_of(admin, PLACE_HOLD, racing.wish(clinic, slot).parameters)
    nodes = [node for plan in plans for node in nodes_of(plan["Plan"])]
    on_claims = [node for node in nodes if node.get("Relation Name") == "claim" and "Scan" in node["Node Type"]]
    on_blocks = [node for node in nodes if node.get("Relation Name") == "block"]
    assert len(on_claims) >= 2
    for node in on_claims + on_blocks:
        assert "Index" in node["Node Type"], node
        assert re.search(r"resource_id = ", node["Index Cond"]), node
        assert "&&" in node["Index Cond"], node
        assert node.get("Rows Removed by Filter", 0) == 0, node
        assert "::text" not in node["Index Cond"], node
    for table in ("booking", "slot"):
        assert not [node for node in nodes if node.get("Relation Name") == table and node["Node Type"] == "Seq Scan"]
    assert not [node for node in nodes if node["Node Type"] in ("ProjectSet", "Sort") and "unnest" in str(node)]
    placed = [node for plan in plans for node in nodes_of(plan["Plan"]) if node["Node Type"] == "ModifyTable"]
    assert {node["Relation Name"] for node in placed} >= {"claim", "slot", "booking", "outbox"}


def test_a_key_of_another_type_is_not_found_by_the_index(admin: Connection) -> None:
    """Why every parameter is cast to uuid: compared as text, a key is looked for from end to end."""
    text = "EXPLAIN (FORMAT json) SELECT FROM claim WHERE resource_id::text = %s"
    (plan,) = rows(admin, text, str(uuid4()))
    assert not [node for node in nodes_of(plan[0]["Plan"]) if "Index Cond" in node]
    assert not re.findall(r"%\(\w+\)s(?!::)", PLACE_HOLD + slots._TAKE), "a parameter without its type"


# -- trap 4: NOTIFY; trap 5: what the outbox is keyed by ------------------------------------------------------------


async def test_nothing_notifies_in_a_hot_transaction(clinic: Clinic, admin: Connection) -> None:
    sources = rows(admin, "SELECT prosrc FROM pg_proc WHERE pronamespace = 'booking'::regnamespace")
    triggers = rows(
        admin,
        "SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
        " WHERE NOT t.tgisinternal AND c.relnamespace = 'booking'::regnamespace",
    )
    code = [path.read_text() for path in Path(booking.__file__).parent.rglob("*.py")]
    assert sources
    assert code
    assert triggers == [0]
    assert not [text for text in (*sources, *code) if re.search(r"\bpg_notify|\bNOTIFY\b", text)]
    await book(clinic, clinic.offer(await clinic.offering(), [await clinic.resource()]))
    assert rows(admin, "SELECT pg_notification_queue_usage()") == [0]


async def test_what_is_said_of_a_booking_is_keyed_by_the_booking(clinic: Clinic) -> None:
    """By the resource, one busy practitioner would put all of a clinic's facts into one line."""
    used = [await clinic.resource(), await clinic.resource("room")]
    booked = await book(clinic, clinic.offer(await clinic.offering(), used))
    records = await clinic.records()
    (slot_id,) = {record["payload"]["slot_id"] for record in records if "slot_" in record["headers"]["ce_type"]}
    for record in records:
        kind, key = record["headers"]["ce_type"], record["key"]
        if kind == "occupancy.row.v1":
            assert key in {f"{booked}:{resource.resource_id}" for resource in used}
        else:
            assert key == (slot_id if kind.startswith("booking.slot_") else str(booked)), kind
        assert record["headers"]["correlationid"] == str(booked)


# -- claims stay cheap ----------------------------------------------------------------------------------------------


def test_no_index_is_on_the_end_of_a_claim(admin: Connection) -> None:
    definitions = rows(admin, "SELECT indexdef FROM pg_indexes WHERE schemaname = 'booking' AND tablename = 'claim'")
    assert len(definitions) == 2
    assert not [definition for definition in definitions if "expires_at" in definition]


async def test_confirming_is_a_heap_only_update(clinic: Clinic, admin: Connection) -> None:
    kind, used = await clinic.offering(), [await clinic.resource(), await clinic.resource("room")]
    before = await updates_of_claims(admin)
    for turn in range(60):
        await confirm(clinic, await hold(clinic, clinic.offer(kind, used, start=at(turn))))
    await asyncio.sleep(1.05)  # a connection tells what it counted with its first work after a second
    await asyncio.gather(*(tell(clinic) for _ in range(20)))
    now = await updates_of_claims(admin)
    updated, hot = now[0] - before[0], now[1] - before[1]
    assert updated >= 120, "the server has not told of them"
    assert hot >= 0.95 * updated


async def tell(clinic: Clinic) -> None:
    """Work for one of the pool's connections."""
    async with clinic.service.database.transaction() as tx:
        await tx.connection.exec_driver_sql("SELECT pg_sleep(0.05)")


async def updates_of_claims(admin: Connection) -> tuple[int, int]:
    """Updates of the table so far, and how many of them touched no index."""
    (found,) = rows(admin, "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'claim'")
    return int(found[0]), int(found[1])


@pytest.mark.parametrize("capacity", [1, 3])
async def test_losers_write_nothing(clinic: Clinic, app: Connection, capacity: int) -> None:
    """They have no transaction id: no row, no dead row, no lock on a row."""
    kind = await clinic.offering(capacity=capacity)
    slot = clinic.offer(kind, [await clinic.resource()], [await clinic.resource()])
    for _ in range(2):
        await hold(clinic, slot, capacity)
    for _ in range(20):
        with app.transaction():
            (lost,) = rows_with(app, PLACE_HOLD, racing.wish(clinic, slot).parameters)
            assert lost[0] == "taken"
            assert rows(app, "SELECT pg_current_xact_id_if_assigned()") == [None]


# -- the order of locks ---------------------------------------------------------------------------------------------


async def test_a_hold_locks_its_slot_then_its_resources_then_claims_in_order(
    clinic: Clinic, admin: Connection, postgres_url: str
) -> None:
    """Stopped at each of them in turn, it has what comes before and nothing of what comes after."""
    first, second = sorted([(await clinic.resource()), (await clinic.resource("room"))], key=lambda r: r.resource_id)
    slot = clinic.offer(await clinic.offering(), [first, second])
    url = clinic.service.settings.database_url
    await racing.release(clinic, await hold(clinic, slot))  # the slot's row is there now

    with psycopg.connect(racing.admin_url(postgres_url, clinic), options="-c search_path=booking,public") as other:

        def waiting() -> Waiting:
            return Waiting(url, PLACE_HOLD, racing.wish(clinic, slot).parameters)

        other.execute("SELECT FROM slot WHERE tenant_id = %s FOR UPDATE", [clinic.tenant_id])
        at_slot = waiting()
        assert at_slot.locks(admin) == {"slot"}
        other.rollback()
        assert at_slot.end()[0][0] == "held"
        await give_back(clinic)

        for resource, has in ((first, {"slot", "booking"}), (second, {"slot", "booking", "advisory"})):
            other.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [str(resource.resource_id)])
            at_lock = waiting()
            assert at_lock.locks(admin) == has
            other.rollback()
            assert at_lock.end()[0][0] == "held"
            await give_back(clinic)

        for resource in (first, second):
            other.execute(
                "INSERT INTO claim (tenant_id, resource_id, during, owner_id) VALUES (%s, %s, tstzrange(%s, %s), %s)",
                [clinic.tenant_id, resource.resource_id, at(0), at(1), new_id()],
            )
            at_claim = waiting()
            assert {"slot", "advisory", "claim"} <= at_claim.locks(admin)
            counted = rows(
                admin, "SELECT count(*) FROM pg_locks WHERE pid = %s AND locktype = 'advisory'", at_claim.pid
            )
            assert counted == [2], "all advisory locks come before the first claim"
            other.commit()
            assert at_claim.end()[0][0] == "taken"
            other.execute("DELETE FROM claim WHERE tenant_id = %s", [clinic.tenant_id])
            other.commit()


async def give_back(clinic: Clinic) -> None:
    """Releases every hold."""
    for row in await clinic.stored("SELECT id FROM booking WHERE status = 'held'"):
        await racing.release(clinic, row["id"])


async def test_a_confirmation_locks_its_slot_then_its_booking_then_its_claims(
    clinic: Clinic, admin: Connection, postgres_url: str
) -> None:
    held = await hold(clinic, clinic.offer(await clinic.offering(), [await clinic.resource()]))

    def free(table: str) -> bool:
        """Whether nobody has locked the clinic's row of the table."""
        locked = f"SELECT 1 FROM {table} WHERE tenant_id = %s FOR UPDATE SKIP LOCKED"
        return bool(rows(admin, locked, clinic.tenant_id))

    async def stopped_at(table: str) -> dict[str, bool]:
        with psycopg.connect(racing.admin_url(postgres_url, clinic), options="-c search_path=booking") as other:
            other.execute(f"SELECT FROM {table} WHERE tenant_id = %s FOR UPDATE".encode(), [clinic.tenant_id])
            work = asyncio.ensure_future(confirm(clinic, held))
            await asyncio.sleep(0.3)
            found = {name: free(name) for name in ("slot", "booking", "claim") if name != table}
            work.cancel()
            other.rollback()
        await asyncio.gather(work, return_exceptions=True)
        return found

    assert await stopped_at("slot") == {"booking": True, "claim": True}
    assert await stopped_at("booking") == {"slot": False, "claim": True}
    assert await stopped_at("claim") == {"slot": False, "booking": False}


# -- rights ---------------------------------------------------------------------------------------------------------


def test_functions_that_see_every_tenant_have_a_search_path_and_one_caller(admin: Connection) -> None:
    """Every other function has the rights of its caller, or is called by those alone."""
    functions = rows(
        admin,
        "SELECT p.proname, p.prosecdef, p.proconfig, r.rolname, p.proacl::text[] FROM pg_proc p"
        " JOIN pg_roles r ON r.oid = p.proowner WHERE p.pronamespace = 'booking'::regnamespace",
    )
    names = {function[0] for function in functions if function[1]}
    assert {"place_hold", "due_bookings", "over_bookings"} <= names
    for name, definer, configuration, owner, granted in functions:
        callers = {grant.split("=")[0] for grant in granted} - {owner}
        if definer:
            assert owner == "booking_definer", name
            assert [one for one in configuration if re.fullmatch(r"search_path=booking, ?pg_temp", one)], name
            assert callers <= {"booking_app"}, f"{name} may be called by {callers}"
        else:
            assert callers <= {"booking_definer"} or name == "lock_booking", f"{name} may be called by {callers}"


def test_the_definer_cannot_log_in_and_no_policy_is_passed_by_a_right(admin: Connection) -> None:
    roles = rows(
        admin,
        "SELECT rolname, rolcanlogin, rolsuper OR rolbypassrls FROM pg_roles"
        " WHERE rolname IN ('booking_app', 'booking_definer', 'booking_owner') ORDER BY 1",
    )
    assert roles == [("booking_app", True, False), ("booking_definer", False, False), ("booking_owner", False, False)]
    forced = rows(
        admin,
        "SELECT relname FROM pg_class WHERE relnamespace = 'booking'::regnamespace AND relkind = 'r'"
        " AND relrowsecurity AND relforcerowsecurity",
    )
    with_tenant = rows(
        admin,
        "SELECT table_name FROM information_schema.columns"
        " WHERE table_schema = 'booking' AND column_name = 'tenant_id'",
    )
    assert set(forced) == set(with_tenant) >= TENANT_TABLES


async def test_only_bookings_own_role_places_holds(clinic: Clinic, admin: Connection) -> None:
    slot = clinic.offer(await clinic.offering(), [await clinic.resource()])
    role = f"stranger_{uuid4().hex[:8]}"
    admin.execute(f"CREATE ROLE {role} NOLOGIN".encode())
    admin.execute(f"GRANT USAGE ON SCHEMA booking TO {role}".encode())
    try:
        admin.execute(f"SET ROLE {role}".encode())
        with pytest.raises(InsufficientPrivilege, match="permission denied for function place_hold"):
            admin.execute(PLACE_HOLD.encode(), racing.wish(clinic, slot).parameters)
    finally:
        admin.execute("RESET ROLE")
        admin.execute(f"REVOKE USAGE ON SCHEMA booking FROM {role}".encode())
        admin.execute(f"DROP ROLE {role}".encode())


async def test_place_hold_refuses_another_tenant_than_the_transactions(clinic: Clinic, app: Connection) -> None:
    slot = clinic.offer(await clinic.offering(), [await clinic.resource()])
    app.execute("SELECT set_config('app.tenant', %s, false)", [str(uuid4())])
    with pytest.raises(InsufficientPrivilege, match="another tenant"):
        app.execute(PLACE_HOLD.encode(), racing.wish(clinic, slot).parameters)
    app.execute("RESET app.tenant")
    # As a transaction of its own it sees its own tenant, and leaves none behind.
    assert rows_with(app, PLACE_HOLD, racing.wish(clinic, slot).parameters)[0][0] == "held"
    assert rows(app, "SELECT coalesce(current_setting('app.tenant', true), '')") == [""]
    assert rows(app, "SELECT count(*) FROM booking") == [0]


@pytest.mark.parametrize(
    "inner", ["is_live(NULL, NULL)", "broken_rule(NULL, NULL, NULL, NULL, NULL::uuid[], NULL, NULL)"]
)
def test_what_only_other_functions_need_is_not_the_apps_to_call(app: Connection, inner: str) -> None:
    """They look into whatever tenant they are told."""
    with pytest.raises(InsufficientPrivilege, match="permission denied for function"):
        app.execute(f"SELECT {inner}".encode())
