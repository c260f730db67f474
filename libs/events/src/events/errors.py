"""Why an event could not be handled: the type of the failure decides what becomes of the event."""


class HandlingError(Exception):
    """Base of the failures that a handler may raise on purpose."""


class Invalid(HandlingError):
    """The event can never be handled (malformed, contradicts itself): parked as dead at once, its key waits."""


class Early(HandlingError):
    """Not now: what the event needs has not arrived, since topics lag independently. Parked until it has."""


class Retry(HandlingError):
    """A dependency is away. Tried again in place, with backoff, for as long as it takes; order is kept."""


class BrokerUnavailable(Exception):
    """Kafka did not answer in time. Nothing was lost: what was to be sent is still in the outbox."""


class Flooded(Exception):
    """Too many events failed for good in a short time: rather a bad release than bad events, so the consumer
    stopped before it parked a whole topic. Mend the handler and start it again; nothing was skipped."""
