"""`expand`: references replaced by their objects, at any depth that Stripe allows."""

from collections.abc import Iterable

from sandbox.state import Document, State
from sandbox.stripe.errors import StripeError, missing

DEEPEST = 4
REFERENCES = {"payment_intent": "payment_intent", "latest_charge": "charge", "charge": "charge"}


def find(state: State, kind: str, object_id: str) -> Document:
    """The stored object; Stripe's 404 otherwise."""
    found = state.get(kind, object_id)
    if found is None:
        raise missing(kind, object_id)
    return found


def expanded(state: State, document: Document, expand: Iterable[str]) -> Document:
    """The document as it is answered, with the named references replaced."""
    result = {name: value for name, value in document.items() if not name.startswith("_")}
    for path in expand:
        if path.count(".") >= DEEPEST:
            raise StripeError(400, f"You cannot expand more than {DEEPEST} levels of a property.", param="expand")
        name, _, rest = path.partition(".")
        if name == "line_items" and "_line_items" in document:
            result[name] = line_items(document)
        elif name == "refunds" and document["object"] == "charge":
            result[name] = refunds_of(state, document)
        elif name not in result or name == "object":
            message = f"This property cannot be expanded ({path})."
            raise StripeError(400, message, code="property_cannot_be_expanded", param="expand")
        elif isinstance(value := result[name], dict):
            result[name] = expanded(state, value, [rest] if rest else [])
        elif name in REFERENCES and isinstance(value, str):
            result[name] = expanded(state, find(state, REFERENCES[name], value), [rest] if rest else [])
    return result


def line_items(session: Document) -> Document:
    """The Session's line items as a list object."""
    url = f"/v1/checkout/sessions/{session['id']}/line_items"
    return {"object": "list", "url": url, "has_more": False, "data": session["_line_items"]}


def refunds_of(state: State, charge: Document) -> Document:
    """The charge's refunds as a list object."""
    data = list(state.where("refund", lambda refund: bool(refund["charge"] == charge["id"])))[::-1]
    return {"object": "list", "url": f"/v1/charges/{charge['id']}/refunds", "has_more": False, "data": data}
