"""Every message in every language: complete, escaped, and with the right times and sums."""

import string
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any, get_args

import pytest

from events import new_id
from events.contracts.availability import CancellationPolicy, OfferingState, ResourceState
from events.contracts.booking import ConflictCause
from events.contracts.identity import TenantChanged, TenantSettings
from notification import formats, rendering
from notification.domain import HISTORY, BookingStatus, Template, is_true, money_left, reminders, retry_pause
from notification.letters import Facts, Reader, compose
from notification.repository import Booking, Message
from notification.texts import TEXTS, Texts

from .conftest import PLN_200

START = datetime(2026, 11, 26, 9, 30, tzinfo=UTC)
READERS = {"en": "10:30 AM", "pl": "10:30", "es": "10:30", "de": "10:30"}


def facts(template: Template, **changes: object) -> Facts:
    tenant = TenantChanged(
        tenant_id=new_id(), version=1, slug="alfa", name="Klinika <Alfa>", time_zone="Europe/Warsaw", currency="pln",
        locales=["pl"], settings=TenantSettings(),
    )  # fmt: skip
    offering = OfferingState(
        tenant_id=tenant.tenant_id, version=1, offering_id=new_id(), slug="w", name="Whitening & {care}", active=True,
        duration_minutes=60, capacity=1, price=PLN_200, mode="deposit", hold_seconds=600, min_notice_minutes=0,
        cancellation=CancellationPolicy(free_until_minutes=1440, fee_percent=50), reminders_minutes=[],
    )  # fmt: skip
    provider = ResourceState(
        tenant_id=tenant.tenant_id, version=1, resource_id=new_id(), type="practitioner", slug="anna",
        name="Anna Nowak", active=True, time_zone="Europe/Warsaw", approval_required=False, schedule_version=1,
    )  # fmt: skip
    terms = {"price": 400000, "amount_due": 50050, "currency": "pln", "mode": "deposit", "paid": True}
    booking = Booking(
        new_id(), tenant.tenant_id, 3, BookingStatus.CONFIRMED, new_id(), "en", offering.offering_id,
        provider.resource_id, START, START + timedelta(hours=1), terms,
    )  # fmt: skip
    context = {"version": 3, "deadline": "2026-11-25T08:00:00Z", "amount": 20000, "currency": "pln", "fee": 5000,
               "back": 15000, "move_fee": 100, "previous_start": "2026-11-20T09:30:00Z", "cause": "time_off",
               "start": "2026-11-26T09:30:00Z", "provider": str(provider.resource_id)}  # fmt: skip
    message = Message(
        new_id(), tenant.tenant_id, booking.id, template, "email", f"contact:{booking.contact_id}", "v3", "queued", 1,
        0, START, START, context, None, START - timedelta(days=7), START - timedelta(days=7),
    )  # fmt: skip
    return replace(Facts(message, booking, tenant, offering, provider, "https://book.test"), **changes)


@pytest.mark.parametrize("locale", TEXTS)
@pytest.mark.parametrize("template", Template)
def test_each_message_renders_in_each_language(template: Template, locale: str) -> None:
    patient = "Jan <b>Żuk</b>" if template.for_clinic else None
    letter = compose(facts(template), Reader(locale, None, patient))
    html, text = rendering.html(letter), rendering.text(letter)
    assert letter.locale == locale
    assert READERS[locale] in letter.title
    assert "(CET)" in letter.subtitle
    for part in (letter.subject, letter.lead, html, text):
        for name in ("clinic", "when", "deadline", "before", "cause", "amount"):
            assert f"{{{name}}}" not in part
    assert "\n" not in letter.subject
    assert "Klinika <Alfa>" in text
    assert "Klinika &lt;Alfa&gt;" in html
    assert "Whitening &amp; {care}" in html
    for raw in ("<Alfa>", "<b>Żuk", "<img", "http-equiv"):
        assert raw not in html
    assert f'lang="{locale}"' in html
    assert f'href="{escape(letter.url)}"' in html
    assert letter.url in text
    from_waitlist = template in (Template.WAITLIST_JOINED, Template.WAITLIST_OFFERED)
    assert ("/manage/" in letter.url) is not (template.for_clinic or from_waitlist)
    assert ("Jan" in text) is template.for_clinic
    assert letter.sms.startswith("Klinika <Alfa>: ")


