"""What may be written down of who somebody is, and how it is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from phonenumber_field.phonenumber import to_python

from pain_clinic import languages
from pain_clinic.accounts.models import check_time_zone
from pain_clinic.errors import Refused
from pain_clinic.texts import clean_text
from patients.models import Sex

LONGEST = {"last_name": 120, "first_name": 120, "payer": 120, "external_id": 80, "email": 254, "time_zone": 64}
OLDEST_YEARS = 130


class FieldRefused(Refused):
    """A value that cannot be kept; `field` names it."""

    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(code, message, {"field": field})
        self.field = field


def clean(values: Mapping[str, Any], *, today: date) -> dict[str, Any]:
    """Return the values as they are kept: without invisible signs, one space between words, telephones in one form.

    `today` is the date at the patient's home site: nobody was born or died after it.

    Raises:
        FieldRefused: for the first value that cannot be kept.
    """
    return {name: _CLEANERS[name](name, value, today) for name, value in values.items()}


def _text(name: str, value: Any, today: date) -> str:
    try:
        text = clean_text(str(value or ""))
    except ValueError as error:
        raise FieldRefused("text_unusable", name, f"This text {error}.") from error
    if len(text) > LONGEST[name]:
        raise FieldRefused("too_long", name, f"At most {LONGEST[name]} characters.")
    return text


def _name(name: str, value: Any, today: date) -> str:
    text = _text(name, value, today)
    if not text:
        raise FieldRefused("missing", name, f"The {name.replace('_', ' ')} is missing.")
    return text


def _external_id(name: str, value: Any, today: date) -> str | None:
    return _text(name, value, today) or None


def _birth_date(name: str, value: date, today: date) -> date:
    if value > today:
        raise FieldRefused("birth_date_in_future", name, "The birth date is in the future.")
    if value.year < today.year - OLDEST_YEARS:
        raise FieldRefused("birth_date_too_old", name, f"The birth date is more than {OLDEST_YEARS} years ago.")
    return value


def _deceased_on(name: str, value: date | None, today: date) -> date | None:
    if value is not None and value > today:
        raise FieldRefused("death_in_future", name, "The date of death is in the future.")
    return value


def _email(name: str, value: Any, today: date) -> str:
    text = _text(name, value, today)
    if text:
        try:
            validate_email(text)
        except ValidationError as error:
            raise FieldRefused("email_unusable", name, "This is not an e-mail address.") from error
    return text


def phone_text(value: Any) -> str:
    number = to_python(str(value)) if value else None
    return number.as_e164 if number and number.is_valid() else ""


def _phone(name: str, value: Any, today: date) -> str:
    number = phone_text(value)
    if value and not number:
        raise FieldRefused("phone_unusable", name, "This is not a telephone number. Write it with its country code, +1 …")
    return number


def _choice(options: Iterable[str]) -> Any:
    allowed = frozenset(options)

    def check(name: str, value: Any, today: date) -> str:
        if value not in allowed:
            raise FieldRefused("not_a_choice", name, f"Choose one of: {', '.join(sorted(allowed))}.")
        return str(value)

    return check


def _language(name: str, value: Any, today: date) -> str:
    if value not in languages.codes():
        raise FieldRefused("not_a_choice", name, f"Choose one of: {languages.known()}.")
    return str(value)


def _time_zone(name: str, value: Any, today: date) -> str:
    zone = _text(name, value, today)
    if zone:
        try:
            check_time_zone(zone)
        except ValidationError as error:
            raise FieldRefused("time_zone_unknown", name, error.messages[0]) from error
    return zone


def _as_is(name: str, value: Any, today: date) -> Any:
    return value


_CLEANERS: dict[str, Any] = {
    "last_name": _name,
    "first_name": _name,
    "birth_date": _birth_date,
    "sex": _choice(Sex.values),
    "email": _email,
    "phone": _phone,
    "language": _language,
    "payer": _text,
    "external_id": _external_id,
    "time_zone": _time_zone,
    "accepts_email": _as_is,
    "accepts_details": _as_is,
    "deceased_on": _deceased_on,
    "home_site": _as_is,
}
