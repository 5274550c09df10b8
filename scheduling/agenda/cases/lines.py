"""Cases and messages as lists show them: a line each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.urls import reverse

from pain_clinic.accounts.actors import Actor
from patients.models import Patient
from procedures.rules import Finding
from scheduling.agenda import words
from scheduling.agenda.shapes import CaseLine, MessageLine, Pair, Wait
from scheduling.models import Allocation, Appointment, AppointmentFinding, CheckMoment, DeskTask, Kind, Message, TaskKind
from scheduling.waiting import BOOKING, READINESS, TO_CONFIRM, Group, as_finding, work_of

# Puts a message's reason code in words; the doors hand it in, since reads do not know the verbs beside them.
Reasons = Callable[[str], str]
RESEND = "scheduling:message_resend"


@dataclass(frozen=True, slots=True)
class _Place:
    """A page on which something is seen to, who may open it, and whether it is the case's or its patient's."""

    label: str
    may: str
    page: str
    is_of_case: bool = False
    more: tuple[str, ...] = ()

    def way(self, case: Appointment | None, patient: Patient, may: Callable[[str], bool]) -> Pair | None:
        """Return label and address; nothing for who may not, or where there is no case yet."""
        subject = case if self.is_of_case else patient
        if subject is None or not may(self.may):
            return None
        return Pair(self.label, reverse(self.page, args=[subject.public_id, *self.more]))


RECORD = _Place("Record", "patients.record_clinical", "patients:record")
PLAN = _Place("Rules and plan", "scheduling.plan_case", "scheduling:case_rules", is_of_case=True)
THINNERS = _Place("Blood thinners for this case", "patients.view_safety", "scheduling:medicines", is_of_case=True)
FAST = _Place("Checklist before the needle", "scheduling.answer_checklist", "scheduling:checklist", True, (CheckMoment.BEFORE,))
# Where each kind of task is seen to; some findings name a page of their own (`_place_of`).
WORK = {
    TaskKind.PAPERS: _Place("Papers for the payer", "patients.keep_payer_papers", "patients:payer_papers"),
    TaskKind.AUTHORIZATION: _Place("Coverage", "patients.change_coverage", "patients:cover"),
    TaskKind.ASK: RECORD,
    TaskKind.LAB: RECORD,
    TaskKind.CLEARANCE: THINNERS,
    TaskKind.DRIVER: PLAN,
    TaskKind.PREMEDICATION: PLAN,
    TaskKind.PLAN: PLAN,
    TaskKind.RULES: PLAN,
    TaskKind.FOLLOW_UP: _Place("Scores", "patients.record_outcome", "patients:score_new"),
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


def wait_line(group: Group, case: Appointment, zone: ZoneInfo, by: Actor) -> Wait:
    """Return what a case (patient joined) waits for of one kind, with where whoever looks can see to it."""
    ways = ways_of(group.kind, group.findings, case, case.patient, by.may)
    return Wait(str(group.kind.label), str(group.role.label), group.due_at.astimezone(zone), group.texts, ways)


def ways_of(
    kind: TaskKind, findings: Sequence[Finding], case: Appointment | None, patient: Patient, may: Callable[[str], bool]
) -> tuple[Pair, ...]:
    """Return the pages on which a task for these findings is seen to, each once, of those that this person may open."""
    places = dict.fromkeys(_place_of(kind, finding) for finding in findings) or {WORK.get(kind): None}
    ways = (place.way(case, patient, may) for place in sorted(filter(None, places), key=lambda place: place in (RECORD, PLAN)))
    return tuple(way for way in ways if way is not None)  # what is for one question comes before what is for all


def _place_of(kind: TaskKind, finding: Finding) -> _Place | None:
    if TO_CONFIRM in finding.facts:
        return THINNERS
    return FAST if finding.code.startswith("fasting_") else WORK.get(kind)


def findings_behind(tasks: Iterable[DeskTask]) -> dict[int, tuple[Finding, ...]]:
    """Return for each of some tasks before a visit the findings for which it is open, in one statement."""
    before = {(task.appointment_id, task.kind): task.pk for task in tasks if task.kind in READINESS}
    told: dict[int, tuple[Finding, ...]] = {}
    rows = AppointmentFinding.objects.filter(appointment__in={case for case, _ in before}, gone_at=None).exclude(source=BOOKING)
    for row in rows.order_by("pk"):
        finding = as_finding(row)
        kinds = {TaskKind.RULES} if row.stands else set()
        if finding.pending or row.due_at is not None:
            kinds.add(work_of(finding).kind)
        for kind in kinds:
            task = before.get((row.appointment_id, kind))
            if task is not None:
                told[task] = (*told.get(task, ()), finding)
    return told


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
