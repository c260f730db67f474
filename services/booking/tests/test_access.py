"""Whose appointments staff see."""

from datetime import timedelta

from events import new_id

from .conftest import NEXT_WEEK, Clinic


async def test_a_practitioner_sees_only_the_own_agenda(clinic: Clinic) -> None:
    user = new_id()
    own, other = await clinic.resource(user=user), await clinic.resource()
    kind = await clinic.offering()
    mine = await clinic.appointment(clinic.offer(kind, [own]))
    theirs = await clinic.appointment(clinic.offer(kind, [other], start=NEXT_WEEK + timedelta(hours=1)))
    me = clinic.staff("practitioner", user)
    listed = await clinic.client.get(f"{clinic.base}/appointments", headers=me)
    assert [entry["id"] for entry in listed.json()["data"]] == [mine["id"]]
    seen = [(await clinic.client.get(f"{clinic.base}/appointments/{one['id']}", headers=me)).status_code
            for one in (mine, theirs)]  # fmt: skip
    assert seen == [200, 404]
    done = await clinic.client.post(f"{clinic.base}/appointments/{theirs['id']}/complete", headers=me)
    assert done.status_code == 404
    everything = await clinic.client.get(f"{clinic.base}/appointments", headers=clinic.staff("auditor"))
    assert len(everything.json()["data"]) == 2
