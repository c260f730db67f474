"""The pages on a real Jinja environment, with the services' answers from tiny servers."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from fastapi import FastAPI

from gateway import pages
from gateway.upstream import Upstreams
from servicekit import keys, problems
from servicekit.signing import Signer

SOURCE = Path(pages.__file__).parent
TENANT = "01990000-0000-7000-8000-000000000001"
VISIT = "01990000-0000-7000-8000-000000000002"
CLINICS = {
    "alfa": {
        "tenant_id": TENANT,
        "slug": "alfa",
        "name": "Alfa <Dental>",
        "time_zone": "Europe/Warsaw",
        "currency": "pln",
        "locales": ["pl", "en"],
        "active": True,
    }
}
CLINICS["gone"] = CLINICS["alfa"] | {"slug": "gone", "active": False}


def _offering(slug: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"01990000-0000-7000-8000-0000000000{len(slug):02}",
        "slug": slug,
        "name": slug.title(),
        "description": "</script><b>bold</b>",
        "duration_minutes": 30,
        "capacity": 1,
        "hold_minutes": 10,
        "price": {"amount": 20000, "currency": "pln"},
        "payment": {"mode": "full", "deposit_amount": None},
        "cancellation": {"free_until_minutes": 1440, "fee_percent": 50},
        "active": True,
    } | more


async def _tenant(request: web.Request) -> web.Response:
    found = CLINICS.get(request.match_info["name"])
    return web.json_response(found or {}, status=200 if found else 404)


async def _offerings(_: web.Request) -> web.Response:
    listed = [_offering("hygiene"), _offering("yoga", capacity=12), _offering("old", active=False)]
    return web.json_response({"data": listed, "next_cursor": None})


@pytest.fixture
async def upstreams(keys_path: Path) -> AsyncIterator[tuple[Upstreams, TestServer]]:
    app = web.Application()
    app.router.add_get("/internal/tenants/{name}", _tenant)
    app.router.add_get(f"/v1/clinics/{TENANT}/offerings", _offerings)
    server = TestServer(app)
    await server.start_server()
    url = str(server.make_url("")).rstrip("/")
    signing = Signer(keys.load(keys_path).of("services"), "services")
    made = Upstreams({"identity": url, "availability": url}, signing)
    yield made, server
    await made.close()
    await server.close()


@pytest.fixture
async def client(upstreams: tuple[Upstreams, TestServer]) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    problems.install(app)
    app.include_router(pages.router)
    app.state.gateway = SimpleNamespace(upstreams=upstreams[0])
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as made:
        yield made


async def test_booking_page_lists_what_can_be_booked_by_its_test_ids(client: httpx.AsyncClient) -> None:
    answer = await client.get("/alfa?lang=en")
    assert answer.status_code == 200
    assert 'data-testid="offering-hygiene"' in answer.text
    assert 'data-testid="offering-yoga"' in answer.text
    assert "up to 12 people" in answer.text
    assert "offering-old" not in answer.text, "what is not active is not offered"


async def test_what_clinics_write_is_text_and_never_markup(client: httpx.AsyncClient) -> None:
    answer = await client.get("/alfa?lang=en")
    assert "Alfa &lt;Dental&gt;" in answer.text
    assert "<b>bold</b>" not in answer.text
    assert answer.text.count("</script>") == 2, "the data cannot end its own element"


@pytest.mark.parametrize(
    "path",
    ["/", "/alfa", f"/alfa?hold={VISIT}", f"/alfa?appointment={VISIT}", f"/manage/{VISIT}?clinic=alfa", "/nobody"],
)
async def test_every_page_is_self_contained_and_keeps_its_address_to_itself(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", answer.text), "nothing comes from elsewhere"
    assert not re.search(r"<[^>]+\s(?:style|on[a-z]+)=", answer.text), "nothing is inline"
    assert not re.search(r"<script(?![^>]*(?:src=|application/json))", answer.text)


@pytest.mark.parametrize("clinic", ["nobody", "gone", "Alfa", "any", "desk", "x", "favicon.ico"])
async def test_unknown_clinic_is_told_kindly(client: httpx.AsyncClient, clinic: str) -> None:
    answer = await client.get(f"/{clinic}", headers={"Accept-Language": "de"})
    assert answer.status_code == 404
    assert "Diese Praxis gibt es hier nicht" in answer.text


async def test_page_says_so_when_a_service_is_away(
    client: httpx.AsyncClient, upstreams: tuple[Upstreams, TestServer]
) -> None:
    await upstreams[1].close()
    answer = await client.get("/alfa?lang=en")
    assert answer.status_code == 503
    assert "Load this page again in a minute" in answer.text


@pytest.mark.parametrize(
    ("query", "accepted", "spoken"),
    [
        ("?lang=es", "de", "es"),
        ("", "de-AT,en;q=0.5", "de"),
        ("", "fr,en;q=0.3,es;q=0.9", "es"),
        ("", "fr,de;q=0", "pl"),
        ("?lang=xx", "cs", "pl"),
        ("", "pl;q=much", "pl"),
    ],
)
async def test_language_is_the_one_asked_for_then_the_browsers_then_the_clinics(
    client: httpx.AsyncClient, query: str, accepted: str, spoken: str
) -> None:
    answer = await client.get(f"/alfa{query}", headers={"Accept-Language": accepted})
    assert f'<html lang="{spoken}"' in answer.text


async def test_held_time_and_visit_have_pages_of_their_own(client: httpx.AsyncClient) -> None:
    details = await client.get(f"/alfa?hold={VISIT}&token=secret")
    assert 'data-testid="confirm"' in details.text
    for field in ("name", "email", "tel"):
        assert f'autocomplete="{field}"' in details.text
    assert "secret" not in details.text, "a token is not copied into links"
    for path in (f"/alfa?appointment={VISIT}", f"/manage/{VISIT}?clinic=alfa"):
        assert VISIT in (await client.get(path)).text
    assert (await client.get("/alfa?appointment=nonsense")).status_code == 404
    assert (await client.get("/manage/nonsense")).status_code == 404


async def test_assets_are_kept_for_good_under_the_address_of_their_content(client: httpx.AsyncClient) -> None:
    found = re.findall(r"(?:src|href)=\"(/assets/[^\"]+)\"", (await client.get("/alfa")).text)
    assert len(found) >= 5
    for address in found:
        answer = await client.get(address)
        assert answer.status_code == 200
        assert ("immutable" in answer.headers["cache-control"]) == ("?v=" in address)
        again = await client.get(address, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304
    assert "no-cache" in (await client.get("/assets/kit.js?v=old")).headers["cache-control"]
    for name in ("nothing.js", "..%2Fpages.py", "%2e%2e"):
        assert (await client.get(f"/assets/{name}")).status_code == 404


def test_dictionary_is_complete_and_says_the_same_in_every_language() -> None:
    for key, said in pages.WORDS.items():
        assert set(said) == set(pages.LANGUAGES), key
        assert all(text.strip() for text in said.values()), key
        places = {language: sorted(set(re.findall(r"{(\w+)}", text))) for language, text in said.items()}
        assert len({tuple(names) for names in places.values()}) == 1, f"{key} names different values: {places}"


# Words that are put together of a state and a part: "confirmed_title", "money_paid".
STATES = {
    "title text": "confirmed pending_payment pending_approval unfulfillable expired rejected cancelled completed"
    " no_show",
    "money": "pending authorized paid failed voided partially_refunded refunded",
    "pay": "free full deposit authorize",
    "bad": "name email phone",
}


def test_every_word_that_a_page_says_is_in_the_dictionary_and_none_is_left_over() -> None:
    files = [*(SOURCE / "templates").glob("*.html"), *(SOURCE / "static").glob("*.js"), SOURCE / "pages.py"]
    source = "".join(path.read_text("utf-8") for path in files)
    said = set(re.findall(r"\bt\.(\w+)", source)) | set(re.findall(r'\bt\("(\w+)"', source))
    put_together = {f"{status}_{part}" for status in STATES["title text"].split() for part in ("title", "text")}
    put_together |= {f"{kind}_{state}" for kind in ("money", "pay", "bad") for state in STATES[kind].split()}
    refusals = set(re.findall(r'_refusal\(request, \d+, "(\w+)"\)', source))
    put_together |= {f"{kind}_{part}" for kind in refusals for part in ("title", "text")}
    assert (said | put_together) - set(pages.WORDS) == set()
    quoted = set(re.findall(r'"(\w+)"|(?<=\W)(\w+): \[\]', source)) | {("", "")}
    spoken = said | put_together | {word for pair in quoted for word in pair}
    assert set(pages.WORDS) - spoken == set()


@pytest.mark.parametrize("page", ["booking", "details", "visit"])
def test_a_page_stays_one_template_and_one_script_under_300_lines(page: str) -> None:
    files = (SOURCE / "templates" / f"{page}.html", SOURCE / "static" / f"{page}.js")
    assert sum(len(path.read_text("utf-8").splitlines()) for path in files) < 300
