"""Secrets of providers at rest: AES-256-GCM under the key file's `answers` keys, bound to where they are stored."""

import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class Sealer:
    """Seals and opens. The first key seals; all given keys open."""

    def __init__(self, keys: dict[int, bytes]) -> None:
        self._keys = keys
        self._sealing = next(iter(keys))

    def seal(self, plain: str, place: str) -> bytes:
        """`key number ‖ nonce ‖ ciphertext`; `place` says where it belongs and has to be the same to open it."""
        nonce = os.urandom(NONCE_BYTES)
        cipher = AESGCM(self._keys[self._sealing])
        return bytes([self._sealing]) + nonce + cipher.encrypt(nonce, plain.encode(), place.encode())

    def open(self, sealed: bytes, place: str) -> str:
        """The plain text. Raises KeyError for an unknown key, `cryptography.exceptions.InvalidTag` when it was
        changed or stored elsewhere."""
        cipher = AESGCM(self._keys[sealed[0]])
        body = sealed[1:]
        return cipher.decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], place.encode()).decode()
