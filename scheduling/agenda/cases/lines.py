"""Cases and messages as lists show them: a line each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

from django.urls import reverse

from pain_clinic.accounts.actors import Actor
from patients.models import Patient
from scheduling.agenda import words
from scheduling.agenda.shapes import CaseLine, MessageLine, Wait
from scheduling.models import Allocation, Appointment, Kind, Message, TaskKind
from scheduling.waiting import Group

# Puts a message's reason code in words; the doors hand it in, since reads do not know the verbs beside them.
Reasons = Callable[[str], str]
RESEND = "scheduling:message_resend"
# Where what a case waits for is written down, and who may.
WORK = {
    TaskKind.PAPERS: ("patients.keep_payer_papers", "patients:payer_papers"),
    TaskKind.AUTHORIZATION: ("patients.change_coverage", "patients:cover"),
    TaskKind.ASK: ("patients.record_clinical", "patients:record"),
    TaskKind.LAB: ("patients.record_clinical", "patients:record"),
    TaskKind.FOLLOW_UP: ("patients.record_outcome", "patients:score_new"),
}


def message_line(
    message: Message, *, zone: ZoneInfo, may_resend: bool, reasons: Reasons = str, with_patient: bool = False
) -> MessageLine:
    """Return one message (patient and appointment joined) as lists show it."""
    can_resend = may_resend and message.may_help_again
    return MessageLine(
        public_id=message.public_id,
        kind=str(message.get_kind_display()),
        to=words.masked(message.patient.email) or "no address",
        state=message.state,
        at=(message.done_at or message.due_at).astimezone(zone),
        why=reasons(message.reason) if message.reason else "",
        resend_url=reverse(RESEND, args=[message.public_id]) if can_resend else "",
        url=reverse("scheduling:message", args=[message.public_id]) if may_resend else "",
        case_url=words.case_url(message.appointment.public_id),
        patient=message.patient.short_name if with_patient else "",
    )


def wait_line(group: Group, patient: Patient, zone: ZoneInfo, by: Actor) -> Wait:
    """Return what a case waits for of one kind, with where whoever looks can see to it."""
    url = work_url(group.kind, patient, by.may)
    return Wait(str(group.kind.label), str(group.role.label), group.due_at.astimezone(zone), group.texts, url)


def work_url(kind: TaskKind, patient: Patient, may: Callable[[str], bool]) -> str:
    """Return where a kind of task is seen to about this patient; empty where there is no such page, or not for this person."""
    permission, page = WORK.get(kind, ("", ""))
    return reverse(page, args=[patient.public_id]) if page and may(permission) else ""


def where(appointment: Appointment, rows: Sequence[Allocation]) -> str:
    """Return physician and room of a case: "Dr. A, Room 2"."""
    named = [row.resource.short_name for kind in (Kind.PHYSICIAN, Kind.ROOM) for row in rows if row.kind == kind]
    return ", ".join(dict.fromkeys(named))


def lines_of(appointments: Sequence[Appointment], *, day_shown: bool = True, with_patient: bool = False) -> tuple[CaseLine, ...]:
    """Return case lines of appointments (patient, procedure and site joined), with one statement for who and where."""
    by_case: dict[int, list[Allocation]] = {}
    rows = (
        Allocation.objects.filter(appointment__in=appointments, kind__in=(Kind.PHYSICIAN, Kind.ROOM), released_at=None)
        .select_related("resource")
        .order_by("pk")
    )
    for row in rows:
        by_case.setdefault(row.appointment_id or 0, []).append(row)
    return tuple(
        words.case_line(
            each,
            zone=ZoneInfo(each.site.time_zone),
            where=", ".join(
                part for part in (where(each, by_case.get(each.pk, [])), each.site.name if day_shown else "") if part
            ),
            day_shown=day_shown,
            with_patient=with_patient,
        )
        for each in appointments
    )
