"""Settings: environment variables, `<SERVICE>_…` for a service's own, without a prefix for what all share."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class CommonSettings(BaseSettings):
    """What every process is told. A subclass sets `env_prefix` and adds its own."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True)

    host: str = "127.0.0.1"
    port: int = 0
    replica: int = Field(0, description="unique among the living replicas of the service: a consumer's static id")
    kafka_bootstrap: str = Field(validation_alias="KAFKA_BOOTSTRAP")
    keys_path: Path = Field(validation_alias="HOLDFAST_KEYS")
    public_url: str = Field("http://127.0.0.1:8080", validation_alias="HOLDFAST_PUBLIC_URL")
    identity_url: str = Field("http://127.0.0.1:8101", validation_alias="IDENTITY_URL")
    environment: Literal["development", "production"] = Field("production", validation_alias="HOLDFAST_ENV")
    log_format: Literal["json", "console"] = Field("json", validation_alias="LOG_FORMAT")
    log_level: str = Field("INFO", validation_alias="LOG_LEVEL")


class ServiceSettings(CommonSettings):
    """What a service with a database is told."""

    database_url: str = Field(description="postgresql://… of the service's own login role")
    wake_port: int = Field(0, description="UDP port on loopback by which an API process wakes its worker; 0: none")
    pool_size: int = 12
