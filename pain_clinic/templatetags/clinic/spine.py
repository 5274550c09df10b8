"""The spine and the body, and the legs of a case to scale."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
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

TONES = frozenset({"most", "half", "little", "none"})
LIMBS = (
    ("shoulder", "right", '<circle{} cx="26" cy="45" r="7"/>'),
    ("shoulder", "left", '<circle{} cx="70" cy="45" r="7"/>'),
    ("arm", "right", '<rect{} x="13" y="52" width="11" height="62" rx="5"/>'),
    ("arm", "left", '<rect{} x="72" y="52" width="11" height="62" rx="5"/>'),
    ("thigh", "right", '<rect{} x="29" y="122" width="16" height="36" rx="6"/>'),
    ("thigh", "left", '<rect{} x="51" y="122" width="16" height="36" rx="6"/>'),
    ("hip", "right", '<circle{} cx="29" cy="121" r="6"/>'),
    ("hip", "left", '<circle{} cx="67" cy="121" r="6"/>'),
    ("knee", "right", '<circle{} cx="37" cy="162" r="7"/>'),
    ("knee", "left", '<circle{} cx="59" cy="162" r="7"/>'),
    ("foot", "right", '<rect{} x="31" y="169" width="12" height="36" rx="5"/>'),
    ("foot", "left", '<rect{} x="53" y="169" width="12" height="36" rx="5"/>'),
)


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


@register.simple_tag
def treated(code: str, region: str, marks: Mapping[str, str]) -> SafeString:
    """One row of the spine with the tone of what the last session brought on each side: most, half, little or none."""
    tones = tuple(sorted((side, tone) for side, tone in marks.items() if tone in TONES))
    return _treated("-" in code, region, tones)


@functools.lru_cache(maxsize=512)
def _treated(is_between: bool, region: str, tones: tuple[tuple[str, str], ...]) -> SafeString:
    half = {"cervical": 11, "thoracic": 13, "lumbar": 17, "sacral": 15}.get(region, 14)
    places = {"right": 28 - half - 4, "midline": 28, "left": 28 + half + 4}
    drawn = str(segment(is_between, region)).partition('<circle class="mark')[0]
    marks = "".join(
        f'<circle class="tone tone-{tone}" cx="{places[side]}" cy="13" r="5"/>' for side, tone in tones if side in places
    )
    return mark_safe(f"{drawn}{marks}</svg>")  # nosec B308 B703  # noqa: S308 - numbers and words of ours


@register.simple_tag
def figure(targets: Iterable[Any]) -> SafeString:
    """The body seen from the front, each part that was treated in the tone of what the last session there brought."""
    tones: dict[tuple[str, str], str] = {}
    for target in targets:
        part = BODY_OF_REGION.get(target.place, "")
        sides = ("right", "left") if target.side not in ("right", "left") else (target.side,)
        for side in sides:
            tones.setdefault((part, side), target.relief.tone if target.relief.tone in TONES else "none")
    return _figure(tuple(sorted(tones.items())))


@functools.lru_cache(maxsize=512)
def _figure(tones: tuple[tuple[tuple[str, str], str], ...]) -> SafeString:
    known = dict(tones)

    def tone(part: str, side: str) -> str:
        found = known.get((part, side)) or known.get(("limb", side) if part in ("arm", "foot") else (part, side))
        return f' class="tone tone-{found}"' if found else ""

    def middle(part: str, drawing: str) -> str:
        found = known.get((part, "right")) or known.get((part, "left"))
        return drawing.format(f' class="tone tone-{found}"' if found else "")

    parts = [
        middle("head", '<circle{} cx="48" cy="16" r="13"/>'),
        middle("neck", '<rect{} x="42" y="29" width="12" height="9" rx="3"/>'),
        middle("chest", '<path{} d="M32 38h32l4 36H28z"/>'),
        middle("abdomen", '<path{} d="M29 75h38l-2 24H31z"/>'),
        middle("pelvis", '<path{} d="M31 100h34l3 18H28z"/>'),
        *(drawing.format(tone(part, side)) for part, side, drawing in LIMBS),
        '<text x="2" y="12">R</text><text x="88" y="12">L</text>',
    ]
    return mark_safe(f'<svg viewBox="0 0 96 208" aria-hidden="true">{"".join(parts)}</svg>')  # nosec B308 B703  # noqa: S308 - numbers and words of ours


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
