"""The acts behind a link, each by the verb that staff use too, with the patient as the actor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.errors import Conflict, Forbidden, Refused
from patients import records
from patients.models import Patient
from scheduling import booking, desk_tasks
from scheduling.availability import Opening
from scheduling.models import (
    BEFORE_ARRIVAL,
    Appointment,
    AskedBy,
    CancelReason,
    DeskTask,
    InvalidMove,
    Link,
    LinkAnswer,
    LinkPurpose,
    Status,
    TaskKind,
)

# What a link lets its holder do. Nobody signs in: the purpose is the whole permission.
ALLOWS: dict[str, frozenset[str]] = {
    LinkPurpose.VISIT: frozenset({"confirm", "cancel", "take_back", "move", "ask_for_call"}),
    LinkPurpose.UNSUBSCRIBE: frozenset({"unsubscribe", "subscribe"}),
    LinkPurpose.SCORE: frozenset(),  # questions are answered by `scheduling.asks`
    LinkPurpose.COURSE: frozenset(),  # to be read only
}
UNDO_WITHIN = timedelta(minutes=10)
BY_LINK = "By the link in the mail"
WHEN_TO_CALL = {
    "any": "Asks to be called",
    "morning": "Asks to be called in the morning",
    "afternoon": "Asks to be called in the afternoon",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """The state of the case that a page showed when its button was pressed."""

    version: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The case after an act, and whether the act changed it: pressing twice is fine and changes nothing."""

    appointment: Appointment
    is_new: bool


class TooLate(Refused):
    """The patient should be here by now; only the telephone helps."""

    def __init__(self) -> None:
        super().__init__("too_late", "Your visit is about to begin. Please call us.")


class UndoOver(Conflict):
    """The minutes in which a cancellation can be taken back are over."""

    def __init__(self) -> None:
        super().__init__("undo_over", "This can no longer be taken back here. Please call us.")


def confirm(*, link: Link, shown: Shown, by: Actor, at: datetime) -> Answered:
    """Note that the patient comes at the time that the page showed.

    Raises:
        Stale: the case is not what the page showed.
        InvalidMove, TooLate: it is cancelled, under way, or about to begin.
    """
    _must_allow(link, "confirm")
    with transaction.atomic():
        case = link.appointment
        if _is(Status.CONFIRMED, case, shown):
            return Answered(case, is_new=False)
        _must_be_answerable(case, shown, at)
        try:
            done = booking.confirm(appointment=case, by=by, at=at, version=shown.version)
        except booking.Stale:
            return Answered(_unless_already(Status.CONFIRMED, case, shown), is_new=False)
        _keep(link, LinkAnswer.CONFIRMED, at)
        desk_tasks.settle(kind=TaskKind.UNCONFIRMED, appointment=done, by=by, at=at)
    return Answered(done, is_new=True)


def cancel(*, link: Link, shown: Shown, by: Actor, at: datetime) -> Answered:
    """Cancel the visit that the page showed, as the patient's wish.

    Raises:
        Stale: the case is not what the page showed.
        InvalidMove, TooLate: it is under way or about to begin.
    """
    _must_allow(link, "cancel")
    with transaction.atomic():
        case = link.appointment
        if case.status == Status.CANCELLED:
            return Answered(case, is_new=False)
        _must_be_answerable(case, shown, at)
        try:
            done = booking.cancel(
                appointment=case, reason=CancelReason.PATIENT_WISH, asked_by=AskedBy.PATIENT, note=BY_LINK,
                version=shown.version, by=by, at=at,
            )  # fmt: skip
        except booking.Stale:
            return Answered(_unless_already(Status.CANCELLED, case, None), is_new=False)
        _keep(link, LinkAnswer.CANCELLED, at)
    return Answered(done, is_new=True)


def take_back(*, link: Link, shown: Shown, by: Actor, at: datetime) -> Answered:
    """Bring back a visit that was cancelled by a link some minutes ago, if its place is still free.

    Raises:
        UndoOver: the minutes are over, or somebody else cancelled it.
        Stale, SlotTaken, RulesRefused: as for `booking.reinstate`.
    """
    _must_allow(link, "take_back")
    with transaction.atomic():
        case = link.appointment
        if case.status in BEFORE_ARRIVAL:
            return Answered(case, is_new=False)
        if case.version != shown.version:
            raise booking.Stale(case.version)
        if not may_take_back(case, at):
            raise UndoOver
        done = booking.reinstate(appointment=case, by=by, at=at, version=shown.version)
        _keep(link, LinkAnswer.TAKEN_BACK, at)
    return Answered(done, is_new=True)


