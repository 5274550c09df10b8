"""Write facts as a case of the format of docs/cases.md: what the reader makes of it are the same facts again.

A written case is complete, live facts are not: what is not on file is left out, takes the format's default, and is named
by `not_on_file`, so that whoever reads the answer knows on what it rests.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from fractions import Fraction
from typing import Any

import yaml

from procedures.rules.book import Book
from procedures.rules.facts import Authorization, Facts, Medication, Request, Session, Wanted
from procedures.rules.offers import BY_TARGET

# What may be unknown of a patient, in the words of the page.
UNKNOWNS = {
    "medications": "blood thinners",
    "allergies": "allergies",
    "implants": "implants",
    "conditions": "conditions",
    "pregnant": "pregnancy",
    "has_infection": "infection",
    "glp1": "GLP-1 medicines",
    "vaccines": "vaccines",
}


def not_on_file(facts: Facts) -> tuple[str, ...]:
    """Return in words what nobody knows of a patient: the written case takes it as none."""
    return tuple(word for name, word in UNKNOWNS.items() if getattr(facts, name) is None)


def written_case(facts: Facts, book: Book, *, case_id: str = "case") -> dict[str, Any]:
    """Return facts as the mapping of one case, with nothing in it that is left out or unknown."""
    return _full(
        {
            "id": case_id,
            "as_of": _moment(facts.as_of) or facts.request.on.isoformat(),
            "patient": _patient(facts),
            "presentation": _presentation(facts),
            "coverage": _coverage(facts),
            "medications": [_medication(one) for one in facts.medications or ()],
            "labs": [{"test": one.test, "date": one.on.isoformat(), "value": _number(one.value)} for one in facts.labs],
            "vaccines": [{"type": one.kind, "date": one.on.isoformat()} for one in facts.vaccines or ()],
            "allergies": [_full({"agent": one.agent, "severity": one.severity}) for one in facts.allergies or ()],
            "implants": [_full({"device": one.device, "device_plan": one.has_plan}) for one in facts.implants or ()],
            "history": [_session(one, book) for one in facts.sessions],
            "request": _request(facts.request, book),
        }
    )


def as_file(case: Mapping[str, Any], *, zone: str) -> str:
    """Return a case as the text of a file that `manage.py assess` reads."""
    content = {"format": 1, "time_zone": zone, "cases": [dict(case)]}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def _patient(facts: Facts) -> dict[str, Any]:
    return _full(
        {
            "sex": facts.sex or None,
            "age": facts.age,
            "pregnant": "unknown" if facts.pregnant is None else facts.pregnant,
            "conditions": sorted(facts.conditions or ()),
            "bleeding_risk_factors": list(facts.bleeding_risk_factors),
            "infection": "active" if facts.has_infection else None,
            "antibiotics_until": _moment(facts.antibiotics_until),
            "glp1": facts.glp1 or None,
            "stents": [
                {"kind": one.kind, "placed": one.placed_on.isoformat(), "after_acs": one.is_after_acs}
                for one in facts.stents
                if one.placed_on is not None
            ],
            "planned_surgery": [{"kind": one.kind, "site": one.site, "date": one.on.isoformat()} for one in facts.surgeries],
        }
    )


def _presentation(facts: Facts) -> dict[str, Any]:
    said = facts.presentation
    return _full(
        {
            "indication": said.indication,
            "icd10": said.icd10,
            "pain_weeks": said.pain_weeks,
            "conservative_weeks": said.conservative_weeks,
            "pain_score": _number(said.pain_score),
            "provocation_tests": said.provocation_tests,
            "imaging_months": _number(said.imaging_months),
            "missing": sorted(said.missing),
            "episode_started": _moment(said.episode_started),
        }
    )


def _coverage(facts: Facts) -> dict[str, Any]:
    said = facts.coverage
    return _full(
        {
            "payer_rules": said.payer_rules or "none",
            "plan_type": said.plan_type or None,
            "authorizations": [
                _full(
                    {
                        "covers": one.covers,
                        "status": one.status,
                        "decided": _moment(max(filter(None, (one.decided_on, one.valid_from)), default=None)),
                        "valid_until": _moment(one.valid_until),
                    }
                )
                for one in said.authorizations
                if can_be_written(one)
            ],
            "year_anchor": _moment(said.year_anchor),
        }
    )


def can_be_written(one: Authorization) -> bool:
    """Say whether the format can tell an authorisation: it knows no side, level, code, case or units.

    One that it cannot tell is left out, so that nothing is taken as authorised that may not be; nor is one that is used up.
    """
    return not (one.sides or one.levels or one.codes or one.case) and one.units_left != 0


def _medication(one: Medication) -> dict[str, Any]:
    return _full(
        {
            "drug": one.drug,
            "last_dose": _moment(one.last_dose),
            "still_taking": one.is_taken,
            "dose": one.dose,
            "indication": one.indication,
            "prescriber_clearance": one.is_cleared,
            "decision_recorded": one.is_decided,
        }
    )


def _session(one: Session, book: Book) -> dict[str, Any]:
    at_once = next((score for score in one.scores if score.on == one.on), None)
    later = [score for score in one.scores if score is not at_once]
    return _full(
        {
            "date": one.on.isoformat(),
            "procedure": one.procedure if one.procedure in book.offers else "other",
            "status": one.status,
            "elsewhere": one.is_elsewhere or None,
            "levels": list(one.levels),
            "side": one.side,
            "role": one.role,
            "kx": None if one.has_kx else False,
            "site": one.site,
            "indication": one.indication,
            "drug": one.drug or "none",
            "dose_mg": _number(one.dose_mg) if one.drug else None,
            "lead_removed": _moment(one.lead_removed_on),
            "before": "1-2" if one.has_range else None,  # which range it was says nothing
            "relief": _number(at_once.pain) if at_once else None,
            "function_gain": _number(at_once.function) if at_once else None,
            "function_improved": one.function_improved,
            "medication_reduced": one.medication_reduced,
            "medication_reduction": _number(one.medication_reduction),
            "relief_matched_agent": one.matched_agent,
            "follow_up": [
                _full({"date": score.on.isoformat(), "relief": _number(score.pain), "function_gain": _number(score.function)})
                for score in later
            ],
        }
    )


def _request(request: Request, book: Book) -> dict[str, Any]:
    wanted = [_wanted(one, book) for one in request.wanted]
    return _full(
        {
            **({"starts_at": _moment(request.starts_at)} if request.starts_at else {"date": request.on.isoformat()}),
            **(wanted[0] if len(wanted) == 1 else {"procedures": wanted}),
            "place_of_service": request.place_of_service,
            "state": request.state,
            "sedation": request.sedation or None,
            "driver": request.has_driver,
            "intake": [{"what": one.what, "end": _moment(one.ended_at)} for one in request.intake],
            "premedication": request.premedication or None,
            "rationale": request.rationale,
            "site_reason": request.site_reason,
            "planned_series": request.is_planned_series or None,
        }
    )


def _wanted(one: Wanted, book: Book) -> dict[str, Any]:
    offer = book.offers.get(one.procedure)
    by_target = offer is not None and offer.bleeding_class == BY_TARGET
    return _full(
        {
            "procedure": one.procedure,
            "levels": list(one.levels),
            "side": one.side,
            "role": one.role,
            "site": one.site,
            "drug": one.drug or "none",
            "dose_mg": _number(one.dose_mg) if one.drug else None,
            "bilateral_reason": one.bilateral_reason,
            "guidance": one.guidance or "none",
            "contrast": one.contrast,
            "technique": one.technique,
            "temperature_c": _number(one.temperature_c),
            "modic_type": one.modic_type,
            "muscles": list(one.muscles),
            "body_areas": list(one.body_areas),
            "bleeding_class": one.bleeding_class if by_target else None,
        }
    )


def _full(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what says nothing; yes, no and nought say something."""
    return {name: value for name, value in fields.items() if value is not None and value != "" and value != [] and value != {}}


def _moment(value: date | datetime | None) -> str | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(timespec="seconds" if value.second else "minutes")
    return value.isoformat()


def _number(value: Fraction | None) -> int | float | None:
    if value is None:
        return None
    return value.numerator if value.denominator == 1 else float(value)
