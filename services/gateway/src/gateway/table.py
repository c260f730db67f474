"""The public API and who owns it: one line a route. What is not here is not reachable from outside."""

from dataclasses import dataclass

IDENTITY, AVAILABILITY, BOOKING, PAYMENT, CALENDAR, NOTIFICATION, GATEWAY = (
    "identity",
    "availability",
    "booking",
    "payment",
    "calendar-sync",
    "notification",
    "gateway",
)


@dataclass(frozen=True, slots=True)
class Route:
    """Methods and path of one route, its service, and whether it is open without a token."""

    methods: frozenset[str]
    pattern: str
    parts: tuple[str, ...]
    service: str
    open: bool

    def fits(self, parts: tuple[str, ...]) -> bool:
        """Whether a path has this form; `{…}` stands for one part that is not empty."""
        return len(parts) == len(self.parts) and all(
            (own.startswith("{") and part != "") or own == part for own, part in zip(self.parts, parts, strict=True)
        )


def _route(methods: str, path: str, service: str, *, open: bool = False) -> Route:
    return Route(frozenset(methods.split()), path, parts_of(path), service, open)


def parts_of(path: str) -> tuple[str, ...]:
    """A path as its parts; an empty part (a doubled or trailing slash) fits no route."""
    return tuple(path.lstrip("/").split("/"))


CLINIC = "/v1/clinics/{clinic}"

