"""SendGrid and Twilio: what was sent, for an inbox."""

import base64
import hashlib
import time
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from sandbox.state import Document, State
from sandbox.stripe.events import rfc3339
from sandbox.stripe.objects import new_id

router = APIRouter()


def _error(status: int, message: str, field: str | None = None) -> JSONResponse:
    return JSONResponse({"errors": [{"message": message, "field": field, "help": None}]}, status)


@router.post("/v3/mail/send")
async def send_mail(request: Request) -> Response:
    """SendGrid's v3 mail send: 202 and an id, or its errors by field."""
    if not request.headers.get("authorization", "").startswith("Bearer SG."):
        return _error(401, "The provided authorization grant is invalid, expired, or revoked")
    try:
        body = await request.json()
    except ValueError:
        return _error(400, "Bad Request")
    people = body.get("personalizations") or []
    if not people or not all(person.get("to") for person in people):
        return _error(400, "The to array is required for all personalization objects.", "personalizations.0.to")
    if not body.get("from", {}).get("email"):
        return _error(400, "The from object must be provided for every email send.", "from")
    content = {part.get("type"): part.get("value") for part in body.get("content") or []}
    if not content or not all(content.values()):
        return _error(400, "Unless a valid template_id is provided, the content parameter is required.", "content")
    state: State = request.app.state.store
    message_id = new_id("sg")
    for person in people:
        subject = person.get("subject") or body.get("subject")
        if not subject:
            return _error(400, "The subject is required.", "subject")
        for address in person["to"]:
            _store(
                state,
                {
                    "kind": "email",
                    "to": address["email"],
                    "from": body["from"]["email"],
                    "subject": subject,
                    "text": content.get("text/plain"),
                    "html": content.get("text/html"),
                    "attachments": [
                        {
                            "filename": part.get("filename"),
                            "content_type": part.get("type", "application/octet-stream"),
                            "content": part.get("content"),
                        }
                        for part in body.get("attachments") or []
                    ],
                    "custom_args": (body.get("custom_args") or {}) | (person.get("custom_args") or {}),
                },
            )
    return Response(status_code=202, headers={"X-Message-Id": message_id})


@router.post("/2010-04-01/Accounts/{account}/Messages.json")
async def send_sms(request: Request, account: str) -> JSONResponse:
    """Twilio's message create: 201 and the message."""
    expected = f"{account}:"
    credential = request.headers.get("authorization", "").removeprefix("Basic ")
    if not base64.b64decode(credential + "=" * (-len(credential) % 4)).decode(errors="replace").startswith(expected):
        return JSONResponse({"code": 20003, "message": "Authenticate", "more_info": "", "status": 401}, 401)
    form = dict(await request.form())
    for name in ("To", "Body"):
        if not form.get(name):
            error = {"code": 21604, "message": f"A '{name}' is required.", "more_info": "", "status": 400}
            return JSONResponse(error, 400)
    if not form.get("From") and not form.get("MessagingServiceSid"):
        error = {"code": 21603, "message": "A 'From' phone number is required.", "more_info": "", "status": 400}
        return JSONResponse(error, 400)
    state: State = request.app.state.store
    sid = "SM" + hashlib.md5(new_id("sms").encode(), usedforsecurity=False).hexdigest()
    stored = _store(
        state,
        {
            "kind": "sms",
            "to": str(form["To"]),
            "from": str(form.get("From") or form.get("MessagingServiceSid")),
            "subject": None,
            "text": str(form["Body"]),
            "html": None,
            "attachments": [],
            "sid": sid,
        },
    )
    return JSONResponse(_twilio_message(account, stored), 201)


@router.get("/2010-04-01/Accounts/{account}/Messages/{sid}.json")
async def get_sms(request: Request, account: str, sid: str) -> JSONResponse:
    """One message."""
    state: State = request.app.state.store
    found = next(state.where("message", lambda message: message.get("sid") == sid), None)
    if found is None:
        return JSONResponse({"code": 20404, "message": "Not found", "more_info": "", "status": 404}, 404)
    return JSONResponse(_twilio_message(account, found), 200)


def _twilio_message(account: str, message: Document) -> Document:
    date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime())
    uri = f"/2010-04-01/Accounts/{account}/Messages/{message['sid']}"
    return {
        "account_sid": account,
        "api_version": "2010-04-01",
        "body": message["text"],
        "date_created": date,
        "date_sent": None,
        "date_updated": date,
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": message["from"],
        "messaging_service_sid": None,
        "num_media": "0",
        "num_segments": "1",
        "price": None,
        "price_unit": "USD",
        "sid": message["sid"],
        "status": "queued",
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": message["to"],
        "uri": f"{uri}.json",
    }


def _store(state: State, message: Document) -> Document:
    message_id = f"{state.count('message'):08d}"
    return state.put("message", message_id, {"id": message_id, "at": rfc3339()} | message)


def matching(state: State, kind: str | None, to: str | None) -> list[dict[str, Any]]:
    """What `/_sandbox/messages` shows, oldest first."""
    shown = ("id", "kind", "to", "subject", "text", "html", "attachments", "at")
    return [
        {name: message[name] for name in shown}
        for message in state.all("message")
        if kind in (None, message["kind"]) and to in (None, message["to"])
    ]
