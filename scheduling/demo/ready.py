"""What was asked, planned, signed and put on file before the cases that come soon: most are ready, some wait for something.

The rules and the marks are the product's own. Here is only what a working clinic would have on record by now, so that its
board is not full of marks: the nearer a case, the more of it is settled.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pain_clinic.accounts.models import User
from patients.models import Answer, Clearance, ClearanceKind, Consent, Medication, Presentation, Topic
from procedures import rulebook
from procedures.models import Procedure
from procedures.rules.book import words_required
from procedures.rules.clinic.fasting import SEDATED
from procedures.rules.offers import NEED_ROLE
from scheduling.demo.cases import OFTEN_WITH_STEROID, Case
from scheduling.demo.coverage import AGREED, NO_RULES, Plan
from scheduling.demo.facts import Written
from scheduling.demo.histories import RECORDED, recorded, steroid_of
from scheduling.demo.people import FIRST
from scheduling.demo.writing import copy
from scheduling.models import CaseDetails

SOON = timedelta(days=28)
# Of the cases up to so many days ahead, this share is ready.
SHARES = ((7, 0.88), (14, 0.75), (28, 0.5))
LACKING = ("driver", "consent", "plan", "asked")  # one of these, where a case is not
HELD_BEFORE = timedelta(days=8)  # a blood thinner is held so long before a case: enough for every row of the table
CLEARED = 0.75  # of blood thinners, the prescriber has answered for
RELATIONS = ("daughter", "son", "spouse", "neighbour", "friend", "brother", "sister")
PROBLEMS: Mapping[str, tuple[str, str]] = {
    "esi": ("Radicular pain", "M54.16"), "mbb_diagnostic": ("Facet joint pain", "M47.816"),
    "facet_rfa": ("Facet joint pain", "M47.816"), "facet_rfa_cooled": ("Facet joint pain", "M47.816"),
    "facet_injection": ("Facet joint pain", "M47.816"), "si_injection": ("Sacroiliac joint pain", "M53.3"),
    "si_rfa": ("Sacroiliac joint pain", "M53.3"), "tpi": ("Myofascial pain", "M79.18"),
    "genicular_block": ("Knee pain from arthrosis", "M17.11"), "genicular_rfa": ("Knee pain from arthrosis", "M17.11"),
}  # fmt: skip
ANY_PROBLEM = ("Chronic pain", "G89.4")
DETAILS = ("appointment", "role", "drug", "dose_mg", "has_driver", "driver_name", "premedication", "bleeding_class", "rationale",
           "site_reason", "bilateral_reason")  # fmt: skip
CLEARED_AS = ("medication", "kind", "answer", "case", "asked_on", "answered_on", "answered_by", "how", "has_times", "last_dose",
              "restart")  # fmt: skip
TREATED = ("name", "indication", "icd10", "side", "levels", "pain_since", "conservative_since", "provocation_tests", "imaging_on",
           "episode_started_on", "ended_on", "missing", "on_file")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Soon:
    """A case that comes soon, and the one thing that it still lacks: nothing where it is ready."""

    case: Case
    lacks: str


def soon(cases: Iterable[Case], rng: random.Random, at: datetime) -> list[Soon]:
    """Return the cases that come soon, but for those of people whose story is told, with what each still lacks."""
    found = []
    for case in cases:
        if case.is_free or case.person.is_told or not at < case.starts_at < at + SOON:
            continue
        ahead = (case.starts_at - at).days
        share = next(share for days, share in SHARES if ahead < days)
        found.append(Soon(case, "" if rng.random() < share else rng.choice(LACKING)))
    return found


def settle_facts(cases: Sequence[Soon], facts: Written, rng: random.Random, at: datetime) -> None:
    """Add to the facts what was asked lately, and the medicines that are held, before they are written."""
    nurse = User.objects.get(username="nurse").pk
    held: dict[int, Case] = {}
    asked: dict[int, Case] = {}
    for one in sorted(cases, key=lambda one: one.case.starts_at):
        if one.case.procedure.bleeding_class != "low":
            held.setdefault(one.case.person.key, one.case)
        if one.lacks != "asked":
            asked[one.case.person.key] = one.case  # the last one, so that what was asked is good for all before it
    for person, case in asked.items():
        ago = rng.randrange(min(6, 30 - (case.day - at.date()).days))
        told = at - timedelta(days=ago, minutes=rng.randrange(5, 400))
        topics = {*facts.unasked.get(person, ()), Topic.INFECTION}
        if case.person.sex != "male":
            topics.add(Topic.PREGNANCY)
        for topic in sorted(topics):
            facts.asked.append((*recorded(person, told, nurse, rng), topic, told.date()))
    facts.medicines[:] = [_held(row, held, at) for row in facts.medicines]


def _held(row: tuple[Any, ...], cases: Mapping[int, Case], at: datetime) -> tuple[Any, ...]:
    """Return a medicine; a blood thinner with the day from which on it is held before the next case that may bleed."""
    person, kind = row[1], row[len(RECORDED) - 1]
    case = cases.get(person)
    if kind != "antithrombotic" or case is None:
        return row
    day = case.day - HELD_BEFORE
    if day <= at.date():
        return (*row[:-2], None, day)
    return (*row[:-2], case.starts_at - HELD_BEFORE, None)


def write_ready(
    cases: Sequence[Soon], plans: Mapping[int, Plan], facts: Written, rng: random.Random, at: datetime
) -> None:  # fmt: skip
    """Write details, consents, the prescribers' words and what payers ask about the problem treated."""
    nurse = User.objects.get(username="nurse").pk
    reacting = {row[1] for row in facts.allergies if "iodinated_contrast" in row}
    copy(CaseDetails, DETAILS, (_details(one, rng, one.case.person.key in reacting) for one in cases))
    ready = [one.case for one in cases if one.lacks != "consent"]
    copy(Consent, (*RECORDED[1:], *AGREED), (_consent(case, rng, at, nurse) for case in ready))
    copy(Clearance, (*RECORDED[1:], *CLEARED_AS), _clearances(cases, rng, at, nurse))
    copy(Presentation, (*RECORDED[1:], *TREATED), _problems(cases, plans, rng, at, nurse))


