"""Twilio's messages: what it takes goes into the inbox."""

import base64
import binascii
import re
import secrets
import time

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from sandbox.messages import keep
from sandbox.state import Document, State

router = APIRouter(prefix="/2010-04-01")

PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
LONGEST = 1600


def error(status: int, code: int, message: str) -> JSONResponse:
    """Twilio's error object."""
    body = {"code": code, "message": message, "more_info": f"https://www.twilio.com/docs/errors/{code}"}
    return JSONResponse(body | {"status": status}, status)


def _may(request: Request, account: str) -> bool:
    """Whether the credentials are the account's own, or an API key's, with any secret."""
    kind, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return False
    return kind == "Basic" and bool(secret) and (name == account or name.startswith("SK"))


@router.post("/Accounts/{account}/Messages.json")
async def send_sms(request: Request, account: str) -> JSONResponse:
    """201 and the message."""
    if not _may(request, account):
        return error(401, 20003, "Authenticate")
    form = {name: value for name, value in (await request.form()).items() if isinstance(value, str) and value}
    for name, code in (("To", 21604), ("Body", 21602)):
        if name not in form:
            return error(400, code, f"A '{name}' is required.")
    sender = form.get("From") or form.get("MessagingServiceSid")
    if sender is None:
        return error(400, 21603, "A 'From' phone number is required.")
    form["To"] = re.sub(r"[ ().-]", "", form["To"])
    if not PHONE.fullmatch(form["To"]):
        return error(400, 21211, f"The 'To' number {form['To']} is not a valid phone number.")
    if len(form["Body"]) > LONGEST:
        return error(400, 21617, f"The concatenated message body exceeds the {LONGEST} character limit.")
    stored = keep(
        request.app.state.store,
        {
            "kind": "sms",
            "to": form["To"],
            "from": sender,
            "subject": None,
            "text": form["Body"],
            "html": None,
            "attachments": [],
            "sid": f"SM{secrets.token_hex(16)}",
            "account": account,
            "service": form.get("MessagingServiceSid"),
            "sent": int(time.time()),
        },
    )
    return JSONResponse(_message(stored, "queued"), 201)


@router.get("/Accounts/{account}/Messages/{sid}.json")
async def get_sms(request: Request, account: str, sid: str) -> JSONResponse:
    """One message: whoever asks later learns that it was delivered."""
    if not _may(request, account):
        return error(401, 20003, "Authenticate")
    state: State = request.app.state.store
    found = next(state.where("message", lambda one: one.get("sid") == sid and one.get("account") == account), None)
    if found is None:
        return _not_found(request)
    return JSONResponse(_message(found, "delivered"), 200)


@router.api_route("/{path:path}", methods=["GET", "POST", "DELETE"], include_in_schema=False)
async def unknown(request: Request) -> JSONResponse:
    """What this stand-in does not know says so as Twilio does."""
    return _not_found(request)


def _not_found(request: Request) -> JSONResponse:
    return error(404, 20404, f"The requested resource {request.url.path} was not found")


def _message(message: Document, status: str) -> Document:
    date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(message["sent"]))
    uri = f"/2010-04-01/Accounts/{message['account']}/Messages/{message['sid']}"
    return {
        "account_sid": message["account"],
        "api_version": "2010-04-01",
        "body": message["text"],
        "date_created": date,
        "date_sent": date if status == "delivered" else None,
        "date_updated": date,
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": None if message["from"] == message["service"] else message["from"],
        "messaging_service_sid": message["service"],
        "num_media": "0",
        "num_segments": "1",
        "price": None,
        "price_unit": "USD",
        "sid": message["sid"],
        "status": status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": message["to"],
        "uri": f"{uri}.json",
    }
