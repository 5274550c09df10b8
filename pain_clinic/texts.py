"""What people type, as it is kept: text without what nobody sees or mistakes for another, and moments of a wall clock."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils import timezone

FIRST_YEAR, LAST_YEAR = 1900, 2100
MOST_MARKS = 3  # combining marks on one letter; more is a text made to break a page


def clean_text(text: str) -> str:
    """Return text without signs that nobody sees (zero width, direction overrides), words one space apart.

    Raises:
        ValueError: it holds control signs or half characters, or letters buried under marks.
    """
    if any(unicodedata.category(sign) in {"Cs", "Cc", "Co", "Cn"} and sign not in "\t\r\n" for sign in text):
        raise ValueError("holds signs that cannot be printed")
    seen = "".join(sign for sign in unicodedata.normalize("NFC", text) if unicodedata.category(sign) != "Cf")
    marks = 0
    for sign in seen:
        marks = marks + 1 if unicodedata.combining(sign) else 0
        if marks > MOST_MARKS:
            raise ValueError("holds letters with too many marks")
    return " ".join(seen.split())


def clean_lines(text: str) -> str:
    """Return text of several lines, each cleaned; where a line ends stays.

    Raises:
        ValueError: as `clean_text`.
    """
    return "\n".join(clean_text(line) for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")).strip("\n")


class PlainField(forms.CharField):
    """What people type and others read: cleaned before its length is looked at, or refused in words."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return text
        try:
            return clean_lines(text) if isinstance(self.widget, forms.Textarea) else clean_text(text)
        except ValueError as error:
            raise forms.ValidationError(f"This text {error}.", code="text_unusable") from error


class WallField(forms.DateTimeField):
    """A moment on the clocks of a site, kept as the instant that it is; one that they skip or show twice is refused."""

    def __init__(self, *, zone: ZoneInfo, **kwargs: Any) -> None:
        self.zone = zone
        super().__init__(**kwargs)

    def to_python(self, value: Any) -> datetime | None:
        with timezone.override(self.zone):
            found: datetime | None = super().to_python(value)
        if found is not None and not FIRST_YEAR <= found.year <= LAST_YEAR:
            raise forms.ValidationError(f"Give a year from {FIRST_YEAR} to {LAST_YEAR}.", code="year")
        return found

    def prepare_value(self, value: Any) -> Any:
        with timezone.override(self.zone):
            return super().prepare_value(value)
