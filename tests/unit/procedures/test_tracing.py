"""Which facts a finding rests on, and what a wish is filled up with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from procedures import tables
from procedures.rules import Facts, Finding, Request, Said, Severity
from procedures.rules.clinic.safety import Infection
from procedures.rules.earliest import turning_points
from procedures.rules.facts import Lab, Medication, Wanted
from procedures.rules.offers import Told, want
from procedures.rules.rows import Row
from procedures.rules.tracing import read_by

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
    assert found["active_infection"] == {"has_infection"}
    held = found["antithrombotic_clearance:apixaban"]
    assert held >= {"medications", "request"}
    assert not held & {"as_of", "zone", "has_infection", "allergies"}
    assert "unheard_of" not in found


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
