"""Where `migrate` has the services' database passwords from."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast import credentials
from holdfast.environment import SERVICES
from holdfast.errors import HoldfastError
from holdfast.migrating import passwords_for

WITH_DATABASE = [service for service in SERVICES if service.has_database]


def test_from_the_data_directory_and_before_that_from_the_services_own_addresses(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets.json"
    known = credentials.ensure(secrets, [service.name for service in WITH_DATABASE]).passwords
    told = {"CALENDAR_SYNC_DATABASE_URL": "postgresql://calendar_sync_app:p%40ss@db/holdfast"}
    assert passwords_for(secrets, told) == known | {"calendar-sync": "p@ss"}


def test_names_the_variable_of_a_password_that_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(HoldfastError, match="IDENTITY_DATABASE_URL"):
        passwords_for(tmp_path / "secrets.json", {})
