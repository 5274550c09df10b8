"""One case: who, what, when, with what, what is possible now, and its story."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from django.urls import reverse

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from patients.models import FactChange, Patient
from procedures import levels as target_words
from procedures import rulebook
from procedures.guidance import MODALITIES, usual
from procedures.models import Sedation
from procedures.rules import evidence
from scheduling import waiting
from scheduling.agenda import words
from scheduling.agenda.cases.acts import acts
from scheduling.agenda.cases.lines import Reasons, message_line, wait_line
from scheduling.agenda.shapes import (
    Case,
    LegLine,
    Line,
    Meanwhile,
    OverrideLine,
    Use,
    Wait,
)
from scheduling.agenda.story import meanwhile, story
from scheduling.models import (
    NOT_IN_THE_ROOM,
    Allocation,
    Appointment,
    AppointmentFinding,
    AskedBy,
    CancelReason,
    Kind,
    Message,
    PlannedRole,
    RuleOverride,
    Side,
    Status,
)

if TYPE_CHECKING:
    from pain_clinic.accounts.models import User

READ = "scheduling.appointment_read"
PREVIEWED = "scheduling.preview_move"  # asked and answered, nothing happened: on the trail, not in the story
# Of no fact about the patient, so everybody who sees the case may know it. It goes once the rules can be asked.
UNASKED = Line(
    severity="deny",
    code="rules_not_asked",
    message="The rules could not be asked about this case, so what speaks against it may be missing here. Nobody knows yet that "
    "it is ready: look at it by hand. It is tried again by itself.",
)
LEG_ORDER = ("prep", "procedure", "recovery", "turnover")


@dataclass(frozen=True, slots=True)
class _Rows:
    allocations: list[Allocation]
    findings: list[AppointmentFinding]
    overrides: list[RuleOverride]
    events: list[AuditEvent]
    history: list[Any]
    messages: list[Message]
    twins: list[Patient]
    is_unasked: bool


def case(*, appointment: Appointment, user: User, by: Actor, at: datetime, reasons: Reasons = str) -> Case:
    """Return everything about one appointment (patient, procedure and site already joined), in eight statements."""
    zone = ZoneInfo(appointment.site.time_zone)
    rows = _load(appointment, user, by)
    starts = appointment.starts_at.astimezone(zone)
    may_book = by.may("scheduling.book_appointment")
    standing = [row for row in rows.allocations if row.released_at is None]
    today = at.astimezone(zone).date()
    patient = words.who(appointment.patient, today=today, same_name=same_name(rows.twins))
    return Case(
        public_id=appointment.public_id,
        version=appointment.version,
        title=words.case_title(appointment),
        status=appointment.status,
        is_late=appointment.is_late,
        url=words.case_url(appointment.public_id),
        print_url=reverse("scheduling:print", args=[appointment.public_id]),
        patient_url=patient.url,
        board_url=words.board_url(site=appointment.site.slug, day=starts.date(), case=appointment.public_id),
        book_again_url=words.book_url(patient=appointment.patient.public_id) if may_book else "",
        patient=patient,
        day=starts.date(),
        starts_at=starts,
        ends_at=appointment.ends_at.astimezone(zone),
        arrives_at=appointment.arrives_at.astimezone(zone),
        leaves_at=appointment.leaves_at.astimezone(zone),
        site=appointment.site.name,
        zone=f"{appointment.site.time_zone}, {starts.tzname()}",
        procedure=appointment.procedure.name,
        category=appointment.procedure.category,
        family=appointment.procedure.family,
        side=Side(appointment.side).label if appointment.side else "",
        levels=tuple(appointment.levels),
        sedation=sedation_word(appointment.sedation),
        guidance=MODALITIES[appointment.guidance or usual(appointment.procedure)],
        where=target_words.regions_in_words(appointment.regions),
        role=_role(appointment),
        problem=_problem(appointment) if by.may("scheduling.view_course") else "",
        otherwise=_otherwise(appointment) if by.may("patients.view_history") else "",
        uses=_uses(standing, zone),
        legs=_legs(appointment, standing, zone),
        lines=_lines(rows, by),
        waits=_waits(rows, appointment, at, zone, by),
        overrides=tuple(
            OverrideLine(
                row.code,
                row.message,
                reason_word(row.reason_code),
                row.text,
                row.by.shown_name if row.by else "the system",
                row.at.astimezone(zone),
                has_ended=row.ended_at is not None,
            )
            for row in rows.overrides
            if by.may("patients.view_safety")
        ),
        acts=acts(appointment=appointment, by=by, at=at),
        story=story(events=rows.events, history=rows.history, allocations=rows.allocations, zone=zone),
        shows_messages=sees_messages(by),
        messages=tuple(
            message_line(row, zone=zone, may_resend=by.may("scheduling.view_messages"), reasons=reasons) for row in rows.messages
        ),
        cancelled=_cancelled(appointment),
        notes=appointment.note,
        may_open_patient=by.may("patients.view_patient"),
        medicines_url=reverse("scheduling:medicines", args=[appointment.public_id]) if by.may("patients.view_safety") else "",
        cover_url=reverse("patients:cover", args=[appointment.patient.public_id]) if by.may("patients.view_coverage") else "",
    )


def _role(appointment: Appointment) -> str:
    details = getattr(appointment, "details", None)
    return str(PlannedRole(details.role).label) if details is not None and details.role else ""


def _problem(appointment: Appointment) -> str:
    """Return the name of the problem that the course of a case is for, as the course's own page shows it to everybody."""
    details = getattr(appointment, "details", None)
    return details.problem.name if details is not None and details.problem is not None else ""


