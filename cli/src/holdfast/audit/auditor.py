"""Runs the checks, twice and more where something looks off: work in flight is not a finding."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import psycopg
from psycopg import sql
from psycopg.rows import DictRow, dict_row

from ..errors import HoldfastError
from ..system import Ready
from . import events, money, seats

PAUSES = (1.0, 2.0, 3.0, 4.0, 5.0, 5.0)
"""Seconds between two looks: together longer than it takes to ask Stripe about a webhook that did not come."""

Connection = psycopg.Connection[DictRow]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is off."""

    kind: str
    id: str
    sentence: str


def audit(ready: Ready, wait: float, tell: Callable[[str], None]) -> list[Finding]:
    """What is off now and stays so for `wait` seconds. `tell` is told when it looks again."""
    findings = look(ready)
    waited = 0.0
    for pause in PAUSES:
        if not findings or waited >= wait:
            break
        tell(f"{len(findings)} things look off; looking again in {pause:.0f} s, they may be under way")
        time.sleep(pause)
        waited += pause
        before = {(finding.kind, finding.id) for finding in findings}
        findings = [finding for finding in look(ready) if (finding.kind, finding.id) in before]
    return findings


def look(ready: Ready) -> list[Finding]:
    """What looks off now: one snapshot over all schemas, then the sandbox's books."""
    try:
        with psycopg.connect(ready.postgres, row_factory=dict_row, connect_timeout=10) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            findings = [*_ours(connection)]
            payments = {row["id"]: row for row in connection.execute(money.OURS)} if _has(connection, money) else {}
    except psycopg.Error as error:
        raise HoldfastError(
            f"The audit could not read PostgreSQL ({str(error).strip()}); nothing was judged."
        ) from error
    if ready.sandbox:
        findings += _against_sandbox(ready.sandbox, payments)
    return findings


def _has(connection: Connection, checks: object) -> bool:
    needed = checks.NEEDS  # type: ignore[attr-defined]
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL AS there", [needed]).fetchone()
    return bool(row and row["there"])


def _ours(connection: Connection) -> Iterator[Finding]:
    for checks in (seats, money):
        if _has(connection, checks):
            for kind, statement in checks.CHECKS.items():
                yield from _found(connection, kind, sql.SQL(statement))
    for row in connection.execute(events.SCHEMAS).fetchall():
        for kind, statement in events.CHECKS.items():
            yield from _found(connection, kind, sql.SQL(statement.replace("{schema}", row["table_schema"])))


def _found(connection: Connection, kind: str, statement: sql.SQL) -> Iterator[Finding]:
    for row in connection.execute(statement):
        yield Finding(kind, str(row["id"]), row["sentence"])


def _against_sandbox(sandbox: str, payments: dict[str, DictRow]) -> Iterator[Finding]:
    """The provider's books against ours, both ways, by the payment's id that each charge carries."""
    try:
        with httpx.Client(base_url=sandbox, timeout=20, trust_env=False) as client:
            rows = client.get("/_sandbox/stripe/ledger").raise_for_status().json()["data"]
            yield from compare(rows, payments)
            told = {row["metadata"].get("payment_id") for row in rows}
            for payment_id, ours in payments.items():
                # A sandbox that was emptied knows nothing any more, which is no contradiction.
                if ours["captured"] and payment_id not in told and _knows(client, ours["session_id"]):
                    yield Finding(
                        "charge_unknown_to_provider",
                        payment_id,
                        f"We charged {ours['captured']} {ours['currency']}, and the provider knows of no charge.",
                    )
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise HoldfastError(f"The sandbox at {sandbox} could not be asked for its ledger ({error!r}).") from error


def _knows(client: httpx.Client, session_id: str) -> bool:
    return client.get(f"/_sandbox/stripe/checkout/{session_id}").status_code == 200


def compare(rows: list[dict[str, object]], payments: dict[str, DictRow]) -> Iterator[Finding]:
    """The provider's rows that our books contradict. Rows of other programs (without a payment's id) are not ours."""
    for row in rows:
        metadata = row["metadata"]
        payment_id = metadata.get("payment_id") if isinstance(metadata, dict) else None
        if payment_id is None:
            continue
        ours = payments.get(payment_id)
        if ours is None:
            if row["authorized"] or row["captured"]:
                sentence = (
                    f"The provider has {row['payment_intent']} over {row['amount']} for a payment we do not know."
                )
                yield Finding("charge_unknown_to_us", payment_id, sentence)
            continue
        for what in ("captured", "refunded"):
            if row[what] != ours[what]:
                sentence = (
                    f"The provider {what} {row[what]} of {row['payment_intent']}, and our books say {ours[what]}."
                )
                yield Finding(f"{what}_differs", payment_id, sentence)
        held = row["authorized"] and not row["captured"] and not row["voided"]
        if held and ours["status"] in ("voided", "closed"):
            sentence = f"The provider still holds {row['payment_intent']}, and our books say {ours['status']}."
            yield Finding("authorization_differs", payment_id, sentence)
