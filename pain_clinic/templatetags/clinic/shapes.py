"""Words, shapes and icons."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Protocol

import lucide
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from pain_clinic import looks
from pain_clinic.templatetags.clinic.library import register

FLAG_ICONS = {
    "allergy": "octagon-alert",
    "same_name": "users",
    "thinner": "droplet",
    "hurts": "octagon-alert",
    "diabetes": "activity",
    "interpreter": "languages",
    "not_ready": "hourglass",
    "deceased": "circle-slash",
}


class Coloured(Protocol):
    """Something that belongs to a procedure family."""

    category: str
    family: str


# The board's places.


@register.filter
def at(slot: int) -> str:
    """Classes that put an element at this 5-minute step from the first line drawn."""
    return looks.at(int(slot))


@register.filter
def lasting(span: int) -> str:
    """Classes that give an element this many 5-minute steps."""
    return looks.lasting(int(span))


@register.filter
def hue(thing: Coloured) -> str:
    """The one of six colour families that a procedure is shown in."""
    return looks.hue_of(thing.category, thing.family)


@register.filter
def hue_word(thing: Coloured) -> str:
    """The name of that colour family."""
    return looks.HUE_WORDS[hue(thing)]


@register.filter
def status_word(status: str) -> str:
    """The status as staff say it."""
    return looks.status_word(status)


@register.filter
def severity_word(severity: str) -> str:
    """What a finding's severity means for the person who books."""
    return looks.SEVERITY_WORDS.get(severity, severity)


@register.filter
def leg_word(kind: str) -> str:
    """The leg of a case as staff say it."""
    return looks.LEG_WORDS.get(kind, kind)


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


FEW_NOTES = 2  # so many stand among the other findings; more are folded together, so that what refuses is seen at once


def _is_note(line: Any) -> bool:
    return line.severity == "info" and not line.is_waived


@register.filter
def graver(lines: Sequence[Any]) -> list[Any]:
    """Give the findings that are shown at once: all but many notes."""
    return [line for line in lines if not _is_note(line)] if folded_notes(lines) else list(lines)


@register.filter
def folded_notes(lines: Sequence[Any]) -> list[Any]:
    """Give the notes among findings where they are many, none where they are few."""
    notes = [line for line in lines if _is_note(line)]
    return notes if len(notes) > FEW_NOTES else []