# What a completion says differs from the booking, in the words of the page.
DIFFERENCES = {"operator_name": "who did it", "regions": "where on the body"}


def _otherwise(appointment: Appointment) -> str:
    completion = getattr(appointment, "completion", None)
    return ", ".join(DIFFERENCES.get(name, name) for name in completion.differs).capitalize() if completion is not None else ""


def sedation_word(value: str) -> str:
    return Sedation(value).label if value in Sedation.values else value


def reason_word(code: str) -> str:
    """Return a reason code in words."""
    return WAIVER_REASONS.get(code, code.replace("_", " ").capitalize())


WAIVER_REASONS = {
    "clinical_judgement": "Physician's judgement",
    "patient_informed": "Discussed with the patient",
    "payer_agreed": "Agreed with the payer",
    "record_outdated": "The record is out of date",
    "urgent": "Urgent",
    "other": "Other",
}


def same_name(twins: Sequence[Patient]) -> str:
    """Return how the other person of this name can be told apart, empty when there is none."""
    if not twins:
        return ""
    first = twins[0]
    more = f", and {len(twins) - 1} more" if len(twins) > 1 else ""
    born = first.birth_date
    return f"Another {words.full_name(first)}, born {born.day} {words.MONTHS[born.month - 1]} {born.year}{more}"


def twins_of(patient: Patient, user: User) -> list[Patient]:
    """Return the other patients of this name whom the user may see, at most five."""
    return list(
        Patient.objects.visible_to(user).filter(search_name=patient.search_name).exclude(pk=patient.pk).in_name_order()[:5]
    )


def sees_messages(by: Actor) -> bool:
    """Say whether a case shows its messages: to who sends them again, and to who may read what a patient was sent."""
    return by.may("scheduling.view_messages") or by.may("scheduling.read_patient_messages")


def _load(appointment: Appointment, user: User, by: Actor) -> _Rows:
    return _Rows(
        allocations=list(
            Allocation.objects.filter(appointment=appointment).select_related("resource").order_by("starts_at", "kind", "pk")
        ),
        findings=list(AppointmentFinding.objects.filter(appointment=appointment, gone_at=None).order_by("pk")),
        overrides=list(RuleOverride.objects.filter(appointment=appointment).select_related("by").order_by("at", "pk")),
        events=_events(appointment),
        history=_history(appointment),
        messages=list(
            Message.objects.filter(appointment=appointment)
            .select_related("patient", "appointment")
            .order_by("-calendar_sequence", "due_at", "-pk")
        )
        if sees_messages(by)
        else [],
        twins=twins_of(appointment.patient, user),
        is_unasked=appointment.status in NOT_IN_THE_ROOM
        and FactChange.objects.broken().filter(patient=appointment.patient_id).exists(),
    )


