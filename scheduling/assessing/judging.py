"""What the rules say about one case: the request put together from the case, the facts from the floors, then the book.

Beside the rules of the tables stand the clinic's own: who pays, consent, role and steroid have to be on file. They only
ever wait, until their day.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from fractions import Fraction
from typing import TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from pain_clinic.accounts.models import Site
from patients.facts import Known, Reading
from procedures import rulebook
from procedures.guidance import usual
from procedures.levels import default_regions, touched
from procedures.models import Procedure
from procedures.rules import Facts, Finding, Request, Rule, Session, Severity, assess, ordered
from procedures.rules.book import Book
from procedures.rules.facts import Intake
from procedures.rules.offers import Offer, Told, want
from procedures.rules.places import is_level
from procedures.rules.rows import asked_by
from procedures.rules.tracing import Rests, read_by
from scheduling.assessing.units import used_up
from scheduling.models import Appointment, CaseDetails, Status

CLINIC = "the clinic's own check"
UNREADABLE = "rules_unreadable"
NO_IMAGING = "none"
_WORDS = {
    Status.CANCELLED: "cancelled",
    Status.LEFT_BEFORE_SEEN: "cancelled",
    Status.NO_SHOW: "no_show",
    Status.DISCHARGED: "performed",
}


@dataclass(frozen=True, slots=True)
class Details:
    """What is said about a case beyond its target; what is empty nobody has said yet. As `CaseDetails` keeps it."""

    role: str = ""
    drug: str = ""
    dose_mg: Fraction | None = None
    has_driver: bool | None = None
    driver_name: str = ""
    premedication: str = ""
    bleeding_class: str = ""
    rationale: str = ""
    site_reason: str = ""
    bilateral_reason: str = ""
    technique: str = ""
    temperature_c: Fraction | None = None
    modic_type: int | None = None
    contrast: str = ""
    intake: tuple[tuple[str, datetime], ...] = ()
    course_id: int | None = None  # from which it was booked
    problem_id: int | None = None  # which that course is for

    @staticmethod
    def of(row: CaseDetails | None) -> Details:
        """Return what a row says; no row says nothing."""
        if row is None:
            return NOTHING_SAID
        return Details(
            role=row.role,
            drug=row.drug,
            dose_mg=None if row.dose_mg is None else Fraction(row.dose_mg),
            has_driver=row.has_driver,
            driver_name=row.driver_name,
            premedication=row.premedication,
            bleeding_class=row.bleeding_class,
            rationale=row.rationale,
            site_reason=row.site_reason,
            bilateral_reason=row.bilateral_reason,
            technique=row.technique,
            temperature_c=None if row.temperature_c is None else Fraction(row.temperature_c),
            modic_type=row.modic_type,
            contrast=row.contrast,
            intake=tuple((what, datetime.fromisoformat(ended)) for what, ended in sorted(row.intake.items())),
            course_id=row.course_id,
            problem_id=row.problem_id,
        )


NOTHING_SAID = Details()
CountedCases: TypeAlias = "tuple[tuple[Appointment, Session], ...]"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done to whom, and when: a case that stands or one that is proposed.

    `is_series`: it is fixed before the response to one of the same order is known. `number` is the key of a case that stands:
    those booked before it use units of authorisations first.
    `is_booked`: it stands on this date already, so that what it does to later cases is for these to say.
    """

    procedure: Procedure
    site: Site
    starts_at: datetime
    side: str = ""
    levels: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    guidance: str = NO_IMAGING
    sedation: str = "none"
    details: Details = NOTHING_SAID
    case: UUID | None = None
    is_booked: bool = False
    is_series: bool = False
    number: int | None = None

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.site.time_zone)

    @property
    def on(self) -> date:
        """Give the date of service."""
        return self.starts_at.astimezone(self.zone).date()


