"""Typed failures of this service."""

from servicekit.problems import NotFound, Problem


class OfferInvalid(Problem):
    """The slot_id is not one of ours."""

    status, code, title = 422, "offer-invalid", "The slot_id is not valid"


class ClinicUnknown(Exception):
    """The clinic's copy has not come yet."""


def not_found(what: str, name: object) -> NotFound:
    """There is no such thing in this clinic, or it is not public."""
    return NotFound(f"There is no {what} {str(name)[:80]!r} in this clinic.")


class InUse(Problem):
    """Something else names it."""

    status, code, title = 409, "in-use", "Still in use"
