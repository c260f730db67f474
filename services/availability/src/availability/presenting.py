"""Rows of the catalogue as they are shown: to those who work in the clinic, and to everybody else."""

from typing import Any

from fastapi import Response
from pydantic import BaseModel

from availability import catalogue
from availability.repository import Row

PRIVATE = {"user_id", "metadata", "external_ref"}


def shown(row: Row, model: type[BaseModel], *, staff: bool) -> dict[str, Any]:
    """The fields of `model`, for strangers without the private ones."""
    hidden = set() if staff else PRIVATE
    fields = {name: row[name] for name in model.model_fields if name not in hidden}
    if "slot_step_minutes" in fields:
        fields["slot_step_minutes"] = row["slot_step_minutes"] or row["duration_minutes"]
    return fields


def tagged(row: Row, model: type[BaseModel], response: Response, *, staff: bool) -> dict[str, Any]:
    """`shown`, with the row's ETag on the response."""
    response.headers["ETag"] = catalogue.etag(row)
    return shown(row, model, staff=staff)
