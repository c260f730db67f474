"""Why a message was not taken. `reason` is a code without anything personal in it."""


class Outcome(Exception):
    """Base of what can become of a call besides success."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Refused(Outcome):
    """Refused for good: the same message would be refused again."""


class Away(Outcome):
    """Certainly not taken, and worth another try, not before `retry_after` seconds where the provider said so."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Unknown(Outcome):
    """The answer did not come: it may have been taken, so it must not be sent again blindly."""


def of_status(provider: str, status: int, retry_after: str | None) -> Refused | Away:
    """What an HTTP refusal means: 429 and 5xx are said before anything was accepted."""
    if status == 429 or status >= 500:
        return Away(f"{provider}_{status}", seconds_of(retry_after))
    return Refused(f"{provider}_{status}")


def seconds_of(retry_after: str | None) -> float | None:
    """Retry-After in seconds (RFC 9110, 10.2.3). Its form with a date is left to our own pause."""
    return float(retry_after) if retry_after is not None and retry_after.strip().isdecimal() else None