def move(*, link: Link, shown: Shown, opening: Opening, by: Actor, at: datetime) -> Answered:
    """Move the case to an opening that was offered; the rules are asked again, and a patient waives none of them.

    Raises:
        Stale: the case is not what the page showed.
        InvalidMove, TooLate: it is cancelled, under way, or about to begin.
        SlotTaken, RulesRefused: the opening will not do any more.
    """
    _must_allow(link, "move")
    with transaction.atomic():
        case = link.appointment
        _must_be_answerable(case, shown, at)
        done = booking.reschedule(
            appointment=case, opening=opening, by=by, at=at, version=shown.version, reason="patient_link"
        )  # fmt: skip
        _keep(link, LinkAnswer.MOVED, at)
        desk_tasks.settle(kind=TaskKind.ANOTHER_TIME, appointment=done, by=by, at=at)
    return Answered(done, is_new=True)


def ask_for_call(*, link: Link, when: str, by: Actor, at: datetime) -> DeskTask:
    """Leave the desk a task to call the patient about another time; asking twice leaves one.

    Raises:
        Refused: `when` is none of the times that can be asked for.
    """
    _must_allow(link, "ask_for_call")
    if when not in WHEN_TO_CALL:
        raise Refused("not_a_choice", "Choose when we may call.")
    case = link.appointment
    with transaction.atomic():
        task = desk_tasks.open_task(
            kind=TaskKind.ANOTHER_TIME, patient=link.patient, appointment=case, message=link.message,
            by=by, at=at, due_at=min(at + desk_tasks.WITHIN, max(case.arrives_at, at)), note=WHEN_TO_CALL[when],
        )  # fmt: skip
        _keep(link, LinkAnswer.ASKED_FOR_CALL, at)
    return task


def unsubscribe(*, link: Link, by: Actor, at: datetime) -> Patient:
    """Stop all e-mail to the patient; doing it twice is fine."""
    return _accept_email(link, "unsubscribe", LinkAnswer.UNSUBSCRIBED, by, at)


def subscribe(*, link: Link, by: Actor, at: datetime) -> Patient:
    """Take back that no e-mail is wanted."""
    return _accept_email(link, "subscribe", LinkAnswer.SUBSCRIBED, by, at)


def may_take_back(case: Appointment, at: datetime) -> bool:
    """Say whether the patient cancelled by link within the last minutes and the visit has not begun."""
    return (
        case.status == Status.CANCELLED
        and case.asked_by == AskedBy.PATIENT
        and case.cancel_note == BY_LINK
        and case.cancelled_at is not None
        and at < case.cancelled_at + UNDO_WITHIN
        and at < case.arrives_at
    )


def _accept_email(link: Link, act: str, answer: LinkAnswer, by: Actor, at: datetime) -> Patient:
    _must_allow(link, act)
    with transaction.atomic():
        wanted = answer == LinkAnswer.SUBSCRIBED
        patient = records.amend(patient=link.patient, changes={"accepts_email": wanted}, by=by, at=at)
        _keep(link, answer, at)
    return patient


def _must_allow(link: Link, act: str) -> None:
    if act not in ALLOWS[link.purpose]:
        raise Forbidden("not_allowed", "This link is for something else.")


def _must_be_answerable(case: Appointment, shown: Shown, at: datetime) -> None:
    if case.version != shown.version:
        raise booking.Stale(case.version)
    if case.status not in BEFORE_ARRIVAL:
        raise InvalidMove("invalid_move", "This visit can no longer be changed here.", {"status": case.status})
    if at >= case.arrives_at:
        raise TooLate


def _is(status: Status, case: Appointment, shown: Shown) -> bool:
    """Say whether the case is in this status at the very time that the page showed."""
    return case.status == status and case.calendar_sequence == shown.sequence


def _unless_already(status: Status, case: Appointment, shown: Shown | None) -> Appointment:
    """Return the case if a twin of this press got there first; else it changed under the patient's eyes."""
    now = Appointment.objects.select_related("site", "procedure", "patient").get(pk=case.pk)
    if now.status == status and (shown is None or now.calendar_sequence == shown.sequence):
        return now
    raise booking.Stale(now.version)


def _keep(link: Link, answer: LinkAnswer, at: datetime) -> None:
    Link.objects.filter(pk=link.pk).update(answer=answer, answered_at=at)
