"""What the parts are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.environment import SANDBOX, SERVICES, Addresses, for_sandbox, for_service

NAMES = [service.name for service in SERVICES]


def addresses(sandbox: bool) -> Addresses:
    names = [*NAMES, SANDBOX] if sandbox else NAMES
    return Addresses(
        data=Path("/data"),
        kafka="127.0.0.1:9092",
        database="postgresql://postgres:super@db.local:5433/holdfast?sslmode=require",
        ports={name: 8000 + number for number, name in enumerate(names)},
        passwords={name: f"p@{name}" for name in NAMES},
        webhook_secret="whsec_1",
        wake_ports={name: 9000 for name in NAMES},
    )


def service(name: str):  # type: ignore[no-untyped-def]
    return next(one for one in SERVICES if one.name == name)


@pytest.mark.parametrize("name", NAMES)
def test_a_service_knows_its_own_database_and_nobody_elses(name: str) -> None:
    outside = {
        "POSTGRES_URL": "postgresql://postgres:super@db.local/x",
        "BOOKING_DATABASE_URL": "postgresql://other",
        "STRIPE_API_KEY": "sk_live_1",
        "PATH": "/bin",
    }
    told = for_service(service(name), addresses(sandbox=True), outside)
    databases = [key for key in told if key.endswith("_DATABASE_URL")]
    module = name.replace("-", "_")
    assert databases == ([] if name == "gateway" else [f"{module.upper()}_DATABASE_URL"])
    for key in databases:
        assert told[key] == f"postgresql://{module}_app:p%40{name}@db.local:5433/holdfast?sslmode=require"
    assert all("super" not in value and "sk_live" not in value for value in told.values())
    assert {f"{other.prefix}_URL" for other in SERVICES} <= set(told)
    assert told[f"{module.upper()}_REPLICA"] == "0"
    assert told["PATH"] == "/bin"


def test_with_a_sandbox_no_real_account_is_reached_but_limits_may_be_set() -> None:
    outside = {"PAYMENT_STRIPE_API_KEY": "sk_live_1", "GATEWAY_RATE_LIMIT_SCALE": "1"}
    payment = for_service(service("payment"), addresses(sandbox=True), outside)
    assert payment["PAYMENT_STRIPE_API_KEY"] == "sk_test_sandbox"
    assert payment["PAYMENT_STRIPE_API_BASE"] == "http://127.0.0.1:8008"
    assert payment["PAYMENT_STRIPE_WEBHOOK_SECRET"] == "whsec_1"
    assert for_service(service("gateway"), addresses(sandbox=True), outside)["GATEWAY_RATE_LIMIT_SCALE"] == "1"
    assert for_service(service("identity"), addresses(sandbox=True), {})["IDENTITY_VERIFY_EMAIL"] == "off"
    told = for_sandbox(addresses(sandbox=True), outside)
    assert told["SANDBOX_STRIPE_WEBHOOK_URL"] == "http://127.0.0.1:8007/v1/payments/webhook"
    assert "PAYMENT_STRIPE_API_KEY" not in told


def test_without_a_sandbox_the_providers_come_from_the_environment() -> None:
    outside = {"STRIPE_API_KEY": "sk_live_1", "NOTIFICATION_TWILIO_FROM": "+48"}
    payment = for_service(service("payment"), addresses(sandbox=False), outside)
    assert payment["PAYMENT_STRIPE_API_KEY"] == "sk_live_1"
    assert "PAYMENT_STRIPE_API_BASE" not in payment
    assert "NOTIFICATION_TWILIO_FROM" not in payment
    assert for_service(service("notification"), addresses(sandbox=False), outside)["NOTIFICATION_TWILIO_FROM"] == "+48"
    assert "IDENTITY_VERIFY_EMAIL" not in for_service(service("identity"), addresses(sandbox=False), outside)


def test_what_a_service_writes_beside_its_database_lies_in_the_data_directory() -> None:
    told = for_service(service("insight"), addresses(sandbox=False), {})
    assert told["INSIGHT_DATA_DIR"] == "/data/insight"
    assert "INSIGHT_DATA_DIR" not in for_service(service("booking"), addresses(sandbox=False), {})
    assert told["INSIGHT_WAKE_PORT"] == "9000", "the name that services read"
