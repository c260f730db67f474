"""Settings: `INSIGHT_…`."""

from pathlib import Path

from pydantic_settings import SettingsConfigDict

from servicekit.settings import ServiceSettings


class InsightSettings(ServiceSettings):
    """What insight is told beyond what every service is."""

    model_config = SettingsConfigDict(env_prefix="INSIGHT_", extra="ignore", populate_by_name=True)

    group: str = "insight-v1"
    """The Faust app's id and consumer group. A new one reads everything again, and counts nothing twice."""

    data_dir: Path = Path(".holdfast/insight")
    """Where Faust keeps its folder. Nothing in it is needed again: what was counted lies in PostgreSQL."""
