"""A password rule of our own: the clinic's and its sites' names protect nothing."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from pain_clinic.accounts.models import Site

OBVIOUS = ("painclinic", "paincentre", "paincenter", "painmanagement")


def plain(text: str) -> str:
    """Return the letters of a text without case, accents, spaces and signs, with the usual digits read as letters."""
    text = unicodedata.normalize("NFKD", text).casefold().translate(str.maketrans("013457@$!", "oieastasi"))
    return re.sub(r"[^a-z]", "", text)


class ClinicPasswordValidator:
    """Refuse passwords made of the clinic's name or a site's name and little else."""

    LEAST_BESIDE = 8

    def validate(self, password: str, user: Any = None) -> None:
        bare = plain(password)
        names = {plain(settings.CLINIC_NAME), *OBVIOUS, *(plain(name) for name in Site.objects.values_list("name", flat=True))}
        for name in names:
            if len(name) >= 4 and name in bare and len(bare.replace(name, "")) < self.LEAST_BESIDE:
                raise ValidationError("The clinic's name is the first thing that anyone would try.", code="password_clinic_name")

    def get_help_text(self) -> str:
        return "Your password must not be made of the clinic's name."
