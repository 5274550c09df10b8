"""What is asked before the needle and before the patient leaves: each answer with who gave it and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from pain_clinic.errors import Forbidden, Refused
from patients.models import PerformedProcedure
from procedures.models import Driver
from scheduling.models import Appointment, Check, CheckAnswer, CheckItem, CheckMoment, Discharge, ReadyItem, SedatedItem
from scheduling.visits import fasting

ITEMS: Mapping[str, type[CheckItem] | type[ReadyItem]] = {CheckMoment.BEFORE: CheckItem, CheckMoment.LEAVING: ReadyItem}
LABELS: Mapping[str, str] = {
    str(value): str(label) for items in (CheckItem, SedatedItem, ReadyItem) for value, label in items.choices
}
ANSWER = "scheduling.answer_checklist"
ESCORT = "escort"
AWAKE = frozenset({"", "none"})


class NotReadyToLeave(Refused):
    """Something is not as it should be, or nobody comes for the patient, and no reason is given."""

    def __init__(self, open_items: Sequence[str]) -> None:
        needs_somebody = list(open_items) == [ESCORT]
        super().__init__(
            "not_ready_to_leave",
            "Write down who takes the patient home, or give the reason why nobody takes the patient home."
            if needs_somebody
            else "Not everything is answered with yes, or nobody takes the patient home. Give a reason to go on.",
            {"items": list(open_items)},
        )


class LeavingOpen(Refused):
    """A sedated patient, or one who must not drive, is to go, and the leaving checklist is not complete."""

    def __init__(self, leaving: Leaving) -> None:
        super().__init__(
            "leaving_open",
            f"{leaving.why} Before discharge {leaving.what}. Fill in the leaving checklist, or give the reason why not.",
            {"items": list(leaving.lacking)},
        )


@dataclass(frozen=True, slots=True)
class Leaving:
    """Why a patient may not simply go, and which items of the leaving checklist are missing; "escort" is one of them."""

    is_sedated: bool
    lacking: tuple[str, ...]

    @property
    def why(self) -> str:
        return "This patient was sedated." if self.is_sedated else "This patient must not drive after this procedure."

    @property
    def what(self) -> str:
        """Return what is missing in the words of a sentence."""
        words = ", ".join(ReadyItem(item).label.lower() for item in self.lacking if item in ReadyItem.values)
        parts = [f"this has to be answered with yes: {words}"] if words else []
        return ", and ".join(
            [*parts, *(["it has to be written down who takes the patient home"] if ESCORT in self.lacking else [])]
        )


@dataclass(frozen=True, slots=True)
class Checklist:
    """The answers on a case of one moment, by item; items without an answer are missing."""

    moment: str
    answers: Mapping[str, Check]
    items: tuple[str, ...]

    @property
    def open_items(self) -> tuple[str, ...]:
        """Return the items that nobody has answered with yes or "does not apply"."""
        fine = {CheckAnswer.YES, CheckAnswer.NOT_APPLICABLE}
        return tuple(item for item in self.items if item not in self.answers or self.answers[item].answer not in fine)


def items_of(appointment: Appointment, moment: str) -> Mapping[str, str]:
    """Return what is asked about a case, each item with its words; of fasting only where it will be sedated."""
    more = SedatedItem.choices if moment == CheckMoment.BEFORE and fasting.applies(appointment) else []
    return {str(value): str(label) for value, label in (*ITEMS[moment].choices, *more)}


def checklist(appointment: Appointment, moment: str = CheckMoment.BEFORE) -> Checklist:
    """Return what was answered so far."""
    rows = Check.objects.filter(appointment=appointment, moment=moment).select_related("answered_by").order_by("pk")
    return Checklist(moment, {row.item: row for row in rows}, tuple(items_of(appointment, moment)))


def answer_checks(
    *, appointment: Appointment, moment: str, answers: Mapping[str, tuple[str, str]], by: Actor, at: datetime
) -> Checklist:
    """Store answers (answer, note) by item; who answers anew replaces the answer, and the row history keeps the old one.

    Raises:
        Forbidden: the actor may not answer checklists.
        Refused: there is no such item or answer.
        FastTooShort: that the patient fasted is answered with yes, and what is written down says otherwise.
    """
    if not by.may(ANSWER):
        raise Forbidden("not_allowed", "You may not answer the checklists.")
    for item, (answer, _) in answers.items():
        if item not in items_of(appointment, moment) or answer not in CheckAnswer.values:
            raise Refused("check_unknown", "There is no such question or answer.", {"item": item})
    with transaction.atomic():
        Appointment.objects.select_for_update(no_key=True).get(pk=appointment.pk)
        if answers.get(SedatedItem.FASTING, ("",))[0] in fasting.LETS_ON:
            fast = fasting.fast_of(appointment=appointment, at=at)
            if fast.standing:
                raise fast.refusal(fast.standing, fasting.ANSWERED)
        known = checklist(appointment, moment).answers
        changed = []
        for item, (answer, note) in sorted(answers.items()):
            row = known.get(item)
            if row is not None and (row.answer, row.note) == (answer, note):
                continue
            Check.objects.update_or_create(
                appointment=appointment,
                moment=moment,
                item=item,
                defaults={"answer": answer, "note": note[:200], "answered_at": at, "answered_by_id": by.user_id},
            )
            changed.append(item)
        if changed:
            trail.record(
                by=by, act="scheduling.answer_checklist", subject=appointment, patient=appointment.patient.public_id,
                site_id=appointment.site_id, details={"moment": str(moment), "items": changed},
            )  # fmt: skip
    return checklist(appointment, moment)


def needs_escort(appointment: Appointment) -> bool:
    """Say whether somebody has to take the patient home."""
    return _needs_escort(*_as_done(appointment))


def leaving(appointment: Appointment) -> Leaving:
    """Return what is missing before a patient may be discharged; who was awake and may drive simply goes.

    A reason that was written down stands for whatever is missing.
    """
    driver, sedation = _as_done(appointment)
    is_sedated, needs_somebody = sedation not in AWAKE, _needs_escort(driver, sedation)
    known = Discharge.objects.filter(appointment=appointment).first()
    if not (is_sedated or needs_somebody) or (known is not None and known.reason):
        return Leaving(is_sedated, ())
    is_alone = needs_somebody and (known is None or not known.escort)
    return Leaving(is_sedated, (*checklist(appointment, CheckMoment.LEAVING).open_items, *([ESCORT] if is_alone else [])))


def _needs_escort(driver: str, sedation: str) -> bool:
    return driver == Driver.REQUIRED or (driver == Driver.REQUIRED_IF_SEDATED and sedation not in AWAKE)


def _as_done(appointment: Appointment) -> tuple[str, str]:
    """Return whether a driver is needed and how the patient was sedated: as done where that is on record, else as booked."""
    rows = PerformedProcedure.objects.standing().filter(appointment=appointment.public_id, procedure__isnull=False)
    done = rows.values_list("procedure__driver", "sedation").first()
    return done or (appointment.procedure.driver, appointment.sedation)


def leave_without(*, appointment: Appointment, reason: str, by: Actor, at: datetime) -> None:
    """Write down why a patient goes without a complete leaving checklist. Joins the caller's transaction.

    Raises:
        Forbidden: the actor may not answer checklists.
    """
    if not by.may(ANSWER):
        raise Forbidden("not_allowed", "A nurse or a physician says why a patient goes without the leaving checklist.")
    Discharge.objects.update_or_create(
        appointment=appointment, defaults={"reason": reason.strip()[:200], "at": at, "by_id": by.user_id}
    )


def leave_ready(
    *, appointment: Appointment, answers: Mapping[str, tuple[str, str]], escort: str, reason: str, by: Actor, at: datetime
) -> Discharge:
    """Write down that the patient may go, and with whom; the status moves by `move_on`.

    Raises:
        NotReadyToLeave: an answer is missing or not yes, or an escort is needed, and no reason is given.
        Forbidden, Refused: as for `answer_checks`.
    """
    with transaction.atomic():
        said = answer_checks(appointment=appointment, moment=CheckMoment.LEAVING, answers=answers, by=by, at=at)
        lacking = [*said.open_items, *([ESCORT] if needs_escort(appointment) and not escort.strip() else [])]
        if lacking and not reason.strip():
            raise NotReadyToLeave(lacking)
        row, _ = Discharge.objects.update_or_create(
            appointment=appointment,
            defaults={"escort": escort.strip()[:120], "reason": reason.strip()[:200], "at": at, "by_id": by.user_id},
        )
        trail.record(
            by=by, act="scheduling.leave_ready", subject=appointment, patient=appointment.patient.public_id,
            site_id=appointment.site_id, details={"lacking": lacking},
        )  # fmt: skip
    return row
