"""What the forms of set-up may hold."""

from __future__ import annotations

import re
from datetime import date, time
from itertools import pairwise
from typing import Any

from django import forms

from pain_clinic.accounts.models import Site, User, check_time_zone
from pain_clinic.texts import PlainField
from procedures import families
from procedures.models import Procedure
from scheduling.forms.desk import WEEKDAYS, DayField
from scheduling.intervals import exists, instant, zone_of
from scheduling.models import AbsenceKind, Kind, Resource
from scheduling.resources import Span

CLOSED_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})\s+(.+)")
SPAN = re.compile(r"(\d{1,2})[:.]?(\d{2})?\s*(?:-|–|to)\s*(\d{1,2})[:.]?(\d{2})?")


def time_field(label: str) -> forms.TimeField:
    return forms.TimeField(
        label=label,
        input_formats=["%H:%M", "%H:%M:%S"],
        error_messages={"invalid": "Give the time as 9:15."},
        widget=forms.TimeInput(attrs={"type": "time", "step": 300}),
    )


def day_field(label: str, **kwargs: Any) -> DayField:
    return DayField(label=label, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), **kwargs)


def in_fives(value: time) -> time:
    if value.minute % 5 or value.second:
        raise forms.ValidationError("Times are on five-minute marks, such as 9:15.")
    return value


OFFICE = "11"  # of the places of service


class SiteForm(forms.Form):
    name = PlainField(max_length=120)
    slug = forms.SlugField(
        label="Short name in addresses", max_length=60, help_text="Small letters and dashes, for instance northside."
    )
    time_zone = forms.CharField(
        max_length=64,
        validators=[check_time_zone],
        help_text="For instance America/New_York. It decides what the site's times mean.",
    )
    address = PlainField(max_length=300, required=False)
    directions = PlainField(
        label="How to find it",
        max_length=1000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="As patients read it in their mails: bus, parking, entrance, floor.",
    )
    directions_es = PlainField(
        label="How to find it, in Spanish",
        max_length=1000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "lang": "es"}),
        help_text="For patients who read Spanish. Empty: they read the text above.",
    )
    phone = PlainField(max_length=40, required=False)
    email = forms.EmailField(required=False)
    state = forms.RegexField(
        r"^[A-Z]{2}$",
        required=False,
        max_length=2,
        help_text="Two letters: some payers' rules hold in some states only.",
    )
    place_of_service = forms.RegexField(
        r"^\d\d$",
        required=False,
        initial="11",
        max_length=2,
        help_text="As payers count it: 11 an office, 22 a hospital, 24 a surgery centre.",
    )
    is_active = forms.BooleanField(label="In use", required=False, initial=True)
    closures = PlainField(
        label="Closed days",
        required=False,
        max_length=20000,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text="One a line: 2026-12-25 Christmas Day",
    )

    def clean_place_of_service(self) -> str:
        return self.cleaned_data["place_of_service"] or OFFICE

    def clean_closures(self) -> dict[date, str]:
        days: dict[date, str] = {}
        for number, line in enumerate(self.cleaned_data["closures"].splitlines(), 1):
            if not line.strip():
                continue
            match = CLOSED_DAY.fullmatch(line.strip())
            try:
                day = date.fromisoformat(match[1]) if match else None
            except ValueError:
                day = None
            if match is None or day is None:
                raise forms.ValidationError(f"Line {number} does not read as a day and a name: {line.strip()[:60]}")
            days[day] = match[2][:80]
        return days