def changes_since(appointment: Appointment, version: int) -> tuple[Meanwhile, ...]:
    """Return what others did to a case since it had this version, in two statements; nothing when it still has it."""
    if appointment.version == version:
        return ()
    return meanwhile(
        events=_events(appointment),
        history=_history(appointment),
        version=version,
        zone=ZoneInfo(appointment.site.time_zone),
        whose=appointment.patient.short_name,
    )


def _events(appointment: Appointment) -> list[AuditEvent]:
    found = AuditEvent.objects.filter(subject_id=appointment.public_id).exclude(act__in=(READ, PREVIEWED))
    return list(found.select_related("user").order_by("at", "pk"))


def _history(appointment: Appointment) -> list[Any]:
    history: Any = Appointment._meta.get_field("events").related_model
    return list(history._default_manager.filter(pgh_obj_id=appointment.pk).order_by("pgh_created_at", "pgh_id"))


def _uses(rows: Iterable[Allocation], zone: ZoneInfo) -> tuple[Use, ...]:
    order = {kind: place for place, kind in enumerate(Kind.values)}
    ordered = sorted(rows, key=lambda row: (order.get(row.kind, 99), row.starts_at, row.pk))
    return tuple(
        Use(
            what=str(Kind(row.kind).label),
            name=row.resource.name,
            from_=row.starts_at.astimezone(zone),
            to=row.ends_at.astimezone(zone),
            leg=", ".join(sorted(row.legs, key=lambda leg: LEG_ORDER.index(leg) if leg in LEG_ORDER else 9)),
        )
        for row in ordered
    )


def _legs(appointment: Appointment, rows: Sequence[Allocation], zone: ZoneInfo) -> tuple[LegLine, ...]:
    turned = max((row.ends_at for row in rows if "turnover" in row.legs), default=appointment.ends_at)
    legs = (
        ("prep", appointment.arrives_at, appointment.starts_at),
        ("procedure", appointment.starts_at, appointment.ends_at),
        ("recovery", appointment.ends_at, appointment.leaves_at),
        ("turnover", appointment.ends_at, turned),
    )
    return tuple(
        LegLine(kind, starts.astimezone(zone), ends.astimezone(zone), (ends - starts) // timedelta(minutes=1))
        for kind, starts, ends in legs
        if starts < ends
    )


def _lines(rows: _Rows, by: Actor) -> tuple[Line, ...]:
    waived = {row.code: row for row in rows.overrides if row.ended_at is None}
    found = {UNASKED.code: UNASKED} if rows.is_unasked else {}
    for row in _seen(rows, by):
        if row.severity == waiting.PENDING:
            continue
        waiver = waived.get(row.code)
        found[row.code] = Line(
            severity=row.severity,
            code=row.code,
            message=row.message,
            evidence="" if row.source == waiting.BOOKING else evidence.line(row.evidence.items()),
            is_waived=waiver is not None,
            reason=reason_word(waiver.reason_code) if waiver else "",
            text=waiver.text if waiver else "",
            source="" if row.source == waiting.BOOKING else row.source,
        )
    return tuple(found.values())


def _waits(rows: _Rows, appointment: Appointment, at: datetime, zone: ZoneInfo, by: Actor) -> tuple[Wait, ...]:
    groups = waiting.grouped(map(waiting.as_finding, _seen(rows, by)), appointment.arrives_at, at)
    return tuple(wait_line(one, appointment, zone, by) for one in groups)


def _seen(rows: _Rows, by: Actor) -> list[AppointmentFinding]:
    """Return what is said of a case, as far as this person may know it: of the body only what booking or care needs."""
    if by.may("patients.view_safety"):
        return rows.findings
    payers = rulebook.payer_codes() if rows.findings else frozenset()
    return [row for row in rows.findings if row.source == waiting.BOOKING or waiting.is_payers(row.code, payers)]


def _cancelled(appointment: Appointment) -> str:
    if appointment.status != Status.CANCELLED:
        return ""
    who = AskedBy(appointment.asked_by).label.lower() if appointment.asked_by else "somebody"
    why = CancelReason(appointment.cancel_reason).label if appointment.cancel_reason else ""
    late = "; late" if appointment.is_late else ""
    note = f". {appointment.cancel_note}" if appointment.cancel_note else ""
    return f"Cancelled by {who}: {why.lower()}{late}{note}"
