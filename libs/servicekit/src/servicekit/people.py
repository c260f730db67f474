"""Contact data of persons, fetched from identity by the few that must show or send a name; kept for minutes."""

import time
from uuid import UUID

from pydantic import BaseModel

from servicekit.auth import HttpClient, service_authorization
from servicekit.signing import Signer

CACHE_SECONDS = 180.0
CACHE_SIZE = 5_000


class Contact(BaseModel):
    """The contact data that came with one appointment. Fields are None once the person was erased."""

    contact_id: UUID
    person_id: UUID
    name: str | None
    email: str | None
    phone: str | None
    locale: str
    time_zone: str | None = None


class People:
    """Reads contacts over identity's internal route."""

    def __init__(self, identity_url: str, http: HttpClient, signer: Signer, service: str) -> None:
        self._url = identity_url
        self._http = http
        self._signer = signer
        self._service = service
        self._cache: dict[UUID, tuple[float, Contact]] = {}

    async def contact(self, tenant_id: UUID, contact_id: UUID) -> Contact:
        """The contact; `NotFound` when the clinic has none with this id. Never call it inside a transaction."""
        cached = self._cache.get(contact_id)
        if cached and cached[0] > time.monotonic():
            return cached[1]
        document = await self._http.get_json(
            f"{self._url}/internal/tenants/{tenant_id}/contacts/{contact_id}",
            headers=service_authorization(self._signer, self._service),
        )
        contact = Contact.model_validate(document)
        if len(self._cache) >= CACHE_SIZE:
            self._cache.clear()
        self._cache[contact_id] = (time.monotonic() + CACHE_SECONDS, contact)
        return contact

    async def search(self, tenant_id: UUID, text: str) -> list[UUID]:
        """Persons of the clinic whose name, address or number begins with the words; at most 200. `Unavailable` when
        identity does not answer. Never call it inside a transaction."""
        document = await self._http.post_json(
            f"{self._url}/internal/tenants/{tenant_id}/people/search",
            {"q": text, "limit": 200},
            headers=service_authorization(self._signer, self._service),
        )
        return [UUID(identity) for identity in document["person_ids"]]

    def forget(self, person_id: UUID) -> None:
        """Empties the cache of an erased person."""
        self._cache = {key: entry for key, entry in self._cache.items() if entry[1].person_id != person_id}
