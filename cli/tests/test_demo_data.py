"""The demo data: the same on every machine, and as the services take it."""

from __future__ import annotations

import json

import pytest

from availability.schemas import OfferingBody, SeededResource
from holdfast.demo_data import ACCOUNTS, ALFA, BETA, CLINICS, Clinic, id_of, ids
from identity.internal_schemas import SeedMember, SeedTenant, SeedUser


def test_ids_are_the_same_on_every_machine() -> None:
    assert str(id_of("clinic", "alfa")) == "3ff5ce3c-936a-5638-aed4-402d19c9b8a7"
    assert ids()["clinics"]["alfa"]["id"] == str(ALFA.id)
    everything = [*ids()["users"].values()]
    for clinic in ids()["clinics"].values():
        everything += [clinic["id"], *clinic["resources"].values(), *clinic["offerings"].values()]
    assert len(everything) == len(set(everything))
    json.dumps(ids())


@pytest.mark.parametrize("clinic", CLINICS, ids=lambda clinic: clinic.slug)
def test_it_is_what_the_services_take(clinic: Clinic) -> None:
    SeedTenant.model_validate(clinic.body())
    for resource in clinic.resources:
        SeededResource.model_validate(resource.body(clinic.time_zone))
    for offering in clinic.offerings:
        body = OfferingBody.model_validate(offering.body(clinic))
        assert body.requirements, offering.slug
    for account in ACCOUNTS:
        SeedUser.model_validate(account.body())
        if account.role:
            SeedMember.model_validate({"user_id": account.id, "role": account.role})


def test_it_is_what_was_promised() -> None:
    offerings = {offering.slug: offering.body(clinic) for clinic in CLINICS for offering in clinic.offerings}
    priced = {slug: (body["price"], body["payment"]) for slug, body in offerings.items()}
    assert priced == {
        "checkup": ({"amount": 0, "currency": "pln"}, {"mode": "free"}),
        "hygiene": ({"amount": 20_000, "currency": "pln"}, {"mode": "full"}),
        "whitening": ({"amount": 30_000, "currency": "pln"}, {"mode": "authorize"}),
        "implant": ({"amount": 400_000, "currency": "pln"}, {"mode": "deposit", "deposit_amount": 50_000}),
        "massage": ({"amount": 9_000, "currency": "usd"}, {"mode": "authorize"}),
        "yoga": ({"amount": 2_000, "currency": "usd"}, {"mode": "full"}),
    }
    assert offerings["yoga"]["capacity"] == 12
    assert [need["type"] for need in offerings["implant"]["requirements"]] == ["practitioner", "room", "equipment"]
    assert {resource.slug for resource in ALFA.resources if resource.calendar} == {"anna", "piotr"}
    assert [resource.slug for resource in ALFA.resources if resource.approval_required] == ["scanner"]
    assert {resource.slug for resource in BETA.resources} == {"maria", "james", "olivia"}
    assert {account.email for account in ACCOUNTS if account.operator} == {"ops@holdfast.test"}
