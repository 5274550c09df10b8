"""What may be said about a case beyond its target: on the booking page, and later on the case's own."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from typing import Any

from django import forms

from pain_clinic.texts import PlainField
from procedures import rulebook
from procedures.models import Procedure
from procedures.rules.book import Book
from procedures.rules.offers import BY_TARGET
from scheduling.assessing import Details
from scheduling.models import (
    COLDEST_C,
    HOTTEST_C,
    CaseDetails,
    ModicType,
    PlannedContrast,
    PlannedRole,
    Premedication,
    TargetClass,
    Technique,
)

YES, NO = "yes", "no"
DRIVER = (("", "Not known yet"), (YES, "Has a driver"), (NO, "Has none"))
NOT_SAID = ("", "Not said yet")
AS_USUAL = ("", "As usual")
MOST_MG = 1000
TURNS_ON = ("technique", "temperature_c", "modic_type", "contrast", "premedication")  # asked where a rule turns on it
REASONS = ("bilateral_reason", "rationale", "site_reason")  # that some payers ask for


def steroids() -> list[tuple[str, str]]:
    """Return what may be chosen as the steroid, by the clinic's table."""
    book = rulebook.usable_book()
    names = sorted(book.steroid_ids) if book is not None else []
    return [NOT_SAID, ("none", "No steroid"), *((name, name.replace("_", " ").capitalize()) for name in names)]


class SaidFields(forms.Form):
    """The part of it that is asked while booking. Nothing is required: what is empty nobody has said yet."""

    role = forms.ChoiceField(required=False, choices=[NOT_SAID, *PlannedRole.choices], label="Role")
    drug = forms.ChoiceField(required=False, choices=[NOT_SAID], label="Steroid")
    dose_mg = forms.DecimalField(required=False, min_value=0.1, max_value=MOST_MG, decimal_places=2, label="Dose (mg)")
    driver = forms.ChoiceField(required=False, choices=DRIVER, label="Driver")
    bleeding_class = forms.ChoiceField(
        required=False, choices=[NOT_SAID, *TargetClass.choices], label="Bleeding risk of the target"
    )
    technique = forms.ChoiceField(required=False, choices=[AS_USUAL, *Technique.choices], label="How the lesion is made")
    temperature_c = forms.DecimalField(
        required=False, min_value=COLDEST_C, max_value=HOTTEST_C, decimal_places=1, label="Lesion temperature (°C)"
    )
    modic_type = forms.TypedChoiceField(
        required=False, choices=[NOT_SAID, *ModicType.choices], coerce=int, empty_value=None, label="Modic changes"
    )
    contrast = forms.ChoiceField(required=False, choices=[AS_USUAL, *PlannedContrast.choices], label="Contrast")
    premedication = forms.ChoiceField(
        required=False, choices=[NOT_SAID, *Premedication.choices], label="Premedication before contrast"
    )
    bilateral_reason = PlainField(required=False, max_length=300, label="Why both sides")
    rationale = PlainField(required=False, max_length=500, label="Why this, now")
    site_reason = PlainField(required=False, max_length=300, label="Why not in the office")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["drug"].choices = steroids()  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("dose_mg") and cleaned.get("drug") in ("", "none", None):
            self.add_error("dose_mg", "Choose the steroid of which this is the dose.")
        return cleaned


class DetailsForm(SaidFields):
    """All of it."""

    driver_name = PlainField(required=False, max_length=120, label="Driver's name and telephone")

    def changes(self) -> dict[str, Any]:
        """Return what was typed, as the verb takes it."""
        given = dict(self.cleaned_data)
        driver = given.pop("driver")
        return {**given, "has_driver": has_driver(driver)}


def initial(row: CaseDetails | None) -> dict[str, Any]:
    """Return what is said so far, as the form shows it."""
    if row is None:
        return {}
    names = [name for name in DetailsForm.base_fields if name != "driver"]
    return {**{name: getattr(row, name) for name in names}, "driver": {True: YES, False: NO}.get(row.has_driver, "")}  # type: ignore[arg-type]


def has_driver(typed: str) -> bool | None:
    """Return whether there is a driver; None for not known."""
    return {YES: True, NO: False}.get(typed)


def details_in(given: dict[str, Any]) -> Details:
    """Return what was typed while booking."""
    drug, dose, heat = given.get("drug") or "", given.get("dose_mg"), given.get("temperature_c")
    words: dict[str, Any] = {
        name: given.get(name) or "" for name in ("bleeding_class", "technique", "contrast", "premedication", *REASONS)
    }
    return Details(
        role=given.get("role") or "",
        drug=drug,
        dose_mg=Fraction(dose) if dose is not None and drug not in ("", "none") else None,
        has_driver=has_driver(given.get("driver") or ""),
        temperature_c=None if heat is None else Fraction(heat),
        modic_type=given.get("modic_type"),
        **words,
    )


def asked_of(procedure: Procedure, sedation: str, book: Book | None, *, asks: Collection[str], said: Details) -> frozenset[str]:
    """Return which of these matter for a procedure, rules that turn on them included: what nobody needs is not asked.

    What was said already stays, so that it can be taken back.
    """
    offer = book.offers.get(procedure.code) if book is not None else None
    found = set()
    if offer is not None and offer.needs_role:
        found.add("role")
    if procedure.steroid != "no":
        found |= {"drug", "dose_mg"}
    if procedure.driver == "required" or sedation != "none":
        found.add("driver")
    if offer is not None and offer.bleeding_class == BY_TARGET:
        found.add("bleeding_class")
    found |= {name for name in TURNS_ON if name in asks or getattr(said, name) not in ("", None)}
    return frozenset(found)
