"""What booking refuses, and why."""

from servicekit.problems import Problem, RateLimited


class SlotTaken(Problem):
    """Somebody else has the time. The gateway adds `alternatives`."""

    status, code, title = 409, "slot-taken", "This time is taken"

    def __init__(self) -> None:
        super().__init__(
            "Somebody else has just taken this time. Nothing was booked; choose one of the alternatives.",
            alternatives=[],
        )


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
