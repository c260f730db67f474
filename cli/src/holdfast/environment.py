"""What every part of the system is told: only addresses and keys differ between installations.

Operators read this file. Values in braces are filled in from `Addresses`:
{gateway} and {sandbox} are base URLs, {webhook_secret} signs Stripe's webhooks, {data} is the data directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Service:
    """A service by the name that people use, and as Python and variables spell it."""

    name: str
    has_database: bool = True

    @property
    def module(self) -> str:
        """The Python package, and the schema."""
        return self.name.replace("-", "_")

    @property
    def prefix(self) -> str:
        """What its variables begin with."""
        return self.module.upper()


GATEWAY = Service("gateway", has_database=False)
SERVICES = (
    Service("identity"),
    Service("availability"),
    Service("booking"),
    Service("payment"),
    Service("calendar-sync"),
    Service("notification"),
    Service("insight"),
    GATEWAY,
)
SANDBOX = "sandbox"

# Given to every service.
COMMON = {
    "HOLDFAST_ENV": "development",
    "LOG_FORMAT": "json",
    "PYTHONUNBUFFERED": "1",
}

# Given to one service only.
OWN: Mapping[str, Mapping[str, str]] = {
    "insight": {"INSIGHT_DATA_DIR": "{data}/insight"},
}

# With --sandbox: the providers' stand-ins. These win over the environment, so that a sandbox
# system never reaches a real account.
STAND_INS: Mapping[str, Mapping[str, str]] = {
    "payment": {
        "PAYMENT_STRIPE_API_KEY": "sk_test_sandbox",
        "PAYMENT_STRIPE_API_BASE": "{sandbox}",
        "PAYMENT_STRIPE_WEBHOOK_SECRET": "{webhook_secret}",
    },
    "calendar-sync": {
        "CALENDAR_SYNC_GOOGLE_API_ENDPOINT": "{sandbox}/calendar/v3/",
        "CALENDAR_SYNC_GOOGLE_AUTH_URL": "{sandbox}/o/oauth2/v2/auth",
        "CALENDAR_SYNC_GOOGLE_TOKEN_URL": "{sandbox}/token",
        "CALENDAR_SYNC_GOOGLE_CLIENT_ID": "sandbox",
        "CALENDAR_SYNC_GOOGLE_CLIENT_SECRET": "sandbox",
        # The stand-in has every calendar that is named.
        "CALENDAR_SYNC_DEFAULT_CALENDAR_ID": "$provider@$clinic.test",
    },
    "notification": {
        "NOTIFICATION_SENDGRID_API_KEY": "SG.sandbox",
        "NOTIFICATION_SENDGRID_HOST": "{sandbox}",
        "NOTIFICATION_TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "NOTIFICATION_TWILIO_AUTH_TOKEN": "sandbox",
        "NOTIFICATION_TWILIO_FROM": "+15005550006",
        "NOTIFICATION_TWILIO_API_BASE": "{sandbox}",
    },
}

# With --sandbox: limits far up, so that tests are not slowed. The environment wins over these, so
# that a test of the limits can set them.
RELAXED: Mapping[str, Mapping[str, str]] = {
    "gateway": {"GATEWAY_RATE_LIMIT_SCALE": "1000"},
    "booking": {
        "BOOKING_MAX_LIVE_HOLDS_PER_ORIGIN": "100000",
        "BOOKING_MAX_HOLDS_PER_HOUR_PER_ORIGIN": "1000000",
        "BOOKING_MAX_UNVERIFIED_APPOINTMENTS": "1000",
    },
    "identity": {"IDENTITY_VERIFY_EMAIL": "off", "IDENTITY_ALLOW_TEST_DOMAINS": "1"},
}

# Given to the sandbox.
SANDBOX_OWN = {
    "SANDBOX_STRIPE_WEBHOOK_URL": "{gateway}/v1/payments/webhook",
    "SANDBOX_STRIPE_WEBHOOK_SECRET": "{webhook_secret}",
    "SANDBOX_PUBLIC_URL": "{sandbox}",
}

# Without --sandbox, the names that a provider's own documentation uses are understood too.
WELL_KNOWN: Mapping[str, Mapping[str, str]] = {
    "payment": {
        "STRIPE_API_KEY": "PAYMENT_STRIPE_API_KEY",
        "STRIPE_WEBHOOK_SECRET": "PAYMENT_STRIPE_WEBHOOK_SECRET",
    },
    "notification": {
        "SENDGRID_API_KEY": "NOTIFICATION_SENDGRID_API_KEY",
        "TWILIO_ACCOUNT_SID": "NOTIFICATION_TWILIO_ACCOUNT_SID",
        "TWILIO_AUTH_TOKEN": "NOTIFICATION_TWILIO_AUTH_TOKEN",
    },
}

# Never handed on: the superuser's address and what would steer a database driver behind our back.
WITHHELD = ("POSTGRES_URL", "PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSERVICE")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything is, decided before the first service starts."""

    data: Path
    kafka: str
    database: str
    """The superuser's address of the database that the services share."""
    ports: Mapping[str, int]
    """By service, and `sandbox` where there is one."""
    passwords: Mapping[str, str] = field(default_factory=dict)
    webhook_secret: str = ""
    wake_ports: Mapping[str, int] = field(default_factory=dict)

    @property
    def keys(self) -> Path:
        """The file of signing keys."""
        return self.data / "keys.json"

    def url(self, name: str) -> str:
        """A part's base URL."""
        return f"http://{LOOPBACK}:{self.ports[name]}"

    def database_of(self, service: Service) -> str:
        """The shared database by a service's own role."""
        parts = urlsplit(self.database)
        host = parts.netloc.rpartition("@")[2]
        role = f"{service.module}_app:{quote(self.passwords[service.name], safe='')}"
        return urlunsplit(parts._replace(scheme="postgresql", netloc=f"{role}@{host}"))

    def fill(self, template: str) -> str:
        """A table's value with its braces filled in."""
        return template.format(
            gateway=self.url(GATEWAY.name),
            sandbox=self.url(SANDBOX) if SANDBOX in self.ports else "",
            webhook_secret=self.webhook_secret,
            data=self.data,
        )


