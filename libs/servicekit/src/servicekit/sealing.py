"""Secrets that have to travel or be kept: sealed with AES-GCM under a key of the deployment, bound to what they are
for."""

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class Unsealable(Exception):
    """Not sealed by us, for something else, or under a key that is no longer valid."""


class Sealer:
    """Seals for one purpose. The first key seals; all given keys open."""

    def __init__(self, keys: dict[int, bytes]) -> None:
        self._keys = keys
        self._sealing = next(iter(keys))

    def seal(self, secret: str, subject: str) -> str:
        """`base64url(key number ‖ nonce ‖ ciphertext)`. Opens only for the same subject."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = AESGCM(self._keys[self._sealing]).encrypt(nonce, secret.encode(), subject.encode())
        return base64.urlsafe_b64encode(bytes([self._sealing]) + nonce + sealed).decode()

    def open(self, text: str, subject: str) -> str:
        """The secret; `Unsealable` otherwise."""
        try:
            raw = base64.urlsafe_b64decode(text)
            key = self._keys[raw[0]]
            nonce, sealed = raw[1 : 1 + NONCE_BYTES], raw[1 + NONCE_BYTES :]
            return AESGCM(key).decrypt(nonce, sealed, subject.encode()).decode()
        except (ValueError, IndexError, KeyError, InvalidTag) as error:
            raise Unsealable("this cannot be opened here") from error
