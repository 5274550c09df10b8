"""Read everything that a batch of courses needs, in a fixed number of statements, and ask the planner about each."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Q

from patients.facts import Reading, read
from procedures import pathwaybook
from procedures.models import Procedure
from procedures.pathways import (
    Aim,
    Answer,
    Beside,
    Done,
    Pathway,
    Proposed,
    Stopped,
    Waiting,
    follow,
    next_step,
    next_step_beside,
    proposed_on,
)
from procedures.rules import Facts, Request
from scheduling.assessing import session_of
from scheduling.courses.aims import Rulebook, aim_of
from scheduling.models import Appointment, Course, PlanState

log = logging.getLogger(__name__)
# A case of yesterday that nobody has closed yet still speaks; an older one without a record does not.
RECENT = timedelta(days=30)
ELSEWHERE = "another course"


@dataclass(frozen=True, slots=True)
class Fresh:
    """What the planner says about one course, as a planned session keeps it; `error` when it broke down."""

    course: Course
    number: int = 0
    values: Mapping[str, Any] = field(default_factory=dict)
    case: Appointment | None = None
    is_broken: bool = False
    answer: Answer | None = None

    @property
    def state(self) -> str:
        """Return the word for the answer."""
        return str(self.values.get("state", ""))


@dataclass(frozen=True, slots=True)
class World:
    """What was read for a batch of courses at one moment."""

    reading: Reading
    book: Rulebook
    cases: Mapping[int, Sequence[Appointment]]
    procedures: Mapping[str, Procedure]
    pathways: Mapping[str, Pathway]
    at: datetime

    def facts(self, course: Course, aim: Aim, on: date) -> Facts:
        """Return what is known of a course's patient, with a request that says where and how, not yet what or when."""
        known = self.reading.known[course.patient_id]
        work = next(iter(aim.works.values()), None)
        place, state = known.place_of(on)
        procedure = self.procedures.get(work.procedure) if work is not None else None
        request = Request(
            on=on,
            procedure=work.procedure if work else "",
            family=work.family if work else "",
            side=work.side if work else "",
            levels=work.levels if work else (),
            sedation=procedure.planned_sedation if procedure else "none",
            regions=tuple(course.regions),
            several=(work,) if work else (),
            place_of_service=place or course.site.place_of_service,
            state=state or course.site.state or None,
            premedication=None,
            problem=course.problem_id,
        )
        others = [
            session_of(case, self.reading.book)
            for case in self.cases.get(course.patient_id, ())
            if case.public_id not in known.cases
        ]
        book = self.reading.book
        families = book.families_by_id if book is not None else None
        return known.facts(request, others, at=self.at, zone=ZoneInfo(course.site.time_zone), families=families)


def day_of(course: Course, at: datetime) -> date:
    """Return the day at the course's site."""
    return at.astimezone(ZoneInfo(course.site.time_zone)).date()


def read_world(courses: Sequence[Course], *, at: datetime) -> World:
    """Read what these courses need: facts on file, cases, procedures, pathways. Five statements."""
    patients = {course.patient_id: course.patient for course in courses}
    reading = read(patients.values())
    codes = {code for course in courses for code in course.works.values()}
    cases: dict[int, list[Appointment]] = defaultdict(list)
    rows = (
        Appointment.objects.filter(patient__in=patients, is_history=False)
        .filter(Q(starts_at__gt=at - RECENT))
        .select_related("procedure", "details")
        .order_by("starts_at", "pk")
    )
    for case in rows:
        cases[case.patient_id].append(case)
    procedures = {procedure.code: procedure for procedure in Procedure.objects.filter(code__in=codes).order_by("pk")}
    return World(reading, Rulebook(reading.book), cases, procedures, pathwaybook.pathways(), at)


def judge(courses: Sequence[Course], *, at: datetime, day: date | None = None) -> list[Fresh]:
    """Return what comes next in each of these courses; `day` left out is today at each course's site. Writes nothing.

    A course on which the planner breaks down stands alone: the others are judged all the same. Courses of one patient are
    kept apart from each other, if all of them are among these.
    """
    world = read_world(courses, at=at)
    found = {course.pk: attempt(course, world, day or day_of(course, at)) for course in courses}
    for fresh in kept_apart(found.values(), world, day):
        found[fresh.course.pk] = fresh
    return list(found.values())