ROUTES: tuple[Route, ...] = (
    _route("POST", "/v1/auth/register", IDENTITY, open=True),
    _route("POST", "/v1/auth/login", IDENTITY, open=True),
    _route("POST", "/v1/auth/refresh", IDENTITY, open=True),
    _route("POST", "/v1/auth/logout", IDENTITY, open=True),
    _route("GET", "/v1/auth/jwks.json", IDENTITY, open=True),
    _route("GET PATCH", "/v1/users/me", IDENTITY),
    _route("POST", "/v1/clinics", IDENTITY),
    _route("GET PATCH DELETE", CLINIC, IDENTITY, open=True),
    _route("GET POST", f"{CLINIC}/members", IDENTITY),
    _route("PATCH DELETE", f"{CLINIC}/members/{{id}}", IDENTITY),
    _route("GET", f"{CLINIC}/customers", IDENTITY),
    _route("GET PATCH", f"{CLINIC}/customers/{{id}}", IDENTITY),
    _route("GET", f"{CLINIC}/audit", IDENTITY),
    _route("GET POST", f"{CLINIC}/locations", AVAILABILITY, open=True),
    _route("GET PATCH DELETE", f"{CLINIC}/locations/{{id}}", AVAILABILITY, open=True),
    _route("GET POST", f"{CLINIC}/resources", AVAILABILITY, open=True),
    _route("GET PATCH DELETE", f"{CLINIC}/resources/{{id}}", AVAILABILITY, open=True),
    _route("GET PUT", f"{CLINIC}/resources/{{id}}/schedule", AVAILABILITY),
    _route("GET POST", f"{CLINIC}/resources/{{id}}/time-off", AVAILABILITY),
    _route("DELETE", f"{CLINIC}/resources/{{id}}/time-off/{{time_off}}", AVAILABILITY),
    _route("GET POST", f"{CLINIC}/offerings", AVAILABILITY, open=True),
    _route("GET PATCH DELETE", f"{CLINIC}/offerings/{{id}}", AVAILABILITY, open=True),
    _route("GET", f"{CLINIC}/providers", AVAILABILITY, open=True),
    _route("GET", f"{CLINIC}/providers/{{id}}/availability", AVAILABILITY, open=True),
    _route("GET", f"{CLINIC}/providers/{{id}}/availability/days", AVAILABILITY, open=True),
    _route("POST", f"{CLINIC}/holds", BOOKING, open=True),
    _route("GET DELETE", f"{CLINIC}/holds/{{id}}", BOOKING, open=True),
    _route("POST", f"{CLINIC}/holds/{{id}}/renew", BOOKING, open=True),
    _route("GET POST", f"{CLINIC}/appointments", BOOKING, open=True),
    _route("GET", f"{CLINIC}/appointments/{{id}}", BOOKING, open=True),
    _route("POST", f"{CLINIC}/appointments/{{id}}/checkout", BOOKING, open=True),
    _route("PUT", f"{CLINIC}/appointments/{{id}}/cancel", BOOKING, open=True),
    _route("PUT", f"{CLINIC}/appointments/{{id}}/reschedule", BOOKING, open=True),
    _route("GET", f"{CLINIC}/appointments/{{id}}/calendar.ics", BOOKING, open=True),
    _route("POST", f"{CLINIC}/appointments/{{id}}/approve", BOOKING),
    _route("POST", f"{CLINIC}/appointments/{{id}}/reject", BOOKING),
    _route("POST", f"{CLINIC}/appointments/{{id}}/complete", BOOKING),
    _route("POST", f"{CLINIC}/appointments/{{id}}/no-show", BOOKING),
    _route("PUT DELETE", f"{CLINIC}/appointments/{{id}}/arrive", BOOKING),
    _route("GET POST", f"{CLINIC}/appointments/{{id}}/refunds", PAYMENT),
    _route("GET", f"{CLINIC}/appointments/{{id}}/messages", NOTIFICATION),
    _route("POST", f"{CLINIC}/sessions/cancel", BOOKING),
    _route("GET POST", f"{CLINIC}/series", BOOKING, open=True),
    _route("GET", f"{CLINIC}/series/{{id}}", BOOKING, open=True),
    _route("PUT", f"{CLINIC}/series/{{id}}/cancel", BOOKING, open=True),
    _route("PUT", f"{CLINIC}/series/{{id}}/reschedule", BOOKING, open=True),
    _route("GET POST", f"{CLINIC}/waitlist", BOOKING, open=True),
    _route("GET DELETE", f"{CLINIC}/waitlist/{{id}}", BOOKING, open=True),
    _route("GET", f"{CLINIC}/conflicts", BOOKING),
    _route("POST", f"{CLINIC}/conflicts/{{id}}/resolve", BOOKING),
    _route("GET", f"{CLINIC}/live", GATEWAY, open=True),
    _route("POST", "/v1/payments/webhook", PAYMENT, open=True),
    _route("POST", f"{CLINIC}/calendar/sync/initiate", CALENDAR),
    _route("GET", f"{CLINIC}/calendar/connections", CALENDAR),
    _route("GET DELETE", f"{CLINIC}/calendar/connections/{{id}}", CALENDAR),
    _route("GET", "/v1/calendar/oauth/{kind}/callback", CALENDAR, open=True),
    _route("POST", "/v1/calendar/notices/{kind}", CALENDAR, open=True),
)


def _kind(parts: tuple[str, ...]) -> tuple[int, str, str]:
    """What all paths of one form have in common: their length, and the words that no route has a parameter for."""
    area = parts[1] if len(parts) > 1 else ""
    return len(parts), area, parts[3] if area == "clinics" and len(parts) > 3 else ""


# A request is compared with a few routes, not with all.
_BY_KIND: dict[tuple[int, str, str], list[Route]] = {}
for _one in ROUTES:
    _BY_KIND.setdefault(_kind(_one.parts), []).append(_one)


def find(method: str, path: str) -> tuple[Route | None, frozenset[str]]:
    """The route of a request, and all methods that its path knows (none: there is no such path)."""
    parts = parts_of(path)
    fitting = [route for route in _BY_KIND.get(_kind(parts), ()) if route.fits(parts)]
    wanted = "GET" if method == "HEAD" else method
    for route in fitting:
        if wanted in route.methods:
            return route, route.methods
    return None, frozenset(name for route in fitting for name in route.methods)
