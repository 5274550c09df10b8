"""Questions after a visit: laid down when a case is completed, answered through the link in a mail, chased by the desk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from functools import cache
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from pain_clinic.errors import Conflict, Gone, Refused
from patients import outcomes
from patients.models import Aspect, Origin, PerformedProcedure, Phase, Score
from scheduling import desk_tasks, follow_ups, messages
from scheduling.models import AGAIN, Appointment, Ask, Link, LinkPurpose, Message, MessageKind, MessageState, TaskKind

ACTOR = Actor.system("asks")
ADVERSE = "adverse"
RECORDS = frozenset({"patients.record_outcome"})  # what a score link lets its holder do, and nothing else
ANSWERABLE = timedelta(days=3)  # after a follow-up is meant
BEDTIME, MORNING = time(22), time(8)
DIARY_ENDS = timedelta(days=1)  # after the next morning
# Measures that a patient may answer as one number. The others are questionnaires, whose items are not ours to show.
ONE_NUMBER = {"nrs": (Aspect.INDEX, Aspect.AVERAGE), "percent_relief": (Aspect.TOTAL,), "pgic": (Aspect.TOTAL,)}
IMPRESSION_FROM = 28  # days from which the global change is asked too
CHASED = 200  # rows a sweep


class NoSuchQuestion(Refused):
    def __init__(self) -> None:
        super().__init__("question_unknown", "There is no such question.")


class AskClosed(Gone):
    """The time in which this answer counts is over."""

    def __init__(self) -> None:
        super().__init__("ask_closed", "This question is no longer open.")


class NotYet(Conflict):
    """The moment that is asked about has not come."""

    def __init__(self) -> None:
        super().__init__("ask_not_yet", "This moment has not come yet.")


@dataclass(frozen=True, slots=True)
class Question:
    """One question with the answer so far; `values` are what may be chosen."""

    code: str
    measure: str
    aspect: str
    values: tuple[int, ...]
    answer: int | None


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """One question set as the patient sees it."""

    ask: Ask
    questions: tuple[Question, ...]
    is_open: bool
    is_later: bool

    @property
    def is_done(self) -> bool:
        """Say whether every question has an answer."""
        return all(one.answer is not None for one in self.questions)


def lay_down(*, case: Appointment, performed: PerformedProcedure, at: datetime) -> int:
    """Write down the question sets of a case just completed, at the times of the cadence; return how many there are.

    Joins the caller's transaction.
    """
    rows = [
        row
        for planned in messages.after_visit(appointment=case, at=at)
        if planned.kind == MessageKind.FOLLOW_UP
        for row in _sets(case, performed, planned.step, planned.at)
    ]
    Ask.objects.bulk_create(rows, ignore_conflicts=True)
    # The patient had left before the case was completed: what was not sent for want of questions is sent now.
    Message.objects.filter(
        appointment=case, kind=MessageKind.FOLLOW_UP, state=MessageState.SKIPPED, reason="nothing_asked"
    ).update(state=MessageState.DUE, reason="", due_at=at, done_at=None)
    return len(rows)


def _sets(case: Appointment, performed: PerformedProcedure, step: str, at: datetime) -> Iterator[Ask]:
    collect, is_diary = collected().get((case.procedure.family, step), ((), False))
    if is_diary:
        for position, (slot, moment, closes) in enumerate(diary(case)):
            yield _ask(case, performed, step, slot, position, ("nrs.index",), moment, closes)
        return
    questions = [f"{measure}.{aspect}" for measure in collect for aspect in ONE_NUMBER.get(measure, ())]
    if questions and (at - case.ends_at).days >= IMPRESSION_FROM:
        questions.append("pgic.total")
    if ADVERSE in collect or "adverse_events" in collect:
        questions.insert(0, ADVERSE)
    if questions:
        yield _ask(case, performed, step, "", 0, questions, at, at + ANSWERABLE)


def diary(case: Appointment) -> Iterator[tuple[str, datetime, datetime]]:
    """Yield the moments of a block diary: 15 and 30 minutes, every hour for 8 hours, bedtime, next morning."""
    zone = ZoneInfo(case.zone)
    night = datetime.combine(case.local_date, BEDTIME, tzinfo=zone)
    morning = datetime.combine(case.local_date + timedelta(days=1), MORNING, tzinfo=zone)
    closes = morning + DIARY_ENDS
    for minutes in (15, 30):
        yield f"{minutes}min", case.ends_at + timedelta(minutes=minutes), closes
    for hours in range(1, 9):
        yield f"{hours}h", case.ends_at + timedelta(hours=hours), closes
    if night > case.ends_at:
        yield "bedtime", night, closes
    yield "morning", morning, closes


def _ask(
    case: Appointment,
    performed: PerformedProcedure,
    step: str,
    slot: str,
    position: int,
    questions: Sequence[str],
    meant_at: datetime,
    closes_at: datetime,
) -> Ask:
    return Ask(
        appointment=case, patient=case.patient, performed=performed.public_id, step=step, slot=slot, position=position,
        questions=list(questions), meant_at=meant_at, closes_at=closes_at,
    )  # fmt: skip


@cache
def collected() -> dict[tuple[str, str], tuple[tuple[str, ...], bool]]:
    """Return what is collected by family and step of the cadence, and whether it is a diary."""
    return {(each.family, each.step): (each.collect, each.is_diary) for each in follow_ups.contacts()}


def shown(*, link: Link, at: datetime) -> tuple[QuestionSet, ...]:
    """Return the question sets that a link answers, in order, with the answers so far."""
    rows = list(Ask.objects.behind(link.message).order_by("meant_at", "position", "pk"))
    answers = {
        (score.ask, f"{score.measure}.{score.aspect}"): score.value
        for score in Score.objects.standing().filter(ask__in=[row.public_id for row in rows])
    }
    return tuple(_shown(row, answers, at) for row in rows)


def step_of(link: Link) -> str:
    """Return the step whose questions a link answers; the mail that asks again asks the same."""
    return link.message.step.removesuffix(AGAIN)


def _shown(row: Ask, answers: Mapping[tuple[UUID | None, str], Decimal | None], at: datetime) -> QuestionSet:
    questions = []
    for code in row.questions:
        measure, _, aspect = code.partition(".")
        if code == ADVERSE:
            answer = None if row.is_adverse is None else int(row.is_adverse)
        else:
            value = answers.get((row.public_id, code))
            answer = int(value) if value is not None else None
        questions.append(Question(code, measure, aspect, values_of(measure), answer))
    return QuestionSet(row, tuple(questions), is_open=row.meant_at <= at < row.closes_at, is_later=at < row.meant_at)


def values_of(measure: str) -> tuple[int, ...]:
    """Return what may be chosen: 0 to 10, 1 to 7, percent in tens, or no and yes."""
    if measure == ADVERSE:
        return (0, 1)
    if measure == "pgic":
        return tuple(range(1, 8))
    return tuple(range(0, 101, 10)) if measure == "percent_relief" else tuple(range(11))


def answer(*, link: Link, ask: Ask, question: str, value: int, by: Actor, at: datetime) -> Ask:
    """Keep one answer of the holder of a score link; answering anew changes it, and the row history keeps the old one.

    Raises:
        NoSuchQuestion: the link does not ask this, or the value is not one of its choices.
        AskClosed, NotYet: it is not the time.
    """
    measure, _, aspect = question.partition(".")
    is_its_own = ask.appointment_id == link.appointment_id and ask.step == step_of(link)
    if link.purpose != LinkPurpose.SCORE or not is_its_own or question not in ask.questions or value not in values_of(measure):
        raise NoSuchQuestion
    with transaction.atomic():
        row = Ask.objects.select_for_update(of=("self",)).select_related("patient", "appointment__site").get(pk=ask.pk)
        if at >= row.closes_at:
            raise AskClosed
        if at < row.meant_at:
            raise NotYet
        if question == ADVERSE:
            _note_adverse(row, bool(value), by, at)
        else:
            _note_score(row, measure, aspect, value, replace(by, permissions=RECORDS), at)
        if row.answered_at is None:
            row.answered_at = at
            row.save(update_fields=["answered_at"])
            desk_tasks.settle(kind=TaskKind.NO_ANSWER, appointment=row.appointment, by=by, at=at)
            again = Message.objects.filter(appointment=row.appointment_id, step=f"{row.step}{AGAIN}")
            messages.withdraw(list(again.values_list("pk", flat=True)), reason="answered", at=at)
    return row


def _note_adverse(row: Ask, is_adverse: bool, by: Actor, at: datetime) -> None:
    if row.is_adverse == is_adverse:
        return
    row.is_adverse = is_adverse
    row.save(update_fields=["is_adverse"])
    trail.record(
        by=by, act="scheduling.answer_ask", subject=row, patient=row.patient.public_id, site_id=row.appointment.site_id,
        details={"step": row.step},
    )  # fmt: skip
    if is_adverse:
        desk_tasks.open_task(
            kind=TaskKind.UNWELL, patient=row.patient, appointment=row.appointment, by=by, at=at, reason="adverse"
        )


def _note_score(row: Ask, measure: str, aspect: str, value: int, by: Actor, at: datetime) -> None:
    known = Score.objects.standing().filter(ask=row.public_id, measure=measure, aspect=aspect).select_related("patient").first()
    if known is not None:
        outcomes.amend_score(score=known, changes={"value": Decimal(value)}, by=by, at=at)
        return
    performed = PerformedProcedure.objects.standing().filter(public_id=row.performed).first()
    if performed is None:
        raise AskClosed
    moment = row.meant_at if row.slot else at
    zone = ZoneInfo(row.appointment.zone)
    values = {
        "measure": measure, "aspect": aspect, "value": Decimal(value), "scored_on": moment.astimezone(zone).date(),
        "scored_at": moment, "phase": Phase.DIARY if row.slot else Phase.FOLLOW_UP, "performed": performed,
        "side": performed.side, "levels": list(performed.levels), "ask": row.public_id, "origin": Origin.PATIENT,
    }  # fmt: skip
    outcomes.record_score(patient=row.patient, values=values, by=by, at=at)


def chase(*, at: datetime) -> int:
    """Give the desk a call for each question set that is over and has no answer; a diary gives one call. Return how many."""
    opened = 0
    with transaction.atomic():
        rows = list(
            Ask.objects.waiting().filter(closes_at__lte=at).select_for_update(skip_locked=True, of=("self",))
            .select_related("appointment__site", "patient").order_by("closes_at", "pk")[:CHASED]
        )  # fmt: skip
        told = set(
            Ask.objects.filter(appointment__in={row.appointment_id for row in rows}, answered_at__isnull=False).values_list(
                "appointment", "step"
            )
        )
        for row in rows:
            if (row.appointment_id, row.step) not in told and row.patient.deceased_on is None:
                desk_tasks.open_task(
                    kind=TaskKind.NO_ANSWER, patient=row.patient, appointment=row.appointment, by=ACTOR, at=at, reason=row.step
                )
                told.add((row.appointment_id, row.step))
                opened += 1
        Ask.objects.filter(pk__in=[row.pk for row in rows]).update(missed_at=at)
    return opened
