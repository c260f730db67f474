"""What one message says to one reader: facts in, words out. No I/O."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from babel.numbers import format_percent

from events.contracts.availability import OfferingState, ResourceState
from events.contracts.identity import TenantChanged
from notification import formats
from notification.domain import BookingStatus, Template, money_left
from notification.formats import Clock
from notification.repository import Booking, Message
from notification.texts import TEXTS


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a message is made of, besides its reader. `former_provider` of a visit that got another practitioner,
    `affected` is what a conflict is about."""

    message: Message
    booking: Booking
    tenant: TenantChanged
    offering: OfferingState
    provider: ResourceState | None
    public_url: str
    manage_token: str | None = None
    former_provider: ResourceState | None = None
    affected: ResourceState | None = None


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


_T = Template
_GOOD = frozenset(
    (
        _T.BOOKING_CONFIRMED, _T.BOOKING_RESCHEDULED, _T.BOOKING_CHANGED, _T.REMINDER, _T.REQUEST_RECEIVED,
        _T.WAITLIST_JOINED, _T.WAITLIST_OFFERED, _T.CLINIC_CONFIRMED, _T.CLINIC_RESCHEDULED,
    )
)  # fmt: skip
_CANCELLABLE = frozenset(
    (_T.BOOKING_CONFIRMED, _T.BOOKING_RESCHEDULED, _T.BOOKING_CHANGED, _T.REMINDER, _T.REQUEST_RECEIVED)
)
_PRICED = _CANCELLABLE | {_T.CLINIC_APPROVAL, _T.CLINIC_APPROVAL_DUE, _T.CLINIC_CONFIRMED, _T.CLINIC_RESCHEDULED}


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
        lead=_lead(facts, values, locale),
        rows=_rows(facts, reader, values, locale),
        button=_button(template, locale),
        url=_url(facts),
        note_title=texts.plans_change if template in _CANCELLABLE else "",
        note=_how_to_cancel(facts, clock, locale) if template in _CANCELLABLE else "",
        footer=(texts.footer_clinic if staff else texts.footer_patient).format(clinic=facts.tenant.name),
    )


def _lead(facts: Facts, values: dict[str, str], locale: str) -> str:
    texts, template = TEXTS[locale], facts.message.template
    lead = texts.words[template].lead.format(**values)
    if template in (_T.BOOKING_RESCHEDULED, _T.BOOKING_CHANGED) and facts.booking.status is BookingStatus.CONFIRMED:
        return f"{lead} {texts.moved_in_calendar}"
    return lead


def _url(facts: Facts) -> str:
    """Where the message's button leads. A hold's token is read once and replaced, so it is in the query (api.md); all
    others are in the fragment, which no server and no log ever sees."""
    clinic, booking, token = f"{facts.public_url}/{facts.tenant.slug}", facts.booking, facts.manage_token
    match facts.message.template:
        case _T.WAITLIST_OFFERED:
            return f"{clinic}?{urlencode({'hold': str(booking.id), 'token': token or ''})}"
        case _T.WAITLIST_JOINED:
            return f"{clinic}?waitlist={booking.id}" + (f"#token={token}" if token else "")
        case _T.CLINIC_CONFLICT:
            query = {"clinic": facts.tenant.slug, "appointment": str(booking.id)}
            return f"{facts.public_url}/desk?{urlencode(query)}"
        case template if template.for_clinic:
            return clinic
    return manage_url(facts)


def manage_url(facts: Facts) -> str:
    """Where the patient sees and cancels the booking."""
    page = f"{facts.public_url}/manage/{facts.booking.id}?clinic={facts.booking.tenant_id}"
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
    if "previous_start" in context:
        values["before"] = clock.moment(datetime.fromisoformat(context["previous_start"]))
    if "cause" in context:
        values["cause"] = TEXTS[locale].causes[context["cause"]]
    return values


def _rows(facts: Facts, reader: Reader, values: dict[str, str], locale: str) -> list[tuple[str, str]]:
    texts, template, context = TEXTS[locale], facts.message.template, facts.message.context
    rows = [(texts.label_what, facts.offering.name)]
    if facts.provider is not None:
        rows.append((texts.label_who, facts.provider.name))
    if reader.patient:
        rows.append((texts.label_patient, reader.patient))
    if facts.affected is not None:
        rows.append((texts.label_affected, facts.affected.name))
    if "before" in values:
        former = facts.former_provider
        rows.append((texts.label_before, f"{values['before']}, {former.name}" if former else values["before"]))
    if "deadline" in values:
        label = texts.label_kept_until if template is _T.WAITLIST_OFFERED else texts.label_deadline
        rows.append((label, values["deadline"]))
    if template in _PRICED:
        rows += _prices(facts, locale)
    for name, label in (("fee", texts.label_fee), ("back", texts.label_back), ("move_fee", texts.label_move_fee)):
        if context.get(name):
            rows.append((label, formats.money(context[name], context["currency"], locale)))
    return rows


def _prices(facts: Facts, locale: str) -> list[tuple[str, str]]:
    texts, terms = TEXTS[locale], facts.booking.terms
    if "price" not in terms:
        return []
    if terms["price"] == 0:
        return [(texts.label_price, texts.free)]
    rows = [(texts.label_price, formats.money(terms["price"], terms["currency"], locale))]
    if paid := money_left(facts.booking.terms):
        label = texts.label_deposit if terms.get("mode") == "deposit" else texts.label_paid
        rows.append((label, formats.money(paid, terms["currency"], locale)))
    return rows


def _button(template: Template, locale: str) -> str:
    texts = TEXTS[locale]
    match template:
        case _T.CLINIC_CONFLICT:
            return texts.button_desk
        case _T.WAITLIST_OFFERED:
            return texts.button_take
        case _T.PAYMENT_FAILED:
            return texts.button_pay
        case _ if template.for_clinic or template is _T.WAITLIST_JOINED:
            return texts.button_page
    return texts.button_manage if template in _CANCELLABLE else texts.button_again


def _how_to_cancel(facts: Facts, clock: Clock, locale: str) -> str:
    """The offering's policy in a sentence or two; what is kept is never more than was paid, which needs no words."""
    texts, policy = TEXTS[locale], facts.offering.cancellation
    if facts.booking.terms.get("moved_by_clinic"):
        by_clinic_now = facts.message.context.get("by") == "staff"
        return texts.moved_by_clinic.format(clinic=facts.tenant.name) if by_clinic_now else texts.cancel_free
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
