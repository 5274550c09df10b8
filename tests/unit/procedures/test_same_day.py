"""Two cases on one date are one session: what is counted of both together, with both sides of each edge."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from procedures.rules import Facts, Finding, Session, assess
from procedures.rules.book import Switches
from procedures.rules.facts import Coverage
from tests.unit.procedures.live_facts import BOOK, MEDICARE, ON, extra, judged, live, want

TRIAMCINOLONE: dict[str, Any] = {"drug": "triamcinolone_acetonide", "dose_mg": Fraction(40)}


def epidural(*levels: str, status: str = "booked", side: str = "left", **details: Any) -> Session:
    return Session(ON, "esi_tf_lumbar", "esi", status, side, levels, approach="transforaminal", **details)


def asked(*sessions: Session, levels: tuple[str, ...] = ("L4-L5",), side: str = "left", **facts: Any) -> Facts:
    details = {name: facts.pop(name) for name in ("drug", "dose_mg", "bilateral_reason") if name in facts}
    coverage: Coverage = facts.pop("coverage", MEDICARE)
    return live(want("esi_tf_lumbar", side=side, levels=levels, **details), sessions=sessions, coverage=coverage, **facts)


def said(code: str, facts: Facts, switches: Switches | None = None) -> list[Finding]:
    rules = BOOK.rules(facts, ON, switches or Switches())
    return [finding for finding in assess(rules, facts, ON) if finding.code == code and finding.refuses]


@pytest.mark.parametrize(
    ("other", "speaks"),
    [
        (epidural("L5-S1"), False),  # two levels in one session
        (epidural("L5-S1", "L3-L4"), True),
        (epidural("L4-L5", "L3-L4"), False),  # one of them is the same
        (epidural("L5-S1", "L3-L4", status="cancelled"), False),
        (epidural("L5-S1", "L3-L4", status="performed"), True),
        (replace(epidural("L5-S1", "L3-L4"), approach="interlaminar"), False),
        (replace(epidural("L5-S1", "L3-L4"), family="mbb_diagnostic"), False),
    ],
)
def test_levels_of_one_date_are_counted_together(other: Session, speaks: bool) -> None:
    found = said("mcr_esi_levels_tf", asked(other))
    assert bool(found) is speaks
    if speaks:
        assert (found[0].facts["counted"], found[0].facts["limit"], found[0].facts["same_day"]) == (3, 2, other.told)


@pytest.mark.parametrize(("reason", "speaks"), [("", True), ("Both roots hurt.", False)])
def test_other_side_of_a_level_the_same_day_needs_its_reason(reason: str, speaks: bool) -> None:
    facts = asked(epidural("L4-L5", side="right"), bilateral_reason=reason)
    assert bool(said("mcr_esi_levels_tf", facts)) is speaks
    assert not said("mcr_esi_levels_tf", asked(epidural("L3-L4", side="right")))


@pytest.mark.parametrize(("most", "speaks"), [(2, False), (1, True)])
def test_injections_of_both_sides_of_one_date_are_counted_together(most: int, speaks: bool) -> None:
    row = extra(type="combined", params={"max_levels": 3, "max_injections_bilateral": most}, applies_to=["esi"])
    assert bool(said("own", asked(epidural("L4-L5", side="right")), row)) is speaks


def test_payer_regions_of_one_date_are_counted_together() -> None:
    params = {"max_levels": 4, "regions_per_session": 1}
    row = extra(type="level_limit", params=params, applies_to=["esi"])
    assert said("own", asked(epidural("T8-T9")), row)
    assert not said("own", asked(epidural("L5-S1")), row)


@pytest.mark.parametrize(("dose", "speaks"), [(40, False), (41, True)])
def test_dose_of_one_date_keeps_the_ceiling_of_one_session(dose: int, speaks: bool) -> None:
    other = epidural("L5-S1", drug="triamcinolone_acetonide", dose_mg=Fraction(dose))
    for code in ("mcr_esi_dose", "esi_dose_ceiling"):
        found = said(code, asked(other, **TRIAMCINOLONE))
        assert bool(found) is speaks
        if speaks:
            assert found[0].facts["same_day"] == other.told
    # What is over the ceiling without this one is not this one's.
    assert not said("mcr_esi_dose", asked(epidural("L5-S1", drug="dexamethasone", dose_mg=Fraction(20)), **TRIAMCINOLONE))
    assert not said("mcr_esi_dose", asked(other, drug=""))


@pytest.mark.parametrize(("dose", "speaks"), [(280, False), (281, True)])
def test_total_counts_what_is_given_the_same_day(dose: int, speaks: bool) -> None:
    other = epidural("T8-T9", drug="methylprednisolone_acetate", dose_mg=Fraction(dose))
    found = said("cumulative_general", asked(other, conditions=frozenset(), **TRIAMCINOLONE))
    assert bool(found) is speaks
    if speaks:
        assert (found[0].facts["counted"], found[0].facts["sessions"]) == (321, other.told)
        assert found[0].earliest == ON.replace(year=ON.year + 1)


@pytest.mark.parametrize(("most", "speaks"), [(3, False), (2, True)])
def test_cap_on_injections_counts_those_of_the_same_day(most: int, speaks: bool) -> None:
    cap = {"max_sessions": most, "unit": "injection", "window": {"kind": "rolling", "months": 12}}
    row = extra(type="session_cap", params=cap, applies_to=["esi"])
    other = epidural("L5-S1", "L3-L4")
    found = said("own", asked(other), row)
    assert bool(found) is speaks
    if speaks:
        assert (found[0].facts["counted"], found[0].facts["adds"], found[0].facts["same_day"]) == (0, 3, other.told)
        assert found[0].earliest is not None


def test_cap_on_sessions_counts_one_date_once() -> None:
    row = extra(type="session_cap", params={"max_sessions": 1, "window": {"kind": "rolling", "months": 12}}, applies_to=["esi"])
    assert not said("own", asked(epidural("L5-S1", "L3-L4")), row)


@pytest.mark.parametrize(("other", "speaks"), [(("L4",), False), (("L4", "L5"), True)])
def test_vertebral_bodies_of_one_date_are_one_session(other: tuple[str, ...], speaks: bool) -> None:
    beside = Session(ON, "bvn_ablation", "bvn_ablation", "booked", "midline", other)
    facts = live(want("bvn_ablation", levels=("L3",), modic_type=1), sessions=(beside,))
    found = said("mcr_bvn_lifetime", facts)
    assert bool(found) is speaks
    if speaks:
        assert {one.about: one.facts["counted"] for one in found} == {"session": 3}
    told = judged(facts)["mcr_bvn_lifetime"].facts
    assert (told["adds"], told["same_day"]) == (1 + len(other), beside.told)
    most = extra(type="lifetime_cap", params={"max_vertebral_bodies": 2}, applies_to=["bvn_ablation"])
    assert bool(said("own", facts, most)) is speaks
