"""Loads the demo data into a running system: by the internal routes that take ids, then by the public API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from .api import Api, CallFailed, Internal, service_signer, tenant_path
from .demo_data import ACCOUNTS, ALFA, CLINICS, PASSWORD, Clinic, id_of
from .system import Ready

Tell = Callable[[str], None]
VISIBLE_WITHIN = 30.0


async def seed_demo(ready: Ready, ready_file: Path | None, tell: Tell) -> None:
    """Everything of `demo_data`; done twice it is the same. `tell` is given one line a step."""
    signer = service_signer(ready, ready_file)
    async with Internal(signer, ready.services) as internal:
        await asyncio.gather(
            *(internal.put("identity", f"/internal/users/{account.id}", account.body()) for account in ACCOUNTS)
        )
        tell(f"{len(ACCOUNTS)} accounts, all with the password {PASSWORD}")
        for clinic in CLINICS:
            await _put_clinic(internal, clinic)
            tell(f"{clinic.name}: {len(clinic.resources)} resources, {len(clinic.offerings)} offerings")
    async with Api(ready.gateway) as api:
        for clinic in CLINICS:
            await _until_visible(api, clinic)
        await _connect_calendars(api, ready, ALFA, tell)


async def _put_clinic(internal: Internal, clinic: Clinic) -> None:
    await internal.put("identity", f"/internal/tenants/{clinic.id}", clinic.body())
    for account in ACCOUNTS:
        if account.clinic == clinic.slug:
            path = tenant_path(clinic.id, "members", str(account.member_id))
            await internal.put("identity", path, {"user_id": str(account.id), "role": account.role})
    for resource in clinic.resources:
        path = tenant_path(clinic.id, "resources", str(id_of(clinic.slug, resource.slug)))
        await internal.put("availability", path, resource.body(clinic.time_zone))
    for offering in clinic.offerings:
        path = tenant_path(clinic.id, "offerings", str(id_of(clinic.slug, "offering", offering.slug)))
        await internal.put("availability", path, offering.body(clinic))


async def _until_visible(api: Api, clinic: Clinic) -> None:
    """Until the public API shows the clinic's offerings: whoever books right after us finds everything."""
    deadline = time.monotonic() + VISIBLE_WITHIN
    while True:
        answer = await api.insist("GET", f"/v1/clinics/{clinic.slug}/offerings")
        shown = {row["slug"] for row in answer.body["data"]} if answer.status == 200 else set()
        if {offering.slug for offering in clinic.offerings} <= shown:
            return
        if time.monotonic() > deadline:
            answer.expect(200)
            raise CallFailed(f"The offerings of {clinic.slug} were stored but are not shown; look at the logs.")
        await asyncio.sleep(0.1)


async def _connect_calendars(api: Api, ready: Ready, clinic: Clinic, tell: Tell) -> None:
    wanted = {str(id_of(clinic.slug, one.slug)): one.slug for one in clinic.resources if one.calendar}
    if "calendar-sync" not in ready.services or ready.sandbox is None:
        away = "calendar-sync does not run here" if ready.sandbox else "there is no sandbox to consent in"
        tell(f"Google calendars of {', '.join(wanted.values())}: skipped, {away}")
        return
    token = await api.sign_in(clinic.email, PASSWORD)
    path = f"/v1/clinics/{clinic.slug}/calendar"
    connected = (await api.insist("GET", f"{path}/connections", token=token)).expect(200)["data"]
    there = {row["provider_id"] for row in connected if row["status"] == "active"}
    for provider_id, slug in wanted.items():
        if provider_id in there:
            continue
        body = {"provider_id": provider_id, "kind": "google", "calendar_id": f"{slug}@{clinic.slug}.test"}
        begun = (await api.insist("POST", f"{path}/sync/initiate", json=body, token=token)).expect(202)
        answer = await api.follow(begun["authorize_url"])
        if answer.status_code != 200:
            place = answer.url.copy_with(query=None)
            raise CallFailed(f"The consent for {slug}'s calendar ended with {answer.status_code} at {place}.")
    tell(f"Google calendars of {' and '.join(wanted.values())} are connected")
