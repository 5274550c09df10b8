"""Levels of the spine as people type them."""

from __future__ import annotations

from typing import Any

from django import forms

from pain_clinic.texts import PlainField
from procedures import levels as targets


class LevelsField(PlainField):
    """Levels such as "L4-5, l5/s1", in order; nothing typed is none."""

    def clean(self, value: Any) -> list[str]:
        text: str = super().clean(value)
        try:
            return list(targets.read_levels(text)) if text.strip() else []
        except ValueError as error:
            raise forms.ValidationError(f"{error}. Write levels such as L4-L5.") from error
