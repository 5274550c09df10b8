"""One planned session as a line: what it is, how it stands, when, and where it could be booked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.db.models import Count, Max, OuterRef, QuerySet, Subquery
from django.urls import reverse

from pain_clinic.accounts.actors import Actor
from procedures import pathwaybook
from procedures.models import Procedure
from procedures.pathways import KEPT_APART, Pathway
from scheduling.agenda import words
from scheduling.agenda.shapes import Pair
from scheduling.courses import rolling
from scheduling.courses.aims import spot_of
from scheduling.courses.offering import still_free
from scheduling.models import CallOutcome, Course, CourseCall, PlannedSession, PlanState
from scheduling.worklist.shapes import Offered, Row

OWNERS = {
    "patient": "the patient's answer",
    "physician": "the physician",
    "nurse": "the nurse",
    "desk": "the desk",
    "biller": "billing",
}


def procedures_of(planned: Sequence[PlannedSession]) -> dict[str, Procedure]:
    codes = {row.procedure for row in planned} | {code for row in planned for code in row.course.works.values()}
    return {one.code: one for one in Procedure.objects.filter(code__in=codes).order_by("pk")}


def rows_of(planned: Sequence[PlannedSession], *, by: Actor, today: date) -> tuple[Row, ...]:
    """Return planned sessions as rows; courses, patients and openings are joined already."""
    procedures = procedures_of(planned)
    pathways = pathwaybook.pathways()
    free = still_free(planned)
    return tuple(_row(rolling.shown(row, today), procedures, pathways, free.get(row.pk), by, today) for row in planned)


def joined(rows: QuerySet[PlannedSession]) -> QuerySet[PlannedSession]:
    last = CourseCall.objects.filter(course=OuterRef("course")).order_by("-at", "-pk")
    return rows.select_related("course__patient", "course__site", "course__physician", "found", "appointment").annotate(
        call_count=Count("course__calls"), called_at=Max("course__calls__at"),
        call_outcome=Subquery(last.values("outcome")[:1]), call_note=Subquery(last.values("note")[:1]),
    )  # fmt: skip


def _row(
    row: PlannedSession,
    procedures: Mapping[str, Procedure],
    pathways: Mapping[str, Pathway],
    free: Sequence[Mapping[str, object]] | None,
    by: Actor,
    today: date,
) -> Row:
    course = row.course
    procedure = procedures.get(row.procedure) or procedures.get(course.works.get(row.step, ""))
    phone = str(course.patient.phone or "")
    found = getattr(row, "found", None)
    is_to_book = row.state == PlanState.PROPOSED and row.appointment_id is None
    urls = {name: reverse(f"scheduling:{name}", args=[row.public_id]) for name in ("plan_book", "plan_call", "plan_snooze")}
    return Row(
        key=f"p{row.pk}",
        public_id=str(row.public_id),
        patient=words.full_name(course.patient),
        patient_url=reverse("patients:patient", args=[course.patient.public_id]),
        phone=phone or "no telephone on file",
        dial=phone,
        what=" ".join(
            part
            for part in (procedure.short_name if procedure else pathway_name(course, pathways), target_of(course, row))
            if part
        ),
        step=row.name,
        course_url=reverse("scheduling:course", args=[course.public_id]),
        state=_state(row, today),
        when=when_told(row, today),
        tone=tone_of(row, today),
        told=_told(row) if is_to_book else tuple(row.reasons),
        conditions=tuple(row.conditions),
        waits=row.for_what if row.state in (PlanState.WAITING, PlanState.STOPPED) else "",
        openings=tuple(offered_of(one) for one in free) if free is not None and is_to_book else (),
        why_none=found.why_none if found is not None else "",
        # Where somebody has taken all that was found, it is looked for again.
        is_searched=not is_to_book or (found is not None and bool(free or not found.openings)),
        calls=_calls(row, ZoneInfo(course.site.time_zone)),
        snoozed=f"until {words.short_day(course.snoozed_until, today)}: {course.snooze_reason}" if course.snoozed_until else "",
        book_url=urls["plan_book"],
        call_url=urls["plan_call"],
        snooze_url=urls["plan_snooze"],
        form_url=_form_url(row, procedure) if is_to_book and by.may("scheduling.book_appointment") else "",
    )


def _told(row: PlannedSession) -> tuple[str, ...]:
    """Return what keeps a session from being booked sooner, or apart from what the patient's other courses propose."""
    return (*row.blocked_by, *(reason for reason in row.reasons if reason.startswith(KEPT_APART)))


