"""Who pays for the demo's people, what was authorised, and to what they consented. Payers are invented; the rule sets are real.

Every payer's plan follows one rule set of the clinical tables, or none. Some people have no coverage on file, and some
authorisations are still open, refused or used up, so that pages, tasks and rules have something to say.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from pain_clinic.accounts.models import Site, User
from patients.models import Authorization, AuthorizationUse, Consent, Coverage, Decision, PerformedProcedure, PlanType
from scheduling.demo.cases import Case
from scheduling.demo.clinic import LAKE, NORTH
from scheduling.demo.histories import RECORDED, recorded
from scheduling.demo.people import KNOWN, Person
from scheduling.demo.writing import copy, reserve
from scheduling.models import Status

NO_RULES = "none"
MEDICARE = "medicare_multi_mac_2026"
RETIRED = 65  # from this age the public plans are those of the old
ON_FILE = 0.97
_KNOWN = frozenset((last, born) for _, last, born, _ in KNOWN)
# Payer: rule set, plan type, beginning of the member number.
PLANS = {
    "Bluewater Health": ("evicore_msk", PlanType.COMMERCIAL, "BWH"),
    "Harbour Mutual": (NO_RULES, PlanType.COMMERCIAL, "HM"),
    "Lakeland Plan": (NO_RULES, PlanType.COMMERCIAL, "LP"),
    "Public plan A": (MEDICARE, PlanType.ORIGINAL_MEDICARE, "PA"),
    "Public plan B": (MEDICARE, PlanType.MEDICARE_ADVANTAGE, "PB"),
    "Workers' fund": (NO_RULES, PlanType.COMMERCIAL, "WF"),
    "Self-pay": (NO_RULES, PlanType.SELF_PAY, ""),
}
STATES = {NORTH: "NY", LAKE: "IL"}
SUPPLEMENT = ("Lakeland Plan", NO_RULES, PlanType.COMMERCIAL)  # pays second for some of the old
ASKS = frozenset({PlanType.COMMERCIAL, PlanType.MEDICARE_ADVANTAGE})  # plans that authorise beforehand
BACK = timedelta(days=180)  # how far back the demo has authorisations
CONSENTED = timedelta(days=120)
COVERED = ("payer", "payer_rules", "plan_type", "member_number", "state", "place_of_service", "valid_from", "valid_until",
           "year_anchor", "rank")  # fmt: skip
GRANTED = ("coverage", "number", "covers", "codes", "side", "levels", "status", "asked_on", "decided_on", "valid_from",
           "valid_until", "units", "case")  # fmt: skip
AGREED = ("procedure", "appointment", "side", "levels", "given_on", "valid_until", "withdrawn_on")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a person's first coverage is, with the key of its row."""

    key: int
    plan_type: str
    rules: str


def write_coverage(
    people: Sequence[Person], cases: Sequence[Case], rng: random.Random, at: datetime
) -> Mapping[int, Plan]:  # fmt: skip
    """Write coverage, authorisations with their use, and consents to what was done; return the plans by person."""
    biller, nurse = (User.objects.get(username=name).pk for name in ("biller", "nurse"))
    held = [one for one in people if _is_known(one) or one.is_told or rng.random() < ON_FILE]
    states = {site.pk: STATES[site.slug] for site in Site.objects.filter(slug__in=STATES)}
    plans: dict[int, Plan] = {}
    rows = [
        row
        for one, key in zip(held, reserve(Coverage, len(held)), strict=True)
        for row in _coverage(one, key, plans, states, rng, at, biller)
    ]
    firsts = [row for row in rows if row[0] is not None]
    copy(Coverage, ("id", *RECORDED[1:], *COVERED), firsts)
    copy(Coverage, (*RECORDED[1:], *COVERED), (row[1:] for row in rows if row[0] is None))
    wanted = [
        case
        for case in cases
        if case.person.key in plans
        and plans[case.person.key].plan_type in ASKS
        and not case.is_free
        and case.starts_at > at - BACK
        and (rng.random() < 0.8 or case.person.is_told)
    ]
    keys = reserve(Authorization, len(wanted))
    pairs = list(zip(keys, wanted, strict=True))
    granted = {case.public_id: key for key, case in pairs if case.status == Status.DISCHARGED}
    copy(Authorization, ("id", *RECORDED[1:], *GRANTED), (_authorization(*pair, plans, rng, at, biller) for pair in pairs))
    copy(AuthorizationUse, (*RECORDED[1:], "authorization", "performed", "units", "used_on"), _uses(granted, rng, at, biller))
    copy(Consent, (*RECORDED[1:], *AGREED), (row for case in cases for row in _consent(case, rng, at, nurse)))
    return plans


