"""What the templates need to draw: times as the site reads them, icons, shapes, the spine and the body."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any, Protocol

import lucide
from django import template
from django.forms import BoundField, Textarea
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from pain_clinic.web import now

register = template.Library()

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

STATUS_WORDS = {
    "booked": "Booked",
    "confirmed": "Confirmed",
    "arrived": "Arrived",
    "preparing": "Preparing",
    "ready": "Ready",
    "in_room": "In room",
    "recovery": "In recovery",
    "discharged": "Discharged",
    "cancelled": "Cancelled",
    "no_show": "No-show",
    "left_before_seen": "Left before seen",
}

SEVERITY_WORDS = {
    "deny": "Not allowed",
    "structural": "Not possible",
    "warn": "Needs a reason",
    "info": "Note",
    "pending": "Waiting for a fact",
}

LEG_WORDS = {
    "prep": "Preparation",
    "procedure": "Procedure",
    "recovery": "Recovery",
    "turnover": "Turnover",
}

FLAG_ICONS = {
    "allergy": "octagon-alert",
    "same_name": "users",
    "thinner": "droplet",
    "diabetes": "activity",
    "interpreter": "languages",
    "not_ready": "hourglass",
    "deceased": "circle-slash",
}

HUE_WORDS = {
    "epidural": "Epidural",
    "facet": "Facet and sacroiliac",
    "trigger": "Trigger point",
    "nerve": "Nerve block",
    "ablation": "Ablation",
    "other": "Other",
}

HUE_OF_CATEGORY = {
    "epidural": "epidural",
    "facet": "facet",
    "sacroiliac": "facet",
    "trigger_point": "trigger",
    "nerve_block": "nerve",
    "rfa": "ablation",
}


class Coloured(Protocol):
    """Something that belongs to a procedure family."""

    category: str
    family: str


# Times: the values come already in the site's zone and are printed as they are.


@register.filter
def clock(value: datetime | None) -> str:
    """The wall clock, 8:15."""
    return f"{value.hour}:{value.minute:02d}" if value else ""


@register.filter
def day(value: date | None) -> str:
    """A day in few letters, with the year when it is not this one."""
    if value is None:
        return ""
    text = f"{WEEKDAYS[value.weekday()][:3]} {value.day} {MONTHS[value.month - 1][:3]}"
    return text if value.year == now().year else f"{text} {value.year}"


@register.filter
def long_day(value: date | None) -> str:
    """A day as a person says it, with the year when it is not this one."""
    if value is None:
        return ""
    text = f"{WEEKDAYS[value.weekday()]} {value.day} {MONTHS[value.month - 1]}"
    return text if value.year == now().year else f"{text} {value.year}"


@register.filter
def plain_day(value: date | None) -> str:
    """A day without its weekday, for birth dates: 2 Mar 1958."""
    return f"{value.day} {MONTHS[value.month - 1][:3]} {value.year}" if value else ""


@register.filter
def stamp(value: datetime | None) -> str:
    """Day and wall clock."""
    return f"{day(value)} {clock(value)}" if value else ""


@register.filter
def iso(value: date | datetime | None) -> str:
    """The machine's form, for datetime attributes and date inputs."""
    return value.isoformat() if value else ""


@register.filter
def when(value: date | datetime | None) -> str:
    """A day, or day and time where a time is known."""
    return stamp(value) if isinstance(value, datetime) else day(value)


@register.filter
def minutes_until(start: datetime, end: datetime) -> str:
    """How long from one instant to another, in words."""
    return lasting_words(int((end - start) / timedelta(minutes=1)))


@register.filter
def lasting_words(minutes: int) -> str:
    """45 min, 1 h, 1 h 30."""
    hours, rest = divmod(int(minutes), 60)
    if not hours:
        return f"{rest} min"
    return f"{hours} h {rest:02d}" if rest else f"{hours} h"


# The board's places: classes, because the content security policy allows no style attributes.


@register.filter
def at(slot: int) -> str:
    """Classes that put an element at this 5-minute step from the first line drawn."""
    hours, steps = divmod(max(int(slot), 0), 12)
    return f"at-h{hours} at-m{steps}" if steps else f"at-h{hours}"


@register.filter
def lasting(span: int) -> str:
    """Classes that give an element this many 5-minute steps."""
    hours, steps = divmod(max(int(span), 1), 12)
    return f"for-h{hours} for-m{steps}" if steps else f"for-h{hours}"


# Words, shapes and icons.


@register.filter
def hue(thing: Coloured) -> str:
    """The one of six colour families that a procedure is shown in."""
    return hue_of(thing.category, thing.family)