def _form_url(row: PlannedSession, procedure: Procedure | None) -> str:
    """Return the booking page with everything of this session filled in."""
    course = row.course
    if procedure is None:
        return ""
    spot = spot_of(procedure, row.side or course.side, course.levels, course.regions)
    return words.book_url(
        patient=course.patient.public_id, procedure=procedure.code, side=spot.side, levels=",".join(spot.levels),
        regions=",".join(spot.regions), day=row.earliest, physician=course.physician.public_id if course.physician else "",
        site=course.site.slug, course=course.public_id,
    )  # fmt: skip


def offered_of(one: Mapping[str, object]) -> Offered:
    local = datetime.fromisoformat(str(one["local"]))
    pair = one.get("removal")
    also = f"with the removal {words.stamp(datetime.fromisoformat(str(pair['local'])))}" if isinstance(pair, dict) else ""
    who = ", ".join(part for part in (str(one["physician"]), str(one["room"])) if part)
    return Offered(str(one["starts_at"]), words.stamp(local), who, also)


def _calls(row: PlannedSession, zone: ZoneInfo) -> str:
    count, last = getattr(row, "call_count", 0), getattr(row, "called_at", None)
    if not count or last is None:
        return ""
    outcome, note = getattr(row, "call_outcome", ""), getattr(row, "call_note", "")
    said = (CallOutcome(outcome).label if outcome else "", note)
    times = f"called {count} time{'' if count == 1 else 's'}, last {words.stamp(last.astimezone(zone))}"
    return ": ".join((times, *(str(part) for part in said if part)))


def call_told(call: CourseCall, zone: ZoneInfo) -> Pair:
    return Pair(
        words.stamp(call.at.astimezone(zone)), ": ".join(part for part in (call.get_outcome_display(), call.note) if part)
    )


def _state(row: PlannedSession, today: date) -> str:
    if row.course.is_parked:
        return "planning breaks down"
    if row.state != PlanState.PROPOSED:
        waits = f"waits for {OWNERS.get(row.owner, row.owner)}" if row.state == PlanState.WAITING else "stopped"
        return f"{waits}, booked all the same" if row.booked_on else waits
    if row.booked_on:
        return "booked"
    assert row.latest is not None
    assert row.earliest is not None
    if row.latest < today:
        return "overdue"
    if row.earliest > today:
        return "blocked until then" if row.blocked_by else "opens later"
    return "to book"


def tone_of(row: PlannedSession, today: date) -> str:
    if row.course.is_parked or (row.latest is not None and row.latest < today and row.state == PlanState.PROPOSED):
        return "deny"
    if row.booked_on and row.state != PlanState.PROPOSED:
        return "warn"
    return {PlanState.WAITING: "pending", PlanState.STOPPED: "info"}.get(PlanState(row.state), "")


def when_told(row: PlannedSession, today: date) -> str:
    if row.booked_on:
        return f"booked for {words.short_day(row.booked_on, today)}"
    if row.state == PlanState.WAITING:
        due = f"due {words.short_day(row.due_on, today)}" if row.due_on else ""
        first = f"then not before {words.short_day(row.earliest, today)}" if row.earliest else ""
        return ", ".join(part for part in (due, first) if part)
    if row.state != PlanState.PROPOSED or row.earliest is None or row.ideal is None or row.latest is None:
        return row.for_what
    days = [("from", row.earliest), ("best", row.ideal), ("until", row.latest)]
    return ", ".join(f"{word} {words.short_day(day, today)}" for word, day in days)


def pathway_name(course: Course, pathways: Mapping[str, Pathway]) -> str:
    pathway = pathways.get(course.pathway)
    return pathway.name if pathway else course.pathway


def target_of(course: Course, row: PlannedSession | None = None) -> str:
    side = (row.side if row is not None and row.side else "") or course.side
    return words.target(tuple(course.levels), side, "facet_nerves", tuple(course.regions))
