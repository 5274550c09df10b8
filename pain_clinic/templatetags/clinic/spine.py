"""The spine and the body, and the legs of a case to scale."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.utils.safestring import SafeString, mark_safe

from pain_clinic.looks import hue_of
from pain_clinic.templatetags.clinic.library import register

REGION_WORDS = {"cervical": "Neck", "thoracic": "Thorax", "lumbar": "Low back", "sacral": "Sacrum"}
BODY_OF_REGION = {
    "head": "head", "face": "head", "head_neck": "head", "neck": "neck", "shoulder": "shoulder", "chest": "chest",
    "back": "chest", "abdomen": "abdomen", "flank": "abdomen", "groin": "pelvis", "pelvis": "pelvis",
    "sacrococcygeal": "pelvis", "hip": "hip", "thigh": "thigh", "knee": "knee", "foot": "foot", "leg": "foot",
    "arm": "arm", "hand": "arm", "cervical": "neck", "thoracic": "chest", "lumbar": "abdomen", "sacral": "pelvis",
    "peripheral": "limb",
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
