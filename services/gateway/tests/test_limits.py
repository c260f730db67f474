"""Who asks how often, and from where."""

import pytest

from gateway import limits
from gateway.limits import Counter, Limits
from servicekit.problems import RateLimited


def test_a_window_ends_after_a_minute_and_begins_anew() -> None:
    counter = Counter(2)
    assert [counter.hit("a", now)[0] for now in (0.0, 10.0, 59.0)] == [1, 2, 3]
    assert counter.is_used_up("a", 59.9)
    assert not counter.is_used_up("b", 59.9)
    assert not counter.is_used_up("a", 60.1)
    assert counter.hit("a", 60.1) == (1, pytest.approx(60))


def test_windows_that_are_over_are_forgotten_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_ADDRESSES", 10)
    counter = Counter(2)
    for number in range(100):
        counter.hit(str(number), number * 10.0)
    assert len(counter._windows) < 25


def test_requests_sign_ins_and_failures_have_limits_of_their_own() -> None:
    guard = Limits(0.1, "", b"k")
    for _ in range(60):
        said = guard.spend("1.1.1.1", "/v1/clinics/alfa")
    assert said.startswith("limit=60, remaining=0, reset=")
    with pytest.raises(RateLimited) as refused:
        guard.spend("1.1.1.1", "/v1/clinics/alfa")
    assert 1 <= int(refused.value.headers["Retry-After"]) <= 60
    assert guard.spend("2.2.2.2", "/v1/clinics/alfa")
    for _ in range(6):
        guard.spend("3.3.3.3", "/v1/auth/login")
    with pytest.raises(RateLimited, match="sign-ins"):
        guard.spend("3.3.3.3", "/v1/auth/login")
    assert guard.spend("3.3.3.3", "/v1/clinics/alfa")
    for _ in range(3):
        guard.note_failure("4.4.4.4")
    with pytest.raises(RateLimited, match="not valid"):
        guard.spend("4.4.4.4", "/v1/clinics/alfa")


def test_only_our_own_proxies_are_believed_about_the_address() -> None:
    guard = Limits(1, "10.0.0.1, 10.0.0.2", b"k")
    assert guard.address("9.9.9.9", ["6.6.6.6"]) == "9.9.9.9"
    assert guard.address("10.0.0.1", ["6.6.6.6, 7.7.7.7"]) == "7.7.7.7"
    assert guard.address("10.0.0.1", ["6.6.6.6", "7.7.7.7, 10.0.0.2"]) == "7.7.7.7"
    assert guard.address("10.0.0.1", []) == "10.0.0.1"
    assert guard.address("2001:db8:1:2:3::4", []) == "2001:db8:1:2::/64"
    assert guard.address("unknown", []) == "unknown"
    assert guard.origin("9.9.9.9") == guard.origin("9.9.9.9") != guard.origin("9.9.9.8")
