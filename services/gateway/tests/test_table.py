"""What is reachable from outside, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.composing import COMPOSED
from gateway.table import ROUTES, Route, find


@pytest.mark.parametrize(
    ("method", "path", "service"),
    [
        ("POST", "/v1/auth/login", "identity"),
        ("GET", "/v1/clinics/alfa", "identity"),
        ("GET", "/v1/clinics/alfa/offerings", "availability"),
        ("GET", "/v1/clinics/alfa/providers/any/availability", "availability"),
        ("POST", "/v1/clinics/alfa/holds", "booking"),
        ("PUT", "/v1/clinics/alfa/appointments/1/cancel", "booking"),
        ("POST", "/v1/payments/webhook", "payment"),
        ("GET", "/v1/calendar/oauth/google/callback", "calendar-sync"),
        ("GET", "/v1/clinics/alfa/locations/centre", "availability"),
        ("GET", "/v1/clinics/alfa/providers/any/availability/days", "availability"),
        ("PUT", "/v1/clinics/alfa/appointments/1/reschedule", "booking"),
        ("POST", "/v1/clinics/alfa/appointments/1/no-show", "booking"),
        ("DELETE", "/v1/clinics/alfa/appointments/1/arrive", "booking"),
        ("GET", "/v1/clinics/alfa/appointments/1/calendar.ics", "booking"),
        ("POST", "/v1/clinics/alfa/appointments/1/refunds", "payment"),
        ("GET", "/v1/clinics/alfa/appointments/1/messages", "notification"),
        ("POST", "/v1/clinics/alfa/sessions/cancel", "booking"),
        ("PUT", "/v1/clinics/alfa/series/1/cancel", "booking"),
        ("DELETE", "/v1/clinics/alfa/waitlist/1", "booking"),
        ("POST", "/v1/clinics/alfa/conflicts/1/resolve", "booking"),
        ("PATCH", "/v1/clinics/alfa/customers/1", "identity"),
    ],
)
def test_a_path_goes_to_the_service_that_owns_it(method: str, path: str, service: str) -> None:
    route, _ = find(method, path)
    assert route is not None
    assert route.service == service


@pytest.mark.parametrize(
    "path",
    ["/internal/checkouts", "/metrics", "/v1/clinics/alfa/offerings/", "/v1/clinics//offerings", "/v1", "/v1/reports"],
)
def test_what_is_not_in_the_table_is_not_there(path: str) -> None:
    assert find("GET", path) == (None, frozenset())


def test_another_method_is_told_which_there_are() -> None:
    route, allowed = find("DELETE", "/v1/clinics/alfa/appointments")
    assert route is None
    assert allowed == {"GET", "POST"}


@given(st.lists(st.text(max_size=8), max_size=7))
def test_no_path_ever_leads_to_an_internal_route(parts: list[str]) -> None:
    route, _ = find("POST", "/internal/" + "/".join(parts))
    assert route is None


@given(st.sampled_from(ROUTES), st.text("abcxyz-09", min_size=1, max_size=8))
def test_every_route_is_found_by_each_of_its_methods(route: Route, word: str) -> None:
    path = "/" + "/".join(word if part.startswith("{") else part for part in route.parts)
    for method in route.methods:
        assert find(method, path)[0] is route


def test_what_is_composed_is_a_route() -> None:
    routes = {(method, route.pattern) for route in ROUTES for method in route.methods}
    assert {(method.replace("HEAD", "GET"), pattern) for method, pattern in COMPOSED} <= routes


def test_every_route_is_under_v1() -> None:
    assert {route.parts[0] for route in ROUTES} == {"v1"}
