"""Whatever is sent, the answer is a problem and never a failure of ours."""

import pytest

OFFERING = '{"name": "x", "duration_minutes": 30, %s}'

BODIES = [
    ("POST", "/resources", "", 422),
    ("POST", "/resources", "{", 400),
    ("POST", "/resources", "[" * 100_000, 400),
    ("POST", "/resources", '{"type": "room", "name": "\\ud800"}', 422),
    ("POST", "/resources", '{"type": "room", "name": "x", "\\ud800": 1}', 422),
    ("POST", "/resources", '{"type": "room", "name": "x", "metadata": {"\\u0000": "1"}}', 422),
    ("POST", "/resources", '{"type": "room", "name": "x", "location_id": "here"}', 422),
    ("PATCH", "/resources/anna", "null", 422),
    ("PATCH", "/resources/anna", "[]", 422),
    ("PATCH", "/resources/anna", '{"type": "room"}', 422),
    ("PATCH", "/resources/anna", '{"metadata": {"a": {"b": 1}}}', 422),
    ("POST", "/offerings", '{"name": "x", "duration_minutes": NaN}', 422),
    ("POST", "/offerings", OFFERING % '"hold_minutes": Infinity', 422),
    ("POST", "/offerings", OFFERING % '"capacity": 99999999999999999999', 422),
    ("POST", "/offerings", OFFERING % '"starts": {"tue": [1]}', 422),
    ("POST", "/offerings", OFFERING % '"starts": {}', 422),
    ("POST", "/offerings", OFFERING % '"requirements": [{"type": "room", "any_of": "some"}]', 422),
    ("PUT", "/resources/anna/schedule", '{"weekly": {"mon": [["09:00"]]}}', 422),
    ("PUT", "/resources/anna/schedule", '{"weekly": {}, "valid_from": "0001-01-01", "valid_until": "9999-12-31"}', 200),
    ("POST", "/resources/anna/time-off", '{"start": "2027-01-01T00:00:00", "end": "2027-01-02T00:00:00"}', 422),
    ("POST", "/resources/anna/time-off", '{"start": "0001-01-01T00:00:00+14:00", "end": "2027-01-02T00:00:00Z"}', 422),
    ("POST", "/resources/anna/time-off", '{"start": "0001-01-01T00:00:00Z", "end": "9999-12-31T23:59:59Z"}', 422),
    ("DELETE", "/resources/anna/time-off/x", "", 422),
]

QUERIES = [
    "/resources?cursor=%00",
    "/resources?cursor=e30=",
    "/resources?cursor=WzEsMl0=",
    "/resources?sort=name",
    "/resources?type=car",
    "/resources?updated_since=0001-01-01T00:00:00%2B14:00",
    "/offerings?external_ref=%00",
    "/resources/anna/time-off?cursor=x",
    "/providers/any/availability?offering=check-up&after=0001-01-01T00:00:00%2B14:00",
]


@pytest.mark.parametrize(("method", "path", "body", "status"), BODIES)
async def test_a_body_of_any_kind_is_answered(clinic, world, method, path, body, status):
    await clinic.practitioner()
    headers = clinic.owner | {"Content-Type": "application/json"}
    answer = await world.client.request(method, clinic.base + path, content=body, headers=headers)
    assert answer.status_code == status, answer.text
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
    search = await world.client.get(f"{clinic.base}/providers")
    assert search.status_code == 200  # and what was stored can be searched


@pytest.mark.parametrize("query", QUERIES)
async def test_a_query_of_any_kind_is_answered(clinic, world, query):
    await clinic.practitioner()
    await clinic.offering()
    answer = await world.client.get(clinic.base + query, headers=clinic.owner)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({}, 422),
        ({"offering": "nothing"}, 404),
        ({"offering": "\x00"}, 404),
        ({"offering": "O" * 3000}, 404),
        ({"offering": "check-up", "from": "tomorrow"}, 422),
        ({"offering": "check-up", "from": "2026-02-30"}, 422),
        ({"offering": "check-up", "from": "20260201"}, 422),
        ({"offering": "check-up", "from": "2027-02-02", "to": "2027-02-01"}, 422),
        ({"offering": "check-up", "from": "2027-01-01", "to": "2027-03-04"}, 422),
        ({"offering": "check-up", "from": "2027-01-01", "to": "2027-03-03"}, 200),
        ({"offering": "check-up", "from": "0001-01-01", "to": "0001-01-02"}, 200),
        ({"offering": "check-up", "from": "9999-12-31"}, 200),
        ({"offering": "check-up", "from": "9999-12-01", "to": "9999-12-31"}, 200),
        ({"offering": "check-up", "tz": "Mars/Base"}, 422),
        ({"offering": "check-up", "tz": "../etc/passwd"}, 422),
        ({"offering": "check-up", "tz": "Pacific/Kiritimati"}, 200),
        ({"offering": "check-up", "limit": "0"}, 422),
        ({"offering": "check-up", "limit": "x"}, 422),
        ({"offering": "check-up", "after": "x"}, 422),
        ({"offering": "check-up", "after": "2027-01-01T00:00:00"}, 422),
        ({"offering": "check-up", "after": "9999-12-31T23:59:59Z"}, 200),
        ({"offering": "check-up", "include": "all"}, 422),
    ],
)
async def test_bad_queries_are_refused_with_a_problem(clinic, world, params, status):
    await clinic.practitioner()
    await clinic.offering()
    for provider in ("any", "anna"):
        answer = await world.client.get(f"{clinic.base}/providers/{provider}/availability", params=params)
        assert answer.status_code == status, answer.text
        if status != 200:
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("provider", ["nobody", "room-1", "%00", "Ż", "01a1fdce-2e9c-76b3-9957-54bf03f9dc22"])
async def test_an_unknown_provider_is_not_found(clinic, world, provider):
    await clinic.resource("room", "Room 1")
    await clinic.offering()
    answer = await world.client.get(f"{clinic.base}/providers/{provider}/availability?offering=check-up")
    assert answer.status_code == 404
