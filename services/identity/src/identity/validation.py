"""pydantic's findings on a merged document as the problem that a client gets."""

from pydantic import ValidationError

from servicekit.problems import ValidationFailed


def refused(error: ValidationError) -> ValidationFailed:
    """422 with the fields that are not acceptable."""
    return ValidationFailed(
        [
            {
                "field": ".".join(str(part) for part in entry["loc"]) or "body",
                "message": entry["msg"].removeprefix("Value error, "),
            }
            for entry in error.errors()
        ]
    )
