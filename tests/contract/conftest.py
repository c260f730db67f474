"""The sandbox as a process of its own, its webhooks' receiver, and the official SDKs."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import google_auth_httplib2
import httplib2
import httpx
import pytest
import stripe
from aiohttp import web
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build

from servicekit.testing import free_port

T = TypeVar("T")
SECRET = "whsec_contract"


def eventually(look: Callable[[], T], seconds: float = 10.0) -> T:
    """What `look` finds as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"did not come within {seconds} s"
        time.sleep(0.02)
    return found


@dataclass
class Receiver:
    """Takes webhooks and notices in a thread of its own; `refusals` is how many of the next are answered 500."""

    port: int = field(default_factory=free_port)
    taken: list[tuple[float, str, dict[str, str], bytes]] = field(default_factory=list)
    refusals: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Callable[[], None]:
        """Serves until the returned function is called."""
        loop = asyncio.new_event_loop()
        application = web.Application()
        application.router.add_post("/{path:.*}", self._take)
        runner = web.AppRunner(application)
        started = threading.Event()

        async def serve() -> None:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", self.port).start()
            started.set()

        def run() -> None:
            loop.run_until_complete(serve())
            loop.run_forever()
            loop.run_until_complete(runner.cleanup())

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        assert started.wait(10)

        def stop() -> None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)

        return stop

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.taken.append((time.time(), request.path, dict(request.headers), body))
        if self.refusals:
            self.refusals -= 1
            return web.Response(status=500)
        return web.Response()

    def of(self, *parts: str, path: str = "/stripe") -> list[tuple[float, dict[str, str], bytes]]:
        """What came to a path whose body contains all of the parts, oldest first."""
        return [
            (at, headers, body)
            for at, where, headers, body in self.taken
            if where == path and all(part.encode() in body for part in parts)
        ]


@dataclass
class Sandbox:
    """A process. `kill` ends it the hard way."""

    folder: Path
    webhook_url: str = "http://127.0.0.1:9/"
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Until it answers."""
        environment = os.environ | {
            "SANDBOX_PORT": str(self.port),
            "SANDBOX_DATA": str(self.folder),
            "SANDBOX_PUBLIC_URL": self.url,
            "SANDBOX_STRIPE_WEBHOOK_URL": self.webhook_url,
            "SANDBOX_STRIPE_WEBHOOK_SECRET": SECRET,
        }
        process = self.process = subprocess.Popen([sys.executable, "-m", "sandbox"], env=environment)

        def ready() -> bool:
            assert process.poll() is None, "the sandbox ended"
            try:
                return httpx.get(f"{self.url}/health/ready", timeout=1).is_success
            except httpx.TransportError:
                return False

        eventually(ready, 30)

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        """SIGTERM."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    """Who is told."""
    made = Receiver()
    stop = made.start()
    yield made
    stop()


@pytest.fixture(scope="session")
def sandbox(data_dir: Path, receiver: Receiver) -> Iterator[Sandbox]:
    """The process that these tests share."""
    made = Sandbox(data_dir / "contract-sandbox", f"{receiver.url}/stripe")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def http(sandbox: Sandbox, receiver: Receiver) -> Iterator[httpx.Client]:
    """A plain client; no faults before or after."""
    with httpx.Client(base_url=sandbox.url, timeout=10, trust_env=False) as client:
        client.delete("/_sandbox/faults").raise_for_status()
        receiver.refusals = 0
        yield client
        client.delete("/_sandbox/faults").raise_for_status()


@dataclass
class Shop:
    """A merchant with Stripe's SDK, and the patient who pays."""

    client: stripe.StripeClient
    http: httpx.Client

    def params(self, **more: Any) -> dict[str, Any]:
        """A Checkout for 200 PLN."""
        price = {"currency": "pln", "unit_amount": 20000, "product_data": {"name": "Hygiene"}}
        return {
            "mode": "payment",
            "line_items": [{"price_data": price, "quantity": 1}],
            "success_url": "https://clinic.test/done?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "https://clinic.test/back",
            "expires_at": int(time.time()) + 31 * 60,
            "metadata": {"booking_id": "b1"},
            "payment_intent_data": {"metadata": {"booking_id": "b1"}},
        } | more

    def checkout(self, *, manual: bool = False, options: Any = None, **more: Any) -> stripe.checkout.Session:
        """An open Checkout."""
        params = self.params(**more)
        if manual:
            params["payment_intent_data"]["capture_method"] = "manual"
        return self.client.v1.checkout.sessions.create(params, options or {})  # type: ignore[arg-type]

    def pay(self, session_id: str, **body: Any) -> httpx.Response:
        """The patient's button."""
        return self.http.post(f"/_sandbox/stripe/checkout/{session_id}/pay", json=body or {"card": "4242424242424242"})

    def paid(self, *, manual: bool = False) -> stripe.PaymentIntent:
        """The intent of a paid (or authorized) Checkout."""
        session = self.checkout(manual=manual)
        assert self.pay(session.id).status_code == 200
        found = self.client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]}).payment_intent
        assert isinstance(found, stripe.PaymentIntent)
        return found

    def session(self, session_id: str) -> stripe.checkout.Session:
        return self.client.v1.checkout.sessions.retrieve(session_id)

    def events(self, object_id: str) -> list[dict[str, Any]]:
        """What happened to an object, oldest first."""
        data = self.http.get("/_sandbox/stripe/events").json()["data"]
        return [entry for entry in data if entry["event"]["data"]["object"]["id"] == object_id]

    def ledger(self, intent_id: str) -> dict[str, Any]:
        """Its row."""
        rows = self.http.get("/_sandbox/stripe/ledger").json()["data"]
        return next(row for row in rows if row["payment_intent"] == intent_id)

    def fault(self, fault: str, provider: str = "stripe", **more: Any) -> None:
        """Turns one on."""
        answer = self.http.post("/_sandbox/faults", json={"provider": provider, "fault": fault} | more)
        assert answer.status_code == 201, answer.text


