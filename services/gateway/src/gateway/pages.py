"""The pages for people: a clinic's booking page, the page of one visit, and what they are made of.

The server renders what does not change under a visitor (the clinic, its offerings, the words of the language); one
script does the rest through the public API. Nothing is inline, so the Content-Security-Policy needs no exceptions.
"""

import hashlib
import json
import mimetypes
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from servicekit.problems import NotFound, Unavailable

router = APIRouter(include_in_schema=False)

_HERE = Path(__file__).parent
LANGUAGES = {"en": "English", "pl": "Polski", "es": "Español", "de": "Deutsch"}
WORDS: dict[str, dict[str, str]] = json.loads((_HERE / "templates" / "words.json").read_text("utf-8"))
# api.md: slugs of clinics, and the words that none may have.
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_RESERVED = frozenset(("any", "v1", "me", "ops", "health", "docs", "assets", "embed", "login", "desk", "_sandbox"))

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Reader(Protocol):
    """What the pages read from the services."""

    async def get_json(
        self, service: str, path: str, *, params: dict[str, str] | None = None, internal: bool = False
    ) -> dict[str, Any]:
        """A service's answer; `NotFound`, `Unavailable`."""

    async def clinic(self, slug_or_id: str) -> dict[str, Any]:
        """The clinic's card; `NotFound`, `Unavailable`."""


def _assets() -> dict[str, tuple[bytes, str, str]]:
    """Content, media type and content hash of every static file, by name: few and small, so they stay in memory."""
    found = {}
    for path in sorted((_HERE / "static").iterdir()):
        kind = "font/woff2" if path.suffix == ".woff2" else mimetypes.guess_type(path.name)[0] or "text/plain"
        if kind.startswith("text/") or kind == "image/svg+xml":
            kind += "; charset=utf-8"
        content = path.read_bytes()
        found[path.name] = (content, kind, hashlib.sha256(content).hexdigest()[:16])
    return found


ASSETS = _assets()


def asset(name: str) -> str:
    """The address of a static file. It changes with the content, so that browsers may keep it for good."""
    return f"/assets/{name}?v={ASSETS[name][2]}"


_templates = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "sort_keys": True}
_templates.globals.update(asset=asset, languages=LANGUAGES)


def words_in(language: str) -> dict[str, str]:
    """The dictionary of one language."""
    return {key: said[language] for key, said in WORDS.items()}


def language_of(request: Request, locales: Sequence[str] = ()) -> str:
    """The page's language: `?lang=`, else the browser's first that we speak, else the clinic's first, else English."""
    asked = [request.query_params.get("lang", ""), *_accepted(request.headers.get("accept-language", "")), *locales]
    return next((tag for entry in asked if (tag := entry[:2].lower()) in LANGUAGES), "en")


def _accepted(header: str) -> list[str]:
    """The tags of an Accept-Language header, best first; what cannot be read is left out."""
    weighed = []
    for entry in header.split(","):
        tag, _, quality = entry.strip().partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            continue
        if weight > 0:
            weighed.append((weight, tag.strip()))
    return [tag for _, tag in sorted(weighed, key=lambda pair: -pair[0])]


