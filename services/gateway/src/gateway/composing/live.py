"""The live socket's address, asked for by a plain GET."""

from gateway.proxying import Call, Proxy
from gateway.upstream import Answer
from servicekit.problems import Problem


class UpgradeRequired(Problem):
    """The live socket is not read by GET."""

    status, code, title = 426, "upgrade-required", "Open a WebSocket"


async def refuse(_proxy: Proxy, _call: Call) -> Answer:
    """Says that it is a WebSocket."""
    raise UpgradeRequired("This address is a WebSocket.", headers={"Upgrade": "websocket"})
