"""English."""

from notification.domain import Template as T
from notification.texts.shape import Texts, Words

ENGLISH = Texts(
    words={
        T.REQUEST_RECEIVED: Words(
            "Request received: {when}, {offering}",
            "Request received",
            "{clinic} has your request and answers by {deadline}. The time stays yours until then, and your card is "
            "charged only if the answer is yes.",
        ),
        T.BOOKING_CONFIRMED: Words(
            "Confirmed: {when}, {offering}",
            "Confirmed",
            "Your visit at {clinic} is booked. A file for your calendar is attached.",
        ),
        T.REMINDER: Words(
            "Reminder: {when}, {offering}",
            "See you soon",
            "This is a reminder of your visit at {clinic}.",
        ),
        T.BOOKING_RESCHEDULED: Words(
            "New time: {when}, {offering}",
            "New time",
            "Your visit at {clinic} has a new time. It was {before}.",
        ),
        T.BOOKING_CHANGED: Words(
            "Changed: {when}, {offering}",
            "Another practitioner",
            "Your visit at {clinic} stays at its time, but somebody else will see you.",
        ),
        T.BOOKING_CANCELLED: Words(
            "Cancelled: {when}, {offering}",
            "Cancelled",
            "Your visit at {clinic} was cancelled. The attached file takes it out of your calendar.",
        ),
        T.BOOKING_NO_SHOW: Words(
            "Missed: {when}, {offering}",
            "We missed you",
            "{clinic} noted that you did not come to this visit. If that is a mistake, please tell them.",
        ),
        T.BOOKING_REJECTED: Words(
            "Not accepted: {when}, {offering}",
            "Request not accepted",
            "{clinic} could not accept your request. Your card is not charged, and what was reserved on it is "
            "released.",
        ),
        T.BOOKING_UNFULFILLABLE: Words(
            "Not booked, your money comes back: {when}, {offering}",
            "This time was gone",
            "Your payment came after the time had been released, and it could not be given to you any more. "
            "You get all your money back without doing anything.",
        ),
        T.HOLD_EXPIRED: Words(
            "Not booked: {when}, {offering}",
            "The time was released",
            "Your payment did not come in time, so the time was released. Should a payment still arrive, you get the "
            "visit if the time is free, or else your money back.",
        ),
        T.MONEY_REFUNDED: Words(
            "Refund of {amount} from {clinic}",
            "Money on its way back",
            "{amount} goes back to where you paid from. Banks take up to 10 days to show it.",
        ),
        T.AUTHORIZATION_RELEASED: Words(
            "Released: {amount} for {clinic}",
            "You were not charged",
            "{amount} had been reserved on your card and is released. Banks take a few days to show it.",
        ),
        T.PAYMENT_FAILED: Words(
            "Your payment did not go through: {when}, {offering}",
            "Payment declined",
            "Your card was declined. The time is kept for a little longer: try again with this or another card.",
        ),
        T.WAITLIST_JOINED: Words(
            "You are on the waiting list: {offering}",
            "On the waiting list",
            "As soon as a time comes free at {clinic} between these dates and it is your turn, we keep it for you and"
            " send you a link. You need not do anything until then.",
        ),
        T.WAITLIST_OFFERED: Words(
            "Free for you until {deadline}: {when}, {offering}",
            "A time came free",
            "{clinic} has a time that you were waiting for. It is kept for you until {deadline}; after that it goes "
            "to the next in line.",
        ),
        T.CLINIC_APPROVAL: Words(
            "Please decide: {when}, {offering}",
            "Approval needed",
            "A request waits for your answer until {deadline}. Without one it is declined and the patient gets "
            "everything back.",
        ),
        T.CLINIC_APPROVAL_DUE: Words(
            "Still waiting for your decision: {when}, {offering}",
            "Approval still needed",
            "Half of the time to answer is over. Without an answer by {deadline} the request is declined and the "
            "patient gets everything back.",
        ),
        T.CLINIC_CONFIRMED: Words("New booking: {when}, {offering}", "New booking", "A visit was booked."),
        T.CLINIC_RESCHEDULED: Words(
            "Moved: {when}, {offering}",
            "Visit moved",
            "A visit has another time or another practitioner.",
        ),
        T.CLINIC_CONFLICT: Words(
            "Conflict: {when}, {offering}",
            "A visit cannot take place as it is",
            "{cause} The patient has not been told. Decide at the desk: move the visit, find a substitute, offer the "
            "waiting list, or leave it as it is.",
        ),
        T.CLINIC_CANCELLED: Words(
            "Cancelled: {when}, {offering}", "Cancelled", "A visit was cancelled. Its time is free again."
        ),
        T.CLINIC_REFUND_FAILED: Words(
            "A refund of {amount} failed",
            "Refund failed",
            "{amount} could not be given back to the patient. It is tried again; if this goes on, give it back "
            "by hand.",
        ),
    },
    with_practitioner="{offering} with {practitioner}",
    label_what="Visit",
    label_who="With",
    label_patient="Patient",
    label_price="Price",
    label_paid="Paid",
    label_deposit="Deposit paid",
    label_fee="Kept as a fee",
    label_back="Goes back to you",
    label_move_fee="Fee for moving late",
    label_before="Before",
    label_affected="Affected",
    label_deadline="Answer by",
    label_kept_until="Kept until",
    free="Free of charge",
    button_manage="See or cancel your visit",
    button_pay="Pay again",
    button_again="See your booking",
    button_page="Open the booking page",
    button_take="Take this time",
    button_desk="Open the desk",
    moved_in_calendar="The attached file changes it in your calendar.",
    moved_by_clinic=(
        "{clinic} made this change. If it does not suit you, you can cancel for free and get back everything that you"
        " paid."
    ),
    causes={
        "external_event": "An event in an outside calendar lies on this visit now.",
        "time_off": "Somebody or something that this visit needs is away at its time.",
        "schedule": "The working hours have changed, and this visit lies outside them.",
        "deactivated": "Somebody or something that this visit needs is no longer in use.",
    },
    plans_change="Plans change.",
    cancel_free_until="You can cancel for free until {until}.",
    cancel_fee_after="After that {percent} of the price is kept.",
    cancel_fee="When you cancel, {percent} of the price is kept.",
    cancel_free="You can cancel for free until the visit begins.",
    footer_patient="You get this because a visit at {clinic} was asked for in your name.",
    footer_clinic="You get this because you work at {clinic} or get its alerts.",
)
