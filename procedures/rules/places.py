"""Where on the body: payer regions and sites, derived from levels and sides and never typed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

CERVICAL_THORACIC, LUMBAR_SACRAL = "cervical_thoracic", "lumbar_sacral"
# Work at the spine that payers count by region: epidurals and facet joints.
SPINE_FAMILIES = frozenset({"esi", "adhesiolysis", "other_neuraxial", "mbb_diagnostic", "facet_injection", "facet_cyst",
                            "facet_rfa", "facet_rfa_cooled", "pulsed_rf"})  # fmt: skip
SACROILIAC_FAMILIES = frozenset({"si_injection", "si_rfa"})
ABLATIONS = frozenset({"facet_rfa", "facet_rfa_cooled", "si_rfa", "genicular_rfa"})

_LEVEL = re.compile(r"([CTLS])(\d{1,2})(?:-([CTLS])(\d{1,2}))?")
_ORDER = [*(f"C{n}" for n in range(1, 8)), *(f"T{n}" for n in range(1, 13)), *(f"L{n}" for n in range(1, 6))]
_SPINE = (*_ORDER, *(f"S{n}" for n in range(1, 5)))
_PLACE = {name: place for place, name in enumerate(_SPINE)}
_REGIONS = {"C": "cervical", "T": "thoracic", "L": "lumbar", "S": "sacral"}

# Regions of the body that the low back is made of.
LOW_BACK = frozenset({"lumbar", "sacral"})

Site = tuple[str, str]


def is_level(name: str) -> bool:
    """Say whether it is written as a pair of neighbouring vertebrae, a sacral foramen or a vertebral body."""
    match = _LEVEL.fullmatch(name)
    if match is None:
        return False
    upper, lower = f"{match[1]}{match[2]}", f"{match[3]}{match[4]}"
    if upper not in _PLACE:
        return False
    return match[3] is None or (lower in _PLACE and _PLACE[lower] == _PLACE[upper] + 1 and upper != "S1" and lower != "S2")


def region_of(level: str) -> str:
    """Return the anatomical region, which the first vertebra names."""
    return _REGIONS[level[0]]


def place_of(level: str) -> int:
    """Return where a level lies, counted from the head, by its first vertebra."""
    return _PLACE.get(level.partition("-")[0], 99)


def is_low_back(levels: Iterable[str], named: Iterable[str], offered: Iterable[str]) -> bool:
    """Say whether all of some work lies in the low back: by its levels and the regions named for it, else by those offered.

    What is not known to lie there does not.
    """
    found = {*named, *(region_of(level) for level in levels)} or {*offered}
    return bool(found) and found <= LOW_BACK


def payer_region(level: str) -> str:
    """Return the payer region: the neck and thorax to T12-L1, or from L1-L2 down."""
    return CERVICAL_THORACIC if level[0] in "CT" else LUMBAR_SACRAL


def payer_regions(family: str, approach: str, levels: Iterable[str]) -> frozenset[str]:
    """Return the payer regions of some work; empty where it is not counted by region."""
    if family not in SPINE_FAMILIES:
        return frozenset()
    if approach == "caudal":
        return frozenset({LUMBAR_SACRAL})
    return frozenset(payer_region(level) for level in levels)


def sides_of(side: str) -> tuple[str, ...]:
    """Return the sides that are meant: both of them for bilateral."""
    return ("left", "right") if side == "bilateral" else (side,)


def sites_of(family: str, levels: Sequence[str], side: str, site: str = "") -> frozenset[Site]:
    """Return the sites of some work: one level on one side each; for the sacroiliac joint the side alone.

    Other work without levels is told apart by the joint or body part that is named, else by what it is done to (the
    genicular nerves), and the side.
    """
    if family in SACROILIAC_FAMILIES:
        return frozenset(("sacroiliac joint", one) for one in sides_of(side))
    if not levels:
        part = site.casefold() or family.rpartition("_")[0] or family
        return frozenset((part, one) for one in sides_of(side))
    return frozenset((level, one) for level in levels for one in sides_of(side))


def site_told(site: Site) -> str:
    """Return a site as people say it."""
    return " ".join(part for part in site if part)


def are_contiguous(levels: Iterable[str]) -> bool:
    """Say whether levels follow one another without a gap."""
    places = sorted({place_of(level) for level in levels})
    return not places or places[-1] - places[0] == len(places) - 1


def is_same_part(site: str, side: str, other_site: str, other_side: str) -> bool:
    """Say whether two joints or body parts are the same one: named alike, and not one left and the other right."""
    return site.casefold() == other_site.casefold() and {side, other_side} != {"left", "right"}