def hue_of(category: str, family: str) -> str:
    """Ablation wins over where it is done: the room and the generator make the day."""
    if category == "rfa" or family.endswith(("_rfa", "ablation")):
        return "ablation"
    return HUE_OF_CATEGORY.get(category, "other")


@register.filter
def hue_word(thing: Coloured) -> str:
    """The name of that colour family."""
    return HUE_WORDS[hue(thing)]


@register.filter
def status_word(status: str) -> str:
    """The status as staff say it."""
    return STATUS_WORDS.get(status, status.replace("_", " ").capitalize())


@register.filter
def severity_word(severity: str) -> str:
    """What a finding's severity means for the person who books."""
    return SEVERITY_WORDS.get(severity, severity)


@register.filter
def leg_word(kind: str) -> str:
    """The leg of a case as staff say it."""
    return LEG_WORDS.get(kind, kind)


@functools.lru_cache(maxsize=256)
def drawing(name: str) -> SafeString:
    """One lucide icon, hidden from screen readers: a word always stands beside it."""
    tag = lucide._render_icon(name, None, **{"class": "i", "aria-hidden": "true", "focusable": "false"})
    return mark_safe(tag)  # nosec B308 B703  # noqa: S308 - drawn by lucide from its own files


@register.simple_tag
def icon(name: str) -> SafeString:
    """An icon of the lucide set."""
    return drawing(str(name))


@register.simple_tag
def symbol(name: str, css: str = "i") -> SafeString:
    """A drawing of our own from the sprite at the top of the page."""
    return format_html('<svg class="{}" aria-hidden="true" focusable="false"><use href="#{}"/></svg>', css, name)


@register.simple_tag
def status(value: str) -> SafeString:
    """A status: its shape and its word."""
    return format_html(
        '<span class="status"><svg class="shape" aria-hidden="true"><use href="#s-{}"/></svg>{}</span>',
        value,
        status_word(value),
    )


@register.filter
def flag_icon(kind: str) -> SafeString:
    """The icon of a flag on a person, or nothing for a plain note."""
    name = FLAG_ICONS.get(kind)
    return drawing(name) if name else SafeString("")


# Forms.


@register.filter
def describe(field: Any) -> dict[str, Any]:
    """A Django bound field or one of our own `Field`s in the one shape that parts/field.html draws."""
    if isinstance(field, BoundField):
        return {
            "bound": field,
            "name": field.html_name,
            "id": field.id_for_label or field.auto_id,
            "label": field.label,
            "error": " ".join(str(error) for error in field.errors),
            "hint": field.help_text,
            "is_required": field.field.required,
            "kind": kind_of(field),
        }
    return {"own": field, "bound": None, "id": f"id_{field.name}", **{
        name: getattr(field, name) for name in ("name", "label", "error", "hint", "is_required", "kind")
    }}  # fmt: skip


def kind_of(field: BoundField) -> str:
    """What a bound field is drawn as."""
    if field.is_hidden:
        return "hidden"
    if isinstance(field.field.widget, Textarea):
        return "textarea"
    kind = str(getattr(field.field.widget, "input_type", ""))
    several = bool(getattr(field.field.widget, "allow_multiple_selected", False))
    if kind == "checkbox":
        return "checkboxes" if several else "checkbox"
    return kind if kind == "radio" else "text"


@register.simple_tag
def control(field: BoundField) -> SafeString:
    """The widget of a bound field, tied to its hint and its error."""
    attributes: dict[str, str | bool] = {}
    described = [f"{field.auto_id}_{part}" for part, there in (("hint", field.help_text), ("error", field.errors)) if there]
    if described:
        attributes["aria-describedby"] = " ".join(described)
    if field.errors:
        attributes["aria-invalid"] = "true"
    return field.as_widget(attrs=attributes)


# The spine and the body.

REGION_WORDS = {"cervical": "Neck", "thoracic": "Thorax", "lumbar": "Low back", "sacral": "Sacrum"}
BODY_OF_REGION = {
    "head": "head", "face": "head", "head_neck": "head", "neck": "neck", "shoulder": "shoulder", "chest": "chest",
    "back": "chest", "abdomen": "abdomen", "flank": "abdomen", "groin": "pelvis", "pelvis": "pelvis",
    "sacrococcygeal": "pelvis", "hip": "hip", "thigh": "thigh", "knee": "knee", "foot": "foot", "leg": "foot",
    "arm": "arm", "hand": "arm",
}  # fmt: skip


@register.filter
def by_region(things: Iterable[Any]) -> list[tuple[str, str, list[Any]]]:
    """Levels or places in runs of one region: (key, words, things), in their own order."""
    groups: dict[str, list[Any]] = {}
    for thing in things:
        groups.setdefault(thing.region, []).append(thing)
    return [(key, region_word(key), found) for key, found in groups.items()]


