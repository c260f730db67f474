"""The secret keys of a deployment: one file, one purpose a key, two valid at a time (the first one signs)."""

import base64
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from joserfc.jwk import OKPKey

Purpose = Literal["offers", "payment_requests", "settlements", "customers", "services", "people", "answers", "links"]
"""offers: slots · payment_requests and settlements: money to be paid, nothing to be paid · customers: a request's
person · services: calls between services · people: wraps the persons' keys and hashes their addresses · answers:
secrets of providers at rest · links: the tokens in links of messages."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Symmetric keys by purpose and number, and the JWK set that signs access tokens."""

    symmetric: dict[str, dict[int, bytes]]
    tokens: list[dict[str, str]]

    def of(self, purpose: Purpose) -> dict[int, bytes]:
        """The keys of a purpose by number, the signing one first. Raises KeyError when the file has none."""
        return self.symmetric[purpose]


def ensure(path: Path) -> None:
    """Makes the key file, readable by its owner alone; adds to an older one the purposes that it does not know."""
    document = json.loads(path.read_text()) if path.exists() else {}
    missing = {purpose for purpose in (*get_args(Purpose), "tokens") if purpose not in document}
    if not missing:
        return
    for purpose in get_args(Purpose):
        if purpose in missing:
            document[purpose] = [{"id": 1, "key": base64.b64encode(secrets.token_bytes(32)).decode()}]
    if "tokens" in missing:
        signing = OKPKey.generate_key("Ed25519", parameters={"kid": secrets.token_hex(4), "use": "sig"}, private=True)
        document["tokens"] = [signing.as_dict(private=True)]
    part = path.with_suffix(".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(document, file, indent=1)
    part.replace(path)


def load(path: Path) -> Keys:
    """Reads the key file."""
    document = json.loads(path.read_text())
    tokens = document.pop("tokens", [])
    return Keys(
        {
            purpose: {entry["id"]: base64.b64decode(entry["key"]) for entry in entries}
            for purpose, entries in document.items()
        },
        tokens,
    )
