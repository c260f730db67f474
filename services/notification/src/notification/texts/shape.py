"""The catalogue's shape. Placeholders in braces are filled by `letters.py`."""

from collections.abc import Mapping
from dataclasses import dataclass

from events.contracts.booking import ConflictCause
from notification.domain import Template


@dataclass(frozen=True, slots=True)
class Words:
    """One message: the subject (also the SMS), a few words above the date, and what it says."""

    subject: str
    kicker: str
    lead: str


@dataclass(frozen=True, slots=True)
class Texts:
    """One language: each message's words, and the labels that messages share."""

    words: Mapping[Template, Words]
    with_practitioner: str
    label_what: str
    label_who: str
    label_patient: str
    label_price: str
    label_paid: str
    label_deposit: str
    label_fee: str
    label_back: str
    label_move_fee: str
    label_before: str
    label_affected: str
    label_deadline: str
    label_kept_until: str
    free: str
    button_manage: str
    button_pay: str
    button_again: str
    button_page: str
    button_take: str
    button_desk: str
    moved_in_calendar: str
    moved_by_clinic: str
    causes: Mapping[ConflictCause, str]
    plans_change: str
    cancel_free_until: str
    cancel_fee_after: str
    cancel_fee: str
    cancel_free: str
    footer_patient: str
    footer_clinic: str
