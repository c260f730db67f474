"""What the event runtime counts, for /metrics."""

from prometheus_client import Counter, Gauge, Histogram

HANDLED = Counter("holdfast_events_handled_total", "Events handled", ["consumer", "event", "outcome"])
DELAY = Histogram(
    "holdfast_event_delay_seconds",
    "From the event's time to the commit of its handler",
    ["consumer", "event"],
    buckets=(0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600),
)
PARKED = Gauge("holdfast_parked", "Events parked now", ["consumer", "kind"])
PARKED_AGE = Gauge("holdfast_parked_oldest_seconds", "Age of the oldest parked event", ["consumer", "kind"])
RELAYED = Counter("holdfast_outbox_relayed_total", "Events sent from the outbox", ["service", "topic"])
RELAY_FAILED = Counter("holdfast_outbox_relay_failures_total", "Batches that Kafka did not acknowledge", ["service"])
