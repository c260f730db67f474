"""The composition root of identity."""

from events.brokers import Broker
from identity import addresses, domain, handlers, jobs
from identity.endpoints import ROUTERS
from identity.passwords import Passwords
from identity.sealing import PeopleKeys
from identity.settings import IdentitySettings
from identity.tokens import AccessTokens, OwnTokens
from servicekit.service import Service

__all__ = ["build", "handlers", "jobs"]


def build(settings: IdentitySettings | None = None, broker: Broker | None = None) -> Service:
    """Identity with all its parts."""
    settings = settings or IdentitySettings()
    service = Service("identity", settings, routers=ROUTERS, broker=broker)
    tokens = AccessTokens(service.keys.tokens)
    own = OwnTokens(tokens, service.http)
    service.tokens = own
    for part in (settings, tokens, own, Passwords(), PeopleKeys(service.keys.of("people"))):
        service.provide(part)
    # Loaded now rather than in somebody's request.
    addresses.warm()
    domain.time_zones()
    return service
