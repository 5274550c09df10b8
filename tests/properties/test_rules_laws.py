"""Laws of the rules: earliest is really the first, the order of facts does not matter, a worse fact never helps."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from procedures import tables
from procedures.rules import Facts, Finding, Request, Rule, Session, Severity, assess, decision
from procedures.rules.book import Switches
from procedures.rules.clinic.drugs import SECOND_SET
from procedures.rules.clinic.steroids import SteroidInterval, Total
from procedures.rules.earliest import at_date, blocks, earliest_covered
from procedures.rules.facts import (
    Allergy,
    Authorization,
    Coverage,
    Implant,
    Lab,
    Medication,
    Presentation,
    Score,
    Stent,
    Surgery,
    Vaccine,
    Wanted,
)
from procedures.rules.offers import TECHNIQUES, TEMPERATURES, Offer, bleeding_class
from procedures.rules.payer.blocks import TherapeuticFacet
from procedures.rules.payer.caps import MinInterval, SessionCap
from procedures.rules.payer.repeats import CystRepeat, RepeatResponse
from procedures.rules.payer.rounds import MaxBlocks

BOOK = tables.book_of_files()
ON = date(2027, 3, 9)
AS_OF = date(2027, 3, 1)
ZONE = ZoneInfo("America/Los_Angeles")
DAY = timedelta(days=1)
LUMBAR = ("L3-L4", "L4-L5", "L5-S1")
WORKS = ("esi_tf_lumbar", "esi_caudal", "esi_il_lumbar", "mbb_lumbar", "facet_ia_lumbar", "rfa_facet_lumbar", "si_joint_ia",
         "tpi", "joint_major", "facet_cyst_rupture", "stellate_block", "snrb")  # fmt: skip
LOOKING_AHEAD = (SessionCap, MinInterval, MaxBlocks, SteroidInterval, Total)
PAYERS = (*sorted(BOOK.payer_sets), "none")
# A response that is not met stays so on its earliest date, until a score is recorded (convention response_earliest).
WAIT_FOR_SCORES = (RepeatResponse, TherapeuticFacet, CystRepeat)

percents = st.sampled_from([0, 20, 49, 50, 60, 75, 80, 90]).map(Fraction)
sides = st.sampled_from(["left", "right", "bilateral"])
roles = st.sampled_from(["diagnostic", "therapeutic"])


def role_of(offer: Offer, chosen: str) -> str:
    return chosen if offer.needs_role else offer.default_role


@st.composite
def sessions(draw: st.DrawFn, last: date = AS_OF) -> Session:
    offer = BOOK.offers[draw(st.sampled_from(WORKS))]
    on = last - timedelta(days=draw(st.integers(0, 1100)))
    held = on + timedelta(days=draw(st.sampled_from([1, 13, 14, 42, 89, 95, 200])))
    pain, function = draw(percents), draw(percents)
    scores = draw(st.sampled_from([(), (Score(on, pain, function),), (Score(on, pain, function), Score(held, pain, function))]))
    drug, dose = offer.default_steroid
    return Session(
        on, offer.id, offer.family, draw(st.sampled_from(["performed", "performed", "performed", "cancelled", "no_show"])),
        draw(sides) if offer.needs_side else "midline",
        tuple(draw(st.lists(st.sampled_from(LUMBAR), min_size=1, max_size=2, unique=True))) if offer.needs_levels else (),
        draw(st.booleans()), role=role_of(offer, draw(roles)), approach=offer.approach, drug=drug, dose_mg=dose,
        site=draw(st.sampled_from(["left_knee", "right_knee"])) if offer.id == "joint_major" else "",
        scores=tuple(score for score in scores if score.on <= AS_OF),
        function_improved=draw(st.sampled_from([None, True, False])),
    )  # fmt: skip


@st.composite
def planned(draw: st.DrawFn) -> Session:
    """Return something booked for the day of the request or later."""
    on = ON + timedelta(days=draw(st.sampled_from([0, 1, 6, 13, 14, 29, 60, 95, 190, 360])))
    return replace(draw(sessions()), on=on, status="booked", is_elsewhere=False, scores=(), function_improved=None)


@st.composite
def wanted(draw: st.DrawFn) -> Wanted:
    offer = BOOK.offers[draw(st.sampled_from(WORKS))]
    levels = tuple(draw(st.lists(st.sampled_from(LUMBAR), min_size=1, max_size=3, unique=True))) if offer.needs_levels else ()
    drug, dose = draw(st.sampled_from([offer.default_steroid, ("methylprednisolone_acetate", Fraction(80)), ("", None)]))
    technique = TECHNIQUES.get(offer.family, "")
    return Wanted(
        offer.id, offer.family, draw(sides) if offer.needs_side else "midline", levels, role_of(offer, draw(roles)),
        site=draw(st.sampled_from(["left_knee", "right_knee"])) if offer.id == "joint_major" else "", drug=drug, dose_mg=dose,
        bilateral_reason=draw(st.sampled_from(["", "both"])), guidance=offer.guidance,
        contrast=offer.contrast_with(offer.guidance), technique=technique, temperature_c=TEMPERATURES.get(technique),
        modic_type=1, bleeding_class=bleeding_class(offer, levels, BOOK.offers.values()), category=offer.category,
        approach=offer.approach, codes=offer.codes, driver=offer.driver, offered_regions=offer.regions,
    )  # fmt: skip


days = st.integers(-400, 60).map(lambda ahead: ON + timedelta(days=ahead))
doses = st.one_of(
    st.integers(-9, 3).map(lambda ahead: ON + timedelta(days=ahead)),
    st.integers(-240, 12).map(lambda ahead: datetime(2027, 3, 9, 9) + timedelta(hours=ahead)),
)
medications = st.builds(
    Medication, drug=st.sampled_from(["clopidogrel", "warfarin", "rivaroxaban", "aspirin_primary", "herb_ginkgo", "vorapaxar"]),
    last_dose=doses, is_taken=st.just(False), is_cleared=st.booleans(), is_decided=st.booleans(),
)  # fmt: skip


approvals = st.builds(Authorization, st.just("esi"), st.just("esi"), st.just("approved"), days)


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    asked = tuple(draw(st.lists(wanted(), min_size=1, max_size=2)))
    first = asked[0]
    starts_at = draw(st.sampled_from([None, datetime(2027, 3, 9, 9, 0)]))
    request = Request(
        ON, first.procedure, first.family, first.side, first.levels, starts_at, draw(st.sampled_from(["none", "moderate"])),
        several=asked, place_of_service=draw(st.sampled_from(["11", "22"])), state=draw(st.sampled_from(["CA", "OH"])),
        has_driver=draw(st.booleans()), rationale=draw(st.sampled_from(["", "why"])),
        premedication=draw(st.sampled_from(["", "oral_prednisone"])),
    )  # fmt: skip
    return Facts(
        request, (*draw(st.lists(sessions(), max_size=7)), *draw(st.lists(planned(), max_size=3))),
        as_of=AS_OF, zone=ZONE, age=60, sex="female", pregnant=False,
        conditions=draw(st.sampled_from([frozenset[str](), frozenset({"osteoporosis"}), frozenset({"diabetes"})])),
        antibiotics_until=draw(st.one_of(st.none(), days)), has_infection=False,
        medications=tuple(draw(st.lists(medications, max_size=2, unique_by=lambda one: one.drug))),
        vaccines=tuple(draw(st.lists(st.builds(Vaccine, st.sampled_from(["covid_mrna", "live"]), days), max_size=2))),
        labs=tuple(draw(st.lists(st.builds(
            Lab, st.sampled_from(["inr", "glucose", "hba1c"]), st.integers(-3, 3).map(lambda ahead: ON + timedelta(days=ahead)),
            st.sampled_from([Fraction(1), Fraction(9), Fraction(260)])), max_size=3))),
        allergies=tuple(draw(st.lists(st.just(Allergy("iodinated_contrast", "mild")), max_size=1))), implants=(),
        stents=tuple(draw(st.lists(st.builds(Stent, st.sampled_from(["bare", "drug_eluting"]), days), max_size=1))),
        surgeries=tuple(draw(st.lists(st.builds(Surgery, st.just("arthroplasty"), st.just("left_knee"), days), max_size=2))),
        presentation=Presentation(missing=draw(st.sampled_from([frozenset[str](), frozenset({"baseline_scale_named"})]))),
        coverage=Coverage(
            draw(st.sampled_from(PAYERS)), "original_medicare",
            tuple(draw(st.lists(approvals, max_size=1))),
        ),
        is_complete=True,
    )  # fmt: skip


def refusing(rule: Rule, one: Facts, on: date) -> list[Finding]:
    return [finding for finding in assess([rule], one, on) if finding.refuses]


@given(facts(), st.randoms(use_true_random=False))
@settings(max_examples=120)
def test_the_order_of_facts_and_rules_does_not_matter(one: Facts, chance: random.Random) -> None:
    def mixed(held: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(chance.sample(held, len(held)))

    other = replace(
        one,
        sessions=mixed(one.sessions),
        medications=mixed(one.medications or ()),
        vaccines=mixed(one.vaccines),
        labs=mixed(one.labs),
        surgeries=mixed(one.surgeries),
    )
    rules = BOOK.rules(one, ON)
    assert assess(rules, one, ON) == assess(mixed(rules), other, ON)  # type: ignore[arg-type]


@given(facts())
@settings(max_examples=250)
def test_earliest_is_really_the_first_for_the_rule_alone(one: Facts) -> None:
    for rule in BOOK.rules(one, ON):
        if isinstance(rule, WAIT_FOR_SCORES):
            continue
        found = refusing(rule, one, ON)
        for finding in found:
            if finding.earliest is None:
                continue
            moment = finding.earliest
            assert not still(rule, one, moment, finding), (rule.code, moment)
            # A rule with several windows or sites tells its own latest date: one of its findings must stand until then.
            together = [it for it in found if it.earliest == moment and it.code == finding.code]
            assert any(still(rule, one, just_before(moment), it) for it in together), (rule.code, moment)


def just_before(moment: date) -> date:
    return moment - timedelta(minutes=5) if isinstance(moment, datetime) else moment - DAY


def still(rule: Rule, one: Facts, moment: date, finding: Finding) -> bool:
    if isinstance(moment, datetime):
        request = replace(one.request, on=moment.date(), starts_at=moment)
        moved, on = replace(one, request=request), moment.date()
    else:
        moved, on = at_date(one, moment), moment
    # Which of the windows of a cap is full may change from day to day; the date is that of the whole row.
    return on >= ON and any(
        (isinstance(rule, SessionCap) or it.key == finding.key) and it.severity is finding.severity
        for it in refusing(rule, moved, on)
    )


@given(facts())
@settings(max_examples=60)
def test_earliest_covered_is_what_trying_every_day_finds(one: Facts) -> None:
    found = earliest_covered(lambda on: BOOK.rules(one, on), one, ON, turns=lambda on: BOOK.turning_points(one, on))
    horizon = 1300
    tried = next((ON + DAY * ahead for ahead in range(horizon) if not blocked(one, ON + DAY * ahead)), None)
    assert found == tried or (tried is None and found is not None and (found - ON).days >= horizon)


def blocked(one: Facts, on: date) -> bool:
    moved = at_date(one, on)
    return any(blocks(finding) for finding in assess(BOOK.rules(one, on), moved, on))


@given(facts(), st.sampled_from(["enoxaparin_ther", "warfarin"]))
@settings(max_examples=80)
def test_the_second_rule_set_changes_nothing_but_holds_before_low_risk_work_in_the_low_back(one: Facts, drug: str) -> None:
    taking = replace(one, medications=(Medication(drug, last_dose=ON), *(one.medications or ())[:1]))
    found, chosen = (
        {it.key: it for it in assess(BOOK.rules(taking, ON, switches), taking, ON)}
        for switches in (Switches(), Switches(on=frozenset({SECOND_SET})))
    )
    other = {key for key in found.keys() | chosen.keys() if found.get(key) != chosen.get(key)}
    in_place = {key for key in chosen if "rule_set" in chosen[key].facts}
    assert {key.partition(":")[2] for key in other} == {key.partition(":")[2] for key in in_place}
    assert all(found[key].facts["bleeding_class"] == "low" for key in other if key.startswith("antithrombotic_hold"))
    assert not in_place or (BOOK.thinners.bleeding_class(taking) == "low" and all(it.is_low_back for it in taking.request.wanted))


RANK = {"allowed": 0, "warn": 1, "denied": 2}
WORSE = {
    "an infection": lambda one: replace(one, has_infection=True),
    "antibiotics for longer": lambda one: replace(one, antibiotics_until=ON + DAY),
    "a pacemaker": lambda one: replace(one, implants=(*one.implants, Implant("pacemaker", False))),
    "a severe reaction": lambda one: replace(one, allergies=(*one.allergies, Allergy("iodinated_contrast", "severe"))),
    "a word missing": lambda one: replace(
        one, presentation=replace(one.presentation, missing=one.presentation.missing | {"severe_functional_impact"})
    ),
    "no driver": lambda one: replace(one, request=replace(one.request, has_driver=False)),
    "a live vaccine": lambda one: replace(one, vaccines=(*one.vaccines, Vaccine("live", ON))),
    "pregnancy": lambda one: replace(one, pregnant=True),
    "no authorization": lambda one: replace(one, coverage=replace(one.coverage, authorizations=())),
}


@given(facts(), st.sampled_from(sorted(WORSE)))
@settings(max_examples=150)
def test_a_fact_that_only_worsens_never_makes_a_finding_disappear(one: Facts, name: str) -> None:
    rules = BOOK.rules(one, ON)
    before = assess(rules, one, ON)
    after = assess(rules, WORSE[name](one), ON)
    assert {finding.key for finding in before if finding.refuses} <= {finding.key for finding in after if finding.refuses}
    assert RANK[decision(after).word] >= RANK[decision(before).word]


@given(facts(), st.one_of(sessions(), planned()))
@settings(max_examples=150)
def test_another_session_never_makes_room_under_a_cap(one: Facts, more: Session) -> None:
    codes = {"mcr_esi_cap", "evi_esi_caps", "mcr_tpi_cap", "cumulative_general", "mcr_facet_rfa_cap", "mcr_si_tx_cap"}
    rules = [rule for rule in BOOK.rules(one, ON) if rule.code in codes]
    found, again = (assess(rules, it, ON) for it in (one, replace(one, sessions=(*one.sessions, more))))
    before, after = ({it.key: it.facts["counted"] for it in said} for said in (found, again))
    assert before.keys() == after.keys()
    assert all(after[key] >= before[key] for key in before)  # type: ignore[operator]
    assert {it.key for it in found if it.refuses} <= {it.key for it in again if it.refuses}


@given(facts(), st.one_of(sessions(), planned()))
@settings(max_examples=150)
def test_another_session_never_shortens_an_interval(one: Facts, more: Session) -> None:
    rules = [rule for rule in BOOK.rules(one, ON) if isinstance(rule, MinInterval | SteroidInterval) and not is_block(rule)]
    found, again = (assess(rules, it, ON) for it in (one, replace(one, sessions=(*one.sessions, more))))
    assert {it.key for it in found} <= {it.key for it in again}


def is_block(rule: Rule) -> bool:
    """Say whether a rule counts in rounds of blocks, which an ablation ends."""
    return isinstance(rule, MinInterval) and rule.is_block


@given(facts())
@settings(max_examples=150)
def test_what_a_case_does_to_later_ones_is_said_by_these_once_it_stands(one: Facts) -> None:
    """What is asked for is refused for a later case only where that case, judged with this one booked, refuses too."""
    standing_ = replace(one, request=replace(one.request, is_booked=True))
    rules = [rule for rule in BOOK.rules(one, ON) if isinstance(rule, LOOKING_AHEAD)]
    ahead = [finding for finding in assess(rules, one, ON) if finding.refuses and "later" in finding.facts]
    assert not [finding for finding in assess(rules, standing_, ON) if "later" in finding.facts]
    own = [as_session(it) for it in one.request.wanted]
    for finding in ahead:
        assert any(
            refusing(rule, judged_as(later, one, own), later.on)
            for rule in rules
            if rule.code == finding.code
            for later in one.standing
            if later.on > ON and later.status == "booked"
        )


def as_session(one: Wanted) -> Session:
    return Session(
        ON, one.procedure, one.family, "booked", one.side, one.levels, role=one.role, approach=one.approach, site=one.site,
        drug=one.drug, dose_mg=one.dose_mg,
    )  # fmt: skip


def judged_as(later: Session, one: Facts, own: list[Session]) -> Facts:
    """Return the facts with a later case as what is asked for, what else is on its day with it, and the other one booked."""
    day = [it for it in one.standing if it.on == later.on]
    asked = tuple(
        Wanted(it.procedure, it.family, it.side, it.levels, it.role, it.site, it.drug, it.dose_mg, approach=it.approach)
        for it in day
    )
    request = replace(one.request, on=later.on, starts_at=None, several=asked, is_booked=True)
    rest = [it for it in one.standing if it not in day]
    return replace(one, request=request, sessions=(*rest, *own))


@given(facts())
@settings(max_examples=60)
def test_what_is_unknown_is_never_fine_and_never_refuses(one: Facts) -> None:
    """An ordinary patient of whom nothing is on file can be booked; what waits for a fact is said."""
    bare = Facts(replace(one.request, has_driver=None), (), as_of=AS_OF, zone=ZONE, coverage=one.coverage)
    found = assess(BOOK.rules(bare, ON), bare, ON)
    known = assess(BOOK.rules(bare, ON), replace(bare, is_complete=True, medications=(), implants=(), allergies=()), ON)
    kinds = {finding.key for finding in found if finding.refuses}
    assert kinds <= {finding.key for finding in known if finding.refuses}
    assert all(finding.severity is not Severity.ADVICE for finding in found if finding.pending)