def for_service(service: Service, addresses: Addresses, outside: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a service; `outside` is the one that `up` was started in."""
    sandbox = SANDBOX in addresses.ports
    result = _inherited(service, outside)
    for variable, value in RELAXED.get(service.name, {}).items() if sandbox else ():
        result.setdefault(variable, value)
    result |= COMMON
    result |= {variable: addresses.fill(template) for variable, template in OWN.get(service.name, {}).items()}
    result |= {
        "KAFKA_BOOTSTRAP": addresses.kafka,
        "HOLDFAST_KEYS": str(addresses.keys),
        # Behind a domain of one's own, links and providers' notices have to name that.
        "HOLDFAST_PUBLIC_URL": outside.get("HOLDFAST_PUBLIC_URL") or addresses.url(GATEWAY.name),
        f"{service.prefix}_HOST": LOOPBACK,
        f"{service.prefix}_PORT": str(addresses.ports[service.name]),
        f"{service.prefix}_REPLICA": "0",
    }
    if service.has_database:
        result[f"{service.prefix}_DATABASE_URL"] = addresses.database_of(service)
        result[f"{service.prefix}_WAKE_PORT"] = str(addresses.wake_ports[service.name])
    for other in SERVICES:
        if other.name in addresses.ports:
            result[f"{other.prefix}_URL"] = addresses.url(other.name)
    if sandbox:
        for variable, template in STAND_INS.get(service.name, {}).items():
            result[variable] = addresses.fill(template)
    else:
        for known, variable in WELL_KNOWN.get(service.name, {}).items():
            if known in outside:
                result.setdefault(variable, outside[known])
    return result


def for_sandbox(addresses: Addresses, outside: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of the sandbox."""
    result = _inherited(None, outside) | COMMON
    result |= {key: addresses.fill(value) for key, value in SANDBOX_OWN.items()}
    result["SANDBOX_HOST"] = LOOPBACK
    result["SANDBOX_PORT"] = str(addresses.ports[SANDBOX])
    result["SANDBOX_DATA"] = str(addresses.data / "sandbox")
    return result


def _inherited(service: Service | None, outside: Mapping[str, str]) -> dict[str, str]:
    """What a part keeps of the environment: general variables and its own, nobody else's."""
    strangers = tuple(f"{s.prefix}_" for s in SERVICES if s != service)
    secret = {name for table in WELL_KNOWN.values() for name in table}
    return {
        key: value
        for key, value in outside.items()
        if not key.startswith(strangers) and key not in WITHHELD and key not in secret
    }