def _is_known(person: Person) -> bool:
    """Say whether this is one of the people whom every demo has; they stay simple to book."""
    return (person.last_name, person.birth_date) in _KNOWN


def _coverage(
    person: Person, key: int, plans: dict[int, Plan], states: Mapping[int, str], rng: random.Random, at: datetime, by: int
) -> Iterator[tuple[Any, ...]]:
    rules, plan_type, prefix = PLANS[person.payer]
    age = (at.date() - person.birth_date).days / 365.25
    if rules == MEDICARE and age < RETIRED and rng.random() < 0.8:
        rules, plan_type = NO_RULES, PlanType.COMMERCIAL  # the public plan for the younger has rules of its own
    if _is_known(person):
        rules, plan_type = NO_RULES, PlanType.COMMERCIAL
    number = f"{prefix}{rng.randrange(10**8):08d}" if prefix else ""
    since = date(min(person.since.year, at.year), 1, 1)
    head = recorded(person.key, min(person.since, at), by, rng)
    state = states[person.site]
    plans[person.key] = Plan(key, plan_type, rules)
    yield (key, *head, person.payer, rules, plan_type, number, state, "", since, None, since, 1)
    if plan_type == PlanType.ORIGINAL_MEDICARE and rng.random() < 0.5:
        payer, second_rules, second_type = SUPPLEMENT
        own = recorded(person.key, min(person.since, at), by, rng)
        yield (None, *own, payer, second_rules, second_type, f"LP{rng.randrange(10**8):08d}", state, "", since, None, None, 2)


def _authorization(key: int, case: Case, plans: dict[int, Plan], rng: random.Random, at: datetime, by: int) -> tuple[Any, ...]:
    """Return one authorisation: past sessions had theirs, of those to come most are decided."""
    procedure = case.procedure
    is_over = case.status == Status.DISCHARGED
    asked = min(at.date(), case.day) - timedelta(days=rng.randrange(3, 20))
    status = (
        Decision.APPROVED if is_over else rng.choices((Decision.APPROVED, Decision.PENDING, Decision.REFUSED), (72, 22, 6))[0]
    )
    decided = None if status == Decision.PENDING else min(asked + timedelta(days=rng.randrange(1, 6)), at.date())
    starts = decided if status == Decision.APPROVED else None
    ends = starts + timedelta(days=90) if starts else None
    if ends is not None and ends < case.day:
        ends = case.day + timedelta(days=14)
    number = f"A-{rng.randrange(10_000, 99_999)}" if status == Decision.APPROVED else ""
    told = datetime.combine(asked, case.starts_at.timetz())
    return (
        key, *recorded(case.person.key, min(told, at), by, rng), plans[case.person.key].key, number, procedure.family,
        list(procedure.cpt_primary), case.side, [], status, asked, decided, starts, ends, rng.choice((1, 1, 2, 3)), None,
    )  # fmt: skip


def _uses(granted: dict[Any, int], rng: random.Random, at: datetime, by: int) -> Iterator[tuple[Any, ...]]:
    """Yield what performed procedures drew down."""
    done = PerformedProcedure.objects.filter(appointment__in=granted).order_by("pk")
    for key, case, patient, on in done.values_list("pk", "appointment", "patient_id", "done_on"):
        yield (*recorded(patient, at, by, rng), granted[case], key, 1, on)


def _consent(case: Case, rng: random.Random, at: datetime, by: int) -> Iterator[tuple[Any, ...]]:
    """Yield the consent to a case that is over, of the last months."""
    if not (at - CONSENTED < case.starts_at <= at and case.status == Status.DISCHARGED):
        return
    given = min(at.date(), case.day) - timedelta(days=rng.choice((0, 0, 3, 7, 12)))
    told = min(datetime.combine(given, case.arrives_at.timetz()), at)
    yield (
        *recorded(case.person.key, told, by, rng), case.procedure.pk, case.public_id, case.side, case.levels, given,
        given + timedelta(days=180), None,
    )  # fmt: skip