def _details(one: Soon, rng: random.Random, is_reacting: bool) -> tuple[Any, ...]:
    """Return what is said about a case: what for, which steroid, who drives, premedication."""
    procedure = one.case.procedure
    role, drug, dose = _plan(procedure, rng) if one.lacks != "plan" else ("", "", None)
    driver = f"{rng.choice(FIRST['female'] + FIRST['male'])}, {rng.choice(RELATIONS)}"
    has_driver = True if _needs_driver(procedure) and one.lacks != "driver" else None
    premedication = "oral_prednisone" if is_reacting and one.lacks != "plan" else ""
    return (
        one.case.key, role, drug, dose, has_driver, driver if has_driver else "", premedication, "", "", "", "",
    )  # fmt: skip


def _plan(procedure: Procedure, rng: random.Random) -> tuple[str, str, int | None]:
    """Return role, steroid and dose as they are planned; empty where there is nothing to say."""
    drug, dose = steroid_of(procedure)
    if not drug and procedure.steroid not in ("no", ""):
        is_with = procedure.family in OFTEN_WITH_STEROID and rng.random() < 0.6
        drug, dose = ("triamcinolone_acetonide", 20) if is_with else ("none", 0)
    role = "" if procedure.code not in NEED_ROLE else "diagnostic" if drug == "none" else "therapeutic"
    return role, drug, dose or None


def _needs_driver(procedure: Procedure) -> bool:
    sedation = procedure.planned_sedation
    is_drowsy = sedation not in ("none", "")
    return procedure.driver == "required" or sedation in SEDATED or (procedure.driver == "required_if_sedated" and is_drowsy)


def _consent(case: Case, rng: random.Random, at: datetime, by: int) -> tuple[Any, ...]:
    given = at.date() - timedelta(days=rng.choice((1, 2, 3, 7, 12)))
    told = min(datetime.combine(given, case.arrives_at.timetz()), at)
    return (
        *recorded(case.person.key, told, by, rng), case.procedure.pk, case.public_id, case.side, case.levels, given,
        given + timedelta(days=180), None,
    )  # fmt: skip


def _clearances(cases: Sequence[Soon], rng: random.Random, at: datetime, by: int) -> Iterator[tuple[Any, ...]]:
    """Yield the prescribers' answers about blood thinners: that they may be held, or what was decided together."""
    people = {one.case.person.key for one in cases}
    rows = Medication.objects.filter(patient__in=people, kind="antithrombotic").order_by("pk")
    for key, patient, prescriber in rows.values_list("pk", "patient_id", "prescriber"):
        if rng.random() > CLEARED:
            continue
        asked = at.date() - timedelta(days=rng.randrange(9, 20))
        answered = asked + timedelta(days=rng.randrange(1, 8))
        for kind in (ClearanceKind.HOLD, ClearanceKind.DECISION):
            yield (
                *recorded(patient, at - timedelta(days=1), by, rng), key, kind, Answer.GIVEN, None, asked, answered,
                prescriber or "The practice", "fax", False, "", "",
            )  # fmt: skip


def _problems(
    cases: Sequence[Soon], plans: Mapping[int, Plan], rng: random.Random, at: datetime, by: int
) -> Iterator[tuple[Any, ...]]:
    """Yield the problem treated in each ready case, as the payer's rules and the clinic's own ask about it."""
    words = _Words()
    today = at.date()
    for one in cases:
        case = one.case
        plan = plans.get(case.person.key)
        rules = plan.rules if plan is not None else NO_RULES
        on_file = words.of(case.procedure, rules)
        if one.lacks or (rules == NO_RULES and not on_file):
            continue
        name, icd10 = PROBLEMS.get(case.procedure.family, ANY_PROBLEM)
        since = today - timedelta(days=rng.randrange(210, 1500))
        yield (
            *recorded(case.person.key, at - timedelta(days=3), by, rng), name, "", icd10, "", [], since,
            today - timedelta(days=rng.randrange(100, 200)), 3, today - timedelta(days=rng.randrange(20, 300)), None, None, [],
            on_file,
        )  # fmt: skip


class _Words:
    """What rules ask to be on file, by payer and family; read once."""

    def __init__(self) -> None:
        book = rulebook.usable_book()
        self.payers = book.payer_rows if book is not None else ()
        self.clinic = [data for data, _ in book.clinic_rules] if book is not None else []
        self._kept: dict[tuple[str, str], list[str]] = {}

    def of(self, procedure: Procedure, rules: str) -> list[str]:
        """Return the words for one procedure under one rule set."""
        key = (rules, procedure.code)
        if key not in self._kept:
            rows = [row for row in self.payers if row["payer_rule_set"] == rules and procedure.family in row["applies_to"]]
            rows += [row for row in self.clinic if procedure.code in (row.get("params") or {}).get("procedure_ids", ())]
            self._kept[key] = sorted(words_required(rows))
        return self._kept[key]
