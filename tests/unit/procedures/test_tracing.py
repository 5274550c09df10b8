"""Which facts a finding rests on, and what a wish is filled up with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction

from procedures import tables
from procedures.rules import Facts, Finding, Request, Said, Severity
from procedures.rules.clinic.safety import Infection
from procedures.rules.earliest import turning_points
from procedures.rules.facts import Lab, Medication, Wanted
from procedures.rules.offers import Told, want
from procedures.rules.rows import Row
from procedures.rules.tracing import Rests, read_by

BOOK = tables.book_of_files()
ON = date(2027, 3, 9)
FACTS = Facts(
    Request(ON, "esi_caudal", "esi", several=(Wanted("esi_caudal", "esi", bleeding_class="intermediate"),)),
    has_infection=True, medications=(Medication("apixaban"),), labs=(Lab("inr", ON, Fraction(1)),), as_of=ON,
)  # fmt: skip


@dataclass(frozen=True)
class Silent:
    code: str = "silent"

    def check(self, facts: Facts, on: date) -> Said:
        return None


def test_rule_rests_on_the_facts_that_it_reads_and_on_no_others() -> None:
    rules = (Silent(), *BOOK.rules(FACTS, ON))
    found = read_by(rules, FACTS, ON, ["active_infection", "antithrombotic_clearance:apixaban", "unheard_of"])
    assert found["active_infection"] == Rests(frozenset({"has_infection"}))
    held = found["antithrombotic_clearance:apixaban"].names
    assert held >= {"medications", "request"}
    assert not held & {"as_of", "zone", "has_infection", "allergies"}
    assert "unheard_of" not in found


def test_of_the_results_a_finding_rests_on_those_that_were_looked_up_for_it() -> None:
    taken = (Medication("warfarin"), Medication("enoxaparin_ther"), Medication("apixaban"))
    keys = ["antithrombotic_lab:warfarin", "antithrombotic_hold:warfarin", "antithrombotic_hold:enoxaparin_ther"]

    def rests(*labs: Lab) -> dict[str, tuple[str, ...]]:
        facts = replace(FACTS, medications=taken, labs=labs)
        return {key: one.labs for key, one in read_by(BOOK.rules(facts, ON), facts, ON, keys).items()}

    inr, crcl, sugar = Lab("inr", ON, Fraction(3)), Lab("crcl", ON, Fraction(20)), Lab("glucose", ON, Fraction(300))
    before = rests(inr)
    assert before == {keys[0]: (f"inr 3 {ON}",), keys[1]: (), keys[2]: ("crcl none",)}
    assert rests(inr, sugar, Lab("inr", ON - timedelta(days=200), Fraction(2))) == before
    assert rests(inr, crcl) == {**before, keys[2]: (f"crcl 20 {ON}",)}
    assert rests(Lab("inr", ON, Fraction(4)))[keys[0]] == (f"inr 4 {ON}",)
    names = read_by(BOOK.rules(FACTS, ON), FACTS, ON, ["antithrombotic_clearance:apixaban"])
    assert "labs" not in names["antithrombotic_clearance:apixaban"].names


@dataclass(frozen=True)
class Counts:
    """A rule that counts the results, and then looks one of them up."""

    code: str = "counts"

    def check(self, facts: Facts, on: date) -> Said:
        return Finding(self.code, Severity.ADVICE, f"{len(facts.labs)} {facts.lab('inr', until=on)}")


def test_rule_that_reads_every_result_rests_on_all_of_them_though_it_looks_one_up() -> None:
    found = read_by([Counts()], FACTS, ON, ["counts"])
    assert found == {"counts": Rests(frozenset({"labs"}), (f"inr 1 {ON}",))}


def test_nothing_is_asked_when_nothing_is_looked_for() -> None:
    assert read_by([Silent()], FACTS, ON, []) == {}


def test_rule_that_would_stop_nothing_waits_for_nothing() -> None:
    unknown = Facts(FACTS.request)
    assert Infection(Row("x", Severity.ADVICE)).check(unknown, ON) is None
    asked = Infection(Row("x", Severity.BLOCKER)).check(unknown, ON)
    assert isinstance(asked, Finding)
    assert asked.pending


def test_rules_without_turning_points_have_none() -> None:
    assert turning_points([Silent()], FACTS) == []


def test_wish_is_filled_up_from_the_catalogue_and_what_is_said_comes_first() -> None:
    offer = BOOK.offers["esi_tf_lumbar"]
    usual = want(offer, BOOK.offers.values(), side="left", levels=("L4-L5", "nowhere"), guidance="fluoroscopy")
    assert (usual.drug, usual.has_drug_told, usual.levels, usual.contrast) == ("dexamethasone", False, ("L4-L5",), "iodinated")
    told = Told(role="diagnostic", drug="none", dose_mg=Fraction(4), regions=("lumbar",))
    said = want(offer, BOOK.offers.values(), side="left", levels=(), guidance="none", told=told)
    assert (said.drug, said.dose_mg, said.has_drug_told, said.role, said.site) == ("", None, True, "diagnostic", "lumbar")
    named = want(
        offer, (), side="left", levels=(), guidance="none", told=Told(drug="triamcinolone_acetonide", dose_mg=Fraction(40))
    )
    assert (named.drug, named.dose_mg, named.site) == ("triamcinolone_acetonide", 40, "")
    nothing = want(BOOK.offers["stellate_block"], BOOK.offers.values(), side="left", levels=(), guidance="fluoroscopy")
    assert nothing.has_drug_told is (BOOK.offers["stellate_block"].steroid == "no")
