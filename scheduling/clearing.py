"""Verbs: ask the prescriber of a blood thinner, and write down the answer, from which on the patient's plan may speak.

Each of them raises `RulesNotAsked`, and keeps nothing, where the rules break down on what is on file about the patient.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.errors import Conflict, Refused
from patients import records
from patients.models import Answer, Clearance, ClearanceKind
from scheduling import holdplan, messages, rechecking
from scheduling.assessing import asking_of
from scheduling.booking import staging
from scheduling.booking.words import guarded
from scheduling.models import BEFORE_ARRIVAL, Appointment, Message, MessageKind, MessageState

DECISION_NEEDS = "Write down what was decided: goes on, or held from when until when."


class NothingToClear(Refused):
    """This medicine needs no word of its prescriber for this case."""

    def __init__(self) -> None:
        super().__init__("nothing_to_clear", "For this case no word of a prescriber is needed on this medicine.")


class AlreadyAsked(Conflict):
    def __init__(self) -> None:
        super().__init__("already_asked", "The prescriber was asked already and has not answered yet.")


class AskedOtherwise(Conflict):
    """What the prescriber is asked is no longer what was shown."""

    def __init__(self) -> None:
        super().__init__(
            "asked_otherwise",
            "What the prescriber is asked about this medicine has changed since, or the case was moved. Look at it again, then "
            "write it down.",
        )


class CaseOver(Conflict):
    def __init__(self) -> None:
        super().__init__("case_over", "This case is over or cancelled: there is nothing to hold for it.")


def ask(*, appointment: Appointment, drug: str, by: Actor, at: datetime) -> Clearance:
    """Write down that the prescriber is asked about this slot; the task stays open until the answer is on file.

    Raises:
        MayNotRecord: the actor may not record clinical facts.
        CaseOver, NothingToClear: as they say.
        AlreadyAsked: about the times that the slot has now.
    """
    with guarded(), transaction.atomic():
        case, line = _line(appointment, drug, at)
        if line.is_asked:
            raise AlreadyAsked
        values = {
            "medication": line.medication, "kind": line.kind, "case": case.public_id, "asked_on": _today(case, at), **line.times,
        }  # fmt: skip
        return records.record(kind=Clearance, patient=case.patient, values=values, by=by, at=at)


def needs_note(*, is_decision: bool, is_agreed: bool) -> bool:
    """Say whether an answer must say in words what was decided: "yes" to a decision says nothing."""
    return is_decision and is_agreed


def answer(
    *, appointment: Appointment, drug: str, is_agreed: bool, answered_by: str, how: str, by: Actor, at: datetime, note: str = "",
    kind: str = "", shown: datetime | None = None,
) -> Clearance:  # fmt: skip
    """Write down the prescriber's word for this case: who said it, when and how. What waited for it is asked again at once.

    It counts for the times that the prescriber was asked about; was nobody asked yet, for those that the slot has now. When
    with it every word is a yes, the patient's plan is ready, and a mail says so. `kind` is what the prescriber was shown to be
    asked (left out, nobody looked): a decision is no leave to hold, nor the other way round. `shown` is the start of the slot
    that was shown: what is said about a Monday is not said about the Tuesday to which the case was moved meanwhile.

    Raises:
        MayNotRecord, FieldRefused: as for `records.record`; `note` where a decision does not say what was decided.
        CaseOver, NothingToClear, AskedOtherwise: as they say.
    """
    with guarded(), transaction.atomic():
        case, line = _line(appointment, drug, at)
        if kind not in ("", line.kind) or shown not in (None, case.starts_at):
            raise AskedOtherwise
        if not note.strip() and needs_note(is_decision=line.kind == ClearanceKind.DECISION, is_agreed=is_agreed):
            raise records.FieldRefused("missing", "note", DECISION_NEEDS)
        was_cleared = holdplan.plan_of(case=case, at=at).is_cleared
        said: dict[str, Any] = {
            "answer": Answer.GIVEN if is_agreed else Answer.REFUSED, "answered_on": _today(case, at), "answered_by": answered_by,
            "how": how, "note": note,
        }  # fmt: skip
        asked = line.clearance
        if asked is not None and asked.answer == Answer.ASKED and asked.case == case.public_id:
            times = line.times if asked.decided_for is None and line.kind == ClearanceKind.DECISION else {}
            kept = records.amend_fact(row=asked, changes={**times, **said}, by=by, at=at)
        else:
            values = {"medication": line.medication, "kind": line.kind, "case": case.public_id, **line.times, **said}
            kept = records.record(kind=Clearance, patient=case.patient, values=values, by=by, at=at)
        _follow(case, by, at, was_cleared=was_cleared)
    return kept


def _follow(case: Appointment, by: Actor, at: datetime, *, was_cleared: bool) -> None:
    """Ask again what waited for a word; tell the patient when with it every word is a yes, and each time that it comes to be."""
    if holdplan.plan_of(case=case, at=at).is_cleared:  # told first: the answer of just now goes out at any hour
        messages.plan_ready(appointment=case, at=at, is_anew=not was_cleared)
    _ask_again(case, by, at)


def _ask_again(case: Appointment, by: Actor, at: datetime) -> None:
    with asking_of(case):
        rechecking.recheck([case.patient_id], at=at, by=by, cases=[case.pk])


class NothingToKeep(Refused):
    """There is no decision for another slot that could hold for this one, and none was confirmed for it."""

    def __init__(self) -> None:
        super().__init__(
            "nothing_to_keep", "There is no decision for another day or hour that could hold for this one. Look at it again."
        )


KEPT = ("medication", "kind", "answer", "answered_on", "answered_by", "how", "note", "origin")


def keep_decision(
    *, appointment: Appointment, drug: str, word: str, shown: datetime | None, by: Actor, at: datetime
) -> Clearance:  # fmt: skip
    """Write down that what was decided for another slot holds for the one that the case has now; who decided what stays.

    `word` is the public id of the decision that was shown, `shown` the start of the slot beside it. Twice gives one row: what is
    confirmed for this slot already is returned as it is.

    Raises:
        MayNotRecord: the actor may not record clinical facts.
        CaseOver, NothingToClear, NothingToKeep: as they say.
        AskedOtherwise: the case or the decision is no longer what was shown.
    """
    with guarded(), transaction.atomic():
        case, line = _line(appointment, drug, at)
        old = line.clearance
        if old is not None and line.is_confirmed and case.starts_at == shown:
            return old
        if old is None or not line.is_old_decision:
            raise NothingToKeep
        if str(old.public_id) != word or case.starts_at != shown:
            raise AskedOtherwise
        values = {name: getattr(old, name) for name in KEPT}
        values |= {**line.times, "case": case.public_id, "confirmed_on": _today(case, at)}
        kept = records.record(kind=Clearance, patient=case.patient, values=values, by=by, at=at)
        _follow(case, by, at, was_cleared=False)  # this word was none
    return kept


class NothingToConfirm(Refused):
    """There is no agreed hold of this medicine that has begun."""

    def __init__(self) -> None:
        super().__init__(
            "nothing_to_confirm", "Ask the patient once the hold to which the prescriber agreed for this slot has begun."
        )


OLDEST = timedelta(days=120)  # a last dose before a hold is days or weeks ago; a year ago is a slip of the pen


class DoseAhead(Refused):
    def __init__(self) -> None:
        told = "Give when it was last taken: not a time ahead, and not months ago."
        super().__init__("dose_ahead", told, {"field": "told_last_at"})


def confirm(*, appointment: Appointment, drug: str, told_last_at: datetime, by: Actor, at: datetime) -> Clearance:
    """Write down what the patient gives as the last dose before this case; it is judged at once.

    Raises:
        MayNotRecord: the actor may not record clinical facts.
        CaseOver, NothingToClear: as they say.
        NothingToConfirm: no word for these times, or the hold has not begun. DoseAhead: the time lies ahead, or months ago.
    """
    with guarded(), transaction.atomic():
        case, line = _line(appointment, drug, at, in_house=True)
        if line.clearance is None or line.begins_at is None or at < line.begins_at:
            raise NothingToConfirm
        if not at - OLDEST <= told_last_at <= at:
            raise DoseAhead
        kept = records.amend_fact(row=line.clearance, changes={"told_last_at": told_last_at}, by=by, at=at)
        if case.status in BEFORE_ARRIVAL:
            _ask_again(case, by, at)
        else:
            rechecking.ask_in_house(appointment=case, by=by, at=at)
    return kept


class PlanNotReady(Refused):
    def __init__(self) -> None:
        super().__init__("plan_not_ready", "Not every prescriber has agreed yet: there is nothing to tell.")


def told_last(case: Appointment) -> str:
    """Return a word for how far the patient was told that the plan is ready; another one once something becomes of it."""
    notice = _newest_notice(case)
    return "" if notice is None else f"{notice.public_id}-{notice.state}"


def tell_again(*, appointment: Appointment, by: Actor, at: datetime, shown: str | None = None) -> Message:
    """Tell the patient that the plan is ready for the time that the case has now.

    `shown` is what `told_last` said when somebody looked: who was told since then, by whom ever, is not told once more.

    Raises:
        CaseOver: as it says.
        PlanNotReady: some word is still missing, or is a no.
    """
    with guarded(), transaction.atomic():
        case = _locked(appointment, at)
        if not holdplan.plan_of(case=case, at=at).is_cleared:
            raise PlanNotReady
        notice = _newest_notice(case)
        is_told = notice is not None and notice.state in (MessageState.DUE, MessageState.SENT)
        if notice is not None and is_told and shown not in (None, told_last(case)):
            return notice
        told = messages.plan_ready(appointment=case, at=at, is_anew=True)
        staging.record("scheduling.tell_plan", case, by, details={})
        return told


def _newest_notice(case: Appointment) -> Message | None:
    rows = Message.objects.filter(appointment=case, kind=MessageKind.PLAN_READY, calendar_sequence=case.calendar_sequence)
    return rows.order_by("-pk").first()


def _locked(appointment: Appointment, at: datetime, *, in_house: bool = False) -> Appointment:
    staging.lock_patients([appointment.patient_id])
    staging.locked_case(appointment, None)
    case = Appointment.objects.select_related(*rechecking.JOINED).get(pk=appointment.pk)
    if in_house and case.status in rechecking.WAITING_IN_HOUSE:
        return case
    if case.status not in BEFORE_ARRIVAL or case.starts_at <= at:
        raise CaseOver
    return case


def _line(appointment: Appointment, drug: str, at: datetime, *, in_house: bool = False) -> tuple[Appointment, holdplan.Line]:
    case = _locked(appointment, at, in_house=in_house)
    for line in holdplan.plan_of(case=case, at=at).lines:
        if line.held.drug == drug and line.held.needs_word:
            return case, line
    raise NothingToClear


def _today(case: Appointment, at: datetime) -> Any:
    return at.astimezone(ZoneInfo(case.site.time_zone)).date()
