"""Signed texts: only ours, only for their purpose, only in their time."""

import base64
import time
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit import keys
from servicekit.capabilities import CustomerToken, ServiceToken, Settlement
from servicekit.signing import Expired, Forged, Signer

KEYS = {1: b"k" * 32}
SIGNER = Signer(KEYS, "settlements")


def settlement(seconds: int = 60) -> Settlement:
    return Settlement(int(time.time()) + seconds, uuid4(), uuid4(), uuid4())


def test_what_was_signed_comes_back() -> None:
    payload = settlement()
    assert SIGNER.verify(SIGNER.sign(payload), Settlement) == payload


@given(position=st.integers(0, 500), bit=st.integers(0, 7))
def test_a_single_changed_bit_is_noticed(position: int, bit: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(SIGNER.sign(settlement()) + "=="))
    raw[position % len(raw)] ^= 1 << bit
    with pytest.raises(Forged):
        SIGNER.verify(base64.urlsafe_b64encode(raw).rstrip(b"=").decode(), Settlement)


@given(st.text(max_size=80))
def test_any_other_text_is_forged(text: str) -> None:
    with pytest.raises(Forged):
        SIGNER.verify(text, Settlement)


def test_time_is_over_but_for_the_leeway() -> None:
    text = SIGNER.sign(settlement(-10))
    with pytest.raises(Expired):
        SIGNER.verify(text, Settlement)
    assert SIGNER.verify(text, Settlement, leeway=30)


def test_another_purpose_with_the_same_key_does_not_verify() -> None:
    with pytest.raises(Forged):
        Signer(KEYS, "offers").verify(SIGNER.sign(settlement()), Settlement)


def test_another_kind_of_the_same_purpose_does_not_decode() -> None:
    with pytest.raises(Forged):
        SIGNER.verify(SIGNER.sign(settlement()), CustomerToken)


def test_after_a_rotation_both_keys_verify_and_the_first_signs() -> None:
    old = SIGNER.sign(settlement())
    rotated = Signer({2: b"n" * 32} | KEYS, "settlements")
    assert rotated.verify(old, Settlement)
    fresh = rotated.sign(settlement())
    with pytest.raises(Forged):
        SIGNER.verify(fresh, Settlement)
    with pytest.raises(Forged):
        Signer({2: b"n" * 32}, "settlements").verify(old, Settlement)


def test_a_key_of_another_deployment_with_the_same_number_does_not_verify() -> None:
    with pytest.raises(Forged):
        Signer({1: b"x" * 32}, "settlements").verify(SIGNER.sign(settlement()), Settlement)


def test_the_key_file_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "keys.json"
    keys.ensure(path)
    first = path.read_bytes()
    keys.ensure(path)
    assert path.read_bytes() == first
    assert path.stat().st_mode & 0o777 == 0o600
    loaded = keys.load(path)
    values = [value for found in loaded.symmetric.values() for value in found.values()]
    assert len(set(values)) == len(values)  # a key a purpose
    token = ServiceToken(int(time.time()) + 5, "booking")
    services = Signer(loaded.of("services"), "services")
    assert services.verify(services.sign(token), ServiceToken).service == "booking"
