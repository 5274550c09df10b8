"""Contacts after a visit that somebody of the clinic makes, by call or in person: a task for each, due on its day.

What may be asked by mail is `asks`; here is what the outcomes table gives to people, and the scores that it asks for by mail
but that no mail can ask, since the tables hold no wording of their items: somebody records them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db.models import DateField, Exists, OuterRef, Q
from django.db.models.functions import Cast

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from patients import outcomes
from patients.models import PerformedProcedure, Score
from procedures.rules.dates import Period
from scheduling import desk_tasks, follow_ups
from scheduling.follow_ups import Contact
from scheduling.models import Appointment, DeskTask, TaskKind, TaskRole

ACTOR = Actor.system("contacts")
UNTIL = time(16)  # of the day, on the site's clocks
LATE = timedelta(days=3)  # a contact that is longer ago when the case is completed is not made up for
AT_ONCE = 200
SATURDAY = 5
ADVERSE = frozenset({"adverse", "adverse_events"})
BY_PEOPLE = frozenset({"peg"})  # free to use, as the table says, but of several items; a licensed one is nobody's duty here
RECORD = ":record"  # ends the reason of a task that is over when the score is there
EARLY = timedelta(days=7)  # before its day from which a score counts for it


def lay_down(*, case: Appointment, performed: PerformedProcedure, by: Actor, at: datetime) -> int:
    """Open the tasks of a case just completed; return how many. Joins the caller's transaction; a contact is there once."""
    if case.patient.deceased_on is not None:
        return 0
    rows = list(_tasks(case, performed, at))
    if rows:
        DeskTask.objects.bulk_create(rows, ignore_conflicts=True)
        trail.record(
            by=by, act="scheduling.open_tasks", subject=case, patient=case.patient.public_id, site_id=case.site_id,
            details={"kinds": [str(TaskKind.FOLLOW_UP)], "steps": [row.reason for row in rows]},
        )  # fmt: skip
    return len(rows)


def tidy(*, at: datetime, limit: int = AT_ONCE) -> int:
    """End the contacts of people who have died, of what was not done after all, and of scores that came; return how many."""
    standing = PerformedProcedure.objects.standing().filter(appointment=OuterRef("appointment__public_id"))
    told = Score.objects.standing().filter(
        Q(performed=None) | Q(performed__appointment=OuterRef("appointment__public_id")), patient=OuterRef("patient_id"),
        measure__in=BY_PEOPLE, value__isnull=False, scored_on__gte=Cast(OuterRef("due_at") - EARLY, DateField()),
    )  # fmt: skip
    is_told = Q(reason__endswith=RECORD) & Exists(told)
    gone = Q(patient__deceased_on__isnull=False) | ~Exists(standing) | is_told
    rows = DeskTask.objects.open().after_a_visit().filter(gone).order_by("pk")
    return desk_tasks.end(DeskTask.objects.open().filter(pk__in=list(rows.values_list("pk", flat=True)[:limit])), by=ACTOR, at=at)


def _tasks(case: Appointment, performed: PerformedProcedure, at: datetime) -> Iterator[DeskTask]:
    family = performed.procedure.family if performed.procedure is not None else ""
    zone = ZoneInfo(case.zone)
    for contact in follow_ups.contacts():
        wanted = BY_PEOPLE.intersection(contact.collect) if contact.is_by_mail else contact.collect
        if contact.family != family or not wanted:
            continue
        due = datetime.combine(_workday(Period(contact.days, contact.months).after(performed.done_on)), UNTIL, tzinfo=zone)
        if due + LATE >= at:
            yield DeskTask(
                kind=TaskKind.FOLLOW_UP, role=TaskRole.NURSE, patient=case.patient, appointment=case, site=case.site,
                opened_at=at, due_at=max(due, at), reason=f"{contact.step}{RECORD if contact.is_by_mail else ''}",
                note=in_words(contact),
            )  # fmt: skip


def in_words(contact: Contact) -> str:
    """Return what is to be done: "Call on day 2 and ask whether anything is wrong, and for: Numeric rating scale for pain"."""
    scales = outcomes.measures()
    when = f"{contact.months} months" if contact.months else f"day {contact.days}"
    if contact.is_by_mail:
        missing = ", ".join(scales[code].name for code in contact.collect if code in BY_PEOPLE)
        return f"Record by telephone or at the visit, {when} after it: {missing}. The mail does not ask it."
    named = [scales[code].name if code in scales else code.replace("_", " ") for code in contact.collect if code not in ADVERSE]
    asked = [*(["whether anything is wrong"] if ADVERSE & set(contact.collect) else []), *named]
    return f"{contact.mode.capitalize()}, {when} after it. Ask: {'; '.join(asked)}."


def _workday(day: date) -> date:
    """Return this day, or the Monday after it."""
    return day + timedelta(days=max(0, 7 - day.weekday()) if day.weekday() >= SATURDAY else 0)