@register.filter
def region_word(region: str) -> str:
    """A region as staff say it."""
    return REGION_WORDS.get(region, region.replace("_", " and ").capitalize())


@register.filter
def body_part(region: str) -> str:
    """Which part of the little figure lights up for this region."""
    return BODY_OF_REGION.get(region, "other")


@register.simple_tag
def vertebra(code: str, region: str) -> SafeString:
    """One row of the spine seen from the front: the space between two bones, or one bone.

    The patient's right is drawn at the viewer's left.
    """
    return segment("-" in code, region)


@functools.lru_cache(maxsize=16)
def segment(is_between: bool, region: str) -> SafeString:
    """The drawing shared by every level of its kind."""
    half = {"cervical": 11, "thoracic": 13, "lumbar": 17, "sacral": 15}.get(region, 14)
    left, width = 28 - half, half * 2
    if is_between:
        bones = (
            f'<rect class="bone" x="{left}" y="-6" width="{width}" height="14" rx="3"/>'
            f'<rect class="disc" x="{left + 2}" y="9.5" width="{width - 4}" height="7" rx="3"/>'
            f'<rect class="bone" x="{left}" y="18" width="{width}" height="14" rx="3"/>'
        )
    else:
        bones = f'<rect class="bone" x="{left}" y="3" width="{width}" height="20" rx="4"/>'
    marks = (
        f'<circle class="mark mark-r" cx="{left - 4}" cy="13" r="4"/>'
        f'<circle class="mark mark-l" cx="{left + width + 4}" cy="13" r="4"/>'
        '<circle class="mark mark-m" cx="28" cy="13" r="3.5"/>'
    )
    kind = "between" if is_between else "one"
    return mark_safe(f'<svg class="{kind}" viewBox="0 0 56 26" aria-hidden="true">{bones}{marks}</svg>')  # nosec B308 B703  # noqa: S308 - numbers and words of ours


@register.filter
def side_class(side: str) -> str:
    """Which marks of a fixed spine map are filled."""
    return {"right": "on-r", "left": "on-l", "bilateral": "on-r on-l", "midline": "on-m"}.get(side, "")


@register.simple_tag
def strip(legs: Iterable[Any], category: str, family: str) -> SafeString:
    """The legs of a case as one strip to scale, each named in the list beside it."""
    parts = list(legs)
    if not parts:
        return SafeString("")
    first = min(leg.starts_at for leg in parts)
    whole = max(int((max(leg.ends_at for leg in parts) - first) / timedelta(minutes=1)), 1)
    opacity = {"prep": "0.3", "procedure": "1", "recovery": "0.3", "turnover": "0.12"}
    boxes = "".join(
        f'<rect x="{int((leg.starts_at - first) / timedelta(minutes=1))}" y="{0 if leg.kind != "turnover" else 7}" '
        f'width="{max(int((leg.ends_at - leg.starts_at) / timedelta(minutes=1)), 1)}" '
        f'height="{14 if leg.kind != "turnover" else 7}" fill-opacity="{opacity.get(leg.kind, "0.3")}"/>'
        for leg in parts
    )
    return mark_safe(  # nosec B308 B703  # noqa: S308 - numbers and words of ours
        f'<svg class="legs f-{hue_of(category, family)}" viewBox="0 0 {whole} 14" preserveAspectRatio="none" '
        f'aria-hidden="true">{boxes}</svg>'
    )


@register.filter
def local_value(value: datetime) -> str:
    """The wall clock as a form value: 2026-11-27T09:15."""
    return value.strftime("%Y-%m-%dT%H:%M")


SECTIONS = (
    (
        "Person",
        ("first_name", "last_name", "preferred_name", "birth_date", "sex", "record_number", "external_id", "home_site"),
    ),
    ("Contact", ("email", "phone", "mobile", "language", "channel", "contact", "wants_email", "needs_interpreter")),
    ("Address", ("address", "address_line", "street", "city", "postcode", "postal_code", "state", "country")),
    ("Payer", ("payer", "plan", "member_number")),
)


@register.filter
def sections(form: Any) -> list[tuple[str, list[BoundField]]]:
    """The fields of the patient form under the headings a person would look for, the rest under "More"."""
    known = {name: title for title, names in SECTIONS for name in names}
    found: dict[str, list[BoundField]] = {title: [] for title, _ in SECTIONS}
    found["More"] = []
    for field in form:
        found[known.get(field.name, "More")].append(field)
    return [(title, fields) for title, fields in found.items() if fields]
