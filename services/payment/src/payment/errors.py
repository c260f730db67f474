"""What payment refuses, and why."""

from servicekit.problems import Problem


class SignatureInvalid(Problem):
    """A webhook that Stripe did not sign for us, or too long ago."""

    status, code, title = 400, "signature-invalid", "The signature is not valid"


class CheckoutRefused(Problem):
    """Nothing can be paid for this booking any more."""

    status, code, title = 409, "illegal-transition", "Nothing can be paid any more"


class HoldOver(Problem):
    """The time to pay is over."""

    status, code, title = 410, "hold-expired", "The hold has run out"


class RequestInvalid(Problem):
    """The payment request was not signed by booking."""

    status, code, title = 422, "validation-failed", "Not a payment request"