def test_languages_say_the_same_with_the_same_placeholders() -> None:
    def placeholders(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    english = TEXTS["en"]
    labels = [field.name for field in fields(Texts) if field.name not in ("words", "causes")]
    for locale, texts in TEXTS.items():
        assert set(texts.words) == set(Template), locale
        for template, words in texts.words.items():
            for part in ("subject", "kicker", "lead"):
                there, here = getattr(english.words[template], part), getattr(words, part)
                assert here.strip(), (locale, template, part)
                if part == "subject":
                    assert placeholders(here) == placeholders(there), (locale, template)
                assert placeholders(here) <= {"clinic", "offering", "when", "amount", "deadline", "before", "cause"}
        assert set(texts.causes) == set(get_args(ConflictCause)), locale
        assert all(cause.strip().endswith(".") for cause in texts.causes.values()), locale
        for label in labels:
            assert getattr(texts, label).strip(), (locale, label)
            assert placeholders(getattr(texts, label)) == placeholders(getattr(english, label)), (locale, label)
    assert set(TEXTS) == set(formats.LOCALES)


def test_prices_deposits_and_fees_are_told() -> None:
    rows = dict(compose(facts(Template.BOOKING_CONFIRMED), Reader("en", None)).rows)
    assert (rows["Price"], rows["Deposit paid"]) == ("PLN4,000", "PLN500.50")
    rows = dict(compose(facts(Template.BOOKING_CONFIRMED), Reader("pl", None)).rows)
    assert (rows["Cena"], rows["Wpłacona zaliczka"]) == ("4\u00a0000\u00a0zł", "500,50\u00a0zł")
    assert dict(compose(facts(Template.BOOKING_CANCELLED), Reader("de", None)).rows)["Einbehalten"] == "50\u00a0PLN"


def test_a_free_visit_says_so() -> None:
    free = facts(Template.BOOKING_CONFIRMED)
    free = replace(free, booking=replace(free.booking, terms={"price": 0, "amount_due": 0, "currency": "pln"}))
    letter = compose(free, Reader("en", None))
    assert dict(letter.rows)["Price"] == "Free of charge"
    assert letter.note == "You can cancel for free until the visit begins."


def test_how_to_cancel_follows_the_policy() -> None:
    given = facts(Template.BOOKING_CONFIRMED)
    assert compose(given, Reader("en", None)).note == (
        "You can cancel for free until Wed, Nov 25, 10:30 AM. After that 50% of the price is kept."
    )
    late = replace(given, message=replace(given.message, created_at=START - timedelta(hours=2)))
    assert compose(late, Reader("en", None)).note == "When you cancel, 50% of the price is kept."


def test_whoever_the_clinic_moved_is_told_that_cancelling_is_free() -> None:
    terms = {"price": 20000, "amount_due": 20000, "currency": "pln", "paid": True, "moved_by_clinic": True}
    moved = facts(Template.BOOKING_RESCHEDULED)
    moved = replace(moved, booking=replace(moved.booking, terms=terms))
    by = {side: replace(moved.message, context=moved.message.context | {"by": side}) for side in ("staff", "patient")}
    assert compose(replace(moved, message=by["staff"]), Reader("en", None)).note == (
        "Klinika <Alfa> made this change. If it does not suit you, you can cancel for free and get back everything that"
        " you paid."
    )
    later = compose(replace(moved, message=by["patient"]), Reader("en", None))
    assert later.note == "You can cancel for free until the visit begins.", "it stays so"


def test_a_move_says_when_it_was_and_what_moving_late_costs() -> None:
    letter = compose(facts(Template.BOOKING_RESCHEDULED), Reader("en", None))
    rows = dict(letter.rows)
    assert (rows["Before"], rows["Fee for moving late"]) == ("Fri, Nov 20, 10:30 AM", "PLN1")
    assert letter.lead.endswith("It was Fri, Nov 20, 10:30 AM. The attached file changes it in your calendar.")
    waiting = facts(Template.BOOKING_RESCHEDULED)
    waiting = replace(waiting, booking=replace(waiting.booking, status=BookingStatus.PENDING_APPROVAL))
    assert "attached" not in compose(waiting, Reader("en", None)).lead


def test_a_former_practitioner_and_what_a_conflict_is_about_are_named() -> None:
    moved = facts(Template.CLINIC_RESCHEDULED)
    assert moved.provider is not None
    former = moved.provider.model_copy(update={"name": "Piotr Lis"})
    rows = dict(compose(replace(moved, former_provider=former), Reader("en", None, "Jan")).rows)
    assert rows["Before"] == "Fri, Nov 20, 10:30 AM, Piotr Lis"
    conflict = compose(replace(facts(Template.CLINIC_CONFLICT), affected=former), Reader("en", None, "Jan"))
    assert dict(conflict.rows)["Affected"] == "Piotr Lis"
    assert conflict.lead.startswith("Somebody or something that this visit needs is away at its time. The patient")


@pytest.mark.parametrize(
    ("terms", "left"),
    [
        ({}, 0),
        ({"paid": False, "price": 300, "amount_due": 300}, 0),
        ({"paid": True, "price": 300, "amount_due": 300}, 300),
        ({"paid": True, "price": 300, "amount_due": 50}, 50),
        ({"paid": True, "price": 200, "amount_due": 300}, 200),
        ({"paid": True, "price": 200, "amount_due": 300, "refunded": 100}, 200),
        ({"paid": True, "price": 300, "amount_due": 300, "refunded": 120}, 180),
        ({"paid": True, "price": 300, "amount_due": 300, "refunded": 300}, 0),
    ],
)
def test_what_is_left_of_a_payment(terms: dict[str, Any], left: int) -> None:
    assert money_left(terms) == left


def test_the_waiting_lists_links_carry_their_tokens() -> None:
    offered = replace(facts(Template.WAITLIST_OFFERED), manage_token="t-o_k")
    letter = compose(offered, Reader("en", None))
    assert letter.url == f"https://book.test/alfa?hold={offered.booking.id}&token=t-o_k"
    assert letter.sms.startswith("Klinika <Alfa>: Free for you until Wed, Nov 25, 9:00 AM CET: Thu, Nov 26, 10:30 AM")
    assert dict(letter.rows)["Kept until"] == "Wed, Nov 25, 9:00 AM CET"
    joined = replace(facts(Template.WAITLIST_JOINED), manage_token="t")
    assert compose(joined, Reader("en", None)).url == f"https://book.test/alfa?waitlist={joined.booking.id}#token=t"


def test_a_language_that_we_do_not_speak_becomes_the_clinics() -> None:
    assert compose(facts(Template.REMINDER), Reader("fr", None)).locale == "pl"
    assert compose(facts(Template.REMINDER), Reader("de-AT", None)).locale == "de"
    assert formats.language("fr", "it") == "en"


def test_a_visit_over_midnight_names_both_days() -> None:
    clock = formats.Clock(formats.zone("Europe/Warsaw"), "en")
    end = datetime(2026, 11, 27, 0, 30, tzinfo=UTC)
    assert clock.span(datetime(2026, 11, 26, 22, 30, tzinfo=UTC), end).count("Nov") == 2


def test_a_zone_that_does_not_exist_is_passed_over() -> None:
    assert formats.zone("Mars/Olympus", None, "Europe/Warsaw").key == "Europe/Warsaw"
    assert formats.zone("../etc/passwd").key == "UTC"


def test_money_follows_the_currency() -> None:
    assert formats.money(9000, "usd", "en") == "$90"
    assert formats.money(9050, "usd", "es") == "90,50\u00a0US$"
    assert formats.money(500, "jpy", "en") == "¥500"


def test_reminders_that_have_passed_are_skipped_and_doubles_are_one() -> None:
    now = START - timedelta(minutes=90)
    assert reminders(START, [1440, 60, 60, 30], now) == [START - timedelta(minutes=60), START - timedelta(minutes=30)]
    assert reminders(START, [90], now) == []


def test_a_provider_that_asks_for_patience_gets_it() -> None:
    assert retry_pause(1, None) == timedelta(seconds=1)
    assert retry_pause(4, None) == timedelta(seconds=8)
    assert retry_pause(1, 30) == timedelta(seconds=30)
    assert retry_pause(500, None) == timedelta(minutes=10) < HISTORY


def test_what_was_true_then_is_not_sent_now() -> None:
    assert is_true(Template.BOOKING_CONFIRMED, BookingStatus.CONFIRMED)
    assert not is_true(Template.BOOKING_CONFIRMED, BookingStatus.CANCELLED)
    assert not is_true(Template.REMINDER, BookingStatus.CANCELLED)
    assert not is_true(Template.HOLD_EXPIRED, BookingStatus.CONFIRMED)
    assert is_true(Template.MONEY_REFUNDED, BookingStatus.CANCELLED)
