"""HTTP in: each endpoint translates and makes one call."""

from identity.endpoints import accounts, clinics, customers, internal, members, seeding

ROUTERS = (accounts.router, clinics.router, members.router, customers.router, internal.router, seeding.router)

__all__ = ["ROUTERS"]