def wish_of(case: Appointment) -> Wish:
    """Return a case (site, procedure and details joined) as a wish."""
    levels = tuple(case.levels)
    return Wish(
        procedure=case.procedure,
        site=case.site,
        starts_at=case.starts_at,
        side=case.side,
        levels=levels,
        regions=touched(levels, tuple(case.regions) or default_regions(case.procedure)),
        guidance=case.guidance or usual(case.procedure),
        sedation=case.sedation,
        details=Details.of(details_row(case)),
        case=case.public_id,
        number=case.pk,
    )


def details_row(case: Appointment) -> CaseDetails | None:
    """Return the row of details of a case, if anything was said."""
    return getattr(case, "details", None)


@dataclass(frozen=True, slots=True)
class Judged:
    """Everything that the rules say about a wish, and what they were asked about."""

    findings: tuple[Finding, ...]
    facts: Facts
    known: Known
    rules: tuple[Rule, ...]

    def asks(self) -> frozenset[str]:
        """Return what may be said of the case on which the answer of some rule turns."""
        return asked_by(self.rules, self.facts)

    def fingerprints(self, keys: Iterable[str]) -> Mapping[str, str]:
        """Return for findings of the tables, by key, what tells the facts that each rests on from any others.

        The request counts without its date: another date is another question anyway.
        """
        on = self.facts.request.on
        return {
            key: _fingerprint(key, rests, self.facts, self.known)
            for key, rests in read_by(self.rules, self.facts, on, keys).items()
        }


def judge(wish: Wish, reading: Reading, known: Known, others: Iterable[Appointment], at: datetime) -> Judged:
    """Return what the rules say; `others` are the patient's other cases, of which those already on file count once."""
    book = reading.book
    facts = facts_for(wish, reading, known, others, at)
    rules = rulebook.in_force(book, facts, wish.on)
    found = [*assess(rules, facts, wish.on)]
    if reading.problem:
        message = f"The clinic's rules cannot be read, so none of them was asked: {reading.problem}"
        found.append(Finding(UNREADABLE, Severity.BLOCKER, message, source=CLINIC))
    if book is not None:
        found += _own(wish, _offer(wish.procedure, book), facts, known)
    return Judged(ordered(found), facts, known, rules)


def facts_for(wish: Wish, reading: Reading, known: Known, others: Iterable[Appointment], at: datetime) -> Facts:
    """Return the facts for a wish."""
    return facts_with(wish, reading, known, counted_cases(reading, known, others), at)


def counted_cases(reading: Reading, known: Known, others: Iterable[Appointment]) -> CountedCases:
    """Return the patient's other cases with the sessions that rules count, those left out that are on file as performed."""
    return tuple((other, session_of(other, reading.book)) for other in others if other.public_id not in known.cases)


def facts_with(wish: Wish, reading: Reading, known: Known, cases: CountedCases, at: datetime) -> Facts:
    """Return the facts for a wish beside other cases, which many wishes of one patient have in common."""
    book = reading.book
    families = book.families_by_id if book is not None else None
    sessions = [session for _, session in cases]
    facts = known.facts(request_of(wish, book, known), sessions, at=at, zone=wish.zone, families=families)
    # Who was booked first has the unit.
    before = [
        (str(other.public_id), session)
        for other, session in cases
        if session.status == "booked" and (wish.number is None or other.pk < wish.number)
    ]
    return used_up(facts, before, book) if before else facts


