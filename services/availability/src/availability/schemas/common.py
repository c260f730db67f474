"""What the shapes have in common. Fields that are not known are refused by name."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from availability.domain import RESERVED_SLUGS, SLUG
from events.base import Currency
from scheduling.zones import is_zone


def _printable(value: str) -> str:
    if any(character < " " and character not in "\n\t" for character in value):
        raise ValueError("must not contain control characters")
    return value


def _slug(value: str) -> str:
    if not SLUG.fullmatch(value) or not 2 <= len(value) <= 63:
        raise ValueError("has to be 2 to 63 of a-z, 0-9 and single hyphens between them")
    if value in RESERVED_SLUGS:
        raise ValueError(f"{value} is a reserved word")
    try:
        UUID(value)
    except ValueError:
        return value
    raise ValueError("must not be a UUID")


def _zone(value: str) -> str:
    if not is_zone(value):
        raise ValueError('is not an IANA time zone such as "Europe/Warsaw"')
    return value


def _metadata(value: dict[str, str]) -> dict[str, str]:
    if len(value) > 50:
        raise ValueError("takes at most 50 keys")
    return value


def distinct(value: list[Any]) -> list[Any]:
    """Refuses a list that names something twice."""
    if any(item in value[:index] for index, item in enumerate(value)):
        raise ValueError("lists something twice")
    return value


Printable = AfterValidator(_printable)
Printed = Annotated[str, Printable]
Name = Annotated[str, Field(min_length=1, max_length=200, examples=["Anna"]), Printable]
Slug = Annotated[str, AfterValidator(_slug)]
Zone = Annotated[str, AfterValidator(_zone)]
Buffer = Annotated[int, Field(ge=0, le=120, multiple_of=5, examples=[0])]
Length = Annotated[int, Field(ge=5, le=1200, multiple_of=5, examples=[30])]
Metadata = Annotated[
    dict[Annotated[str, Field(max_length=40), Printable], Annotated[str, Field(max_length=500), Printable]],
    AfterValidator(_metadata),
]


class Strict(BaseModel):
    """A body in which every field is known."""

    model_config = ConfigDict(extra="forbid")


class Price(Strict):
    """An amount in the currency's smallest unit."""

    amount: int = Field(ge=0, le=99_999_999, examples=[30000])
    currency: Currency
