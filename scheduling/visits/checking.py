"""What is asked before the needle and before the patient leaves: each answer with who gave it and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from pain_clinic.errors import Forbidden, Refused
from procedures.models import Driver
from scheduling.models import Appointment, Check, CheckAnswer, CheckItem, CheckMoment, Discharge, ReadyItem

ITEMS: Mapping[str, type[CheckItem] | type[ReadyItem]] = {CheckMoment.BEFORE: CheckItem, CheckMoment.LEAVING: ReadyItem}
ANSWER = "scheduling.answer_checklist"


class NotReadyToLeave(Refused):
    """Something is not as it should be, or nobody comes for the patient, and no reason is given."""

    def __init__(self, open_items: Sequence[str]) -> None:
        needs_somebody = list(open_items) == ["escort"]
        super().__init__(
            "not_ready_to_leave",
            "Write down who takes the patient home, or give the reason why nobody takes the patient home."
            if needs_somebody
            else "Not everything is answered with yes, or nobody takes the patient home. Give a reason to go on.",
            {"items": list(open_items)},
        )


@dataclass(frozen=True, slots=True)
class Checklist:
    """The answers on a case of one moment, by item; items without an answer are missing."""

    moment: str
    answers: Mapping[str, Check]

    @property
    def open_items(self) -> tuple[str, ...]:
        """Return the items that nobody has answered with yes or "does not apply"."""
        fine = {CheckAnswer.YES, CheckAnswer.NOT_APPLICABLE}
        return tuple(
            str(item) for item in ITEMS[self.moment].values if item not in self.answers or self.answers[item].answer not in fine
        )


def checklist(appointment: Appointment, moment: str = CheckMoment.BEFORE) -> Checklist:
    """Return what was answered so far."""
    rows = Check.objects.filter(appointment=appointment, moment=moment).select_related("answered_by").order_by("pk")
    return Checklist(moment, {row.item: row for row in rows})


def answer_checks(
    *, appointment: Appointment, moment: str, answers: Mapping[str, tuple[str, str]], by: Actor, at: datetime
) -> Checklist:
    """Store answers (answer, note) by item; who answers anew replaces the answer, and the row history keeps the old one.

    Raises:
        Forbidden: the actor may not answer checklists.
        Refused: there is no such item or answer.
    """
    if not by.may(ANSWER):
        raise Forbidden("not_allowed", "You may not answer the checklists.")
    for item, (answer, _) in answers.items():
        if item not in ITEMS[moment].values or answer not in CheckAnswer.values:
            raise Refused("check_unknown", "There is no such question or answer.", {"item": item})
    with transaction.atomic():
        Appointment.objects.select_for_update(no_key=True).get(pk=appointment.pk)
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
    driver = appointment.procedure.driver
    return driver == Driver.REQUIRED or (driver == Driver.REQUIRED_IF_SEDATED and appointment.sedation not in {"", "none"})


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
        lacking = [*said.open_items, *(["escort"] if needs_escort(appointment) and not escort.strip() else [])]
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
