"""SendGrid's v3 mail send: what it takes goes into the inbox, what it refuses is named by field."""

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from sandbox.bodies import json_object
from sandbox.messages import keep
from sandbox.state import Document
from sandbox.stripe.ids import new_id

router = APIRouter()

MOST_PEOPLE = 1000


class MailError(Exception):
    """A mail that SendGrid refuses; `field` names what is wrong with it."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message, self.field = message, field


def error(status: int, message: str, field: str | None = None) -> JSONResponse:
    """SendGrid's list of errors."""
    return JSONResponse({"errors": [{"message": message, "field": field, "help": None}]}, status)


@router.post("/v3/mail/send")
async def send_mail(request: Request) -> Response:
    """202 and an id, or the errors. Nothing is sent to anybody when a part is wrong."""
    if not request.headers.get("authorization", "").startswith("Bearer SG."):
        return error(401, "The provided authorization grant is invalid, expired, or revoked")
    try:
        mails = list(_mails(await json_object(request)))
    except ValueError:
        return error(400, "Bad Request")
    except MailError as refused:
        return error(400, refused.message, refused.field)
    message_id = new_id("sg")
    for mail in mails:
        keep(request.app.state.store, mail | {"provider_id": message_id})
    return Response(status_code=202, headers={"X-Message-Id": message_id})


@router.api_route("/v3/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
async def unknown() -> JSONResponse:
    """What this stand-in does not know says so as SendGrid does."""
    return error(404, "not found")


def _mails(body: Document) -> Iterator[Document]:
    """A mail for each recipient of each personalization."""
    people = _list(body, "personalizations")
    if not people or len(people) > MOST_PEOPLE:
        raise MailError("The personalizations field is required and must have at least one personalization.")
    sender = _address(body.get("from"), "from")
    content = _content(body)
    attachments = [_attachment(part, f"attachments.{index}") for index, part in enumerate(_list(body, "attachments"))]
    arguments = _texts(body, "custom_args")
    for index, person in enumerate(people):
        where = f"personalizations.{index}"
        subject = person.get("subject") or body.get("subject")
        if not isinstance(subject, str) or not subject:
            raise MailError("The subject is required.", "subject")
        if not _list(person, "to", where):
            raise MailError("The to array is required for all personalization objects.", f"{where}.to")
        for name in ("to", "cc", "bcc"):
            for number, recipient in enumerate(_list(person, name, where)):
                yield {
                    "kind": "email",
                    "to": _address(recipient, f"{where}.{name}.{number}.email"),
                    "from": sender,
                    "subject": subject,
                    "text": content.get("text/plain"),
                    "html": content.get("text/html"),
                    "attachments": attachments,
                    "custom_args": arguments | _texts(person, "custom_args", where),
                }


def _list(body: Document, name: str, where: str = "") -> list[Document]:
    found = body.get(name) or []
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        path = f"{where}.{name}" if where else name
        raise MailError(f"The {name} field has to be an array of objects.", path)
    return found


def _texts(body: Document, name: str, where: str = "") -> dict[str, str]:
    found = body.get(name) or {}
    if not isinstance(found, dict) or not all(isinstance(entry, str) for entry in found.values()):
        path = f"{where}.{name}" if where else name
        raise MailError(f"The {name} field has to be an object of strings.", path)
    return found


def _address(value: Any, field: str) -> str:
    found = value.get("email") if isinstance(value, dict) else None
    if not isinstance(found, str) or not found:
        raise MailError("The email address is required.", field)
    name, _, domain = found.rpartition("@")
    if not name or not domain or any(character.isspace() for character in found):
        raise MailError("Does not contain a valid address.", field)
    return found


def _content(body: Document) -> dict[str, str]:
    parts = _list(body, "content")
    if not parts:
        raise MailError("Unless a valid template_id is provided, the content parameter is required.", "content")
    found: dict[str, str] = {}
    for index, part in enumerate(parts):
        kind, value = part.get("type"), part.get("value")
        if not isinstance(kind, str) or not kind:
            raise MailError("The content type is required.", f"content.{index}.type")
        if not isinstance(value, str) or not value:
            raise MailError("The content value must be a string at least one character in length.", f"content.{index}")
        found[kind] = value
    if [kind for kind in found if kind == "text/plain"] and next(iter(found)) != "text/plain":
        raise MailError("If present, text/plain must be the first content type.", "content")
    return found


def _attachment(part: Document, field: str) -> Document:
    content, filename = part.get("content"), part.get("filename")
    kind = part.get("type", "application/octet-stream")
    if not isinstance(content, str) or not content:
        raise MailError("The attachment content is required.", f"{field}.content")
    try:
        base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as wrong:
        raise MailError("The attachment content must be base64 encoded.", f"{field}.content") from wrong
    if not isinstance(filename, str) or not filename or any(character in filename for character in "\r\n"):
        raise MailError("The attachment filename is required and cannot contain CRLF.", f"{field}.filename")
    if not isinstance(kind, str) or "/" not in kind or any(character in kind for character in ";\r\n"):
        raise MailError("The attachment type cannot contain ';' or CRLF characters.", f"{field}.type")
    return {"filename": filename, "content_type": kind, "content": content}
