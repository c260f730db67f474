"""SANDBOX_… variables."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class SandboxSettings(BaseSettings):
    """Where it listens, where it keeps its state, and whom it tells."""

    model_config = SettingsConfigDict(env_prefix="SANDBOX_", extra="ignore")

    host: str = "127.0.0.1"
    port: int = 8099
    data: Path = Path(".holdfast/sandbox")
    public_url: str = "http://127.0.0.1:8099"
    stripe_webhook_url: str = "http://127.0.0.1:8080/v1/payments/webhook"
    stripe_webhook_secret: str = "whsec_sandbox"
