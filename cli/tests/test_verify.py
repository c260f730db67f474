"""The signature that `verify` makes, and how it reports."""

from __future__ import annotations

import json
import time

import pytest
import stripe
from typer.testing import CliRunner

from holdfast.main import build
from holdfast.verification import webhooks
from holdfast.verification.checks import SCRIPT
from servicekit.testing import free_port


def test_stripes_own_library_accepts_our_signature_and_no_other() -> None:
    body = json.dumps(webhooks.completed("cs_test_1", {"booking_id": "1"})).encode()
    header = webhooks.signature(body, "whsec_right", int(time.time()))
    event = stripe.Webhook.construct_event(body, header, "whsec_right")
    assert event.type == "checkout.session.completed"
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body, header, "whsec_wrong")


def test_where_nothing_answers_it_fails_and_skips_what_could_not_be_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_READY", "/nowhere/ready.json")
    result = CliRunner().invoke(build("verify"), ["verify", f"http://127.0.0.1:{free_port()}", "--json"])
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    states = {check["name"]: check["state"] for check in report["checks"]}
    assert not report["ok"]
    assert list(states) == list(SCRIPT)
    assert states["serves"] == states["clinic"] == "failed"
    assert states["hold"] == states["paid"] == states["cleaned up"] == "skipped"
