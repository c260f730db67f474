"""Ids and times of Stripe's objects."""

import secrets
import time


def new_id(prefix: str) -> str:
    """`pi_3f…`."""
    return f"{prefix}_{secrets.token_hex(12)}"


def now() -> int:
    """Seconds since 1970."""
    return int(time.time())
