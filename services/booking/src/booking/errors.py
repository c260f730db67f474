"""What booking refuses, and why."""

from typing import Any

from servicekit.problems import Problem, RateLimited


class SlotTaken(Problem):
    """Somebody else has the time. The gateway adds `alternatives`."""

    status, code, title = 409, "slot-taken", "This time is taken"

    def __init__(self, detail: str = "Somebody else has just taken this time.", **extra: Any) -> None:
        super().__init__(f"{detail} Nothing was booked; choose one of the alternatives.", alternatives=[], **extra)


class IllegalTransition(Problem):
    """The booking is not in a state from which this can be done."""

    status, code, title = 409, "illegal-transition", "Not possible in this state"


class HoldUsed(Problem):
    """The hold has become an appointment already."""

    status, code, title = 409, "hold-used", "The hold was used already"


class OfferExpired(Problem):
    """The slot was offered too long ago, or the schedule has changed since."""

    status, code, title = 410, "offer-expired", "This offer is over"


class HoldExpired(Problem):
    """The hold ran out."""

    status, code, title = 410, "hold-expired", "The hold has run out"


class OfferInvalid(Problem):
    """The slot_id was not made by us for this clinic."""

    status, code, title = 422, "offer-invalid", "Not an offer of this clinic"


class Hoarding(RateLimited):
    """Too many unpaid holds from one origin."""


class RuleBroken(Problem):
    """A rule of the offering does not allow it. `rule` says which."""

    status, code, title = 422, "rule-broken", "A rule of the clinic does not allow this"


class MembershipRequired(Problem):
    """For members only."""

    status, code, title = 422, "membership-required", "For members only"

    def __init__(self) -> None:
        super().__init__("This is for members only. Nothing was changed; sign in as a member and try again.")


def sentence(rule: dict[str, Any]) -> str:
    """A broken rule as a receptionist reads it."""
    if rule["kind"] == "gap":
        whom = "the same practitioner" if rule["of"] == "practitioner" else "the same room"
        return f"This visit needs {rule['minutes']} minutes between it and another one with {whom}."
    if rule["kind"] == "no_overlap":
        return "The patient has another appointment at this time."
    whose = "The practitioner" if rule["of"] == "practitioner" else "The patient"
    return f"{whose} has as many of these visits in that {rule['per']} as the clinic allows ({rule['count']})."


def refusal(outcome: str, rule: dict[str, Any] | None) -> Problem:
    """What is answered when a time could not be taken, by what `take_slot` or `place_hold` said."""
    match outcome:
        case "rule":
            assert rule is not None
            # Availability does not offer what a rule forbids, so somebody was faster with the last that it allows.
            return SlotTaken(sentence(rule), rule=rule)
        case "blocked":
            return SlotTaken("Something else has come up at this time.")
        case "stale":
            return OfferExpired("The schedule has changed since this time was offered. Nothing was held; search again.")
        case "inactive":
            return OfferExpired("This is no longer offered. Nothing was held; look for another offering.")
        case "members":
            return MembershipRequired()
        case "hoarding":
            return Hoarding(
                "Several times are held from your address already. Book or release one of them first.", retry_after=60
            )
        case "hoarding_hour":
            return Hoarding("Too many times were held from your address within an hour.", retry_after=600)
        case _:
            return SlotTaken()
