"""What only the case itself can say: how a lesion is made and how hot, the Modic type, contrast, premedication."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from procedures.rules.facts import Allergy, Facts, Wanted
from procedures.rules.offers import Told, want
from procedures.rules.rows import asked_by
from tests.unit.procedures.live_facts import BOOK, ON, extra, judged, live, pending, refusing

LEVELS = {"rfa_facet_lumbar": ("L4-L5",), "rfa_cooled_facet": ("L4-L5",), "bvn_ablation": ("L4", "L5")}
KNOWN: dict[str, Any] = {"medications": (), "has_infection": False, "conditions": frozenset(), "implants": (), "pregnant": False}


def said(procedure: str, guidance: str = "", **told: Any) -> Wanted:
    """Return a procedure as a live booking wants it, of which this was said."""
    offer = BOOK.offers[procedure]
    how = guidance or offer.guidance
    side = "midline" if procedure == "bvn_ablation" else "left"
    levels = LEVELS.get(procedure, ())
    return want(offer, BOOK.offers.values(), side=side, levels=levels, guidance=how, told=Told(**told))


def asks(facts: Facts) -> frozenset[str]:
    return asked_by(BOOK.rules(facts, ON), facts)


@pytest.mark.parametrize(
    ("modic", "waits", "refuses"), [(None, True, False), (1, False, False), (2, False, False), (3, False, True)]
)
def test_modic_type_waits_until_it_is_said_and_then_decides(modic: int | None, waits: bool, refuses: bool) -> None:
    facts = live(said("bvn_ablation", modic_type=modic), **KNOWN)
    assert ("mcr_bvn_lifetime" in pending(facts), "mcr_bvn_lifetime" in refusing(facts)) == (waits, refuses)
    assert "modic_type" in asks(facts)


@pytest.mark.parametrize(
    ("procedure", "told", "waits", "refuses"),
    [
        ("rfa_facet_lumbar", {}, False, False),  # the usual 85
        ("rfa_facet_lumbar", {"temperature_c": Fraction(80)}, False, True),
        ("rfa_facet_lumbar", {"temperature_c": Fraction(801, 10)}, False, False),
        ("rfa_cooled_facet", {}, True, False),  # the usual 60, which nobody has said
        ("rfa_cooled_facet", {"temperature_c": Fraction(60)}, False, True),
        ("rfa_cooled_facet", {"temperature_c": Fraction(82)}, False, False),
        ("rfa_facet_lumbar", {"technique": "cooled"}, True, False),
        ("rfa_facet_lumbar", {"technique": "cryo"}, False, True),
        ("rfa_facet_lumbar", {"technique": "endoscopic"}, True, False),  # of which no usual temperature is known
        ("rfa_facet_lumbar", {"technique": "endoscopic", "temperature_c": Fraction(85)}, False, False),
    ],
)
def test_lesion_counts_as_the_usual_one_until_somebody_says_how_hot(
    procedure: str, told: dict[str, Any], waits: bool, refuses: bool
) -> None:
    facts = live(said(procedure, **told), **KNOWN)
    assert ("mcr_facet_rfa_thermal" in pending(facts), "mcr_facet_rfa_thermal" in refusing(facts)) == (waits, refuses)
    assert {"technique", "temperature_c"} <= asks(facts)


def test_lesion_that_is_too_cold_says_whether_anybody_planned_it() -> None:
    usual = judged(live(said("rfa_cooled_facet"), **KNOWN))["mcr_facet_rfa_thermal:not yet said"]
    assert usual.message == "The lesion must be above 80 °C, not 60, the usual one; nobody has said yet which."
    planned = judged(live(said("rfa_cooled_facet", temperature_c=Fraction(60)), **KNOWN))["mcr_facet_rfa_thermal"]
    assert planned.message == "The lesion must be above 80 °C, not 60."


def test_rule_without_a_temperature_asks_only_how_the_lesion_is_made() -> None:
    row = extra(type="technique", params={"noncovered": ["cryo"]}, applies_to=["facet_rfa"])
    facts = live(said("rfa_facet_lumbar"), **KNOWN)
    (own,) = (rule for rule in BOOK.rules(facts, ON, row) if rule.code == "own")
    assert asked_by([own], facts) == {"technique"}
    assert asked_by([own], live(said("esi_caudal"), **KNOWN)) == frozenset()


def reaction(*severities: str) -> tuple[Allergy, ...]:
    return tuple(Allergy("iodinated_contrast", severity) for severity in severities)


@pytest.mark.parametrize(
    ("allergies", "contrast", "asked"),
    [
        ((), "", set()),
        (reaction("mild"), "", {"contrast", "premedication"}),
        (reaction("moderate"), "", {"contrast", "premedication"}),
        (reaction("severe"), "", {"contrast"}),
        (reaction(""), "", {"contrast"}),
        ((Allergy("shellfish", "mild"),), "", set()),  # only a note
        (reaction("mild"), "iodinated", {"contrast", "premedication"}),
    ],
)
def test_contrast_and_premedication_are_asked_of_whom_contrast_may_hurt(
    allergies: tuple[Allergy, ...], contrast: str, asked: set[str]
) -> None:
    facts = live(said("esi_caudal", contrast=contrast), **KNOWN, allergies=allergies, request={"premedication": None})
    assert asks(facts) == asked


def test_without_contrast_nobody_who_reacts_to_it_needs_premedication() -> None:
    facts = live(said("esi_caudal", contrast="none"), **KNOWN, allergies=reaction("mild"), request={"premedication": None})
    assert "contrast_mild_reaction" not in pending(facts) | refusing(facts)
    # That payer wants contrast under these rays, so there it stands, and the answer may still be another.
    assert "mcr_esi_guidance" in refusing(facts)
    assert asks(facts) == {"contrast"}
    planned = live(said("esi_caudal"), **KNOWN, allergies=reaction("mild"), request={"premedication": "oral_prednisone"})
    assert "contrast_mild_reaction" not in pending(planned) | refusing(planned)


def test_gadolinium_near_the_canal_refuses_once_it_is_said() -> None:
    assert "gadolinium_epidural" in refusing(live(said("esi_caudal", contrast="gadolinium"), **KNOWN))
    assert "gadolinium_epidural" not in refusing(live(said("esi_caudal"), **KNOWN))
    assert "gadolinium_epidural" not in refusing(live(said("tpi", contrast="gadolinium"), **KNOWN))


def test_where_other_imaging_is_wrong_contrast_is_not_asked() -> None:
    facts = live(said("esi_caudal", guidance="ultrasound"), **KNOWN, allergies=())
    assert "mcr_esi_guidance" in refusing(facts)
    assert asks(facts) == frozenset()
