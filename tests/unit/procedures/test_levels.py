"""Levels, sides and targets: what is offered, what is refused and how it is said."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procedures.levels import (
    ALL_REGIONS,
    BODY,
    PAIRS,
    SCHEMES,
    WITHIN,
    default_regions,
    default_side,
    in_order,
    levels_offered,
    needs_levels,
    read_levels,
    read_regions,
    region_of,
    regions_in_words,
    regions_offered,
    scheme_of,
    shown,
    touched,
    validate_target,
)


@dataclass
class Work:
    """A procedure as this module sees one."""

    name: str = "Transforaminal epidural"
    family: str = "esi"
    approach: str = "transforaminal"
    regions: list[str] = field(default_factory=lambda: ["lumbar", "sacral"])
    level_scheme: str = "foramina"
    laterality: list[str] = field(default_factory=lambda: ["left", "right", "bilateral"])
    guidance_default: str = "fluoroscopy"
    guidance_alternatives: list[str] = field(default_factory=list)
    is_offered: bool = True
    is_retired: bool = False


TFESI = Work()
KNEE = Work(name="Genicular block", family="genicular_block", approach="", regions=["knee"], level_scheme="")


@pytest.mark.parametrize(
    ("level", "region"),
    [
        ("C7-T1", "cervical"),
        ("T1-T2", "thoracic"),
        ("T12-L1", "thoracic"),
        ("L5-S1", "lumbar"),
        ("S2", "sacral"),
        ("L4", "lumbar"),
    ],
)
def test_first_vertebra_names_the_region(level: str, region: str) -> None:
    assert region_of(level) == region


@pytest.mark.parametrize("text", ["", "L", "X1-X2", "caudal", "L4-L5 right"])
def test_region_of_refuses_what_is_no_level(text: str) -> None:
    with pytest.raises(ValueError, match="not a level"):
        region_of(text)


def test_every_level_of_a_scheme_lies_in_its_region() -> None:
    wrong = [
        (scheme, region, level)
        for scheme, by_region in SCHEMES.items()
        for region, levels in by_region.items()
        for level in levels
        if region_of(level) != region
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("code", "family", "approach", "scheme"),
    [
        ("esi_il_cervical", "esi", "interlaminar", "interlaminar"),
        ("esi_caudal", "esi", "caudal", ""),
        ("esi_tf_lumbar", "esi", "transforaminal", "foramina"),
        ("mbb_cervical", "mbb_diagnostic", "", "facet_nerves"),
        ("facet_ia_cervical", "facet_injection", "", "facet_joints"),
        ("bvn_ablation", "bvn_ablation", "", "basivertebral"),
        ("drg_trial", "scs_trial", "", "foramina"),
        ("scs_trial", "scs_trial", "", "interspaces"),
        ("genicular_block", "genicular_block", "", ""),
    ],
)
def test_scheme_follows_the_row(code: str, family: str, approach: str, scheme: str) -> None:
    assert scheme_of(code=code, family=family, approach=approach) == scheme


def test_levels_are_offered_by_region_from_head_to_tail() -> None:
    assert [(group.region, group.label, group.levels) for group in levels_offered(TFESI)] == [
        ("lumbar", "Low back", ("L1-L2", "L2-L3", "L3-L4", "L4-L5", "L5-S1")),
        ("sacral", "Sacrum", ("S1", "S2", "S3", "S4")),
    ]
    assert levels_offered(KNEE) == ()


def test_interlaminar_work_in_the_neck_stays_below_c6() -> None:
    work = replace(TFESI, level_scheme="interlaminar", regions=["cervical"])
    assert levels_offered(work)[0].levels == ("C6-C7", "C7-T1")


def test_bodies_of_the_basivertebral_nerve_are_four() -> None:
    work = replace(TFESI, family="bvn_ablation", level_scheme="basivertebral")
    assert [level for group in levels_offered(work) for level in group.levels] == ["L3", "L4", "L5", "S1"]


def test_levels_are_needed_where_a_family_has_them() -> None:
    assert needs_levels(TFESI)
    assert not needs_levels(replace(TFESI, level_scheme=""))  # caudal
    assert not needs_levels(replace(TFESI, family="discography"))


def test_only_side_is_the_default() -> None:
    assert default_side(replace(TFESI, laterality=["midline"])) == "midline"
    assert default_side(TFESI) == ""


def test_good_target_has_no_findings() -> None:
    assert validate_target(TFESI, "right", ["L4-L5", "S1"]) == []
    assert validate_target(KNEE, "left", []) == []
    assert validate_target(replace(TFESI, family="discography"), "left", []) == []


@pytest.mark.parametrize(
    ("work", "side", "levels", "expected"),
    [
        (replace(TFESI, is_offered=False), "right", ["L4-L5"], [("procedure_not_offered", "")]),
        (replace(TFESI, is_retired=True), "right", ["L4-L5"], [("procedure_not_offered", "")]),
        (TFESI, "midline", ["L4-L5"], [("side_not_offered", "")]),
        (TFESI, "", ["L4-L5"], [("side_not_offered", "")]),
        (TFESI, "right", [], [("level_not_offered", "")]),
        (TFESI, "right", ["C5-C6", "L4-L5"], [("level_not_offered", "C5-C6")]),
        (TFESI, "right", ["L4-L5", "L4-L5"], [("level_not_offered", "L4-L5 twice")]),
        (TFESI, "right", ["caudal"], [("level_not_offered", "caudal")]),
        (KNEE, "left", ["L4-L5"], [("level_not_offered", "L4-L5")]),
        (
            replace(TFESI, is_offered=False),
            "up",
            ["X9"],
            [("procedure_not_offered", ""), ("side_not_offered", ""), ("level_not_offered", "X9")],
        ),
    ],
)
def test_everything_wrong_with_a_target_is_said_at_once(
    work: Work, side: str, levels: list[str], expected: list[tuple[str, str]]
) -> None:
    found = validate_target(work, side, levels)
    assert [(each.code, each.about) for each in found] == expected
    assert all(each.structural for each in found)


def test_messages_say_what_would_do() -> None:
    (wrong,) = validate_target(replace(TFESI, laterality=["midline"]), "left", ["L4-L5"])
    assert wrong.message == "Transforaminal epidural is not done left. Choose midline."
    (wrong,) = validate_target(TFESI, "", ["L4-L5"])
    assert wrong.message == "The side is missing or unknown. Choose left, right or bilateral."
    (wrong,) = validate_target(KNEE, "left", ["L4-L5"])
    assert wrong.message == "Genicular block has no level to choose. Leave L4-L5 out."
    (wrong,) = validate_target(replace(TFESI, is_offered=False), "left", ["L4-L5"])
    assert wrong.message.endswith("Choose another procedure, or ask a manager to switch it on.")
    (wrong,) = validate_target(replace(TFESI, is_retired=True), "left", ["L4-L5"])
    assert wrong.message.endswith("was retired from the catalogue. Choose another procedure.")
    (wrong,) = validate_target(TFESI, "left", [])
    assert wrong.message == "No level is chosen. Choose one or more from L1-L2 to S4."


@pytest.mark.parametrize(
    ("text", "runs", "levels"),
    [
        ("L4-L5", False, ("L4-L5",)),
        ("l4/5, L5 – S1 and s1", False, ("L4-L5", "L5-S1", "S1")),
        ("C5-6 C6-7", False, ("C5-C6", "C6-C7")),
        ("L3-5", True, ("L3-L4", "L4-L5")),
        ("T12-L2", True, ("T12-L1", "L1-L2")),
        ("L4", False, ("L4",)),
        ("", False, ()),
    ],
)
def test_levels_are_read_as_people_type_them(text: str, runs: bool, levels: tuple[str, ...]) -> None:
    assert read_levels(text, runs=runs) == levels


@pytest.mark.parametrize(("text", "runs"), [("L3-5", False), ("L5-3", True), ("L9", False), ("knee", True), ("S1-S4", True)])
def test_read_levels_refuses_what_is_no_level(text: str, runs: bool) -> None:
    with pytest.raises(ValueError, match="is not a level"):
        read_levels(text, runs=runs)


@pytest.mark.parametrize(
    ("levels", "side", "scheme", "text"),
    [
        (["L4-L5", "L3-L4"], "right", "facet_nerves", "L3-L5 right"),
        (["L5-S1", "L4-L5"], "bilateral", "foramina", "L4-L5, L5-S1 bilateral"),
        (["C2-C3", "C5-C6", "C6-C7"], "left", "facet_joints", "C2-C3, C5-C7 left"),
        (["C7-T1"], "midline", "interlaminar", "C7-T1"),
        (["L3", "S1"], "midline", "basivertebral", "L3, S1"),
        (["S1"], "left", "facet_joints", "S1 left"),
        ([], "left", "", "left"),
        ([], "midline", "", "midline"),
        ([], "", "", ""),
    ],
)
def test_target_is_shown_as_staff_say_it(levels: list[str], side: str, scheme: str, text: str) -> None:
    assert shown(levels, side, scheme=scheme) == text


def test_unknown_levels_come_last_in_order() -> None:
    assert in_order(["S2", "X1", "L5-S1", "T12-L1", "S1", "L5-S1"]) == ("T12-L1", "L5-S1", "S1", "S2", "X1")


@given(st.sets(st.sampled_from(PAIRS), min_size=1), st.sampled_from(["facet_nerves", "foramina"]))
def test_what_is_shown_can_be_read_again(levels: set[str], scheme: str) -> None:
    text = shown(levels, "", scheme=scheme)
    assert read_levels(text, runs=scheme == "facet_nerves") == in_order(levels)


# --- regions -------------------------------------------------------------------------------------------------------

JOINT = Work(name="Joint injection", family="joint_injection", approach="", regions=["shoulder", "hip", "knee"], level_scheme="")
ANYWHERE = Work(name="Trigger points", family="tpi", approach="", regions=["any"], level_scheme="")
NERVE = Work(name="Nerve block", family="peripheral_nerve_block", approach="", regions=["peripheral"], level_scheme="")
PULSED = Work(name="Pulsed RF", family="pulsed_rf", regions=["cervical", "lumbar", "peripheral"], level_scheme="foramina")


def test_regions_are_the_words_of_the_catalogue_from_head_to_tail() -> None:
    assert set(BODY) == set(ALL_REGIONS) - {"any"}
    assert all(set(within) <= set(BODY) for within in WITHIN.values())


@pytest.mark.parametrize(
    ("work", "offered", "default"),
    [
        (KNEE, ("knee",), ("knee",)),
        (JOINT, ("shoulder", "hip", "knee"), ()),
        (ANYWHERE, BODY, ()),
        (NERVE, WITHIN["peripheral"], ()),
        (TFESI, (), ()),  # its levels say where
        (PULSED, WITHIN["peripheral"], ()),  # off the spine only
    ],
)
def test_regions_offered_are_those_that_no_level_says(work: Work, offered: tuple[str, ...], default: tuple[str, ...]) -> None:
    assert regions_offered(work) == offered
    assert default_regions(work) == default


def codes_of(work: Work, *regions: str, is_booked: bool = False) -> list[str]:
    return [finding.key for finding in validate_target(work, "left", (), regions, is_booked=is_booked)]


def test_region_is_asked_for_only_where_there_is_a_choice() -> None:
    assert codes_of(KNEE) == codes_of(KNEE, "knee") == codes_of(JOINT, "hip", "knee") == codes_of(PULSED) == []
    assert codes_of(JOINT) == codes_of(ANYWHERE) == ["region_not_offered"]
    assert codes_of(JOINT, is_booked=True) == []


def test_region_that_is_not_offered_is_refused_even_for_a_booked_case() -> None:
    assert codes_of(KNEE, "hip", is_booked=True) == ["region_not_offered:hip"]
    (finding,) = validate_target(JOINT, "left", (), ("groin",))
    assert finding.message == "Joint injection is not offered for Groin. Choose Shoulder, Hip or Knee."
    (finding,) = validate_target(TFESI, "left", ("L4-L5",), ("knee",))
    assert finding.message == "Transforaminal epidural is not offered for Knee. It has no region to choose."


def test_guidance_is_part_of_the_target() -> None:
    assert [finding.code for finding in validate_target(KNEE, "left", (), (), "ct")] == ["guidance_not_offered"]


def test_target_touches_the_regions_of_its_levels_too() -> None:
    assert touched(("L4-L5", "C5-C6", "what"), ("knee",)) == ("cervical", "lumbar", "knee")


@pytest.mark.parametrize(
    ("text", "regions"),
    [("", ()), ("knee", ("knee",)), ("Head and neck; LOW  back", ("head_neck", "lumbar")), ("hip+knee", ("hip", "knee"))],
)
def test_regions_are_read_as_files_give_them(text: str, regions: tuple[str, ...]) -> None:
    assert read_regions(text) == regions


@pytest.mark.parametrize("text", ["elbow", "knee; elbow", "any"])
def test_read_regions_refuses_what_is_no_region(text: str) -> None:
    with pytest.raises(ValueError, match="is not a region of the body"):
        read_regions(text)


@pytest.mark.parametrize("region", BODY)
def test_region_in_words_can_be_read_again(region: str) -> None:
    assert read_regions(regions_in_words([region])) == (region,)


def test_regions_are_shown_as_staff_say_them() -> None:
    assert regions_in_words(()) == ""
    assert regions_in_words(("lumbar", "pelvis", "hip")) == "Low back, pelvis and hip"
    assert shown((), "left", regions=("knee",)) == "knee left"
    assert shown(("L4-L5",), "right", regions=("knee",)) == "L4-L5, knee right"
