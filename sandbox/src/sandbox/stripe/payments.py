"""What Stripe does: Sessions are opened, paid and closed, intents captured and cancelled, money goes back."""

from typing import Any
from urllib.parse import urlsplit

from stripe.params import PaymentIntentCancelParams, PaymentIntentCaptureParams, RefundCreateParams
from stripe.params.checkout import SessionCreateParams

from sandbox.problems import Refusal
from sandbox.state import Document, State
from sandbox.stripe.errors import StripeError
from sandbox.stripe.events import Events
from sandbox.stripe.expansion import find
from sandbox.stripe.ids import new_id, now
from sandbox.stripe.objects import metadata_of, new_charge, new_intent, new_line_item, new_refund, new_session
from sandbox.stripe.shapes import check

SHORTEST, LONGEST = 30 * 60, 24 * 3600
# A card's code and its decline code.
DECLINED_CARDS = {
    "4000000000000002": ("card_declined", "generic_decline"),
    "4000000000009995": ("card_declined", "insufficient_funds"),
    "4000000000000069": ("expired_card", None),
    "4000000000000127": ("incorrect_cvc", None),
}
ASYNC_CARD = "4000000000000077"


class Payments:
    """The objects and their moves; each move says so in an event."""

    def __init__(self, state: State, events: Events, public_url: str) -> None:
        self._state = state
        self._events = events
        self._public_url = public_url

    # -- Checkout Sessions -------------------------------------------------------------------------------------

    def create_session(self, raw: Document) -> Document:
        """POST /v1/checkout/sessions."""
        params = check(raw, SessionCreateParams)
        if params.get("mode") != "payment":
            raise StripeError(400, "Only mode=payment is known here.", param="mode")
        for name in ("line_items", "success_url"):
            if not params.get(name):
                raise StripeError(400, f"Missing required param: {name}.", code="parameter_missing", param=name)
        for name in ("success_url", "cancel_url"):
            if not _is_address(params.get(name) or "https://none.test"):
                raise StripeError(400, "Not a valid URL", code="url_invalid", param=name)
        expires_at = params.get("expires_at", now() + LONGEST)
        if not now() + SHORTEST <= expires_at <= now() + LONGEST:
            message = (
                "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation."
            )
            raise StripeError(400, message, param="expires_at")
        items = [new_line_item(item, index) for index, item in enumerate(params["line_items"])]
        if len({item["currency"] for item in items}) > 1:
            raise StripeError(400, "All line items must have the same currency.", param="line_items")
        if sum(item["amount_total"] for item in items) <= 0:
            raise StripeError(400, "The total amount must be greater than zero.", code="amount_too_small")
        metadata_of(params.get("payment_intent_data", {}), "payment_intent_data[metadata]")
        session_id = new_id("cs_test")
        session = new_session(params, session_id, f"{self._public_url}/checkout/{session_id}", expires_at, items)
        return self._state.put("checkout.session", session_id, session)

    def session(self, session_id: str) -> Document:
        """The Session as it is now: one whose time is over expires when somebody looks."""
        session = find(self._state, "checkout.session", session_id)
        if session["status"] == "open" and session["expires_at"] <= now():
            return self._close(session)
        return session

    def expire_session(self, session_id: str) -> Document:
        """POST …/expire: only while it is open."""
        session = self.session(session_id)
        if session["status"] != "open":
            raise StripeError(
                400,
                f'Only Checkout Sessions with a status in ["open"] can be expired. This has the status '
                f"`{session['status']}`.",
                began=True,
            )
        return self._close(session)

    def expire_due(self) -> None:
        """Closes the Sessions whose time is over."""
        for session in list(self._state.where("checkout.session", lambda one: bool(one["status"] == "open"))):
            self.session(session["id"])

    def _close(self, session: Document) -> Document:
        session = self._state.put("checkout.session", session["id"], session | {"status": "expired", "url": None})
        self._events.emit("checkout.session.expired", session)
        if session["payment_intent"]:
            self._cancel(find(self._state, "payment_intent", session["payment_intent"]), "abandoned")
        return session

    def pay(self, session_id: str, card: str, outcome: str | None) -> Document:
        """What the patient's button does. 409 when the Session is not open, 402 when the card is declined."""
        session = self.session(session_id)
        if session["status"] != "open":
            raise Refusal(409, "session-not-open", f"The Session is {session['status']}; nothing was charged.")
        refused = DECLINED_CARDS.get(card) or (None if _is_card(card) else ("incorrect_number", None))
        outcome = outcome or ("decline" if refused else "async" if card == ASYNC_CARD else "succeed")
        intent = self._intent_of(session)
        if outcome == "decline":
            code, reason = refused or DECLINED_CARDS["4000000000000002"]
            error = {"code": code, "message": "Your card was declined.", "type": "card_error"}
            error |= {"decline_code": reason} if reason else {}
            intent = self._state.put("payment_intent", intent["id"], intent | {"last_payment_error": error})
            self._events.emit("payment_intent.payment_failed", intent)
            raise Refusal(402, "card-declined", "The card was declined. Nothing was charged; the Session stays open.")
        complete = {"status": "complete", "url": None}
        intent |= {"last_payment_error": None}
        if outcome == "async":
            intent = self._state.put("payment_intent", intent["id"], intent | {"status": "processing"})
            self._events.emit("payment_intent.processing", intent)
        elif intent["capture_method"] == "manual":
            charge = new_charge(intent, captured=False)
            self._state.put("charge", charge["id"], charge)
            intent = self._state.put(
                "payment_intent",
                intent["id"],
                intent
                | {"status": "requires_capture", "amount_capturable": intent["amount"], "latest_charge": charge["id"]},
            )
            self._events.emit("payment_intent.amount_capturable_updated", intent)
        else:
            self._succeed(intent)
            complete["payment_status"] = "paid"
        session = self._state.put("checkout.session", session_id, session | complete)
        self._events.emit("checkout.session.completed", session)
        return session

    def settle(self, session_id: str, outcome: str) -> Document:
        """Ends an asynchronous payment."""
        session = find(self._state, "checkout.session", session_id)
        intent = self._state.get("payment_intent", session["payment_intent"] or "none")
        if intent is None or intent["status"] != "processing":
            status = intent["status"] if intent else "not begun"
            raise Refusal(409, "not-processing", f"The payment is {status}; there is nothing to settle.")
        if outcome == "succeed":
            self._succeed(intent)
            session = self._state.put("checkout.session", session_id, session | {"payment_status": "paid"})
            self._events.emit("checkout.session.async_payment_succeeded", session)
        else:
            error = {"code": "payment_intent_payment_attempt_failed", "message": "It failed.", "type": "card_error"}
            failed = {"status": "requires_payment_method", "last_payment_error": error}
            intent = self._state.put("payment_intent", intent["id"], intent | failed)
            self._events.emit("payment_intent.payment_failed", intent)
            self._events.emit("checkout.session.async_payment_failed", session)
        return session

    def _intent_of(self, session: Document) -> Document:
        if session["payment_intent"]:
            return find(self._state, "payment_intent", session["payment_intent"])
        intent = new_intent(session, session["_intent_options"])
        self._state.put("payment_intent", intent["id"], intent)
        session["payment_intent"] = intent["id"]
        self._state.put("checkout.session", session["id"], session)
        self._events.emit("payment_intent.created", intent)
        return intent

    def _succeed(self, intent: Document) -> Document:
        charge = new_charge(intent, captured=True)
        self._state.put("charge", charge["id"], charge)
        paid = {"status": "succeeded", "amount_received": intent["amount"], "latest_charge": charge["id"]}
        intent = self._state.put("payment_intent", intent["id"], intent | paid)
        self._events.emit("charge.succeeded", charge)
        self._events.emit("payment_intent.succeeded", intent)
        return intent

    # -- PaymentIntents ----------------------------------------------------------------------------------------

    def capture(self, intent_id: str, raw: Document) -> Document:
        """POST /v1/payment_intents/{id}/capture, all or a part; the rest is released."""
        params = check(raw, PaymentIntentCaptureParams)
        intent = find(self._state, "payment_intent", intent_id)
        if intent["status"] != "requires_capture":
            raise StripeError(
                400,
                f"This PaymentIntent could not be captured because it has a status of {intent['status']}. Only a"
                " PaymentIntent with one of the following statuses may be captured: requires_capture.",
                code="payment_intent_unexpected_state",
                began=True,
            )
        most: int = intent["amount_capturable"]
        amount = int(params.get("amount_to_capture", most))
        if not 0 < amount <= most:
            message = f"The amount_to_capture ({amount}) has to be from 1 to the amount_capturable ({most})."
            code = "amount_too_large" if amount > most else "parameter_invalid_integer"
            raise StripeError(400, message, code=code, param="amount_to_capture", began=True)
        charge = find(self._state, "charge", intent["latest_charge"])
        self._state.put("charge", charge["id"], charge | {"captured": True, "amount_captured": amount})
        captured = {"status": "succeeded", "amount_capturable": 0, "amount_received": amount}
        intent = self._state.put("payment_intent", intent_id, intent | captured)
        self._events.emit("charge.captured", find(self._state, "charge", charge["id"]))
        self._events.emit("payment_intent.succeeded", intent)
        return intent

    def cancel(self, intent_id: str, raw: Document) -> Document:
        """POST /v1/payment_intents/{id}/cancel."""
        params = check(raw, PaymentIntentCancelParams)
        intent = find(self._state, "payment_intent", intent_id)
        if intent["status"] in ("succeeded", "canceled", "processing"):
            raise StripeError(
                400,
                f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}.",
                code="payment_intent_unexpected_state",
                began=True,
            )
        return self._cancel(intent, params.get("cancellation_reason"))

    def _cancel(self, intent: Document, reason: str | None) -> Document:
        canceled = {
            "status": "canceled",
            "amount_capturable": 0,
            "canceled_at": now(),
            "cancellation_reason": reason,
        }
        intent = self._state.put("payment_intent", intent["id"], intent | canceled)
        self._events.emit("payment_intent.canceled", intent)
        return intent

    # -- Refunds -----------------------------------------------------------------------------------------------

    def refund(self, raw: Document) -> Document:
        """POST /v1/refunds, by PaymentIntent, all or a part."""
        params = check(raw, RefundCreateParams)
        intent = self._refundable(params)
        refunded = self._refunded(intent)
        left = intent["amount_received"] - refunded
        amount = int(params.get("amount", left))
        if intent["amount_received"] == 0:
            message = f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
            raise StripeError(400, message, param="payment_intent", began=True)
        if left <= 0:
            message = f"Charge {intent['latest_charge']} has already been refunded."
            raise StripeError(400, message, code="charge_already_refunded", began=True)
        if amount <= 0:
            raise StripeError(400, "Invalid positive integer", code="parameter_invalid_integer", param="amount")
        if amount > left:
            message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})."
            raise StripeError(400, message, param="amount", began=True)
        refund = new_refund(intent, amount, params)
        self._state.put("refund", refund["id"], refund)
        charge = find(self._state, "charge", intent["latest_charge"])
        charge = self._state.put(
            "charge",
            charge["id"],
            charge | {"amount_refunded": refunded + amount, "refunded": amount == left},
        )
        self._events.emit("refund.created", refund)
        self._events.emit("charge.refunded", charge)
        return refund

    def _refundable(self, params: Document) -> Document:
        """The intent that a refund names, itself or by its charge."""
        if "payment_intent" in params:
            return find(self._state, "payment_intent", params["payment_intent"])
        if "charge" not in params:
            message = "One of the following params should be provided for this request: payment_intent or charge."
            raise StripeError(400, message, code="parameter_missing")
        charge = find(self._state, "charge", params["charge"])
        return find(self._state, "payment_intent", charge["payment_intent"])

    def _refunded(self, intent: Document) -> int:
        refunds = self._state.where("refund", lambda one: bool(one["payment_intent"] == intent["id"]))
        return sum(refund["amount"] for refund in refunds)

    def ledger(self) -> list[dict[str, Any]]:
        """Money as it truly moved: a row an intent."""
        sessions = {session["payment_intent"]: session["id"] for session in self._state.all("checkout.session")}
        return [
            {
                "payment_intent": intent["id"],
                "session": sessions.get(intent["id"]),
                "metadata": intent["metadata"],
                "amount": intent["amount"],
                "authorized": intent["amount"] if intent["latest_charge"] else 0,
                "captured": intent["amount_received"],
                "refunded": self._refunded(intent),
                "voided": intent["amount"] if intent["latest_charge"] and intent["status"] == "canceled" else 0,
                "status": intent["status"],
            }
            for intent in self._state.all("payment_intent")
        ]


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def _is_card(number: str) -> bool:
    """Whether a card's number has a right check digit (Luhn)."""
    if not (number.isascii() and number.isdecimal() and 12 <= len(number) <= 19):
        return False
    doubled = [int(digit) * 2 for digit in number[-2::-2]]
    total = sum(int(digit) for digit in number[-1::-2]) + sum(value - 9 if value > 9 else value for value in doubled)
    return total % 10 == 0
