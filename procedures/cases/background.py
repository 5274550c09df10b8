"""Read what a case says about the patient, the problem, the coverage, medicines and safety facts."""

from __future__ import annotations

from typing import Any

from procedures.cases.parsing import Fields, a_day, a_list_of, a_loose_text, a_moment, a_number, a_text, a_whole, a_word, yes_no
from procedures.rules.book import Book, Switches, words_required
from procedures.rules.facts import (
    Allergy,
    Authorization,
    Coverage,
    Implant,
    Lab,
    Medication,
    Presentation,
    Stent,
    Surgery,
    Vaccine,
)
from procedures.rules.payer.shapes import check_row
from procedures.rules.shapes import PLAN_TYPES, Checker

DEFAULT_PAYER = "medicare_multi_mac_2026"


def read_patient(fields: Fields) -> dict[str, Any]:
    """Return what is written of the patient, as fields of the facts."""
    pregnant = fields.get("pregnant", _pregnant, False)
    stents = []
    for one in fields.parts("stents"):
        kind = one.need("kind", a_word(("drug_eluting", "bare")))
        placed = one.need("placed", a_day)
        after_acs = one.get("after_acs", yes_no, False)
        one.end()
        if kind and placed:
            stents.append(Stent(kind, placed, after_acs))
    surgeries = []
    for one in fields.parts("planned_surgery"):
        kind, site, on = one.need("kind", a_word(("arthroplasty",))), one.need("site", a_text), one.need("date", a_day)
        one.end()
        if kind and site and on:
            surgeries.append(Surgery(kind, site, on))
    conditions = a_list_of(a_word(("diabetes", "osteoporosis", "osteopenia", "postmenopausal")))
    found = {
        "sex": fields.get("sex", a_word(("female", "male", "other")), ""),
        "age": fields.get("age", a_whole(0, 130), None),
        "pregnant": pregnant,
        "conditions": frozenset(fields.get("conditions", conditions, ())),
        "bleeding_risk_factors": fields.get("bleeding_risk_factors", a_list_of(a_text), ()),
        "has_infection": fields.get("infection", a_word(("active", "none")), "none") == "active",
        "antibiotics_until": fields.get("antibiotics_until", a_day, None),
        "glp1": fields.get("glp1", a_word(("weekly", "daily", "none")), ""),
        "stents": tuple(stents),
        "surgeries": tuple(surgeries),
    }
    fields.end()
    return found


def read_presentation(fields: Fields, switches: Switches, book: Book) -> Presentation:
    """Return the problem treated."""
    words = book.required_words | words_required(switches.extra)
    known = a_list_of(a_word(words, "words of the requires lists of the tables"))
    found = Presentation(
        indication=fields.get("indication", a_text, ""),
        icd10=fields.get("icd10", a_text, None),
        pain_weeks=fields.get("pain_weeks", a_whole(), None),
        conservative_weeks=fields.get("conservative_weeks", a_whole(), None),
        pain_score=fields.get("pain_score", a_number(0, 10), None),
        provocation_tests=fields.get("provocation_tests", a_whole(), None),
        imaging_months=fields.get("imaging_months", a_number(), None),
        missing=frozenset(fields.get("missing", known, ())),
        episode_started=fields.get("episode_started", a_day, None),
    )
    fields.end()
    return found


def read_coverage(fields: Fields, book: Book) -> tuple[Coverage, Switches]:
    """Return who pays, and which rules the case tries on or off."""
    extra = _extra_rules(fields, book)
    ids = book.rule_ids | {row["id"] for row in extra}
    switch = a_list_of(a_word(ids, "ids of rules of the tables"))
    known = a_word({*book.payer_sets, "none"}, "the id of a payer rule set, or none")
    payer = fields.get("payer_rules", known, DEFAULT_PAYER)
    authorizations = []
    for one in fields.parts("authorizations"):
        covers = one.need("covers", a_word({*book.offers, *book.families}, "the id of a procedure or a family"))
        status = one.need("status", a_word(("approved", "pending", "refused")))
        decided = one.get("decided", a_day, None)
        valid = one.get("valid_until", a_day, None)
        if status == "approved" and not one.has("decided"):
            one.say("decided", "is required and is missing")
        one.end()
        if covers and status:
            offer = book.offers.get(covers)
            authorizations.append(Authorization(covers, offer.family if offer else covers, status, decided, valid))
    plan_type = fields.get("plan_type", a_word(PLAN_TYPES), "original_medicare")
    anchor = fields.get("year_anchor", a_day, None)
    switches = Switches(
        frozenset(fields.get("rules_on", switch, ())), frozenset(fields.get("rules_off", switch, ())), tuple(extra)
    )
    fields.end()
    return Coverage(payer, plan_type, tuple(authorizations), anchor), switches


