"""Stripe's form encoding, and parameters against the SDK's types."""

from typing import Any

import pytest
from stripe.params import RefundCreateParams
from stripe.params.checkout import SessionCreateParams

from sandbox.stripe.errors import StripeError
from sandbox.stripe.forms import parse
from sandbox.stripe.shapes import check


def test_brackets_nest() -> None:
    text = "a[0][b]=1&a[0][c]=2&a[1][b]=3&metadata[k]=%5Bv%5D&empty=&tags[]=x&tags[]=y"
    assert parse(text) == {
        "a": {"0": {"b": "1", "c": "2"}, "1": {"b": "3"}}, "metadata": {"k": "[v]"}, "empty": "",
        "tags": {"5": "x", "6": "y"},
    }  # fmt: skip
    assert parse("") == {}


@pytest.mark.parametrize("text", ["a=1&a[b]=2", "a[b]=2&a=1", "a[b=1", "[a]=1", "a]b=1", "a" + "[b]" * 20 + "=1",
                                  "&".join("a=1" for _ in range(5001))])  # fmt: skip
def test_names_that_do_not_nest_are_refused(text: str) -> None:
    with pytest.raises(StripeError) as caught:
        parse(text)
    assert caught.value.status == 400


def _refused(raw: dict[str, Any], cls: type = SessionCreateParams) -> dict[str, Any]:
    with pytest.raises(StripeError) as caught:
        check(raw, cls)
    error: dict[str, Any] = caught.value.body["error"]
    return error


def test_texts_become_what_the_sdk_says() -> None:
    raw = parse(
        "mode=payment&expires_at=1800000000&line_items[0][price_data][currency]=pln&line_items[0][quantity]=2"
        "&line_items[0][price_data][unit_amount]=-5&line_items[0][price_data][product_data][name]=N"
        "&automatic_tax[enabled]=true&metadata[n]=1&payment_intent_data[capture_method]=manual"
    )
    price = {"currency": "pln", "unit_amount": -5, "product_data": {"name": "N"}}
    assert check(raw, SessionCreateParams) == {
        "mode": "payment", "expires_at": 1800000000, "line_items": [{"price_data": price, "quantity": 2}],
        "automatic_tax": {"enabled": True}, "metadata": {"n": "1"}, "payment_intent_data": {"capture_method": "manual"},
    }  # fmt: skip


def test_what_the_version_does_not_know_is_named() -> None:
    assert _refused({"surprise": "1"}) == {
        "message": "Received unknown parameter: surprise", "type": "invalid_request_error",
        "code": "parameter_unknown", "param": "surprise",
    }  # fmt: skip
    assert _refused({"line_items": {"0": {"price_data": {"x": "1"}}}})["param"] == "line_items[0][price_data][x]"
    missing = _refused({"line_items": {"0": {"price_data": {"unit_amount": "1"}}}})
    assert (missing["code"], missing["param"]) == ("parameter_missing", "line_items[0][price_data][currency]")


@pytest.mark.parametrize(("raw", "param"), [
    ({"expires_at": "²"}, "expires_at"), ({"expires_at": "1" * 30}, "expires_at"), ({"expires_at": ""}, "expires_at"),
    ({"expires_at": {"a": "1"}}, "expires_at"), ({"mode": "gift"}, "mode"), ({"mode": {"a": "b"}}, "mode"),
    ({"line_items": "x"}, "line_items"), ({"line_items": {"a": {}}}, "line_items"),
    ({"line_items": {"0": "x"}}, "line_items[0]"), ({"automatic_tax": {"enabled": "yes"}}, "automatic_tax[enabled]"),
    ({"metadata": "x"}, "metadata"), ({"payment_intent_data": {"metadata": "x"}}, "payment_intent_data[metadata]"),
    ({"customer_email": {"a": "b"}}, "customer_email"), ({"payment_intent_data": "x"}, "payment_intent_data"),
])  # fmt: skip
def test_values_of_another_type_are_named(raw: dict[str, Any], param: str) -> None:
    assert _refused(raw)["param"] == param


def test_an_enumeration_takes_what_it_lists() -> None:
    assert check({"reason": "duplicate"}, RefundCreateParams) == {"reason": "duplicate"}
    assert _refused({"reason": "bored"}, RefundCreateParams)["param"] == "reason"
