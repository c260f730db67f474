"""A sealed secret opens for its own subject, under a key that is still valid, and for nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.sealing import Sealer, Unsealable

OLD, NEW = b"o" * 32, b"n" * 32


@given(st.text())
def test_what_was_sealed_opens_again_also_after_a_rotation(secret: str) -> None:
    sealed = Sealer({1: OLD}).seal(secret, "booking:1")
    assert Sealer({2: NEW, 1: OLD}).open(sealed, "booking:1") == secret


@pytest.mark.parametrize("text", ["", "nonsense", "AQ==", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"])
def test_what_we_did_not_seal_does_not_open(text: str) -> None:
    with pytest.raises(Unsealable):
        Sealer({1: OLD}).open(text, "booking:1")


def test_nothing_opens_for_another_subject_or_without_its_key() -> None:
    sealed = Sealer({1: OLD}).seal("token", "booking:1")
    with pytest.raises(Unsealable):
        Sealer({1: OLD}).open(sealed, "booking:2")
    with pytest.raises(Unsealable):
        Sealer({2: NEW}).open(sealed, "booking:1")
