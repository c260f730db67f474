"""A clinic's public face as one client sees it: what `demo`, `verify` and `bench` have in common."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from .api import Answer, Api, CallFailed

EVERY_DAY = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ROUND_THE_CLOCK = [["00:00", "24:00"]]


class Shop:
    """One clinic. A call's token is the guest's own, unless the `Api` has one."""

    def __init__(self, api: Api, clinic: str) -> None:
        self.api = api
        self.path = f"/v1/clinics/{clinic}"

    async def search(self, offering: str, provider: str = "any", *, days: int = 21, limit: int = 500) -> Answer:
        """Free starts from now on."""
        until = (datetime.now(UTC) + timedelta(days=days)).date().isoformat()
        params = {"offering": offering, "to": until, "limit": limit}
        return await self.api.insist("GET", f"{self.path}/providers/{provider}/availability", params=params)

    async def slots(self, offering: str, provider: str = "any", *, days: int = 21, limit: int = 500) -> list[Any]:
        """The same; there has to be one at least."""
        deadline = time.monotonic() + 15
        while True:
            found: list[Any] = (await self.search(offering, provider, days=days, limit=limit)).expect(200)["slots"]
            if found:
                return found
            if time.monotonic() > deadline:
                raise CallFailed(f"No time of {offering} is free within {days} days.")
            await asyncio.sleep(0.1)

    async def hold(self, slot_id: str) -> Answer:
        """Hold a time; 409 when somebody was faster."""
        return await self.api.call("POST", f"{self.path}/holds", json={"slot_id": slot_id})

    async def release(self, hold: Mapping[str, Any]) -> Answer:
        """Give a hold up."""
        return await self.api.call("DELETE", f"{self.path}/holds/{hold['id']}", token=hold["manage_token"])

    async def request(self, hold: Mapping[str, Any], customer: Mapping[str, str]) -> Answer:
        """Say who it is for; answers with the Checkout where something is to be paid."""
        body = {"hold_id": hold["id"], "hold_token": hold["manage_token"], "customer": dict(customer)}
        return await self.api.insist("POST", f"{self.path}/appointments", json=body)

    async def appointment(self, appointment: Mapping[str, Any], token: str | None = None) -> Any:
        """As it is now."""
        path = f"{self.path}/appointments/{appointment['id']}"
        return (await self.api.insist("GET", path, token=token or appointment.get("manage_token"))).expect(200)

    async def until(
        self, appointment: Mapping[str, Any], *statuses: str, within: float = 20, token: str | None = None
    ) -> Any:
        """Waits until it has one of these statuses; `CallFailed` when it has none of them in time."""
        deadline = time.monotonic() + within
        while True:
            now = await self.appointment(appointment, token)
            if now["status"] in statuses:
                return now
            if time.monotonic() > deadline:
                raise CallFailed(
                    f"The appointment {appointment['id']} is {now['status']} after {within:.0f} s, "
                    f"not {' or '.join(statuses)}."
                )
            await asyncio.sleep(0.05)

    async def cancel(self, appointment: Mapping[str, Any], token: str | None = None) -> Answer:
        """Call it off."""
        path = f"{self.path}/appointments/{appointment['id']}/cancel"
        return await self.api.insist("PUT", path, json={}, token=token or appointment.get("manage_token"))


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The stand-in for Stripe, where a test card pays."""

    api: Api

    async def pay(self, session_id: str, card: str = "4242424242424242") -> Answer:
        """What the patient's button does."""
        return await self.api.call("POST", f"/_sandbox/stripe/checkout/{session_id}/pay", json={"card": card})

    async def ledger_row(self, booking_id: str) -> Any:
        """The money of a booking as it truly moved; None before a card was tried."""
        rows = (await self.api.call("GET", "/_sandbox/stripe/ledger")).expect(200)["data"]
        return next((row for row in rows if row["metadata"].get("booking_id") == booking_id), None)

    async def fault(self, fault: str, match: str = "", seconds: float | None = None) -> None:
        """Something goes wrong at Stripe from now on."""
        body = {"provider": "stripe", "fault": fault, "match": match} | ({"seconds": seconds} if seconds else {})
        (await self.api.call("POST", "/_sandbox/faults", json=body)).expect(200, 201, 204)

    async def repair(self) -> None:
        """Nothing goes wrong any more."""
        (await self.api.call("DELETE", "/_sandbox/faults")).expect(200, 204)


@dataclass(frozen=True, slots=True)
class ThrowAway:
    """A clinic that is there for a few moments, with a practitioner who is there round the clock."""

    slug: str
    id: str
    token: str
    provider_id: str
    shop: Shop
    suffix: str

    async def offer(self, slug: str, **fields: Any) -> Any:
        """An offering of its practitioner."""
        body = {"slug": slug, "name": slug.capitalize(), "duration_minutes": 30} | fields
        return (await self.shop.api.insist("POST", f"{self.shop.path}/offerings", json=body, token=self.token)).expect(
            201
        )

    async def delete(self, within: float = 15) -> None:
        """Away with it; identity may still have to hear that the last appointment ended."""
        deadline = time.monotonic() + within
        while True:
            answer = await self.shop.api.insist("DELETE", self.shop.path, token=self.token)
            if answer.status != 409 or time.monotonic() > deadline:
                answer.expect(204, 404)
                return
            await asyncio.sleep(0.2)


async def open_clinic(api: Api, purpose: str, **settings: Any) -> ThrowAway:
    """Registers an owner and opens a clinic of theirs, named by its purpose and at random."""
    suffix = secrets.token_hex(4)
    account = await register(api, f"{purpose}-owner-{suffix}")
    slug = f"{purpose}-{suffix}"
    body = {
        "slug": slug,
        "name": f"{purpose.capitalize()} {suffix}",
        "time_zone": "Europe/Warsaw",
        "currency": "pln",
        "locales": ["en"],
        "settings": settings,
    }
    opened = (await api.insist("POST", "/v1/clinics", json=body, token=account)).expect(201)
    token = opened["access_token"]
    shop = Shop(api, slug)
    practitioner = {"slug": "robin", "type": "practitioner", "name": "Robin", "time_zone": "Europe/Warsaw"}
    made = (await api.insist("POST", f"{shop.path}/resources", json=practitioner, token=token)).expect(201)
    hours = {"time_zone": "Europe/Warsaw", "weekly": dict.fromkeys(EVERY_DAY, ROUND_THE_CLOCK)}
    path = f"{shop.path}/resources/{made['id']}/schedule"
    (await api.insist("PUT", path, json=hours, token=token)).expect(200)
    return ThrowAway(slug, opened["id"], token, made["id"], shop, suffix)


async def register(api: Api, name: str) -> str:
    """A new account's access token."""
    body = {"email": f"{name}@example.com", "password": secrets.token_urlsafe(16), "name": "Holdfast check"}
    answer = await api.insist("POST", "/v1/auth/register", json=body)
    if answer.status == 202:
        raise CallFailed(
            "This deployment verifies e-mail addresses, so a throw-away account cannot be used; nothing was changed."
        )
    token: str = answer.expect(201)["access_token"]
    return token


def guest(name: str = "Jan Kowalski", email: str = "jan@example.com") -> dict[str, str]:
    """Who books."""
    return {"name": name, "email": email, "locale": "en"}
