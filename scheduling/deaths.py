"""What ends when a patient has died: mails that wait and calls to be made. A date taken back brings the mails back.

Courses stop by the planner, links by themselves; coming cases are left to the desk as a task, since people and rooms are
booked for them.
"""

from __future__ import annotations

from datetime import datetime

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from patients.models import Patient
from procedures.rules import Finding, Severity
from scheduling import desk_tasks, messages
from scheduling.models import BEFORE_A_CASE, DeskTask, Message, MessageState, TaskKind

BY = Actor.system("rules")
REASON = "deceased"


def follow(*, patient: Patient, at: datetime) -> int:
    """Bring what waits for a patient in line with the date of death on record; return how much changed.

    Joins the caller's transaction, which holds the patient. What worries the clinic after a visit stays open, and what is
    no matter of this patient alone.
    """
    if patient.deceased_on is None:
        if Message.objects.filter(patient=patient, state=MessageState.WITHDRAWN, reason=REASON, planned_at__gt=at).exists():
            messages.want_plan(at=at)
        return 0
    waiting = Message.objects.filter(patient=patient, state=MessageState.DUE)
    ended = messages.withdraw(list(waiting.values_list("pk", flat=True)), reason=REASON, at=at)
    calls = (
        DeskTask.objects.open().exclude(kind__in=(*BEFORE_A_CASE, TaskKind.UNWELL, TaskKind.RULES_DOWN)).filter(patient=patient)
    )
    ended += desk_tasks.end(calls, by=BY, at=at)
    if ended:
        trail.record(
            by=BY, act="scheduling.end_for_deceased", subject=patient, patient=patient.public_id,
            site_id=patient.home_site_id, details={"count": ended},
        )  # fmt: skip
    return ended


def finding_of(patient: Patient) -> tuple[Finding, ...]:
    """Return what a date of death says against a case that is booked."""
    if patient.deceased_on is None:
        return ()
    died = f"{patient.deceased_on:%-d %B %Y}"
    said = f"The patient died on {died}. Cancel the visit; if the date is wrong, correct it in the record first."
    return (Finding("patient_deceased", Severity.BLOCKER, said, source="the patient's record"),)
