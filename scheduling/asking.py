"""Questions that the gates of courses need: seen to once for each answer that a course waits for, asked again once, then a call.

The planner says for which session's answer a course waits and from which day it counts. Where the cadence asks for it
anyway, nothing is added but the mail that asks again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import DateField, DateTimeField, F, Func, Q, Value
from django.db.models.functions import Cast

from pain_clinic.accounts.actors import Actor
from patients.models import PerformedProcedure
from procedures.pathways import Opened, Waiting, ways_ahead
from scheduling import asks, desk_tasks
from scheduling.courses.aims import aim_of
from scheduling.courses.judging import World, answer_of, day_of, read_world
from scheduling.messages.words import PRIORITY
from scheduling.models import (
    AGAIN,
    Appointment,
    Ask,
    Course,
    CourseStatus,
    Message,
    MessageKind,
    MessageState,
    PlannedSession,
    PlanState,
    TaskKind,
)

ACTOR = Actor.system("asks")
AT_ONCE = 100
HOUR = time(10)
# Until when an answer is soon enough, and when a treatment without a time of its own is asked about, if nothing comes sooner.
LATER = timedelta(days=14)
TRIAL = timedelta(days=3)  # a trial is asked about while its leads are in
AGAIN_BEFORE = timedelta(hours=24)  # the question closes
QUESTIONS = ("nrs.index", "percent_relief.total")
_DAY = timedelta(days=1)


def follow(*, at: datetime, limit: int = AT_ONCE) -> int:
    """See to the questions of courses that wait for a patient's answer; return for how many something was laid down."""
    with transaction.atomic():
        today = Cast(
            Func(F("course__site__time_zone"), Value(at), function="timezone", output_field=DateTimeField()), DateField()
        )
        is_new = Q(asked_for=None) | (~Q(asked_for=F("due_on")) & ~Q(asked_for=F("today")))
        rows = PlannedSession.objects.alias(today=today).filter(
            is_new, is_current=True, state=PlanState.WAITING, owner="patient", due_on__isnull=False,
            course__status=CourseStatus.ACTIVE, course__is_parked=False,
        )  # fmt: skip
        locked = rows.select_for_update(no_key=True, skip_locked=True, of=("self",))
        planned = list(locked.select_related("course__patient", "course__site").order_by("pk")[:limit])
        if not planned:
            return 0
        world = read_world([row.course for row in planned], at=at)
        count = 0
        for row in planned:
            answer = answer_of(row.course, world, day_of(row.course, at))
            row.asked_for = row.due_on
            if isinstance(answer, Waiting) and answer.about is not None and answer.due_on is not None:
                steps = world.pathways[row.course.pathway].steps
                paired = {family for step in steps if step.pairs_with for family in step.families}
                by = answers_by(answer.due_on, opens_on(row.course, world, answer, day_of(row.course, at)))
                count += _see_to(row, answer.about, answer.due_on, by, paired, at)
        PlannedSession.objects.bulk_update(planned, ["asked_for"])
    return count


def opens_on(course: Course, world: World, answer: Waiting, on: date) -> date | None:
    """Return the first day on which a session may be that waits for the same answer: on any way on, not only the first."""
    pathway = world.pathways[course.pathway]
    aim = aim_of(course, pathway, world.procedures, world.book)
    return min(
        (
            way.earliest
            for way in ways_ahead(pathway, world.facts(course, aim, on), on, aim=aim)
            if any(one.state is Opened.WAITING and one.about == answer.about for one in way.verdicts)
        ),
        default=None,
    )


def answers_by(due: date, opens: date | None) -> date | None:
    """Return the last day for an answer that counts from a day, so that who gave none is called before the session may be.

    None where no question can be open between them for as long as questions are: the relief that is asked about has to last
    until that very day, or it is the day after. Which these are is written beside the steps, with the reason.
    """
    if opens is None or (opens - _DAY) - due < asks.ANSWERABLE + _DAY:
        return None
    return opens - _DAY


def asked_on(about: date, due: date, by: date | None, *, is_block: bool, is_paired: bool) -> date:
    """Return the day on which a question is put that no diary asks: soon enough to be closed in time."""
    if due != about:
        return due
    wait = TRIAL if is_paired else _DAY if is_block else LATER
    return about + wait if by is None else min(about + wait, by - asks.ANSWERABLE)


def _see_to(row: PlannedSession, about: date, due: date, by: date | None, paired: Set[str], at: datetime) -> bool:
    """Lay down what is missing for one course; without a case no mail can be sent, and the desk calls on the day.

    `paired` are families of which a second part ends what the first one tries: they are asked about in between.
    """
    course = row.course
    performed = _performed(course, about)
    case = _case(performed)
    today = day_of(course, at)
    if performed is None or case is None:
        if due > today:
            row.asked_for = today  # looked at again tomorrow
            return False
        desk_tasks.open_task(
            kind=TaskKind.NO_ANSWER, patient=course.patient, by=ACTOR, at=at, site=course.site, reason="course"
        )  # fmt: skip
        return True
    laid = Ask.objects.filter(performed=performed.public_id).select_related("appointment").order_by("meant_at", "pk")
    by = by if by is not None and by > today else None
    kept = [ask for ask in laid if _counts(ask, max(due, today) + LATER, due, by, at)]
    if not kept:
        family = performed.procedure.family if performed.procedure is not None else ""
        kept = _lay_down(case, performed, about, due, by, at, is_paired=family in paired)
    _ask_again(case, kept, at)
    return True


