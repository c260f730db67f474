"""Stripe's objects as this stand-in makes them."""

import secrets

import stripe

from sandbox.state import Document
from sandbox.stripe.errors import StripeError
from sandbox.stripe.ids import new_id, now
from sandbox.stripe.shapes import blank

MOST_METADATA, LONGEST_NAME, LONGEST_VALUE = 50, 40, 500
LARGEST_AMOUNT = 99_999_999


def metadata_of(params: Document, where: str = "metadata") -> dict[str, str]:
    """The `metadata` of the parameters, within Stripe's limits."""
    found: dict[str, str] = params.get("metadata") or {}
    if len(found) > MOST_METADATA:
        raise StripeError(400, f"Metadata can have {MOST_METADATA} keys at most.", param=where)
    for name, value in found.items():
        if len(name) > LONGEST_NAME:
            message = f"Metadata keys must be under {LONGEST_NAME} characters."
            raise StripeError(400, message, param=f"{where}[{name}]")
        if len(value) > LONGEST_VALUE:
            message = f"Metadata values can have up to {LONGEST_VALUE} characters, but you passed in {len(value)}."
            raise StripeError(400, message, param=f"{where}[{name}]")
    return dict(found)


def new_line_item(item: Document, index: int) -> Document:
    """What is paid for, by its `price_data`."""
    price, where = item.get("price_data"), f"line_items[{index}]"
    if price is None or "unit_amount" not in price or "product_data" not in price:
        raise StripeError(400, "You must specify price_data with unit_amount and product_data.", param=where)
    quantity, amount, currency = item.get("quantity", 1), price["unit_amount"], price["currency"].lower()
    if amount < 0 or quantity < 1:
        raise StripeError(400, "Invalid non-negative integer", code="parameter_invalid_integer", param=where)
    if amount * quantity > LARGEST_AMOUNT:
        raise StripeError(400, "Amount must be no more than 999,999.99.", code="amount_too_large", param=where)
    if not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
        raise StripeError(400, f"Invalid currency: {currency}.", param=f"{where}[price_data][currency]")
    return blank(stripe.LineItem) | {
        "id": new_id("li"),
        "object": "item",
        "amount_discount": 0,
        "amount_subtotal": amount * quantity,
        "amount_tax": 0,
        "amount_total": amount * quantity,
        "currency": currency,
        "description": price["product_data"]["name"],
        "quantity": quantity,
    }


def new_session(params: Document, session_id: str, url: str, expires_at: int, items: list[Document]) -> Document:
    """An open Session."""
    total = sum(item["amount_total"] for item in items)
    return blank(stripe.checkout.Session) | {
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
        "metadata": metadata_of(params),
        "mode": "payment",
        "payment_method_collection": "if_required",
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "shipping_options": [],
        "status": "open",
        "success_url": params["success_url"],
        "ui_mode": "hosted_page",
        "url": url,
        "_line_items": items,
        "_intent_options": params.get("payment_intent_data", {}),
    }


def new_intent(session: Document, options: Document) -> Document:
    """The PaymentIntent of a Session, once somebody tries to pay."""
    return blank(stripe.PaymentIntent) | {
        "id": new_id("pi"),
        "object": "payment_intent",
        "amount": session["amount_total"],
        "amount_capturable": 0,
        "amount_received": 0,
        "capture_method": options.get("capture_method", "automatic"),
        "client_secret": f"pi_{secrets.token_hex(8)}_secret_{secrets.token_hex(8)}",
        "confirmation_method": "automatic",
        "created": now(),
        "currency": session["currency"],
        "latest_charge": None,
        "livemode": False,
        "metadata": metadata_of(options),
        "payment_method_types": ["card"],
        "description": options.get("description"),
        "receipt_email": options.get("receipt_email"),
        "setup_future_usage": options.get("setup_future_usage"),
        "status": "requires_payment_method",
    }


def new_charge(intent: Document, *, captured: bool) -> Document:
    """The charge of an intent that a card has paid or authorized."""
    return blank(stripe.Charge) | {
        "id": new_id("ch"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if captured else 0,
        "amount_refunded": 0,
        "billing_details": {"address": None, "email": None, "name": None, "phone": None, "tax_id": None},
        "captured": captured,
        "created": now(),
        "currency": intent["currency"],
        "disputed": False,
        "livemode": False,
        "metadata": intent["metadata"],
        "paid": True,
        "payment_intent": intent["id"],
        "refunded": False,
        "status": "succeeded",
    }


def new_refund(intent: Document, amount: int, params: Document) -> Document:
    """Money that goes back."""
    return blank(stripe.Refund) | {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "charge": intent["latest_charge"],
        "created": now(),
        "currency": intent["currency"],
        "metadata": metadata_of(params),
        "payment_intent": intent["id"],
        "reason": params.get("reason"),
        "status": "succeeded",
    }
