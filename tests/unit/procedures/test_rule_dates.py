"""Sessions of the day and ahead, moments and zones, and the dates on which an answer changes by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

from procedures.rules import Facts, Finding, Session, Severity
from procedures.rules.book import Switches
from procedures.rules.clinic.safety import years_between
from procedures.rules.dates import as_date, told
from procedures.rules.earliest import earliest_covered, turning_points
from procedures.rules.facts import (
    Authorization,
    Coverage,
    Lab,
    Medication,
    Score,
)
from tests.unit.procedures.live_facts import BOOK, MEDICARE, ON, ZONE, extra, judged, live, refusing, want


def test_what_is_booked_on_the_date_is_looked_at_together() -> None:
    booked = Session(ON, "esi_caudal", "esi", "booked", approach="caudal")
    assert "mcr_tpi_same_day" in refusing(live(want("tpi"), sessions=(booked,), medications=()))
    neck = live(want("esi_il_cervical", levels=("C7-T1",)), sessions=(booked,), medications=())
    assert "mcr_esi_one_region" in refusing(neck)
    joints = tuple(Session(ON, "joint_major", "joint_injection", "booked", site=site) for site in ("left_knee", "left_hip"))
    assert "mcr_tpi_same_day" not in refusing(live(want("tpi"), sessions=joints, medications=()))


def test_first_covered_date_looks_past_sessions_that_lie_ahead() -> None:
    days = [date(2026, 4, 1), date(2026, 9, 1), date(2026, 12, 1), date(2027, 2, 1)]
    good = tuple(
        Session(
            day, "esi_caudal", "esi", "performed", approach="caudal", scores=(Score(day + timedelta(days=100), Fraction(60)),)
        )
        for day in days
    )
    ahead = Session(date(2027, 4, 1), "esi_caudal", "esi", "booked", approach="caudal")
    cap = replace(live(want("esi_caudal"), sessions=(*good, ahead), medications=()), is_complete=True)
    rules = [rule for rule in BOOK.rules(cap, ON) if rule.code == "mcr_esi_cap"]
    assert earliest_covered(rules, cap, ON) == date(2027, 4, 1)
    assert earliest_covered(rules, cap, date(2027, 4, 2)) == date(2027, 9, 1)
    never = [rule for rule in BOOK.rules(cap, ON, Switches(off=frozenset({"mcr_esi_cap"}))) if rule.code == "mcr_esi_levels_il"]
    wide = replace(cap, request=replace(cap.request, several=(want("esi_il_lumbar", levels=("L4-L5", "L5-S1")),)))
    assert earliest_covered(never, wide, ON) is None


def test_first_covered_date_after_an_hour_of_the_day_is_the_next_day() -> None:
    taken = (Medication("rivaroxaban", datetime(2027, 3, 8, 12), is_taken=False, is_cleared=True),)
    facts = replace(live(want("esi_caudal"), medications=taken, request={"starts_at": datetime(2027, 3, 9, 9)}), is_complete=True)
    assert earliest_covered([BOOK.thinners], facts, ON) == date(2027, 3, 12)
    assert earliest_covered(lambda on: [BOOK.thinners], facts, ON) == date(2027, 3, 12)


def test_laboratory_above_its_limit_passes_with_its_window() -> None:
    taken = (Medication("warfarin", date(2027, 3, 1), is_taken=False, is_cleared=True),)
    facts = replace(live(want("esi_caudal"), medications=taken, labs=(Lab("inr", ON, Fraction(3)),)), is_complete=True)
    assert earliest_covered([BOOK.thinners], facts, ON) == date(2027, 3, 11)


def test_rules_that_change_give_their_own_dates() -> None:
    facts = replace(live(want("tpi"), coverage=Coverage("none", "self_pay"), medications=()), is_complete=True)
    switches = extra(
        applies_to=["tpi"], type="noncovered", params={"when": "always"}, effective_from="2027-03-01", effective_to="2027-05-31"
    )
    found = earliest_covered(
        lambda on: BOOK.rules(facts, on, switches), facts, ON, turns=lambda on: BOOK.turning_points(facts, on, switches)
    )
    assert found == date(2027, 6, 1)


def test_a_moment_with_a_zone_is_shown_on_the_wall_of_the_clinic() -> None:
    taken = (Medication("rivaroxaban", datetime(2027, 3, 8, 17, tzinfo=UTC), is_taken=False, is_cleared=True),)
    facts = live(want("esi_caudal"), medications=taken, request={"starts_at": datetime(2027, 3, 9, 14, tzinfo=UTC)})
    found = judged(facts)
    assert found["antithrombotic_hold:rivaroxaban"].earliest == datetime(2027, 3, 11, 12)
    assert found["antithrombotic_hold:rivaroxaban"].facts["last_dose"] == "2027-03-08 12:00"
    assert as_date(datetime(2027, 3, 9, 3, tzinfo=UTC), ZONE) == date(2027, 3, 8)
    assert told(None) == "never by waiting"


def test_a_past_dose_of_a_drug_still_taken_counts_from_the_booking() -> None:
    taken = (Medication("clopidogrel", date(2027, 2, 1), is_taken=True, is_cleared=True),)
    found = judged(live(want("esi_caudal"), medications=taken))
    assert "antithrombotic_hold:clopidogrel" not in found
    found = judged(live(want("esi_caudal"), medications=taken, as_of=None))
    assert found["antithrombotic_hold:clopidogrel"].earliest == date(2027, 3, 16)


def test_age_is_that_of_the_date_of_service() -> None:
    assert (years_between(date(1971, 3, 10), ON), years_between(date(1971, 3, 9), ON)) == (55, 56)


def turns_of(facts: Facts, code: str, payer: str = "") -> list[date]:
    """Return the dates that the rules of one row give, in order."""
    held = replace(facts, coverage=replace(facts.coverage, payer_rules=payer or facts.coverage.payer_rules))
    rules = [rule for rule in BOOK.rules(held, ON) if rule.code == code]
    assert rules
    return sorted(
        {day for rule in rules for day in turning_points([rule], held)}
        - {session.on + timedelta(days=1) for session in held.standing}
    )


def test_dates_on_which_a_rule_changes_its_mind_are_told() -> None:
    on = date(2025, 6, 1)
    epidural = live(want("esi_caudal"), sessions=(Session(on, "esi_caudal", "esi", "performed", approach="caudal"),))
    assert turns_of(epidural, "mcr_esi_over_12m") == [date(2026, 6, 2)]
    assert turns_of(epidural, "bcbs_sc_episode", "bcbs_south_carolina") == [date(2027, 6, 1)]
    assert turns_of(epidural, "mcr_esi_initial") == turns_of(epidural, "mcr_esi_repeat_response") == []
    approved = replace(
        MEDICARE, authorizations=(Authorization("esi", "esi", "approved", on), Authorization("esi", "esi", "pending"))
    )
    assert turns_of(replace(epidural, coverage=approved), "mcr_wiser") == [on]
    ablation = Session(on, "rfa_facet_lumbar", "facet_rfa", "performed", "left", ("L4-L5",))
    again = live(want("rfa_facet_lumbar", side="left", levels=("L4-L5",)), sessions=(ablation,))
    assert turns_of(again, "mcr_facet_rfa_stale") == turns_of(again, "mcr_facet_rfa_repeat") == [date(2027, 6, 2)]
    assert turns_of(again, "mcr_facet_rfa_prereq") == []
    labs = (Lab("inr", ON, Fraction(1)),)
    assert turns_of(replace(epidural, labs=labs), "diabetes_a1c") == [ON, ON + timedelta(days=1)]
    assert turns_of(replace(epidural, labs=labs), "diabetes_day_of") == [ON, ON + timedelta(days=1)]
    assert turns_of(replace(epidural, labs=labs), "antithrombotics") == [ON, ON + timedelta(days=2)]


def test_first_criteria_of_a_plan_with_a_reset_turn_with_it() -> None:
    on = date(2025, 6, 1)
    facts = live(
        want("esi_caudal"), sessions=(Session(on, "esi_caudal", "esi", "performed", approach="caudal"),),
        coverage=Coverage("bcbs_south_carolina", "commercial"),
    )  # fmt: skip
    switches = extra(applies_to=["esi"], type="initial_criteria", params={"min_pain_weeks": 4})
    assert date(2027, 6, 1) in BOOK.turning_points(facts, ON, switches)


def test_a_rule_without_such_dates_is_not_asked() -> None:
    class Plain:
        code = "plain"

        def check(self, facts: Facts, on: date) -> None:
            return None

    assert turning_points([Plain()], live(want("tpi"))) == []


def test_search_for_a_covered_date_ends() -> None:
    class Always:
        code = "always"

        def check(self, facts: Facts, on: date) -> Finding:
            return Finding("always", Severity.BLOCKER, "Never today.", earliest=on + timedelta(days=1))

    assert earliest_covered([Always()], live(want("tpi")), ON) is None