def _counts(ask: Ask, latest: date, due: date, by: date | None, at: datetime) -> bool:
    """Say whether a question that is asked anyway gives the answer: about the pain, late enough, soon enough, still open."""
    zone = ZoneInfo(ask.appointment.zone)
    day = ask.meant_at.astimezone(zone).date()
    if by is not None and ask.closes_at.astimezone(zone).date() > by:
        return False
    about_pain = any(code.partition(".")[0] in ("nrs", "percent_relief") for code in ask.questions)
    is_open = ask.answered_at is None and ask.missed_at is None and ask.closes_at > at
    return about_pain and is_open and due <= day <= latest


def _performed(course: Course, about: date) -> PerformedProcedure | None:
    """Return what was performed on a day that is most likely the course's."""
    codes = set(course.works.values())
    rows = PerformedProcedure.objects.standing().filter(patient=course.patient, done_on=about, procedure__isnull=False)
    own = [row for row in rows.select_related("procedure").order_by("pk") if row.procedure and row.procedure.code in codes]
    return own[0] if own else rows.select_related("procedure").order_by("pk").first()


def _case(performed: PerformedProcedure | None) -> Appointment | None:
    if performed is None or performed.appointment is None:
        return None
    cases = Appointment.objects.filter(public_id=performed.appointment, is_history=False)
    return cases.select_related("patient", "site", "procedure").first()


def _lay_down(
    case: Appointment, performed: PerformedProcedure, about: date, due: date, by: date | None, at: datetime, *, is_paired: bool
) -> list[Ask]:
    """Write the questions and the mail that asks them."""
    made = list(_rows(case, performed, about, due, by, at, is_paired=is_paired))
    Ask.objects.bulk_create(made, ignore_conflicts=True)
    begins = max(made[0].meant_at, case.leaves_at) if made[0].slot else made[0].meant_at
    _mail(case, made[0].step, max(begins, at), at)
    return list(Ask.objects.filter(appointment=case, step=made[0].step).order_by("position", "pk"))


def _rows(
    case: Appointment, performed: PerformedProcedure, about: date, due: date, by: date | None, at: datetime, *, is_paired: bool
) -> Iterator[Ask]:
    zone = ZoneInfo(case.zone)
    is_block = _is_block(performed)

    def ask(step: str, questions: Sequence[str], meant_at: datetime, closes_at: datetime, **values: object) -> Ask:
        return Ask(
            appointment=case, patient=case.patient, performed=performed.public_id, step=step, questions=list(questions),
            meant_at=meant_at, closes_at=closes_at, **values,
        )  # fmt: skip

    slots = list(asks.diary(case)) if due == about and is_block else []
    if slots and slots[-1][2] - _DAY > at:
        for position, (slot, moment, closes) in enumerate(slots):
            yield ask("course-diary", ("nrs.index",), moment, closes, slot=slot, position=position)
        return
    day = asked_on(about, due, by, is_block=is_block, is_paired=is_paired)
    moment = datetime.combine(day, HOUR, tzinfo=zone)
    if moment < at:  # the day is over: ask the next morning
        local = at.astimezone(zone)
        moment = datetime.combine(local.date() + (_DAY if local.time() >= HOUR else timedelta()), HOUR, tzinfo=zone)
    days = (moment.date() - about).days
    closes = moment + asks.ANSWERABLE
    if by is not None and by > moment.date():
        closes = min(closes, datetime.combine(by, HOUR, tzinfo=zone))
    yield ask(f"course-{days}d", QUESTIONS, moment, closes)


def _is_block(performed: PerformedProcedure) -> bool:
    """Say whether what it did shows within hours: a block of nerves, or anything done to find the place."""
    family = performed.procedure.family if performed.procedure is not None else ""
    return performed.role == "diagnostic" or family.endswith("_block") or family == "mbb_diagnostic"


def _ask_again(case: Appointment, kept: Sequence[Ask], at: datetime) -> None:
    """Plan the one mail that asks again a day before the question closes."""
    own = [ask for ask in kept if ask.step == kept[0].step]
    closes = max(ask.closes_at for ask in own)
    if closes - AGAIN_BEFORE > at and all(ask.answered_at is None for ask in own):
        _mail(case, f"{own[0].step}{AGAIN}", closes - AGAIN_BEFORE, at)


def _mail(case: Appointment, step: str, moment: datetime, at: datetime) -> None:
    row = Message(
        appointment=case, patient=case.patient, kind=MessageKind.FOLLOW_UP, step=step, version=case.version,
        state=MessageState.DUE, planned_at=moment, due_at=moment, priority=PRIORITY[MessageKind.FOLLOW_UP],
        calendar_sequence=case.calendar_sequence, created_at=at,
    )  # fmt: skip
    Message.objects.bulk_create([row], ignore_conflicts=True)
