"""What the form of one date's hours may hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from pain_clinic.accounts.models import Site
from pain_clinic.texts import PlainField
from scheduling.forms.setup import day_field, read_spans
from scheduling.resources import Spans


class DateForm(forms.Form):
    """Of which date the hours are to be set."""

    on = day_field("Date")


class DateHoursForm(forms.Form):
    """The hours of one date, a field for each site, typed as people write them: 8-12, 13:00-17:00."""

    version = PlainField(required=False, max_length=16, widget=forms.HiddenInput)
    reason = PlainField(label="Why", required=False, max_length=120, help_text="Extra list or half day, for instance.")
    accept = forms.BooleanField(label="Save although booked cases lie outside these hours", required=False)

    def __init__(self, *args: Any, sites: Sequence[Site], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sites = sites
        for place, site in enumerate(sites):
            self.fields[name_of(site)] = forms.CharField(
                label=f"Hours at {site.name}",
                required=False,
                max_length=120,
                help_text="" if place else "8-12, 13:00-17:00 for instance; nothing when closed.",
            )
        self.order_fields(["version", *map(name_of, sites)])

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        spans: dict[Site, Spans] = {}
        for site in self.sites:
            try:
                spans[site] = tuple(read_spans(cleaned.get(name_of(site), "")))
            except ValueError as error:
                self.add_error(name_of(site), str(error))
        cleaned["spans"] = spans
        return cleaned


def name_of(site: Site) -> str:
    return f"hours_{site.slug}"


def typed(spans: Spans) -> str:
    """Return spans as the form takes them."""
    return ", ".join(f"{starts:%H:%M}-{ends:%H:%M}" for starts, ends in spans)


def starting_hours(sites: Sequence[Site], spans: Mapping[int, Spans]) -> dict[str, str]:
    return {name_of(site): typed(spans.get(site.pk, ())) for site in sites}
