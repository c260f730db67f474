"""The composition root."""

import gc

from availability import handlers, jobs  # noqa: F401  (registered by being imported)
from availability.alternatives import Alternatives
from availability.endpoints import internal, router
from availability.live import Ends, KafkaEnds, LiveCursor
from availability.looking import Looker
from availability.repairs import Repairs
from availability.settings import AvailabilitySettings
from availability.slots import Slots
from availability.waiting import Waiting
from events.brokers import Broker
from servicekit.service import Service


def build(
    settings: AvailabilitySettings | None = None, *, broker: Broker | None = None, ends: Ends | None = None
) -> Service:
    """The availability service; settings come from the environment, broker and ends from Kafka unless given."""
    settings = settings or AvailabilitySettings()
    service = Service("availability", settings, routers=(router, internal), broker=broker)
    cursor = LiveCursor(ends or KafkaEnds(settings.kafka_bootstrap))
    service.provide(cursor)
    looker = Looker(service.database, service.hot)
    signer = service.signer("offers")
    slots = Slots(service.database, looker, cursor, signer, settings.offer_seconds)
    service.provide(slots)
    service.provide(Alternatives(looker, slots, signer))
    service.provide(Repairs(looker, slots))
    service.provide(Waiting(service.database, looker, slots))
    service.background(cursor.run)
    service.ready_when("live_cursor", lambda: cursor.known or not cursor.followed)
    # What is loaded now stays: without this the collector walks through all of it while a search makes its slots.
    gc.collect()
    gc.freeze()
    return service
