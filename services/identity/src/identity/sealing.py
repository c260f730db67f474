"""The keys of persons: each person has one, wrapped by the master key; who erases it erases what it sealed."""

import hashlib
import hmac
import json
import os
import unicodedata
from functools import lru_cache
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12
TOKEN_BYTES = 16


class PeopleKeys:
    """Master keys of the purpose `people`, by number; the first hashes and wraps, all find and unwrap.

    Each use has a key of its own, derived from the master, so that a hash never helps to unwrap.
    """

    def __init__(self, masters: dict[int, bytes]) -> None:
        self._masters = masters
        self._first = next(iter(masters))

    def address_hashes(self, tenant_id: UUID | None, kind: str, address: str) -> list[bytes]:
        """The keyed hashes that an address may be stored under, today's first. `kind` is `email`, `phone` or
        `invitation`; without a tenant the hash is the same in every clinic."""
        folded = unicodedata.normalize("NFC", address).casefold()
        text = "\x00".join((str(tenant_id) if tenant_id else "", kind, folded)).encode()
        return [hmac.digest(_derive(master, "address"), text, hashlib.sha256) for master in self._masters.values()]

    def tokens(self, tenant_id: UUID, term: str) -> list[bytes]:
        """What a term that people are found by may be stored as, today's first. Half a hash is enough
        for no two terms to meet, and keeps the index small."""
        text = "\x00".join((str(tenant_id), term)).encode()
        return [
            hmac.digest(_derive(master, "search"), text, hashlib.sha256)[:TOKEN_BYTES]
            for master in self._masters.values()
        ]

    def new_key(self, person_id: UUID) -> tuple[bytes, bytes]:
        """A fresh key of a person: the key, and how it is stored."""
        key = os.urandom(32)
        return key, self._seal(key, person_id.bytes, "person")

    def unwrap(self, person_id: UUID, wrapped: bytes) -> bytes:
        """The person's key."""
        return self._open(wrapped, person_id.bytes, "person")

    def seal_text(self, text: str, about: UUID) -> bytes:
        """Seals a text that belongs to no person yet, such as the address of an invitation."""
        return self._seal(text.encode(), about.bytes, "text")

    def open_text(self, sealed: bytes, about: UUID) -> str:
        """The text again."""
        return self._open(sealed, about.bytes, "text").decode()

    def _seal(self, content: bytes, about: bytes, use: str) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        cipher = AESGCM(_derive(self._masters[self._first], use))
        return bytes([self._first]) + nonce + cipher.encrypt(nonce, content, about)

    def _open(self, sealed: bytes, about: bytes, use: str) -> bytes:
        number, nonce, content = sealed[0], sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        if number not in self._masters:
            raise InvalidTag(f"sealed with key {number} of the purpose people, which the key file has no more")
        return AESGCM(_derive(self._masters[number], use)).decrypt(nonce, content, about)


@lru_cache(maxsize=64)
def _derive(master: bytes, use: str) -> bytes:
    return hmac.digest(master, b"holdfast people " + use.encode(), hashlib.sha256)


def seal_document(key: bytes, document: dict[str, Any], about: UUID) -> bytes:
    """Encrypts contact data with the person's key (AES-256-GCM), bound to the row's id."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, json.dumps(document, ensure_ascii=False).encode(), about.bytes)


def open_document(key: bytes, sealed: bytes, about: UUID) -> dict[str, Any]:
    """The contact data again."""
    document: dict[str, Any] = json.loads(AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], about.bytes))
    return document
