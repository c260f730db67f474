"""E-mail addresses and phone numbers of people, brought to one form."""

import phonenumbers
from email_validator import EmailNotValidError, validate_email


class Unusable(ValueError):
    """The text is no address; the message completes the sentence "the field …"."""


def email_address(text: str, *, allow_test: bool) -> str:
    """The address with its domain in lower case; `Unusable` otherwise. Nothing is looked up."""
    try:
        return validate_email(text.strip(), check_deliverability=False, test_environment=allow_test).normalized
    except EmailNotValidError as error:
        raise Unusable(f"is not an e-mail address: {error}") from error


def folded(email: str) -> str:
    """What two spellings of one address have in common."""
    return email.casefold()


def phone_number(text: str, region: str | None) -> str:
    """The number as E.164 (`+48…`); `region` is the country that a number without a country code is in."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        hint = "" if region else "; write it with its country code, such as +48 …"
        raise Unusable(f"is not a phone number{hint}") from error
    if not phonenumbers.is_valid_number(number):
        raise Unusable("is not a phone number that exists; write it with its country code, such as +48 …")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def is_country(code: str) -> bool:
    """Whether it is a country's code by ISO 3166 that has phone numbers."""
    return code in phonenumbers.SUPPORTED_REGIONS


def warm() -> None:
    """Loads the tables that the first number would wait for."""
    phone_number("+48221234567", None)
