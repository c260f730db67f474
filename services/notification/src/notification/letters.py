"""What one message says to one reader: facts in, words out. No I/O."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from babel.numbers import format_percent

from events.contracts.availability import OfferingState, ResourceState
from events.contracts.identity import TenantChanged
from notification import formats
from notification.domain import Template
from notification.formats import Clock
from notification.repository import Booking, Message
from notification.texts import TEXTS


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a message is made of, besides its reader."""

    message: Message
    booking: Booking
    tenant: TenantChanged
    offering: OfferingState
    provider: ResourceState | None
    public_url: str
    manage_token: str | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """Whoever reads it. `patient` is the patient's name, for staff."""

    locale: str
    time_zone: str | None
    patient: str | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """A message in words, before it has a layout."""

    locale: str
    clinic: str
    subject: str
    kicker: str
    good: bool
    title: str
    subtitle: str
    lead: str
    rows: list[tuple[str, str]]
    button: str
    url: str
    note_title: str
    note: str
    footer: str

    @property
    def sms(self) -> str:
        """The same in one line; `clinic: subject url`."""
        return _one_line(f"{self.clinic}: {self.subject} {self.url}")


_GOOD = frozenset((Template.BOOKING_CONFIRMED, Template.REMINDER, Template.CLINIC_CONFIRMED, Template.REQUEST_RECEIVED))
_CANCELLABLE = frozenset((Template.BOOKING_CONFIRMED, Template.REMINDER, Template.REQUEST_RECEIVED))
_PRICED = frozenset(
    (
        Template.BOOKING_CONFIRMED,
        Template.REMINDER,
        Template.REQUEST_RECEIVED,
        Template.CLINIC_APPROVAL,
        Template.CLINIC_CONFIRMED,
    )
)


def compose(facts: Facts, reader: Reader) -> Letter:
    """The message in the reader's language and time."""
    locale = formats.language(reader.locale, *facts.tenant.locales)
    clock = Clock(formats.zone(reader.time_zone, facts.tenant.time_zone), locale)
    texts, template, booking = TEXTS[locale], facts.message.template, facts.booking
    words = texts.words[template]
    values = _values(facts, clock, locale)
    practitioner = facts.provider.name if facts.provider is not None else None
    what = facts.offering.name
    if practitioner:
        what = texts.with_practitioner.format(offering=what, practitioner=practitioner)
    staff = template.for_clinic
    return Letter(
        locale=locale,
        clinic=facts.tenant.name,
        subject=_one_line(words.subject.format(**values)),
        kicker=words.kicker,
        good=template in _GOOD,
        title=clock.span(booking.start_at, booking.end_at),
        subtitle=f"{clock.place(booking.start_at)}. {what}.",
        lead=words.lead.format(**values),
        rows=_rows(facts, reader, values, locale),
        button=texts.button_page if staff else _button(template, locale),
        url=f"{facts.public_url}/{facts.tenant.slug}" if staff else manage_url(facts),
        note_title=texts.plans_change if template in _CANCELLABLE else "",
        note=_how_to_cancel(facts, clock, locale) if template in _CANCELLABLE else "",
        footer=(texts.footer_clinic if staff else texts.footer_patient).format(clinic=facts.tenant.name),
    )


def manage_url(facts: Facts) -> str:
    """Where the patient sees and cancels the booking."""
    page = f"{facts.public_url}/manage/{facts.booking.id}?clinic={facts.booking.tenant_id}"
    # In the fragment, which no server and no log ever sees.
    return f"{page}#token={facts.manage_token}" if facts.manage_token else page


def _values(facts: Facts, clock: Clock, locale: str) -> dict[str, str]:
    context = facts.message.context
    values = {
        "clinic": facts.tenant.name,
        "offering": facts.offering.name,
        "when": clock.moment(facts.booking.start_at),
    }
    if "amount" in context:
        values["amount"] = formats.money(context["amount"], context["currency"], locale)
    if "deadline" in context:
        deadline = datetime.fromisoformat(context["deadline"])
        values["deadline"] = f"{clock.moment(deadline)} {deadline.astimezone(clock.zone).tzname()}"
    return values


def _rows(facts: Facts, reader: Reader, values: dict[str, str], locale: str) -> list[tuple[str, str]]:
    texts, template, context = TEXTS[locale], facts.message.template, facts.message.context
    rows = [(texts.label_what, facts.offering.name)]
    if facts.provider is not None:
        rows.append((texts.label_who, facts.provider.name))
    if reader.patient:
        rows.append((texts.label_patient, reader.patient))
    if "deadline" in values:
        rows.append((texts.label_deadline, values["deadline"]))
    if template in _PRICED:
        rows += _prices(facts, locale)
    if context.get("fee"):
        rows.append((texts.label_fee, formats.money(context["fee"], context["currency"], locale)))
    return rows


def _prices(facts: Facts, locale: str) -> list[tuple[str, str]]:
    texts, terms = TEXTS[locale], facts.booking.terms
    if "price" not in terms:
        return []
    if terms["price"] == 0:
        return [(texts.label_price, texts.free)]
    rows = [(texts.label_price, formats.money(terms["price"], terms["currency"], locale))]
    if terms.get("paid") and terms.get("amount_due"):
        label = texts.label_deposit if terms.get("mode") == "deposit" else texts.label_paid
        rows.append((label, formats.money(terms["amount_due"], terms["currency"], locale)))
    return rows


def _button(template: Template, locale: str) -> str:
    texts = TEXTS[locale]
    if template in _CANCELLABLE:
        return texts.button_manage
    return texts.button_pay if template is Template.PAYMENT_FAILED else texts.button_again


def _how_to_cancel(facts: Facts, clock: Clock, locale: str) -> str:
    """The offering's policy in a sentence or two; what is kept is never more than was paid, which needs no words."""
    texts, policy = TEXTS[locale], facts.offering.cancellation
    if policy.fee_percent == 0 or facts.booking.terms.get("price") == 0:
        return texts.cancel_free
    percent = str(format_percent(policy.fee_percent / 100, locale=locale))
    until = facts.booking.start_at - timedelta(minutes=policy.free_until_minutes)
    if until <= facts.message.created_at:
        return texts.cancel_fee.format(percent=percent)
    free = texts.cancel_free_until.format(until=clock.moment(until))
    return f"{free} {texts.cancel_fee_after.format(percent=percent)}"


def _one_line(text: str) -> str:
    """A subject is a header: whatever a name brings along, it stays one line, with plain spaces."""
    return " ".join(text.split())