class ResourceForm(forms.Form):
    """A person, room or device; what a physician may perform is chosen from the procedures on offer."""

    version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    kind = forms.ChoiceField(choices=Kind.choices)
    name = PlainField(max_length=80)
    short_name = PlainField(max_length=24, help_text="As the board shows it.")
    site = forms.ModelChoiceField(queryset=Site.objects.none(), empty_label=None)
    attributes = PlainField(
        label="Capabilities",
        required=False,
        max_length=400,
        help_text="Words that procedures ask for, with commas between: or_room, cooled",
    )
    extra_turnover_minutes = forms.IntegerField(
        label="Extra minutes to make it ready again", min_value=0, max_value=120, step_size=5, initial=0
    )
    user = forms.ModelChoiceField(
        label="Account",
        queryset=User.objects.none(),
        required=False,
        empty_label="None",
        help_text="For people who sign in themselves.",
    )
    position = forms.IntegerField(label="Place in lists", min_value=0, max_value=9999, initial=0)
    is_active = forms.BooleanField(label="In use", required=False, initial=True)
    may_perform = forms.ModelMultipleChoiceField(
        label="May perform",
        queryset=Procedure.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="For physicians. What is set in detail for a procedure stays as it is while it is ticked.",
    )

    def __init__(self, *args: Any, user: Any, resource: Resource | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice(self, "site").queryset = Site.objects.visible_to(user).order_by("name", "pk")
        taken = Resource.objects.exclude(user=None).exclude(pk=resource.pk if resource and resource.pk else 0).values("user")
        choice(self, "user").queryset = User.objects.visible_to(user).exclude(pk__in=taken).order_by("display_name", "pk")
        choice(self, "may_perform").queryset = Procedure.objects.filter(is_retired=False).in_order()
        if resource is not None:
            self.fields["kind"].disabled = True

    def clean_attributes(self) -> list[str]:
        words = [re.sub(r"\s+", "_", word.strip().lower()) for word in self.cleaned_data["attributes"].split(",")]
        if any(len(word) > 40 for word in words):
            raise forms.ValidationError("A capability has at most 40 letters.")
        return list(dict.fromkeys(word for word in words if word))

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("may_perform") and cleaned.get("kind") != Kind.PHYSICIAN:
            self.add_error("may_perform", "Only physicians hold privileges.")
        return cleaned


def choice(form: forms.Form, name: str) -> forms.ModelChoiceField:
    """Return a field whose rows are set when the form is made for a person."""
    field = form.fields[name]
    assert isinstance(field, forms.ModelChoiceField)
    return field


class HoursForm(forms.Form):
    """The hours of a week at one site, typed as people write them: 8-12, 13:00-17:00."""

    valid_from = day_field("From this day on")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for number, name in enumerate(WEEKDAYS):
            self.fields[f"work_{number}"] = forms.CharField(label=f"{name}, works", required=False, max_length=120)
            self.fields[f"break_{number}"] = forms.CharField(label=f"{name}, breaks", required=False, max_length=120)
        self.fields["accept"] = forms.BooleanField(label="Save although booked cases lie outside these hours", required=False)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        spans: list[Span] = []
        for number in range(7):
            for kind in ("work", "break"):
                name = f"{kind}_{number}"
                try:
                    spans += [Span(number, kind, *pair) for pair in read_spans(cleaned.get(name, ""))]
                except ValueError as error:
                    self.add_error(name, str(error))
        cleaned["spans"] = tuple(spans)
        return cleaned


def read_spans(text: str) -> list[tuple[time, time]]:
    """Read "8-12, 13:00-17:00".

    Raises:
        ValueError: in words for the person who typed it.
    """
    found: list[tuple[time, time]] = []
    for part in text.split(","):
        if not part.strip():
            continue
        match = SPAN.fullmatch(part.strip())
        try:
            starts, ends = (
                (time(int(match[1]), int(match[2] or 0)), time(int(match[3]), int(match[4] or 0))) if match else (None, None)
            )
        except ValueError:
            starts = ends = None
        if starts is None or ends is None:
            raise ValueError(f"{part.strip()} does not read as hours such as 8:00-12:00.")
        if starts >= ends:
            raise ValueError(f"{part.strip()} ends before it begins.")
        if starts.minute % 5 or ends.minute % 5:
            raise ValueError("Times are on five-minute marks, such as 9:15.")
        found.append((starts, ends))
    found.sort()
    if any(after[0] < before[1] for before, after in pairwise(found)):
        raise ValueError("Two of these overlap.")
    return found


class AbsenceForm(forms.Form):
    resource = forms.ModelChoiceField(label="Who or what", queryset=Resource.objects.none())
    kind = forms.ChoiceField(choices=AbsenceKind.choices)
    first_day = day_field("From")
    first_time = time_field("At")
    last_day = day_field("Until")
    last_time = time_field("At")
    note = PlainField(max_length=200, required=False)
    accept = forms.BooleanField(label="Save although booked cases need this time", required=False)

    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice(self, "resource").queryset = Resource.objects.visible_to(user).active().in_order()

    def clean_first_time(self) -> time:
        return in_fives(self.cleaned_data["first_time"])

    def clean_last_time(self) -> time:
        return in_fives(self.cleaned_data["last_time"])

    def clean(self) -> dict[str, Any]:
        """Turn wall times at the resource's own site into instants."""
        cleaned: dict[str, Any] = super().clean() or {}
        if not {"resource", "first_day", "first_time", "last_day", "last_time"} <= cleaned.keys():
            return cleaned
        zone = zone_of(cleaned["resource"].site.time_zone)
        for end in ("first", "last"):
            day, at = cleaned[f"{end}_day"], cleaned[f"{end}_time"]
            if not exists(day, at, zone):
                self.add_error(f"{end}_time", f"Clocks are put forward that night: there is no {at:%H:%M} on that day.")
        if self.errors:
            return cleaned
        cleaned["starts_at"] = instant(cleaned["first_day"], cleaned["first_time"], zone)
        cleaned["ends_at"] = instant(cleaned["last_day"], cleaned["last_time"], zone, later=True)  # of two equal hours both
        if cleaned["ends_at"] <= cleaned["starts_at"]:
            self.add_error("last_day", "It ends before it begins.")
        return cleaned


class BlockForm(forms.Form):
    name = PlainField(max_length=80, help_text="As the board shows it.")
    resource = forms.ModelChoiceField(label="Whose time", queryset=Resource.objects.none())
    site = forms.ModelChoiceField(queryset=Site.objects.none(), empty_label=None)
    weekday = forms.TypedChoiceField(choices=list(enumerate(WEEKDAYS)), coerce=int)
    starts = time_field("From")
    ends = time_field("Until")
    valid_from = day_field("First day")
    valid_until = day_field("Last day", required=False)
    family = forms.ChoiceField(label="Kept for procedures of", required=False)
    physician = forms.ModelChoiceField(
        label="Kept for", queryset=Resource.objects.none(), required=False, empty_label="No one in particular"
    )
    release_days = forms.IntegerField(label="Days before when it opens to all", min_value=0, max_value=365, initial=7)

    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = Resource.objects.visible_to(user).active()
        choice(self, "resource").queryset = rows.in_order()
        choice(self, "physician").queryset = rows.filter(kind=Kind.PHYSICIAN).in_order()
        choice(self, "site").queryset = Site.objects.visible_to(user).order_by("name", "pk")
        known = Procedure.objects.filter(is_retired=False).order_by("family").values_list("family", flat=True).distinct()
        self.fields["family"].choices = [("", "Any"), *families.choices(known)]  # type: ignore[attr-defined]

    def clean_starts(self) -> time:
        return in_fives(self.cleaned_data["starts"])

    def clean_ends(self) -> time:
        return in_fives(self.cleaned_data["ends"])

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("starts") and cleaned.get("ends") and cleaned["ends"] <= cleaned["starts"]:
            self.add_error("ends", "It ends before it begins.")
        if cleaned.get("valid_from") and cleaned.get("valid_until") and cleaned["valid_until"] < cleaned["valid_from"]:
            self.add_error("valid_until", "The last day lies before the first.")
        if not cleaned.get("family") and not cleaned.get("physician"):
            self.add_error("family", "Say for which procedures or for whom the time is kept.")
        return cleaned
