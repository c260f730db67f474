"""The demo data of `holdfast seed --demo`: the same ids on every machine, from a fixed namespace and a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

NAMESPACE = UUID("6f0a4d52-7d1f-5c3e-9b57-2f1d9a3c8e40")
PASSWORD = "holdfast-demo"

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri")
HOURS = [["09:00", "12:30"], ["13:00", "17:00"]]
CANCELLATION = {"free_until_minutes": 1440, "fee_percent": 50}


def id_of(*names: str) -> UUID:
    """The id of something by its names: `id_of("alfa", "anna")`."""
    return uuid5(NAMESPACE, "/".join(names))


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who can sign in. `role` is in `clinic`; owners have theirs from the clinic itself."""

    email: str
    name: str
    clinic: str | None = None
    role: str | None = None
    operator: bool = False

    @property
    def id(self) -> UUID:
        """The same everywhere."""
        return id_of("user", self.email)

    @property
    def member_id(self) -> UUID:
        """Of its membership."""
        return id_of("member", self.email)

    def body(self) -> dict[str, Any]:
        """As identity stores it."""
        return {"email": self.email, "password": PASSWORD, "name": self.name, "operator": self.operator}


@dataclass(frozen=True, slots=True)
class Resource:
    """Somebody or something that is booked. `account` is the e-mail address of a practitioner who can sign in."""

    slug: str
    type: str
    name: str
    approval_required: bool = False
    account: str | None = None
    calendar: bool = False

    def body(self, time_zone: str) -> dict[str, Any]:
        """As availability stores it, with its working hours."""
        return {
            "slug": self.slug,
            "type": self.type,
            "name": self.name,
            "time_zone": time_zone,
            "approval_required": self.approval_required,
            "user_id": str(id_of("user", self.account)) if self.account else None,
            "schedule": {"time_zone": time_zone, "weekly": {day: HOURS for day in WEEKDAYS}},
        }


@dataclass(frozen=True, slots=True)
class Offering:
    """Something to book. `needs` are the types of resources; `only` names the practitioners who do it."""

    slug: str
    name: str
    description: str
    minutes: int
    price: int = 0
    mode: str = "free"
    deposit: int | None = None
    needs: tuple[str, ...] = ("practitioner",)
    only: tuple[str, ...] = ()
    capacity: int = 1
    step: int | None = None
    buffer_after: int = 0
    starts: tuple[str, ...] = ()

    def body(self, clinic: Clinic) -> dict[str, Any]:
        """As availability stores it."""
        payment = {"mode": self.mode} | ({"deposit_amount": self.deposit} if self.deposit else {})
        only = [str(id_of(clinic.slug, slug)) for slug in self.only]
        return {
            "slug": self.slug,
            "name": self.name,
            "description": self.description,
            "duration_minutes": self.minutes,
            "slot_step_minutes": self.step or self.minutes,
            "starts": {day: list(self.starts) for day in WEEKDAYS} if self.starts else None,
            "price": {"amount": self.price, "currency": clinic.currency},
            "capacity": self.capacity,
            "buffer_after_minutes": self.buffer_after,
            "min_notice_minutes": 60,
            "window_days": 60,
            "hold_minutes": 10,
            "payment": payment,
            "cancellation": CANCELLATION,
            "reminders_minutes": [1440, 60],
            "requirements": [
                {"type": kind, "any_of": only if only and kind == "practitioner" else "all"} for kind in self.needs
            ],
        }


@dataclass(frozen=True, slots=True)
class Clinic:
    """A clinic with all it has."""

    slug: str
    name: str
    time_zone: str
    currency: str
    locales: tuple[str, ...]
    country: str
    email: str
    resources: tuple[Resource, ...]
    offerings: tuple[Offering, ...]

    @property
    def id(self) -> UUID:
        """The same everywhere."""
        return id_of("clinic", self.slug)

    def body(self) -> dict[str, Any]:
        """As identity stores it; the account with the clinic's address owns it."""
        return {
            "slug": self.slug,
            "name": self.name,
            "time_zone": self.time_zone,
            "currency": self.currency,
            "locales": list(self.locales),
            "country": self.country,
            "email": self.email,
            "owner_id": str(id_of("user", self.email)),
        }


ALFA = Clinic(
    slug="alfa",
    name="Alfa Dental",
    time_zone="Europe/Warsaw",
    currency="pln",
    locales=("pl", "en"),
    country="PL",
    email="alfa@klinika.test",
    resources=(
        Resource("anna", "practitioner", "Anna Nowak", account="anna@alfa.test", calendar=True),
        Resource("piotr", "practitioner", "Piotr Wiśniewski", calendar=True),
        Resource("room-1", "room", "Room 1"),
        Resource("room-2", "room", "Room 2"),
        Resource("scanner", "equipment", "3D scanner", approval_required=True),
    ),
    offerings=(
        Offering("checkup", "Check-up", "A look at everything, and a plan.", 30),
        Offering("hygiene", "Hygiene", "Scaling, polishing, fluoride.", 30, price=20_000, mode="full"),
        Offering(
            "whitening", "Whitening", "In one visit, with a lamp.", 60, price=30_000, mode="authorize",
            needs=("practitioner", "room"), step=30, buffer_after=10,
        ),
        Offering(
            "implant", "Implant", "Planned with a 3D scan; the clinic confirms each one.", 90, price=400_000,
            mode="deposit", deposit=50_000, needs=("practitioner", "room", "equipment"), step=30, buffer_after=10,
        ),
    ),
)  # fmt: skip

BETA = Clinic(
    slug="beta",
    name="Beta Wellness",
    time_zone="America/New_York",
    currency="usd",
    locales=("en", "es"),
    country="US",
    email="beta@klinika.test",
    resources=(
        Resource("maria", "practitioner", "Maria Lopez"),
        Resource("james", "practitioner", "James Carter"),
        Resource("olivia", "practitioner", "Olivia Reed"),
    ),
    offerings=(
        Offering(
            "massage", "Massage", "Deep tissue, by the therapist of your choice.", 60, price=9_000, mode="authorize",
            step=30, buffer_after=10,
        ),
        Offering(
            "yoga", "Yoga", "A class of twelve.", 60, price=2_000, mode="full", only=("olivia",), capacity=12,
            starts=("10:00", "15:00"),
        ),
    ),
)  # fmt: skip

CLINICS = (ALFA, BETA)
ACCOUNTS = (
    Account("alfa@klinika.test", "Ewa Zielińska"),
    Account("beta@klinika.test", "Grace Miller"),
    Account("front@alfa.test", "Kasia Lis", "alfa", "front_desk"),
    Account("anna@alfa.test", "Anna Nowak", "alfa", "practitioner"),
    Account("patient@example.test", "Jan Kowalski"),
    Account("ops@holdfast.test", "Operations", operator=True),
)


def ids() -> dict[str, Any]:
    """Every id of the demo data, for programs."""
    return {
        "users": {account.email: str(account.id) for account in ACCOUNTS},
        "clinics": {
            clinic.slug: {
                "id": str(clinic.id),
                "resources": {resource.slug: str(id_of(clinic.slug, resource.slug)) for resource in clinic.resources},
                "offerings": {
                    offering.slug: str(id_of(clinic.slug, "offering", offering.slug)) for offering in clinic.offerings
                },
            }
            for clinic in CLINICS
        },
    }