def kept_apart(freshes: Iterable[Fresh], world: World, day: date | None) -> Iterator[Fresh]:
    """Yield those that say something else beside what the same patient's other courses propose.

    The turn is that of the answers that courses have alone: whose window closes first proposes first. It hangs on nothing
    that is stored, so one pass settles it, and the next one says the same.
    """
    held: dict[int, list[Fresh]] = defaultdict(list)
    for fresh in freshes:
        if isinstance(fresh.answer, Proposed) and fresh.answer.booked_on is None:
            held[fresh.course.patient_id].append(fresh)
    for several in held.values():
        before: list[tuple[Course, Proposed, date]] = []
        for fresh in sorted(several, key=_turn) if len(several) > 1 else ():
            course, on = fresh.course, day or day_of(fresh.course, world.at)
            beside = [each for one in before for each in proposals(*one, world, told_at=course.site_id)]
            settled = attempt(course, world, on, beside=beside, alone=fresh.answer) if beside else fresh
            if settled.answer != fresh.answer or settled.is_broken:
                yield settled
            if isinstance(settled.answer, Proposed):
                before.append((course, settled.answer, on))


def _turn(fresh: Fresh) -> tuple[date, date, int]:
    answer = fresh.answer
    assert isinstance(answer, Proposed)
    return answer.latest, answer.ideal, fresh.course.pk


def proposals(course: Course, answer: Proposed, on: date, world: World, *, told_at: int) -> list[Beside]:
    """Return what a course proposes as another one of its patient counts it."""
    called = called_of(course, world, told_at=told_at)
    meant = proposed_day(course, answer.ideal, on)
    found = [proposed_on(meant, answer.wanted, called)]
    if answer.companion is not None:
        pulled = meant + timedelta(days=answer.companion.least_days)
        found.append(proposed_on(pulled, answer.companion.wanted, called))
    return found


def proposed_day(course: Course, ideal: date, on: date) -> date:
    """Return the day that a course proposes: the ideal one, today once it is over, or that until which it is put off."""
    return max(ideal, on, course.snoozed_until or on)


def called_of(course: Course, world: World, *, told_at: int) -> str:
    """Return what others of the patient call this course at a site: by no name where it is at another one.

    What a course or a series says is read by everybody at its own site, who may not see the other's.
    """
    if course.site_id != told_at:
        return ELSEWHERE
    pathway = world.pathways.get(course.pathway)
    side = f", {course.side}" if course.side in ("left", "right") else ""
    return f"{pathway.name if pathway else course.pathway}{side}"


def attempt(course: Course, world: World, on: date, *, beside: Sequence[Beside] = (), alone: Answer | None = None) -> Fresh:
    """Return what comes next in one course, or that the planner broke down on it."""
    try:
        return judged(course, world, on, beside=beside, alone=alone)
    except Exception:  # one course that breaks the planner must not stop the others; it is counted, parked and shown
        log.exception("planning a course broke down", extra={"course": str(course.public_id)})
        return Fresh(course, is_broken=True)


def judged(course: Course, world: World, on: date, *, beside: Sequence[Beside] = (), alone: Answer | None = None) -> Fresh:
    """Return what comes next in one course as of a day; beside proposals of others `alone` is its answer without them."""
    if course.patient.deceased_on is not None:
        return Fresh(course, 0, _told(Stopped("deceased", "The patient has died.")))
    pathway = world.pathways.get(course.pathway)
    if pathway is None:
        return Fresh(course, 0, _told(Stopped("no_pathway", "This pathway is no longer among the clinic's.")))
    if not pathway.is_on:
        return Fresh(course, 0, _told(Stopped("pathway_off", "The clinic has switched this pathway off.")))
    aim = aim_of(course, pathway, world.procedures, world.book)
    facts = world.facts(course, aim, on)
    answer = alone or next_step(pathway, facts, on, aim=aim, book=world.book)
    if beside:
        answer = next_step_beside(pathway, facts, on, aim=aim, book=world.book, beside=beside, alone=answer)
    case = _case(course, pathway, answer, world)
    return Fresh(course, _number(pathway, aim, facts), _told(answer), case, answer=answer)


