"""What Stripe does: Sessions are opened, paid and closed, intents captured and cancelled, money goes back."""

from typing import Any

import stripe
from stripe.params import PaymentIntentCancelParams, PaymentIntentCaptureParams, RefundCreateParams
from stripe.params.checkout import SessionCreateParams

from sandbox.problems import Refusal
from sandbox.state import Document, State
from sandbox.stripe.errors import StripeError
from sandbox.stripe.events import Events
from sandbox.stripe.objects import find, new_charge, new_id, new_intent, new_refund, now
from sandbox.stripe.shapes import blank, check

SHORTEST, LONGEST = 30 * 60, 24 * 3600
DECLINED_CARDS = ("4000000000000002", "4000000000009995", "4000000000000069", "4000000000000127")
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
        if not params.get("line_items"):
            raise StripeError(400, "Missing required param: line_items.", code="parameter_missing", param="line_items")
        if not params.get("success_url"):
            raise StripeError(
                400, "Missing required param: success_url.", code="parameter_missing", param="success_url"
            )
        expires_at = int(params.get("expires_at", now() + LONGEST))
        if not now() + SHORTEST <= expires_at <= now() + LONGEST:
            message = (
                "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation."
            )
            raise StripeError(400, message, param="expires_at")
        items = [self._line_item(item) for item in params["line_items"]]
        total = sum(item["amount_total"] for item in items)
        if total <= 0:
            raise StripeError(400, "The total amount must be greater than zero.", code="amount_too_small")
        session_id = new_id("cs_test")
        session = blank(stripe.checkout.Session) | {
            "id": session_id,
            "object": "checkout.session",
            "amount_subtotal": total,
            "amount_total": total,
            "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
            "cancel_url": params.get("cancel_url"),
            "client_reference_id": params.get("client_reference_id"),
            "created": now(),
            "currency": items[0]["currency"],
            "custom_fields": [],
            "custom_text": {
                "after_submit": None,
                "shipping_address": None,
                "submit": None,
                "terms_of_service_acceptance": None,
            },
            "customer_creation": "if_required",
            "customer_email": params.get("customer_email"),
            "expires_at": expires_at,
            "livemode": False,
            "locale": params.get("locale"),
            "metadata": params.get("metadata", {}),
            "mode": "payment",
            "payment_method_collection": "if_required",
            "payment_method_types": ["card"],
            "payment_status": "unpaid",
            "shipping_options": [],
            "status": "open",
            "success_url": params["success_url"],
            "ui_mode": "hosted_page",
            "url": f"{self._public_url}/checkout/{session_id}",
            "_line_items": items,
            "_intent_options": params.get("payment_intent_data", {}),
        }
        return self._state.put("checkout.session", session_id, session)

    @staticmethod
    def _line_item(item: Document) -> Document:
        price = item.get("price_data")
        if price is None or "unit_amount" not in price or "product_data" not in price:
            raise StripeError(400, "You must specify price_data with unit_amount and product_data.", param="line_items")
        quantity = item.get("quantity", 1)
        return {
            "id": new_id("li"),
            "object": "item",
            "amount_discount": 0,
            "amount_subtotal": price["unit_amount"] * quantity,
            "amount_tax": 0,
            "amount_total": price["unit_amount"] * quantity,
            "currency": price["currency"],
            "description": price["product_data"]["name"],
            "quantity": quantity,
        }

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
            )
        return self._close(session)

    def _close(self, session: Document) -> Document:
        session = self._state.put("checkout.session", session["id"], session | {"status": "expired", "url": None})
        if intent_id := session["payment_intent"]:
            intent = find(self._state, "payment_intent", intent_id)
            canceled = {"status": "canceled", "canceled_at": now(), "cancellation_reason": "abandoned"}
            self._state.put("payment_intent", intent_id, intent | canceled)
        self._events.emit("checkout.session.expired", session)
        return session

    def pay(self, session_id: str, card: str, outcome: str | None) -> Document:
        """What the patient's button does. 409 when the Session is not open, 402 when the card is declined."""
        session = self.session(session_id)
        if session["status"] != "open":
            raise Refusal(409, "session-not-open", f"The Session is {session['status']}; nothing was charged.")
        outcome = outcome or ("decline" if card in DECLINED_CARDS else "async" if card == ASYNC_CARD else "succeed")
        intent = self._intent_of(session)
        if outcome == "decline":
            error = {
                "code": "card_declined",
                "decline_code": "generic_decline",
                "message": "Your card was declined.",
                "type": "card_error",
            }
            intent = self._state.put("payment_intent", intent["id"], intent | {"last_payment_error": error})
            self._events.emit("payment_intent.payment_failed", intent)
            raise Refusal(402, "card-declined", "The card was declined. Nothing was charged; the Session stays open.")
        complete = {"status": "complete", "url": None}
        if outcome == "async":
            self._state.put("payment_intent", intent["id"], intent | {"status": "processing"})
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
        intent = find(self._state, "payment_intent", session["payment_intent"] or "none")
        if intent["status"] != "processing":
            raise Refusal(409, "not-processing", f"The payment is {intent['status']}; there is nothing to settle.")
        if outcome == "succeed":
            self._succeed(intent)
            session = self._state.put("checkout.session", session_id, session | {"payment_status": "paid"})
            self._events.emit("checkout.session.async_payment_succeeded", session)
        else:
            intent = self._state.put("payment_intent", intent["id"], intent | {"status": "requires_payment_method"})
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
            )
        amount = int(params.get("amount_to_capture") or intent["amount_capturable"])
        if not 0 < amount <= intent["amount_capturable"]:
            raise StripeError(400, "The amount to capture is out of range.", code="amount_too_large")
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
            )
        canceled = {
            "status": "canceled",
            "amount_capturable": 0,
            "canceled_at": now(),
            "cancellation_reason": params.get("cancellation_reason"),
        }
        intent = self._state.put("payment_intent", intent_id, intent | canceled)
        self._events.emit("payment_intent.canceled", intent)
        return intent

    # -- Refunds -----------------------------------------------------------------------------------------------

    def refund(self, raw: Document) -> Document:
        """POST /v1/refunds, by PaymentIntent, all or a part."""
        params = check(raw, RefundCreateParams)
        if "payment_intent" not in params:
            raise StripeError(400, "One of payment_intent or charge is required.", param="payment_intent")
        intent = find(self._state, "payment_intent", params["payment_intent"])
        refunded = sum(
            entry["amount"]
            for entry in self._state.all("refund")
            if entry["payment_intent"] == intent["id"] and entry["status"] != "failed"
        )
        left = intent["amount_received"] - refunded
        amount = int(params.get("amount", left))
        if left <= 0:
            raise StripeError(400, "Charge has already been refunded.", code="charge_already_refunded")
        if not 0 < amount <= left:
            raise StripeError(
                400, f"Refund amount ({amount}) is greater than unrefunded amount ({left}).", param="amount"
            )
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

    def ledger(self) -> list[dict[str, Any]]:
        """Money as it truly moved: a row an intent."""
        rows = []
        for intent in self._state.all("payment_intent"):
            session = next(
                self._state.where("checkout.session", lambda s, i=intent: s["payment_intent"] == i["id"]),  # type: ignore[misc]
                None,
            )
            refunds = self._state.where("refund", lambda r, i=intent: r["payment_intent"] == i["id"])  # type: ignore[misc]
            authorized = intent["latest_charge"] is not None
            rows.append(
                {
                    "payment_intent": intent["id"],
                    "session": session["id"] if session else None,
                    "metadata": intent["metadata"],
                    "amount": intent["amount"],
                    "authorized": intent["amount"] if authorized else 0,
                    "captured": intent["amount_received"],
                    "refunded": sum(refund["amount"] for refund in refunds if refund["status"] != "failed"),
                    "voided": intent["amount"] if authorized and intent["status"] == "canceled" else 0,
                    "status": intent["status"],
                }
            )
        return rows
