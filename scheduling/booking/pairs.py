"""What must stand together: a stimulator trial is not booked without the removal of its leads, nor parted from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from pain_clinic.errors import Refused
from patients.models import PerformedProcedure
from procedures.rules import Finding, structural
from scheduling.booking.scene import Scene
from scheduling.models import AWAY, BEFORE_ARRIVAL, Appointment

TRIAL, REMOVAL = "scs_trial", "scs_trial_followup"
# Days from the trial to the removal of its leads (pathways.yaml, trial_days).
LEAST, MOST = timedelta(days=3), timedelta(days=7)
LOOKED_BACK = timedelta(days=30)  # leads that are in for longer are no question of a week any more


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


def findings_of_done(scene: Scene, at: datetime, case: Appointment | None) -> list[Finding]:
    """Return what speaks against the removal of leads later than a week after a trial that was done.

    Earlier is fine, whatever the table says: leads that trouble come out. Once the week is over nothing is refused any more.
    """
    if scene.procedure.family != REMOVAL or scene.patient is None:  # others pay no statement for it
        return []
    zone = ZoneInfo(scene.site.time_zone)
    on, today = scene.starts_at.astimezone(zone).date(), at.astimezone(zone).date()
    for trial in _trials_done(scene, today, case):
        last = trial + MOST
        if today <= last < on:
            message = f"The leads of the trial of {trial} come out by {last}, {MOST.days} days after it. Choose a day until then."
            return [structural("removal_out_of_time", message, about=trial.isoformat())]
    return []


def _trials_done(scene: Scene, today: date, case: Appointment | None) -> list[date]:
    """Return the days of the patient's trials that were done lately and whose leads no other case takes out in time."""
    since = today - LOOKED_BACK
    cases = Appointment.objects.filter(
        patient=scene.patient, procedure__family__in=(TRIAL, REMOVAL), local_date__gt=since, is_history=False
    ).exclude(status__in=AWAY)
    removals: list[date] = []
    done: set[date] = set()
    out: set[date] = set()
    if case is not None:
        cases = cases.exclude(pk=case.pk)
    for other in cases.select_related("procedure").order_by("pk"):
        if other.procedure.family == REMOVAL:
            removals.append(other.local_date)
        elif other.status not in BEFORE_ARRIVAL:
            done.add(other.local_date)
    rows = PerformedProcedure.objects.standing().filter(patient=scene.patient, procedure__family=TRIAL, done_on__gt=since)
    for on, removed_on in rows.order_by("pk").values_list("done_on", "lead_removed_on"):
        (out if removed_on is not None else done).add(on)
    return sorted(day for day in done - out if not any(day <= removal <= day + MOST for removal in removals))


def refuse_to_part(case: Appointment, others: Sequence[Appointment]) -> None:
    """Refuse to cancel this removal of leads if its trial stands, or was done, and has no other.

    Raises:
        RemovalNeeded: with the day of the trial.
    """
    left = [one.local_date for one in _of(REMOVAL, others) if one.pk != case.pk]
    for trial in _of(TRIAL, others):
        if _fits(trial.local_date, case.local_date) and not any(_fits(trial.local_date, day) for day in left):
            raise RemovalNeeded(trial.local_date)


def _of(family: str, others: Sequence[Appointment]) -> list[Appointment]:
    return [one for one in others if one.procedure.family == family and one.status not in AWAY]


def _fits(trial: date, removal: date) -> bool:
    return LEAST <= removal - trial <= MOST