@pytest.fixture
def shop(sandbox: Sandbox, http: httpx.Client) -> Shop:
    """Without retries: a test sees each answer."""
    return Shop(client_of(sandbox, 0), http)


def client_of(sandbox: Sandbox, retries: int) -> stripe.StripeClient:
    """Stripe's SDK."""
    transport = stripe.RequestsClient(timeout=5)
    return stripe.StripeClient(
        "sk_test_contract",
        max_network_retries=retries,
        http_client=transport,
        base_addresses={"api": sandbox.url},
    )


@dataclass
class Consent:
    """What a person's consent gave: the token endpoint's answer."""

    url: str
    tokens: dict[str, Any]

    def credentials(self, token: str | None = None) -> Credentials:
        return Credentials(
            token or self.tokens["access_token"], refresh_token=self.tokens["refresh_token"],
            token_uri=f"{self.url}/token", client_id="client", client_secret="secret",
        )  # fmt: skip


def code_of(http: httpx.Client, **more: str) -> str:
    """Follows the authorize address as a browser does, up to the redirect back."""
    query = {
        "client_id": "client", "redirect_uri": "https://app.test/back", "response_type": "code",
        "scope": "calendar", "access_type": "offline", "state": "s1",
    }  # fmt: skip
    answer = http.get("/o/oauth2/v2/auth", params=query | more)
    assert answer.status_code == 302, answer.text
    back = parse_qs(urlsplit(answer.headers["location"]).query)
    assert back["state"] == ["s1"]
    return back["code"][0]


def exchange(http: httpx.Client, code: str, **more: str) -> httpx.Response:
    """A code for tokens."""
    form = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": "https://app.test/back",
        "client_id": "client", "client_secret": "secret",
    }  # fmt: skip
    return http.post("/token", data=form | more)


@pytest.fixture
def consent(sandbox: Sandbox, http: httpx.Client) -> Consent:
    """A person consented."""
    return Consent(sandbox.url, exchange(http, code_of(http)).json())


@pytest.fixture
def google(sandbox: Sandbox, consent: Consent) -> Any:
    """Google's client library."""
    authorized = google_auth_httplib2.AuthorizedHttp(consent.credentials(), http=httplib2.Http(timeout=10))
    options = {"api_endpoint": f"{sandbox.url}/calendar/v3/"}
    return build("calendar", "v3", http=authorized, client_options=options)


@pytest.fixture
def calendar() -> str:
    """A calendar that nobody named before."""
    return f"{uuid4().hex[:12]}@clinic.test"