def render(name: str, request: Request, *, language: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page with the headers that every page has. `data` among the values is what its script reads."""
    words = words_in(language)
    here = request.url.remove_query_params("token")
    links = {code: here.include_query_params(lang=code).query for code in LANGUAGES}
    data = values.pop("data", {}) | {"lang": language, "words": words}
    page = _templates.get_template(name).render(t=words, lang=language, links=links, data=data, **values)
    return HTMLResponse(page, status, headers=HEADERS | {"Cache-Control": "no-store", "Vary": "Accept-Language"})


def still_page(name: str) -> HTMLResponse:
    """A page in English that needs nothing of the request."""
    page = _templates.get_template(name).render(t=words_in("en"), lang="en", links={})
    return HTMLResponse(page, headers=HEADERS)


def _refusal(request: Request, status: int, kind: str) -> HTMLResponse:
    """A page that says what is wrong: its words are `<kind>_title` and `<kind>_text`."""
    return render("message.html", request, language=language_of(request), status=status, kind=kind)


def _reader(request: Request) -> Reader:
    reader: Reader = request.app.state.gateway.upstreams
    return reader


@router.api_route("/assets/{name}", methods=["GET", "HEAD"])
async def serve_asset(name: str, request: Request) -> Response:
    """A static file."""
    if name not in ASSETS:
        raise NotFound(f"There is no file {name[:80]!r} among the assets.")
    content, kind, digest = ASSETS[name]
    current = request.query_params.get("v") == digest
    headers = {
        "ETag": f'"{digest}"',
        "Cache-Control": "public, max-age=31536000, immutable" if current else "no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    if request.headers.get("if-none-match") == f'"{digest}"':
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers=headers)


@router.api_route("/", methods=["GET", "HEAD"])
async def landing(request: Request) -> HTMLResponse:
    """What this is."""
    return render("landing.html", request, language=language_of(request))


@router.api_route("/manage/{booking_id}", methods=["GET", "HEAD"])
async def manage(request: Request, booking_id: str) -> HTMLResponse:
    """One visit. Its token is in the fragment, which never leaves the browser; `?clinic=` says whose visit it is."""
    try:
        booking = UUID(booking_id)
        clinic = request.query_params.get("clinic")
        return _visit(request, booking, await _card(_reader(request), clinic) if clinic else None)
    except ValueError:
        return _refusal(request, 404, "no_visit")
    except NotFound:
        return _refusal(request, 404, "no_clinic")
    except Unavailable:
        return _refusal(request, 503, "away")


def _visit(request: Request, booking: UUID, card: Mapping[str, Any] | None) -> HTMLResponse:
    shown = _shown(card) if card else {"clinic": None, "name": None, "zone": None}
    language = language_of(request, card["locales"] if card else ())
    return render("visit.html", request, language=language, clinic=shown, data=shown | {"booking": str(booking)})


@router.api_route("/{clinic}", methods=["GET", "HEAD"])
async def booking_page(request: Request, clinic: str) -> HTMLResponse:
    """A clinic's booking page; with `?hold=` the details that turn the hold into an appointment, with `?appointment=`,
    where Stripe returns to, the page of that visit."""
    try:
        reader = _reader(request)
        card = await _card(reader, clinic)
        if appointment := request.query_params.get("appointment"):
            return _visit(request, UUID(appointment), card)
        path = f"/v1/clinics/{card['tenant_id']}/offerings"
        listed = await reader.get_json("availability", path, params={"limit": "200"})
    except ValueError:
        return _refusal(request, 404, "no_visit")
    except NotFound:
        return _refusal(request, 404, "no_clinic")
    except Unavailable:
        return _refusal(request, 503, "away")
    language = language_of(request, card["locales"])
    offerings = [_offering(entry) for entry in listed["data"] if entry["active"]]
    data = _shown(card) | {"offerings": offerings}
    name = "details.html" if "hold" in request.query_params else "booking.html"
    return render(name, request, language=language, clinic=_shown(card), offerings=offerings, data=data)


def _shown(card: Mapping[str, Any]) -> dict[str, Any]:
    return {"clinic": card["slug"], "name": card["name"], "zone": card["time_zone"]}


async def _card(reader: Reader, clinic: str) -> dict[str, Any]:
    if clinic in _RESERVED or not 2 <= len(clinic) <= 63 or not _SLUG.fullmatch(clinic):
        raise NotFound("There is no such clinic.")
    card = await reader.clinic(clinic)
    if not card.get("active", True):
        raise NotFound("There is no such clinic.")
    return card


def _offering(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What the page shows of an offering."""
    names = ("id", "slug", "name", "description", "duration_minutes", "capacity", "hold_minutes", "price", "payment")
    return {name: entry[name] for name in names} | {"free_until_minutes": entry["cancellation"]["free_until_minutes"]}
