"""Faults on demand: what providers do on bad days."""

from dataclasses import asdict, dataclass
from typing import Any

from sandbox.problems import Refusal

HTTP_FAULTS = ("response_lost", "rate_limited", "server_error", "unavailable", "hang")
STORED_ERROR = "server_error_stored"
WEBHOOK_FAULTS = (
    "webhook_delayed",
    "webhook_duplicated",
    "webhook_reordered",
    "webhook_dropped",
    "webhook_bad_signature",
    "webhook_old",
)
SYNC_TOKEN_GONE = "sync_token_gone"
CHANNEL_DEAD = "channel_dead"
FAULTS = {
    "stripe": (*HTTP_FAULTS, STORED_ERROR, *WEBHOOK_FAULTS),
    "google": (*HTTP_FAULTS, SYNC_TOKEN_GONE, CHANNEL_DEAD),
    "sendgrid": HTTP_FAULTS,
    "twilio": HTTP_FAULTS,
}
FIELDS = ("provider", "fault", "match", "times", "seconds")
DEFAULT_SECONDS = {"hang": 30.0, "webhook_delayed": 5.0}


@dataclass
class Fault:
    """One fault that is on: for calls (or events) that contain `match`, so many `times` more (None: until cleared)."""

    provider: str
    fault: str
    match: str = ""
    times: int | None = None
    seconds: float | None = None

    @property
    def lasts(self) -> float:
        """Seconds of a delay or hang."""
        return self.seconds if self.seconds is not None else DEFAULT_SECONDS.get(self.fault, 0.0)


def _invalid(detail: str) -> Refusal:
    return Refusal(422, "validation-failed", detail)


class Faults:
    """The faults that are on now. They do not outlive the process."""

    def __init__(self) -> None:
        self._active: list[Fault] = []

    def add(self, body: dict[str, Any]) -> Fault:
        """Turns one on; 422 names what exists. `sync_token_gone` is over once it has happened, so it does not stay."""
        for name in body:
            if name not in FIELDS:
                raise _invalid(f"{name}: there is no such field; there are {', '.join(FIELDS)}")
        provider, fault, match = body.get("provider"), body.get("fault"), body.get("match")
        if not isinstance(provider, str) or provider not in FAULTS:
            raise _invalid(f"provider: has to be one of {', '.join(FAULTS)}")
        if not isinstance(fault, str) or fault not in FAULTS[provider]:
            raise _invalid(f"fault: has to be one of {', '.join(FAULTS[provider])} for {provider}")
        if match is not None and not isinstance(match, str):
            raise _invalid("match: has to be a text")
        times, seconds = body.get("times"), body.get("seconds")
        if times is not None and (not isinstance(times, int) or isinstance(times, bool) or times < 1):
            raise _invalid("times: has to be a whole number from 1")
        if seconds is not None and (
            not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds <= 3600
        ):
            raise _invalid("seconds: has to be a number from 0 to 3600")
        added = Fault(provider, fault, match or "", times, seconds)
        if fault != SYNC_TOKEN_GONE:
            self._active.append(added)
        return added

    def active(self) -> list[dict[str, Any]]:
        """All that are on."""
        return [asdict(fault) for fault in self._active]

    def clear(self) -> None:
        """Turns all off."""
        self._active.clear()

    def take(self, provider: str, among: tuple[str, ...], subject: str) -> Fault | None:
        """The first that applies to the subject, counted down."""
        for fault in self._active:
            if fault.provider == provider and fault.fault in among and fault.match in subject:
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._active.remove(fault)
                return fault
        return None
