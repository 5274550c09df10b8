"""Text that people type, as it is kept: nothing that cannot be seen, nothing that makes one name look like another."""

from __future__ import annotations

import unicodedata
from typing import Any

from django import forms

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
