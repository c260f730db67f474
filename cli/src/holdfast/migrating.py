"""Bringing the schemas up to date outside of `up`: where the servers are somebody else's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from . import credentials
from .environment import SERVICES
from .errors import HoldfastError, NotRunning
from .system import load_ready, ready_path


def migrate_all(
    database: str | None, ready_file: Path | None, outside: Mapping[str, str], tell: Callable[[str], None]
) -> None:
    """Makes roles and schemas and runs every service's history; `tell` is given each service's name."""
    import psycopg
    from alembic.util.exc import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    from servicekit import migrate

    url = database or (outside.get("POSTGRES_URL") if ready_file is None else None) or _running(ready_file)
    passwords = passwords_for(ready_path(ready_file).parent / "secrets.json", outside)
    try:
        migrate.migrate_all(url, passwords, tell)
    except (psycopg.Error, SQLAlchemyError, CommandError) as error:
        raise HoldfastError(
            f"The schemas could not be brought up to date ({str(error).strip().splitlines()[0]}); the step that "
            "failed was rolled back: correct the cause and run it again."
        ) from error


def passwords_for(secrets: Path, outside: Mapping[str, str]) -> dict[str, str]:
    """The services' database passwords: from their own `…_DATABASE_URL`, else from the data directory."""
    known = credentials.ensure(secrets, ()).passwords if secrets.exists() else {}
    passwords: dict[str, str] = {}
    for service in SERVICES:
        if not service.has_database:
            continue
        told = urlsplit(outside.get(f"{service.prefix}_DATABASE_URL", "")).password
        password = unquote(told) if told else known.get(service.name)
        if password is None:
            raise HoldfastError(
                f"No database password is known for {service.name}; nothing was changed: set "
                f"{service.prefix}_DATABASE_URL as the service has it, or name a ready file of the data directory."
            )
        passwords[service.name] = password
    return passwords


def _running(ready_file: Path | None) -> str:
    try:
        return load_ready(ready_file).postgres
    except NotRunning as error:
        raise NotRunning(f"{error} Or name the database with --database or POSTGRES_URL.") from error
