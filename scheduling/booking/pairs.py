"""What must stand together: a stimulator trial is not booked without the removal of its leads, nor parted from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from pain_clinic.errors import Refused
from procedures.rules import Finding, structural
from scheduling.booking.scene import Scene
from scheduling.models import AWAY, BEFORE_ARRIVAL, Appointment

TRIAL, REMOVAL = "scs_trial", "scs_trial_followup"
# Days from the trial to the removal of its leads (pathways.yaml, trial_days).
LEAST, MOST = timedelta(days=3), timedelta(days=7)


class RemovalNeeded(Refused):
    """The trial that stands needs this removal of its leads."""

    def __init__(self, on: date) -> None:
        super().__init__("removal_needed", f"The trial of {on} needs this removal of its leads. Cancel or move the trial first.")


def findings_of(scene: Scene, others: Sequence[Appointment]) -> list[Finding]:
    """Return what speaks against a trial without its removal, or a removal that would leave its trial alone."""
    on = scene.starts_at.astimezone(ZoneInfo(scene.site.time_zone)).date()
    if scene.procedure.family == TRIAL and not any(_fits(on, one.local_date) for one in _of(REMOVAL, others)):
        message = (
            f"A trial is booked together with the removal of its leads, {LEAST.days} to {MOST.days} days later. "
            "Book both from the course."
        )
        return [structural("trial_without_removal", message)]
    if scene.procedure.family == REMOVAL:
        removals = [one.local_date for one in _of(REMOVAL, others)]
        for trial in _of(TRIAL, others):
            if trial.status in BEFORE_ARRIVAL and not any(_fits(trial.local_date, day) for day in (on, *removals)):
                message = f"The leads of the trial of {trial.local_date} come out {LEAST.days} to {MOST.days} days after it."
                return [structural("removal_out_of_time", message, about=str(trial.pk))]
    return []


def refuse_to_part(case: Appointment, others: Sequence[Appointment]) -> None:
    """Refuse to cancel a removal of leads whose trial stands, or was done and has no other.

    Raises:
        RemovalNeeded: with the day of the trial.
    """
    if case.procedure.family != REMOVAL:
        return
    left = [one.local_date for one in _of(REMOVAL, others) if one.pk != case.pk]
    for trial in _of(TRIAL, others):
        if _fits(trial.local_date, case.local_date) and not any(_fits(trial.local_date, day) for day in left):
            raise RemovalNeeded(trial.local_date)


def _of(family: str, others: Sequence[Appointment]) -> list[Appointment]:
    return [one for one in others if one.procedure.family == family and one.status not in AWAY]


def _fits(trial: date, removal: date) -> bool:
    return LEAST <= removal - trial <= MOST
