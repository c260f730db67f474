"""The contracts: one module a service. Importing this package declares every event type."""

from events.contracts import availability, booking, calendar, identity, notification, payment

__all__ = ["availability", "booking", "calendar", "identity", "notification", "payment"]
