"""What the form of the ways between sites may hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from pain_clinic.accounts.models import Site
from pain_clinic.texts import PlainField
from scheduling.resources import Way


class TravelForm(forms.Form):
    """Minutes for every way between the sites, each direction by itself."""

    version = PlainField(required=False, max_length=16, widget=forms.HiddenInput)
    accept = forms.BooleanField(label="Save although somebody could not reach a booked case in time", required=False)

    def __init__(self, *args: Any, sites: Sequence[Site], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ways = {name_of(one, other): (one.pk, other.pk) for one in sites for other in sites if one != other}
        names = {site.pk: site.name for site in sites}
        for name, (origin, destination) in self.ways.items():
            self.fields[name] = forms.IntegerField(
                label=f"From {names[origin]} to {names[destination]}",
                required=False,
                min_value=0,
                max_value=720,
                step_size=5,
                error_messages={"step_size": "Give minutes in steps of five, such as 15."},
                help_text="Minutes from door to door. Empty: not said, and counted as none.",
            )
        self.order_fields(["version", *self.ways])

    def given(self) -> dict[Way, int | None]:
        return {way: self.cleaned_data[name] for name, way in self.ways.items()}


def name_of(origin: Site, destination: Site) -> str:
    return f"{origin.slug}_to_{destination.slug}"


def starting_ways(sites: Sequence[Site], ways: Mapping[Way, int | None]) -> dict[str, int | None]:
    return {name_of(one, other): ways[one.pk, other.pk] for one in sites for other in sites if one != other}
