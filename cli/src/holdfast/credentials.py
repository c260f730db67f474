"""Passwords and signing secrets that `up` makes once and keeps in DIR/secrets.json (0600)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .errors import HoldfastError
from .files import write_private


@dataclass(slots=True)
class Credentials:
    """Database passwords by service name, and the secret that signs webhooks of the sandbox."""

    passwords: dict[str, str] = field(default_factory=dict)
    stripe_webhook_secret: str = ""


def ensure(path: Path, services: Iterable[str]) -> Credentials:
    """Read the secrets, make those that are missing, and store them before they are used."""
    credentials = Credentials()
    if path.exists():
        try:
            credentials = Credentials(**json.loads(path.read_text()))
        except (ValueError, TypeError) as error:
            raise HoldfastError(
                f"{path} is damaged ({error}); nothing was changed: restore it from a backup, or "
                "delete it to have new passwords made and set."
            ) from error
    before = asdict(credentials)
    for service in services:
        credentials.passwords.setdefault(service, secrets.token_urlsafe(24))
    if not credentials.stripe_webhook_secret:
        credentials.stripe_webhook_secret = f"whsec_{secrets.token_hex(24)}"
    if asdict(credentials) != before:
        write_private(path, json.dumps(asdict(credentials), indent=2) + "\n")
    return credentials
