"""Holds: booking decides, availability says what else there is."""

from gateway.proxying import Call, Proxy
from gateway.upstream import Answer

MOST_SHARED = 8_192  # bytes of a body that is compared with others'


async def place(proxy: Proxy, call: Call) -> Answer:
    """Booking holds; when the time is taken, availability is asked what else there is."""
    body = await call.body()

    async def ask() -> Answer:
        return await proxy.send(call, body)

    # A request with a key of its own may be the repetition of one that got the time: it is not like any other.
    if len(body) > MOST_SHARED or call.header(b"idempotency-key"):
        answer = await ask()
    else:
        credential, kind = call.header(b"authorization"), call.header(b"content-type")
        answer = await proxy.rushes.answer((call.path, call.query, credential, kind, body), ask)
    return await proxy.looks.help(call.tenant_id, body, answer)
