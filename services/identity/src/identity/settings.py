"""IDENTITY_… variables."""

from typing import Literal

from pydantic_settings import SettingsConfigDict

from servicekit.settings import ServiceSettings


class IdentitySettings(ServiceSettings):
    """What identity is told besides what every service is."""

    model_config = SettingsConfigDict(env_prefix="IDENTITY_", extra="ignore", populate_by_name=True)

    verify_email: Literal["off"] | None = None
    """`off`: every address counts as verified, for sandboxes. Not set: nobody's address counts as verified, so an
    account is linked to no person's earlier visits and takes up no invitation by itself."""

    allow_test_domains: bool = False
    """Whether addresses under `.test` are taken."""

    failed_logins_per_minute: int = 10
    """For one account and client address."""

    @property
    def addresses_count_as_verified(self) -> bool:
        """Whether an account's address is taken as its owner's without proof."""
        return self.verify_email == "off"
