"""What the desk has to do by hand: opened by whoever finds it, taken by one person, closed with what came of it."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from pain_clinic.audit import trail
from pain_clinic.errors import Conflict, Forbidden, constraint_name
from patients.models import Patient
from scheduling.models import Appointment, DeskTask, Message, TaskOutcome, TaskRole

WITHIN = timedelta(hours=4)  # how soon the desk should call, where nothing presses more


class TaskClosed(Conflict):
    """Somebody has dealt with it already."""

    def __init__(self) -> None:
        super().__init__("task_closed", "Somebody has dealt with this already.")


def open_task(
    *,
    kind: str,
    patient: Patient,
    by: Actor,
    at: datetime,
    appointment: Appointment | None = None,
    message: Message | None = None,
    site: Site | None = None,
    due_at: datetime | None = None,
    role: str = TaskRole.DESK,
    reason: str = "",
    note: str = "",
) -> DeskTask:
    """Open a task, or return the one of this kind that is open for the same case; what is new in words is added to it."""
    where = site or (appointment.site if appointment is not None else patient.home_site)
    due = due_at or at + WITHIN
    with transaction.atomic():
        try:
            with transaction.atomic():
                task = DeskTask.objects.create(
                    kind=kind, patient=patient, appointment=appointment, message=message, site=where, role=role,
                    opened_at=at, due_at=due, reason=reason[:60], note=note[:500],
                )  # fmt: skip
        except IntegrityError as error:
            if constraint_name(error) != "desk_task_open_once":
                raise
            task = DeskTask.objects.select_for_update().get(kind=kind, patient=patient, appointment=appointment, done_at=None)
            if note and note not in task.note:
                new = note[:500]  # which is never the part that is cut off
                kept = task.note[: max(499 - len(new), 0)].rstrip()
                task.note = "\n".join(part for part in (kept, new) if part)
            task.due_at = min(task.due_at, due)
            task.save(update_fields=["note", "due_at"])
            return task
        _record("scheduling.open_task", task, by, reason_code=reason)
    return task


def take(*, task: DeskTask, by: Actor, at: datetime) -> DeskTask:
    """Make the actor the task's owner; taking it over from a colleague is fine.

    Raises:
        Forbidden: the actor may not work tasks.
        TaskClosed: it is done.
    """
    _must_be_allowed(by)
    with transaction.atomic():
        row = _open(task)
        if row.owner_id != by.user_id:
            row.owner_id = by.user_id
            row.save(update_fields=["owner"])
            _record("scheduling.take_task", row, by)
    return row


def close_task(*, task: DeskTask, outcome: str, by: Actor, at: datetime, note: str = "") -> DeskTask:
    """Close a task with what came of it.

    Raises:
        Forbidden: the actor may not work tasks.
        TaskClosed: it is done.
    """
    _must_be_allowed(by)
    with transaction.atomic():
        row = _open(task)
        row.outcome, row.done_at, row.done_by_id = TaskOutcome(outcome), at, by.user_id
        if note:
            row.note = "\n".join(part for part in (row.note, note) if part)[:500]
        row.save(update_fields=["outcome", "done_at", "done_by", "note"])
        _record("scheduling.close_task", row, by, reason_code=outcome)
    return row


def settle(*, kind: str, appointment: Appointment, by: Actor, at: datetime) -> int:
    """Close the open task of this kind for a case, whose cause is gone; return how many were closed."""
    return end(DeskTask.objects.filter(kind=kind, appointment=appointment, done_at=None), by=by, at=at)


def end(tasks: QuerySet[DeskTask], *, by: Actor, at: datetime) -> int:
    """Close these open tasks as no longer needed; return how many were closed."""
    with transaction.atomic():
        rows = list(tasks.select_for_update(of=("self",)).order_by("pk"))
        for row in rows:
            row.outcome, row.done_at = TaskOutcome.NOT_NEEDED, at
            row.save(update_fields=["outcome", "done_at"])
            _record("scheduling.close_task", row, by, reason_code=TaskOutcome.NOT_NEEDED)
    return len(rows)


def _must_be_allowed(by: Actor) -> None:
    if not by.may("scheduling.work_tasks"):
        raise Forbidden("not_allowed", "You may not work on the desk's tasks.")


def _open(task: DeskTask) -> DeskTask:
    row = DeskTask.objects.select_for_update(of=("self",)).select_related("patient").get(pk=task.pk)
    if row.done_at is not None:
        raise TaskClosed
    return row


def _record(act: str, task: DeskTask, by: Actor, *, reason_code: str = "") -> None:
    trail.record(
        by=by, act=act, subject=task, patient=task.patient.public_id, site_id=task.site_id, reason_code=reason_code,
        details={"kind": task.kind},
    )  # fmt: skip
