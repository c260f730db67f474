"""The `customer` of a request, whom identity makes a person of."""

from typing import Any

from gateway.proxying import Call, Proxy
from gateway.upstream import Answer
from servicekit.problems import ValidationFailed


async def identify(proxy: Proxy, call: Call, body: dict[str, Any]) -> Answer | None:
    """Puts identity's `customer_token` in place of the body's `customer`; identity's refusal if it refuses."""
    customer = body.pop("customer", None)
    if not isinstance(customer, dict):
        raise ValidationFailed.of("customer", "is missing: name and email are needed")
    body.pop("customer_token", None)
    asked = {"customer": customer} | _user_token(call)
    known = await proxy.upstreams.post_internal("identity", f"/internal/tenants/{call.tenant_id}/customers", asked)
    if known.status != 200:
        return known
    body["customer_token"] = known.document()["customer_token"]
    return None


def _user_token(call: Call) -> dict[str, str]:
    scheme, _, credential = call.header(b"authorization").partition(" ")
    return {"user_token": credential} if scheme.lower() == "bearer" and credential.count(".") == 2 else {}