def _extra_rules(fields: Fields, book: Book) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    seen = set(book.rule_ids)
    for one in fields.parts("extra_rules"):
        if not one.data:
            continue
        rule_id = one.need("id", a_text)
        checker = Checker(fields.problems.file)
        check_row(checker, one.data, book.families)
        for fault in checker.faults:
            one.say(fault.field, f"expected {fault.expected}")
        if rule_id in seen:
            one.say("id", f"is the id of another rule too: {rule_id}")
        if rule_id and not checker.faults and rule_id not in seen:
            found.append({"enabled_by_default": True, **one.data})
            seen.add(rule_id)
    return found


def read_lists(fields: Fields, book: Book) -> dict[str, Any]:
    """Return the medicines and safety facts, as fields of the facts."""
    labs = []
    for one in fields.parts("labs"):
        test = one.need("test", a_word(("inr", "crcl", "hba1c", "glucose")))
        on, value = one.need("date", a_day), one.need("value", a_number())
        one.end()
        if test and on and value is not None:
            labs.append(Lab(test, on, value))
    vaccines = []
    for one in fields.parts("vaccines"):
        kind = one.need("type", a_word(("covid_mrna", "covid_vector", "live", "inactivated")))
        on = one.need("date", a_day)
        one.end()
        if kind and on:
            vaccines.append(Vaccine(kind, on))
    allergies = []
    for one in fields.parts("allergies"):
        agent = one.need("agent", a_word(("iodinated_contrast", "shellfish", "steroid_preservative")))
        severity = one.get("severity", a_word(("mild", "moderate", "severe")), "")
        if agent == "iodinated_contrast" and not one.has("severity"):
            one.say("severity", "is required and is missing")
        one.end()
        if agent:
            allergies.append(Allergy(agent, severity))
    implants = []
    for one in fields.parts("implants"):
        device = one.need("device", a_word(("pacemaker", "icd", "scs", "dbs", "it_pump")))
        has_plan = one.get("device_plan", yes_no, False)
        one.end()
        if device:
            implants.append(Implant(device, has_plan))
    return {
        "medications": tuple(taken for one in fields.parts("medications") if (taken := _medication(one, book))),
        "labs": tuple(labs),
        "vaccines": tuple(vaccines),
        "allergies": tuple(allergies),
        "implants": tuple(implants),
    }


def _medication(one: Fields, book: Book) -> Medication | None:
    indication = one.get("indication", a_text, "")
    drug = one.need("drug", a_text)
    found = Medication(
        drug=_drug(one, drug, indication, book) if drug is not None else "",
        last_dose=one.get("last_dose", a_moment, None),
        is_taken=one.get("still_taking", yes_no, not one.has("last_dose")),
        dose=one.get("dose", a_loose_text, ""),
        indication=indication,
        is_cleared=one.get("prescriber_clearance", yes_no, False),
        is_decided=one.get("decision_recorded", yes_no, False),
    )
    one.end()
    return found if found.drug else None


def _drug(one: Fields, drug: str, indication: str, book: Book) -> str:
    if drug == "aspirin":
        if indication in ("primary", "secondary"):
            return f"aspirin_{indication}"
        one.say("indication", "expected primary or secondary for aspirin")
        return ""
    for name in (drug, f"nsaid_{drug}", f"herb_{drug}"):
        if name in book.drug_ids:
            return name
    one.say("drug", f"expected the id of a drug of antithrombotics.yaml, not {drug!r}")
    return ""


def _pregnant(value: Any) -> bool | None:
    return None if value == "unknown" else yes_no(value)
