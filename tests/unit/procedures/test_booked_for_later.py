"""What is asked for and a case that is booked for later: intervals, caps and totals, with both sides of each edge."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import pytest

from procedures.rules import Facts, Finding, Session, Severity, assess
from procedures.rules.book import Switches
from procedures.rules.earliest import earliest_covered
from procedures.rules.facts import Coverage
from tests.unit.procedures.live_facts import BOOK, MEDICARE, ON, extra, judged, live, want

DAY = timedelta(days=1)
EVICORE = Coverage("evicore_msk", "commercial")
EIGHTY: dict[str, Any] = {"drug": "methylprednisolone_acetate", "dose_mg": Fraction(80)}


def epidural(on: date, level: str = "L4-L5", status: str = "booked", **details: Any) -> Session:
    details = {"approach": "transforaminal", **details}
    return Session(on, "esi_tf_lumbar", "esi", status, "left", (level,), **details)


def asked(*sessions: Session, level: str = "L4-L5", coverage: Coverage = EVICORE, **facts: Any) -> Facts:
    wanted = want("esi_tf_lumbar", side="left", levels=(level,), drug=facts.pop("drug", ""), dose_mg=facts.pop("dose_mg", None))
    return live(wanted, sessions=sessions, coverage=coverage, **facts)


def said(code: str, facts: Facts, switches: Switches | None = None, on: date = ON) -> list[Finding]:
    rules = BOOK.rules(facts, on, switches or Switches())
    return [finding for finding in assess(rules, facts, on) if finding.code == code and finding.refuses]


# --- intervals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("later", "speaks"),
    [
        (epidural(ON + 14 * DAY), False),  # exactly the interval is enough
        (epidural(ON + 13 * DAY), True),
        (epidural(ON + DAY), True),
        (epidural(ON), False),  # one date is one session
        (epidural(ON + 13 * DAY, status="cancelled"), False),
        (epidural(ON + 13 * DAY, status="no_show"), False),
        (epidural(ON + 13 * DAY, level="T8-T9"), False),  # another payer region
        (Session(ON + 13 * DAY, "tpi", "tpi", "booked"), False),
    ],
)  # fmt: skip
def test_session_too_soon_before_a_booked_one_is_refused_and_names_it(later: Session, speaks: bool) -> None:
    found = said("evi_esi_interval", asked(later))
    assert bool(found) is speaks
    if speaks:
        assert found[0].facts == {"interval": "14 days", "later": later.told}
        assert f"Booked for {later.on}" in found[0].message
        assert found[0].earliest == later.on  # with it, it is one session


def test_case_that_stands_leaves_it_to_the_later_one() -> None:
    facts = asked(epidural(ON + 5 * DAY))
    assert said("evi_esi_interval", facts)
    assert not said("evi_esi_interval", replace(facts, request=replace(facts.request, is_booked=True)))


def test_first_free_day_keeps_the_interval_to_those_before_and_those_after() -> None:
    sessions = (epidural(ON - 4 * DAY, status="performed"), epidural(ON + 20 * DAY), epidural(ON + 40 * DAY))
    [finding] = said("evi_esi_interval", asked(*sessions))
    assert finding.message == (
        f"The session before was on {ON - 4 * DAY}; at least 14 days must lie between, so it is free from {ON + 20 * DAY}."
    )
    assert finding.facts["sessions"] == sessions[0].told
    # Two that are themselves too near: neither their days nor those between are free.
    near = (epidural(ON + 5 * DAY), epidural(ON + 15 * DAY))
    [finding] = said("evi_esi_interval", asked(*near))
    assert finding.earliest == ON + 29 * DAY
    [finding] = said("evi_esi_interval", asked(epidural(ON - DAY, status="performed"), *near))
    assert (finding.facts["since"], finding.facts["later"]) == (str(ON - DAY), near[0].told)
    assert finding.message == (
        f"The session before was on {ON - DAY}; at least 14 days must lie between. Booked for {ON + 5 * DAY}: esi_tf_lumbar; "
        f"at least 14 days must lie between, so it is free from {ON + 29 * DAY}."
    )


@pytest.mark.parametrize(
    ("side", "ablated", "days", "speaks"),
    [
        ("left", None, 13, True),
        ("left", None, 14, False),
        ("right", None, 13, False),
        ("left", 5, 13, False),
        ("right", 5, 13, False),
        ("left", 0, 13, True),
    ],
)
def test_second_block_too_soon_after_is_of_the_same_site_and_round(
    side: str, ablated: int | None, days: int, speaks: bool
) -> None:
    block = Session(ON + days * DAY, "mbb_lumbar", "mbb_diagnostic", "booked", "left", ("L4-L5",), role="diagnostic")
    ablation = (
        [] if ablated is None else [Session(ON + ablated * DAY, "rfa_facet_lumbar", "facet_rfa", "booked", "left", ("L4-L5",))]
    )
    facts = live(want("mbb_lumbar", side=side, levels=("L4-L5",)), sessions=(block, *ablation))
    assert bool(said("mcr_facet_mbb2_interval", facts)) is speaks


def test_therapeutic_session_ahead_is_no_block() -> None:
    later = Session(ON + DAY, "mbb_lumbar", "mbb_diagnostic", "booked", "left", ("L4-L5",), role="therapeutic")
    assert not said("mcr_facet_mbb2_interval", live(want("mbb_lumbar", side="left", levels=("L4-L5",)), sessions=(later,)))


@pytest.mark.parametrize(("joint", "months", "speaks"), [("left", 1, True), ("left", 2, False), ("right", 1, False)])
def test_the_same_joint_later_counts_and_the_other_does_not(joint: str, months: int, speaks: bool) -> None:
    later = Session(ON.replace(month=ON.month + months), "si_joint_ia", "si_injection", "booked", joint)
    found = said("evi_si", live(want("si_joint_ia", side="left", role="therapeutic"), sessions=(later,), coverage=EVICORE))
    assert bool([finding for finding in found if "interval" in finding.facts]) is speaks


@pytest.mark.parametrize(
    ("before", "days", "speaks"), [(0, 40, False), (1, 40, True), (1, 61, False), (0, 6, True), (0, 7, False)]
)
def test_the_longer_interval_counts_this_session_for_the_later_one(before: int, days: int, speaks: bool) -> None:
    """After two sessions two months: with this one there are two, where one was done before."""
    params = {"days": 7, "initial_max": 2, "later_interval": {"months": 2}}
    row = extra(type="min_interval", params=params, applies_to=["esi"])
    sessions = [*[epidural(ON - 90 * DAY, status="performed")][:before], epidural(ON + days * DAY)]
    assert bool(said("own", asked(*sessions), row)) is speaks


def test_row_of_one_procedure_looks_ahead_for_that_one_only() -> None:
    row = extra(type="min_interval", params={"days": 7}, applies_to=["esi"], procedure_ids=["esi_tf_lumbar"])
    assert said("own", asked(epidural(ON + DAY)), row)
    assert not said("own", asked(replace(epidural(ON + DAY), procedure="esi_caudal")), row)


# --- caps ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "later", "speaks"),
    [
        (3, ON + 60 * DAY, True),
        (2, ON + 60 * DAY, False),
        (3, ON.replace(year=ON.year + 1) - DAY, False),  # those before have left its window
        (0, ON + 60 * DAY, False),
    ],
)
def test_session_that_makes_a_booked_one_too_many_is_refused(before: int, later: date, speaks: bool) -> None:
    held = [epidural(ON - (30 + 60 * number) * DAY, status="performed") for number in range(before)]
    found = said("mcr_esi_cap", asked(*held, epidural(later), coverage=MEDICARE))
    assert bool(found) is speaks
    if speaks:
        assert (found[0].facts["counted"], found[0].facts["limit"]) == (3, 4)
        assert found[0].facts["later"] == epidural(later).told
        assert f"Booked for {later}: esi_tf_lumbar, which would then be session 5 of at most 4." in found[0].message
        assert found[0].earliest == later


@pytest.mark.parametrize(("days", "speaks"), [(0, False), (-1, True)])
def test_anniversary_of_this_session_is_free_for_the_later_one(days: int, speaks: bool) -> None:
    anniversary = ON.replace(year=ON.year + 1)
    later = [epidural(anniversary + days * DAY), *(epidural(anniversary - number * 30 * DAY) for number in (1, 2, 3))]
    assert bool(said("mcr_esi_cap", asked(*later, coverage=MEDICARE))) is speaks


def test_plan_year_begins_with_this_session_where_it_is_the_first() -> None:
    cap = {"max_sessions": 2, "count_per": ["patient"], "window": {"kind": "anchored_year", "anchor": "first_approved_session"}}
    row = extra(type="session_cap", params=cap, applies_to=["esi"])
    year = ON.replace(year=ON.year + 1)
    two = (epidural(year - 60 * DAY), epidural(year - DAY))
    [finding] = said("own", asked(*two), row)
    assert isinstance(finding.earliest, date)
    for on, speaks in ((finding.earliest, False), (finding.earliest - DAY, True)):
        assert bool(said("own", moved(asked(*two), on), row, on)) is speaks
    assert not said("own", asked(two[0], epidural(year)), row)
    fixed = replace(EVICORE, year_anchor=year - 30 * DAY)
    assert not said("own", asked(*two, coverage=fixed), row)


def moved(facts: Facts, on: date) -> Facts:
    return replace(facts, request=replace(facts.request, on=on))


@pytest.mark.parametrize(("most", "speaks"), [(3, False), (2, True)])
def test_injections_of_the_later_session_are_counted(most: int, speaks: bool) -> None:
    cap = {"max_sessions": most, "unit": "injection", "window": {"kind": "rolling", "months": 12}}
    row = extra(type="session_cap", params=cap, applies_to=["esi"])
    later = replace(epidural(ON + 30 * DAY), levels=("L3-L4", "L4-L5"))
    assert bool(said("own", asked(later), row)) is speaks


@pytest.mark.parametrize(("most", "speaks"), [(2, False), (1, True)])
def test_block_that_makes_a_booked_one_too_many_is_refused(most: int, speaks: bool) -> None:
    row = extra(type="combined", params={"max_blocks_same_level_side": most}, applies_to=["mbb_diagnostic"])
    wanted = want("mbb_lumbar", side="left", levels=("L4-L5",))
    later = Session(ON + 20 * DAY, "mbb_lumbar", "mbb_diagnostic", "booked", "left", ("L4-L5",), role="diagnostic")
    found = said("own", live(wanted, sessions=(later,)), row)
    assert bool(found) is speaks
    if speaks:
        assert (found[0].facts["later"], found[0].earliest) == (later.told, None)
    for other in (replace(later, side="right"), replace(later, role="therapeutic")):
        assert not said("own", live(wanted, sessions=(other,)), row)
    ablation = Session(ON + 10 * DAY, "rfa_facet_lumbar", "facet_rfa", "booked", "left", ("L4-L5",))
    assert not said("own", live(wanted, sessions=(later, ablation)), row)


@pytest.mark.parametrize(
    ("mine", "later", "speaks"),
    [(("L3",), ("L4", "L5"), False), (("L4",), ("L4", "L5"), True), (("L3", "S1"), ("L4", "L5"), False)],
)
def test_vertebral_body_booked_for_later_is_not_treated_before(
    mine: tuple[str, ...], later: tuple[str, ...], speaks: bool
) -> None:
    booked = Session(ON + 30 * DAY, "bvn_ablation", "bvn_ablation", "booked", "midline", later)
    facts = live(want("bvn_ablation", levels=mine, modic_type=1), sessions=(booked,))
    found = said("mcr_bvn_lifetime", facts)
    assert bool(found) is speaks
    if speaks:
        assert found[0].facts["later"] == booked.told


@pytest.mark.parametrize(("most", "speaks"), [(3, False), (2, True)])
def test_vertebral_bodies_booked_for_later_fit_into_the_lifetime(most: int, speaks: bool) -> None:
    row = extra(type="lifetime_cap", params={"max_vertebral_bodies": most}, applies_to=["bvn_ablation"])
    booked = Session(ON + 30 * DAY, "bvn_ablation", "bvn_ablation", "booked", "midline", ("L4", "L5"))
    assert bool(said("own", live(want("bvn_ablation", levels=("L3",), modic_type=1), sessions=(booked,)), row)) is speaks


# --- steroids --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "later", "speaks"),
    [
        ("min_interval_steroid", epidural(ON + 13 * DAY, **EIGHTY), True),
        ("min_interval_steroid", epidural(ON + 14 * DAY, **EIGHTY), False),
        ("min_interval_steroid", epidural(ON + 13 * DAY), False),  # without steroid
        ("min_interval_steroid", epidural(ON + 13 * DAY, level="T8-T9", **EIGHTY), False),
        ("min_interval_other_region", epidural(ON + 13 * DAY, level="T8-T9", **EIGHTY), True),
        ("min_interval_other_region", epidural(ON + 14 * DAY, level="T8-T9", **EIGHTY), False),
        ("min_interval_other_region", epidural(ON + 13 * DAY, **EIGHTY), False),
        ("min_interval_steroid", epidural(ON, **EIGHTY), False),
        ("min_interval_steroid", epidural(ON + 13 * DAY, status="cancelled", **EIGHTY), False),
    ],
)
def test_steroid_too_soon_before_a_booked_one(code: str, later: Session, speaks: bool) -> None:
    facts = asked(later, **EIGHTY)
    found = said(code, facts)
    assert bool(found) is speaks
    if speaks:
        assert found[0].facts == {"later": later.told, "interval": "14 days"}
        assert found[0].earliest == later.on
        assert f"is booked for {later.on}; 14 days must lie between, free from {found[0].earliest}." in found[0].message
    assert not said(code, replace(facts, request=replace(facts.request, is_booked=True)))


@pytest.mark.parametrize(
    ("site", "days", "speaks"), [("left_knee", 60, True), ("left_knee", 92, False), ("right_knee", 60, False)]
)
def test_the_same_joint_has_its_steroid_interval_both_ways(site: str, days: int, speaks: bool) -> None:
    later = Session(ON + days * DAY, "joint_major", "joint_injection", "booked", "left", site=site, **EIGHTY)
    facts = live(want("joint_major", side="left", site="left_knee", **EIGHTY), sessions=(later,))
    assert bool(said("min_interval_same_joint", facts)) is speaks
    epidural_now = asked(later, **EIGHTY)  # not into a joint
    assert not said("min_interval_same_joint", epidural_now)


def test_steroid_before_and_after_are_both_told() -> None:
    sessions = (epidural(ON - DAY, status="performed", **EIGHTY), epidural(ON + 5 * DAY, **EIGHTY))
    [finding] = said("min_interval_steroid", asked(*sessions, **EIGHTY))
    assert (finding.facts["sessions"], finding.facts["later"]) == tuple(one.told for one in sessions)
    assert finding.earliest == ON + 19 * DAY


@pytest.mark.parametrize(("dose", "speaks"), [(160, False), (161, True)])
def test_total_of_a_later_steroid_counts_this_one(dose: int, speaks: bool) -> None:
    later = [epidural(ON + 60 * DAY, **EIGHTY), epidural(ON + 90 * DAY, **{**EIGHTY, "dose_mg": Fraction(dose)})]
    facts = asked(*later, conditions=frozenset(), **EIGHTY)
    found = said("cumulative_general", facts)
    assert bool(found) is speaks
    if speaks:
        assert found[0].facts["counted"] == 80
        assert found[0].facts["later"] == later[1].told
        assert "with which it would be 321.0 mg." in found[0].message
        assert isinstance(found[0].earliest, date)
        assert not said("cumulative_general", moved(facts, found[0].earliest), on=found[0].earliest)
        assert said("cumulative_general", moved(facts, found[0].earliest - DAY), on=found[0].earliest - DAY)
        assert not said("cumulative_general", replace(facts, request=replace(facts.request, is_booked=True)))
    gone = [replace(one, on=one.on.replace(year=one.on.year + 1)) for one in later]
    assert not said("cumulative_general", asked(*gone, conditions=frozenset(), **EIGHTY))


def test_later_total_that_only_the_usual_dose_makes_too_much_waits() -> None:
    later = epidural(ON + 60 * DAY, **{**EIGHTY, "dose_mg": Fraction(300)})
    facts = asked(later, conditions=frozenset(), **EIGHTY)
    guess = replace(facts.request.wanted[0], has_drug_told=False)
    waiting = judged(replace(facts, request=replace(facts.request, several=(guess,))))["cumulative_general"]
    assert (waiting.pending, waiting.severity) == (True, Severity.NEEDS_OVERRIDE)


# --- all together ----------------------------------------------------------------------------------------------------


def test_earliest_covered_keeps_clear_of_what_is_booked() -> None:
    facts = asked(epidural(ON + 5 * DAY), epidural(ON + 15 * DAY), **EIGHTY)
    rules = [rule for rule in BOOK.rules(facts, ON) if rule.code == "evi_esi_interval"]
    found = earliest_covered(rules, facts, ON)
    assert found == ON + 29 * DAY
    for on, speaks in ((found, False), (found - DAY, True)):
        assert bool([one for one in assess(rules, moved(facts, on), on) if one.refuses]) is speaks