def request_of(wish: Wish, book: Book | None, known: Known) -> Request:
    """Return the request as the rules read it."""
    said = wish.details
    told = Told(
        role=said.role,
        drug=said.drug,
        dose_mg=said.dose_mg,
        bilateral_reason=said.bilateral_reason,
        bleeding_class=said.bleeding_class,
        regions=wish.regions,
        technique=said.technique,
        temperature_c=said.temperature_c,
        modic_type=said.modic_type,
        contrast=said.contrast,
    )
    offer = _offer(wish.procedure, book)
    offers = book.offers.values() if book is not None else ()
    wanted = want(offer, offers, side=wish.side or "midline", levels=wish.levels, guidance=wish.guidance, told=told)
    place, state = known.place_of(wish.on)
    return Request(
        on=wish.on,
        procedure=offer.id,
        family=offer.family,
        side=wish.side,
        levels=wish.levels,
        starts_at=wish.starts_at,
        sedation=wish.sedation,
        guidance="" if wish.guidance == NO_IMAGING else wish.guidance,
        regions=wish.regions,
        several=(wanted,),
        place_of_service=place or wish.site.place_of_service,
        state=state or wish.site.state or None,
        has_driver=said.has_driver,
        intake=tuple(Intake(what, ended_at) for what, ended_at in said.intake),
        premedication={"": None, "none": ""}.get(said.premedication, said.premedication),
        rationale=said.rationale,
        site_reason=said.site_reason,
        problem=said.problem_id,
        case=str(wish.case or ""),
        is_booked=wish.is_booked,
        is_planned_series=wish.is_series,
    )


def session_of(other: Appointment, book: Book | None) -> Session:
    """Return another case of the patient as a session that rules count."""
    offer = _offer(other.procedure, book)
    said = Details.of(details_row(other))
    levels: Sequence[str] = [level for level in other.levels if is_level(level)]
    drug, dose = offer.default_steroid
    if said.drug:
        drug, dose = ("", None) if said.drug == "none" else (said.drug, said.dose_mg)
    return Session(
        on=other.local_date,
        procedure=offer.id,
        family=offer.family,
        status=_WORDS.get(Status(other.status), "booked"),
        side=other.side or "midline",
        levels=tuple(levels),
        role=said.role or offer.default_role,
        approach=offer.approach,
        site="" if levels else "_".join(other.regions),
        drug=drug,
        dose_mg=dose,
        name=offer.name,
    )


def _own(wish: Wish, offer: Offer, facts: Facts, known: Known) -> list[Finding]:
    """Return what has to be on file whatever the tables say. It waits, and needs a reason when its day has come."""
    found = []

    def wait(code: str, message: str) -> None:
        found.append(Finding(code, Severity.NEEDS_OVERRIDE, message, pending=True, source=CLINIC))

    if not known.has_coverage(wish.on):
        wait("coverage_unknown", "It is not on file who pays on that day, so no payer's rules were asked.")
    if not known.has_consent(facts.request):
        wait("consent_missing", "The patient's consent to this procedure is not on file.")
    if offer.needs_role and not wish.details.role:
        wait("role_not_said", "It is not yet said whether this is diagnostic or therapeutic; it counts as therapeutic.")
    if any(not one.has_drug_told for one in facts.request.wanted):
        drug, _ = offer.default_steroid
        told = f"it counts as the usual {drug.replace('_', ' ')}" if drug else "it counts as none"
        wait("steroid_not_said", f"It is not yet said which steroid is planned, if any; {told}.")
    return found


def _fingerprint(key: str, rests: Rests, facts: Facts, known: Known) -> str:
    names = rests.names
    told = [key, known.stamp(names), *rests.labs]  # of the results on file only those that were looked up
    if "request" in names:
        request = facts.request
        told += [repr(replace(one, codes=frozenset())) for one in request.wanted]  # a set has no order to tell it by
        told += [request.sedation, request.guidance, str(request.place_of_service), str(request.state)]
        told += [str(request.has_driver), str(request.premedication), request.rationale, request.site_reason]
        told += [repr(one) for one in request.intake if key == f"fasting_{one.what}"]
    if "presentation" in names and facts.request.problem is not None:
        told.append(f"problem {facts.request.problem}")
    if "sessions" in names:
        kept = set(known.sessions)
        told += sorted(repr(one) for one in facts.sessions if one not in kept)
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _offer(procedure: Procedure, book: Book | None) -> Offer:
    """Return what the book says of a procedure; without a book there is only its name and family."""
    found = book.offers.get(procedure.code) if book is not None else None
    return found or Offer(procedure.code, procedure.family, name=procedure.name)