def answer_of(course: Course, world: World, on: date) -> Answer | None:
    """Return what the planner says about one course; None where it has no pathway to follow."""
    pathway = world.pathways.get(course.pathway)
    if pathway is None or not pathway.is_on:
        return None
    aim = aim_of(course, pathway, world.procedures, world.book)
    return next_step(pathway, world.facts(course, aim, on), on, aim=aim, book=world.book)


def _number(pathway: Pathway, aim: Aim, facts: Facts) -> int:
    """Return the place of the next session in its course."""
    return len({session.on for visit in follow(pathway, aim, facts) for session in visit.sessions}) + 1


def _case(course: Course, pathway: Pathway, answer: Answer, world: World) -> Appointment | None:
    """Return the case that is booked for what comes next."""
    booked_on = None if isinstance(answer, Done) else answer.booked_on
    if booked_on is None:
        return None
    families = pathway.step(answer.step).families if isinstance(answer, Proposed | Waiting) else pathway.families
    cases = world.cases.get(course.patient_id, ())
    return next((case for case in cases if case.local_date == booked_on and case.procedure.family in families), None)


def _told(answer: Answer) -> dict[str, Any]:
    """Return an answer as the columns of a planned session."""
    found: dict[str, Any] = {
        "step": "", "name": "", "state": "", "code": "", "procedure": "", "side": "", "earliest": None, "ideal": None,
        "latest": None, "for_what": "", "owner": "", "due_on": None, "reasons": [], "conditions": [], "blocked_by": [],
        "authorised_until": None, "companion": None, "booked_on": None,
    }  # fmt: skip
    if isinstance(answer, Proposed):
        companion = answer.companion
        found |= {
            "step": answer.step, "name": answer.name, "state": PlanState.PROPOSED, "procedure": answer.wanted.procedure,
            "side": answer.wanted.side, "earliest": answer.earliest, "ideal": answer.ideal, "latest": answer.latest,
            "reasons": list(answer.reasons), "conditions": list(answer.conditions), "blocked_by": list(answer.blocked_by),
            "authorised_until": answer.authorised_until, "booked_on": answer.booked_on,
            "companion": None if companion is None else {
                "step": companion.step, "name": companion.name, "procedure": companion.wanted.procedure,
                "least_days": companion.least_days, "most_days": companion.most_days,
            },
        }  # fmt: skip
    elif isinstance(answer, Waiting):
        found |= {
            "step": answer.step, "name": answer.name, "state": PlanState.WAITING, "for_what": answer.for_what,
            "owner": answer.owner.value, "due_on": answer.due_on, "earliest": answer.earliest, "reasons": list(answer.reasons),
            "booked_on": answer.booked_on,
        }  # fmt: skip
    elif isinstance(answer, Stopped):
        found |= {"state": PlanState.STOPPED, "code": answer.code, "for_what": answer.reason, "booked_on": answer.booked_on}
    else:
        found |= {"state": PlanState.DONE, "reasons": list(answer.reasons)}
    return found


def as_json(fresh: Fresh) -> dict[str, Any]:
    """Return what is told of one course as plain data."""
    values = fresh.values
    found: dict[str, Any] = {"course": str(fresh.course.public_id), "state": "broken" if fresh.is_broken else str(fresh.state)}
    if fresh.is_broken:
        return found
    for name in ("earliest", "ideal", "latest", "due_on", "booked_on", "authorised_until"):
        found[name] = values[name].isoformat() if values[name] else None
    names = ("step", "code", "owner", "reasons", "conditions", "blocked_by")
    return {**found, "number": fresh.number, "reason": values["for_what"], **{name: values[name] for name in names}}


def lines(freshes: Iterable[Fresh]) -> Iterator[str]:
    """Yield what is told of each as one line: id, step, earliest, ideal, latest, or the reason."""
    for fresh in freshes:
        values = fresh.values
        told = "broken"
        if fresh.state == PlanState.PROPOSED:
            told = f"{values['step']} {values['earliest']} {values['ideal']} {values['latest']}"
        elif not fresh.is_broken:
            why = values["for_what"] or " ".join(values["reasons"])
            told = f"{values['step'] or '-'} {fresh.state}: {why}"
        yield f"{fresh.course.public_id} {told}"
