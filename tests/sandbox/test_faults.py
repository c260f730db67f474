"""Which fault applies to what, and for how long."""

import pytest

from sandbox.faults import FAULTS, HTTP_FAULTS, WEBHOOK_FAULTS, Fault, Faults
from sandbox.faulty import provider_of
from sandbox.problems import Refusal


def test_a_fault_is_taken_by_what_matches_so_many_times() -> None:
    faults = Faults()
    faults.add({"provider": "stripe", "fault": "hang", "match": "POST /v1/refunds", "times": 2})
    assert faults.take("stripe", HTTP_FAULTS, "GET /v1/refunds") is None
    assert faults.take("google", HTTP_FAULTS, "POST /v1/refunds") is None
    assert faults.take("stripe", WEBHOOK_FAULTS, "POST /v1/refunds") is None
    for _ in range(2):
        assert faults.take("stripe", HTTP_FAULTS, "POST /v1/refunds") is not None
    assert faults.take("stripe", HTTP_FAULTS, "POST /v1/refunds") is None
    assert faults.active() == []


def test_a_fault_without_times_stays_until_it_is_cleared() -> None:
    faults = Faults()
    faults.add({"provider": "twilio", "fault": "unavailable"})
    assert all(faults.take("twilio", HTTP_FAULTS, "x") for _ in range(5))
    assert faults.active() == [
        {"provider": "twilio", "fault": "unavailable", "match": "", "times": None, "seconds": None}
    ]
    faults.clear()
    assert faults.take("twilio", HTTP_FAULTS, "x") is None


def test_the_first_that_applies_is_taken_first() -> None:
    faults = Faults()
    for name in ("server_error", "unavailable"):
        faults.add({"provider": "stripe", "fault": name, "times": 1})
    taken = [faults.take("stripe", HTTP_FAULTS, "") for _ in range(3)]
    assert [fault.fault if fault else None for fault in taken] == ["server_error", "unavailable", None]


def test_how_long_a_fault_lasts() -> None:
    assert Fault("stripe", "hang").lasts == 30
    assert Fault("stripe", "hang", seconds=0).lasts == 0
    assert Fault("stripe", "webhook_delayed").lasts == 5


def test_what_does_not_exist_is_refused_with_what_does() -> None:
    with pytest.raises(Refusal) as caught:
        Faults().add({"provider": "google", "fault": "webhook_old"})
    assert caught.value.status == 422
    assert all(name in caught.value.detail for name in FAULTS["google"])


@pytest.mark.parametrize(("path", "provider"), [
    ("/v1/refunds", "stripe"), ("/v3/mail/send", "sendgrid"), ("/2010-04-01/Accounts/A/Messages.json", "twilio"),
    ("/calendar/v3/freeBusy", "google"), ("/token", "google"), ("/o/oauth2/v2/auth", "google"), ("/inbox", None),
    ("/_sandbox/faults", None), ("/checkout/cs_1", None),
])  # fmt: skip
def test_whose_api_a_path_is(path: str, provider: str | None) -> None:
    assert provider_of(path) == provider
