"""How a check ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import HoldfastError

State = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One line of the report."""

    name: str
    state: State
    detail: str
    milliseconds: float


class CheckFailed(HoldfastError):
    """The deployment does not do what it promises."""


class Skipped(Exception):
    """The check cannot be made here; says why."""


def insist(condition: bool, sentence: str) -> None:
    """`CheckFailed` with the sentence unless it is so."""
    if not condition:
        raise CheckFailed(sentence)
