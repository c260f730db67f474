"""Expected failures of the service's own."""

from servicekit.problems import Forbidden, Malformed, NotFound, ValidationFailed


class StateRefused(Malformed):
    """The consent came back with a state that is unknown, used, over, or was begun in another browser."""

    def __init__(self) -> None:
        super().__init__(
            "This consent cannot be taken: it was begun elsewhere, used before, or more than 10 minutes ago. "
            "Nothing was connected; start again from the clinic's calendar settings."
        )


class NoticeRefused(Forbidden):
    """A notice whose token is not the one of its channel."""

    def __init__(self) -> None:
        super().__init__("The channel's token does not fit. Nothing was read.")


class NoSuchChannel(NotFound):
    """A notice of a channel that is not open (any more)."""

    def __init__(self) -> None:
        super().__init__("There is no such channel, or it was closed. Nothing was read.")


class NoSuchConnection(NotFound):
    """Not there, deleted, or not the asking person's to see."""

    def __init__(self) -> None:
        super().__init__("There is no such calendar connection, or it is not yours to see. Nothing was changed.")


class NoSuchProvider(NotFound):
    """No resource with this id or slug in the clinic."""

    def __init__(self, named: str) -> None:
        super().__init__(f"The clinic has no resource {named!r}. Nothing was stored; check `provider_id`.")


class NotAPractitioner(ValidationFailed):
    """Rooms and equipment have no calendar of their own."""

    def __init__(self) -> None:
        super().__init__([{"field": "provider_id", "message": "has to be an active practitioner"}])


class NotSetUp(ValidationFailed):
    """The installation has no client id of this provider."""

    def __init__(self, kind: str) -> None:
        super().__init__([{"field": "kind", "message": f"{kind} is not set up on this installation"}])


class NotHereYet(Exception):
    """What is to be written names something whose copy has not come yet: topics lag independently."""
