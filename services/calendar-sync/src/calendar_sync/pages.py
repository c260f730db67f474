"""The small page that a person sees when they come back from the provider."""

from html import escape

from fastapi.responses import HTMLResponse

from calendar_sync.model import Connection

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>{title}</title>
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1.5rem;color:#1c2430}}
h1{{font-size:1.5rem}}@media(prefers-color-scheme:dark){{body{{background:#12161c;color:#e6e9ee}}}}</style></head>
<body><main><h1>{title}</h1><p>{text}</p></main></body></html>
"""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def consent_page(connection: Connection | None) -> HTMLResponse:
    """Says what came of the consent."""
    if connection is None:
        title = "The calendar was not connected"
        text = "The permission was not given. Nothing was changed; start again from the clinic's calendar settings."
        return _page(title, text, 400)
    calendar = escape(connection.calendar_id)
    if connection.status == "active":
        text = f"{calendar} is connected. Its events keep their times free of bookings from now on."
        return _page("The calendar is connected", text, 200)
    title = "The calendar cannot be read yet"
    text = (
        f"The permission for {calendar} was taken, but the calendar could not be read "
        f"({escape(connection.degraded_reason or 'no answer')}). It is tried again by itself; check its name if it "
        "stays so. You can close this page."
    )
    return _page(title, text, 200)


def _page(title: str, text: str, status: int) -> HTMLResponse:
    return HTMLResponse(_PAGE.format(title=title, text=text), status, headers=_HEADERS)
