"""Sides, levels and regions as coded data: which of them a procedure offers, and what is wrong with a chosen target.

A level is written as the pair of vertebrae (L4-L5), a sacral foramen as S1 to S4, a vertebral body or the nerve under
a rib as its name (L4, T6). The first vertebra names the region: C7-T1 is cervical, T12-L1 thoracic. Which levels a
kind of work has is its *scheme*; the scheme is chosen when the catalogue is loaded. Work without levels is done in a
region of the body; the regions are the words of the catalogue and no others. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from procedures.guidance import guidance_findings
from procedures.rules import Finding, structural

SPINE = (
    *(f"C{n}" for n in range(1, 8)),
    *(f"T{n}" for n in range(1, 13)),
    *(f"L{n}" for n in range(1, 6)),
    "S1",
)
PAIRS = tuple(f"{upper}-{lower}" for upper, lower in pairwise(SPINE))
FORAMINA = ("S1", "S2", "S3", "S4")
REGIONS = {"cervical": "Neck", "thoracic": "Thorax", "lumbar": "Low back", "sacral": "Sacrum"}
BODY_REGIONS = {
    "head_neck": "Head and neck",
    "shoulder": "Shoulder",
    "abdomen": "Abdomen",
    "flank": "Flank",
    "pelvis": "Pelvis",
    "groin": "Groin",
    "hip": "Hip",
    "thigh": "Thigh",
    "knee": "Knee",
    "sacrococcygeal": "Tailbone",
    "peripheral": "Arm, leg or trunk",
    "any": "Any part of the body",
}
ALL_REGIONS = {**REGIONS, **BODY_REGIONS}
# From head to tail, as lists and the body map give them.
BODY = (
    "head_neck", "cervical", "shoulder", "thoracic", "abdomen", "flank", "lumbar", "pelvis", "groin", "hip", "sacral",
    "sacrococcygeal", "thigh", "knee", "peripheral",
)  # fmt: skip
# Where the catalogue names no single part of the body: which of its other words come under it.
WITHIN = {
    "any": BODY,
    "peripheral": ("shoulder", "abdomen", "flank", "groin", "hip", "thigh", "knee", "peripheral"),
}
SIDE_LABELS = {"left": "Left", "right": "Right", "bilateral": "Both sides", "midline": "Midline"}
SIDES = {"left": "left", "right": "right", "bilateral": "bilateral", "midline": "midline"}
_LETTERS = {"C": "cervical", "T": "thoracic", "L": "lumbar", "S": "sacral"}
_LEVEL = re.compile(r"[CTLS]\d{1,2}(-[CTLS]\d{1,2})?")


def _pairs(first: str, last: str) -> tuple[str, ...]:
    return PAIRS[PAIRS.index(first) : PAIRS.index(last) + 1]


def _bodies(letter: str, first: int, last: int) -> tuple[str, ...]:
    return tuple(f"{letter}{n}" for n in range(first, last + 1))


_THORACIC = _pairs("T1-T2", "T12-L1")
_LUMBAR = _pairs("L1-L2", "L5-S1")

# For each scheme, the levels of each region from head to tail.
SCHEMES: dict[str, dict[str, tuple[str, ...]]] = {
    # Entry between the laminae; in the neck not above C6-C7.
    "interlaminar": {"cervical": _pairs("C6-C7", "C7-T1"), "thoracic": _THORACIC, "lumbar": _LUMBAR},
    # Any space between two vertebrae: discs, patches, catheters, leads, decompression.
    "interspaces": {"cervical": _pairs("C2-C3", "C7-T1"), "thoracic": _THORACIC, "lumbar": _LUMBAR},
    "foramina": {
        "cervical": _pairs("C2-C3", "C7-T1"),
        "thoracic": _THORACIC,
        "lumbar": _LUMBAR,
        "sacral": FORAMINA,
    },
    "facet_joints": {"cervical": _pairs("C1-C2", "C7-T1"), "thoracic": _THORACIC, "lumbar": _LUMBAR},
    # Joints whose nerves are blocked or ablated: counted as joints, from C2-C3 down.
    "facet_nerves": {"cervical": _pairs("C2-C3", "C7-T1"), "thoracic": _THORACIC, "lumbar": _LUMBAR},
    "vertebral_bodies": {"thoracic": _bodies("T", 1, 12), "lumbar": _bodies("L", 1, 5)},
    "basivertebral": {"lumbar": _bodies("L", 3, 5), "sacral": ("S1",)},
    "sympathetic_chain": {"lumbar": _bodies("L", 1, 5)},
    "rib_nerves": {"thoracic": _bodies("T", 1, 12)},
}
# Schemes whose neighbouring levels read as one run: "L3-L5" are the joints L3-L4 and L4-L5.
RUNS = frozenset({"facet_joints", "facet_nerves"})
NEED_LEVELS = frozenset(
    {"esi", "mbb_diagnostic", "facet_injection", "facet_cyst", "facet_rfa", "facet_rfa_cooled", "bvn_ablation"}
)
_ORDER = {level: place for place, level in enumerate(name for pair in (*PAIRS,) for name in (pair.split("-")[0], pair))} | {
    level: 1000 + place for place, level in enumerate(FORAMINA)
}


class ProcedureLike(Protocol):
    """What this module asks of a procedure; the model has it, and so does a plain dataclass in a test."""

    name: str
    family: str
    approach: str
    regions: list[str]
    level_scheme: str
    laterality: list[str]
    guidance_default: str
    guidance_alternatives: list[str]
    is_offered: bool
    is_retired: bool


@dataclass(frozen=True, slots=True)
class RegionLevels:
    """The levels of one region, from head to tail."""

    region: str
    label: str
    levels: tuple[str, ...]


def scheme_of(*, code: str, family: str, approach: str) -> str:
    """Return the scheme for a row of the catalogue, empty where the work has no level."""
    if code in _SCHEME_BY_CODE:
        return _SCHEME_BY_CODE[code]
    return _SCHEME_BY_APPROACH.get(approach, "") or _SCHEME_BY_FAMILY.get(family, "")


_SCHEME_BY_CODE = {
    "esi_caudal": "",
    "intercostal_block": "rib_nerves",
    "lumbar_sympathetic_block": "sympathetic_chain",
    "drg_trial": "foramina",
}
_SCHEME_BY_APPROACH = {"interlaminar": "interlaminar", "transforaminal": "foramina"}
_SCHEME_BY_FAMILY = {
    "other_neuraxial": "interspaces",
    "adhesiolysis": "interspaces",
    "discography": "interspaces",
    "pild": "interspaces",
    "scs_trial": "interspaces",
    "scs_implant": "interspaces",
    "it_pump": "interspaces",
    "mbb_diagnostic": "facet_nerves",
    "facet_rfa": "facet_nerves",
    "facet_rfa_cooled": "facet_nerves",
    "facet_injection": "facet_joints",
    "facet_cyst": "facet_joints",
    "pulsed_rf": "foramina",
    "bvn_ablation": "basivertebral",
    "vertebral_augmentation": "vertebral_bodies",
}


def region_of(level: str) -> str:
    """Return the region that a level's first vertebra names.

    Raises:
        ValueError: it is not written as a level.
    """
    if not _LEVEL.fullmatch(level):
        raise ValueError(f"{level!r} is not a level")
    return _LETTERS[level[0]]


def levels_offered(procedure: ProcedureLike) -> tuple[RegionLevels, ...]:
    """Return the levels that may be chosen, by region from head to tail; empty where the work has none."""
    scheme = SCHEMES.get(procedure.level_scheme, {})
    return tuple(
        RegionLevels(region, REGIONS[region], scheme[region])
        for region in REGIONS
        if region in scheme and region in procedure.regions
    )


def needs_levels(procedure: ProcedureLike) -> bool:
    """Say whether a case cannot be booked without at least one level."""
    return procedure.family in NEED_LEVELS and bool(levels_offered(procedure))


def regions_offered(procedure: ProcedureLike) -> tuple[str, ...]:
    """Return the regions of the body that may be chosen, from head to tail.

    Levels say their region themselves: beside a level scheme only regions off the spine are offered.
    """
    has_levels = bool(levels_offered(procedure))
    words = [word for word in procedure.regions if not (has_levels and word in REGIONS)]
    meant = {region for word in words for region in WITHIN.get(word, (word,))}
    return tuple(region for region in BODY if region in meant)


def default_regions(procedure: ProcedureLike) -> tuple[str, ...]:
    """Return the region where there is only one and no level says it, else nothing."""
    offered = regions_offered(procedure)
    return offered if len(offered) == 1 and not levels_offered(procedure) else ()


def regions_kept(procedure: ProcedureLike, wanted: Iterable[str]) -> tuple[str, ...]:
    """Return those of some regions that a procedure is offered for, or the only one there is."""
    meant = set(wanted)
    return tuple(region for region in regions_offered(procedure) if region in meant) or default_regions(procedure)


def touched(levels: Iterable[str], regions: Iterable[str]) -> tuple[str, ...]:
    """Return the regions of a target, those that its levels lie in included, from head to tail."""
    found = {*regions, *(region_of(level) for level in levels if _LEVEL.fullmatch(level))}
    return tuple(region for region in BODY if region in found)


def default_side(procedure: ProcedureLike) -> str:
    """Return the side where there is only one, else an empty text."""
    return procedure.laterality[0] if len(procedure.laterality) == 1 else ""


def in_order(levels: Iterable[str]) -> tuple[str, ...]:
    """Return the levels from head to tail, each once; unknown ones last."""
    return tuple(sorted(set(levels), key=lambda level: (_ORDER.get(level, 9999), level)))


def validate_target(
    procedure: ProcedureLike,
    side: str,
    levels: Sequence[str],
    regions: Sequence[str] = (),
    guidance: str = "",
    *,
    is_booked: bool = False,
) -> list[Finding]:
    """Return everything that is wrong with the chosen target; an empty list when it can be booked.

    Where there is one region only, it need not be said; a case that is booked already may lack it. How many levels
    are wise or paid for is for the rules to say, not for this.
    """
    return [
        *_offer_findings(procedure),
        *_side_findings(procedure, side),
        *_level_findings(procedure, levels),
        *_region_findings(procedure, regions, may_lack=is_booked),
        *guidance_findings(procedure, guidance),
    ]


def _offer_findings(procedure: ProcedureLike) -> list[Finding]:
    if procedure.is_offered and not procedure.is_retired:
        return []
    why = "was retired from the catalogue" if procedure.is_retired else "is not offered for booking"
    remedy = "Choose another procedure" + ("." if procedure.is_retired else ", or ask a manager to switch it on.")
    return [structural("procedure_not_offered", f"{procedure.name} {why}. {remedy}")]


def _side_findings(procedure: ProcedureLike, side: str) -> list[Finding]:
    if side in procedure.laterality:
        return []
    choices = _either([SIDES.get(choice, choice) for choice in procedure.laterality])
    said = f"{procedure.name} is not done {side}." if side in SIDES else "The side is missing or unknown."
    evidence = {"side": side, "offered": ", ".join(procedure.laterality)}
    return [structural("side_not_offered", f"{said} Choose {choices}.", evidence=evidence)]


def _level_findings(procedure: ProcedureLike, levels: Sequence[str]) -> list[Finding]:
    offered = [level for group in levels_offered(procedure) for level in group.levels]
    found: list[Finding] = []
    if not levels and needs_levels(procedure):
        message = f"No level is chosen. Choose one or more from {offered[0]} to {offered[-1]}."
        found.append(structural("level_not_offered", message, evidence={"offered": ", ".join(offered)}))
    for level in in_order(levels):
        if level in offered:
            continue
        if offered:
            message = f"{procedure.name} is not offered at {level}. Choose from {', '.join(offered)}."
        else:
            message = f"{procedure.name} has no level to choose. Leave {level} out."
        evidence = {"level": level, "offered": ", ".join(offered)}
        found.append(structural("level_not_offered", message, evidence=evidence, about=level))
    for level in in_order(levels):
        if list(levels).count(level) > 1:
            message = f"{level} is chosen twice. Choose it once; both sides of a level are one level, bilateral."
            found.append(structural("level_not_offered", message, evidence={"level": level}, about=f"{level} twice"))
    return found


def _region_findings(procedure: ProcedureLike, regions: Sequence[str], *, may_lack: bool) -> list[Finding]:
    offered = regions_offered(procedure)
    choices = _either([ALL_REGIONS[region] for region in offered]) if offered else ""
    evidence = {"offered": ", ".join(offered)}
    if not regions and len(offered) > 1 and not levels_offered(procedure) and not may_lack:
        message = f"Where on the body is not chosen. Choose {choices}."
        return [structural("region_not_offered", message, evidence=evidence)]
    return [
        structural(
            "region_not_offered",
            f"{procedure.name} is not offered for {ALL_REGIONS.get(region, region)}."
            + (f" Choose {choices}." if offered else " It has no region to choose."),
            evidence={"region": region, **evidence},
            about=region,
        )
        for region in dict.fromkeys(regions)
        if region not in offered
    ]


def read_regions(text: str) -> tuple[str, ...]:
    """Read regions as files give them: codes or the words of the screen, "knee", "Head and neck; low back".

    Raises:
        ValueError: a part is no region; the message names it.
    """
    known = {word.casefold(): region for region in BODY for word in (region, region.replace("_", " "), ALL_REGIONS[region])}
    found = set()
    for part in re.split(r"[;+/|]", text) if re.search(r"[;+/|]", text) else [text]:
        word = " ".join(part.casefold().split())
        if word and word not in known:
            raise ValueError(f"{part.strip()} is not a region of the body")
        if word:
            found.add(known[word])
    return tuple(region for region in BODY if region in found)


def regions_in_words(regions: Iterable[str]) -> str:
    """Return regions as staff say them: "knee", "low back and pelvis"."""
    told = [ALL_REGIONS.get(region, region) for region in regions]
    text = " and ".join(part for part in (", ".join(told[:-1]), *told[-1:]) if part)
    return text[:1] + text[1:].lower()


def read_levels(text: str, *, runs: bool = False) -> tuple[str, ...]:
    """Read levels as people type them: "L4-5, l5/s1", "C5-C6 C6-C7"; with `runs`, "L3-L5" is two joints.

    Raises:
        ValueError: a part is not a level; the message names it.
    """
    found: list[str] = []
    joined = re.sub(r"\s*[-/–]\s*", "-", text.upper().strip())
    for part in re.split(r"[\s,;+&]+", joined):
        if part and part != "AND":
            found.extend(_read_part(part, runs=runs))
    return in_order(found)


def _read_part(part: str, *, runs: bool) -> tuple[str, ...]:
    match = re.fullmatch(r"([CTLS])(\d{1,2})(?:-([CTLS])?(\d{1,2}))?", part)
    if match is None:
        raise ValueError(f"{part} is not a level")
    letter, first, other, second = match.groups()
    upper = f"{letter}{int(first)}"
    if second is None:
        if upper not in SPINE and upper not in FORAMINA:
            raise ValueError(f"{part} is not a level")
        return (upper,)
    lower = f"{other or letter}{int(second)}"
    if f"{upper}-{lower}" in PAIRS:
        return (f"{upper}-{lower}",)
    if runs and upper in SPINE and lower in SPINE and SPINE.index(upper) < SPINE.index(lower):
        return PAIRS[SPINE.index(upper) : SPINE.index(lower)]
    raise ValueError(f"{part} is not a level")


def shown(levels: Iterable[str], side: str, *, scheme: str = "", regions: Iterable[str] = ()) -> str:
    """Return a target as staff say it: "L3-L5 right" for joints next to each other, "knee left" where a region is named."""
    chosen = in_order(levels)
    text = ", ".join(_runs(chosen)) if scheme in RUNS else ", ".join(chosen)
    text = ", ".join(part for part in (text, regions_in_words(regions).lower()) if part)
    return " ".join(part for part in (text, "" if side == "midline" and text else side) if part)


def _runs(levels: tuple[str, ...]) -> list[str]:
    told: list[list[str]] = []
    for level in levels:
        upper, _, lower = level.partition("-")
        if told and lower and told[-1][-1] == upper:
            told[-1].append(lower)
        else:
            told.append([upper, lower] if lower else [upper])
    return [f"{run[0]}-{run[-1]}" if len(run) > 1 else run[0] for run in told]


def _either(choices: list[str]) -> str:
    return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"
