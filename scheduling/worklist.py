"""What the desk sees of courses: whom to book by when, who waits for what, and one course as a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.core.paginator import Paginator
from django.db.models import Case, Count, DateField, F, Func, Max, Q, QuerySet, Value, When
from django.db.models.expressions import Combinable
from django.urls import reverse

from pain_clinic.accounts.actors import Actor
from patients.models import Patient
from procedures import pathwaybook
from procedures.models import ClinicPathway, Procedure
from procedures.pathways import Pathway
from scheduling.agenda import words
from scheduling.agenda.shapes import Page, Pair, Tab
from scheduling.bulk import MOST_ROWS, Result, Tried
from scheduling.courses import Stop, rolling, stops
from scheduling.courses.aims import spot_of
from scheduling.courses.offering import still_free
from scheduling.models import Appointment, CallOutcome, Course, CourseCall, CourseStatus, PlannedSession, PlanState

if TYPE_CHECKING:
    from pain_clinic.accounts.models import User

PER_PAGE = 25
BOOKABLE = ("book", "overdue", "ending", "later")
SOON = timedelta(days=14)
ENDING = timedelta(days=30)
LOOKED_BACK = timedelta(days=60)
TABS = {
    "book": "To book",
    "overdue": "Overdue",
    "waiting": "Waiting",
    "ending": "Authorisation ends",
    "later": "Later",
    "off": "Put off",
    "stopped": "Stopped",
}
EMPTY = {
    "book": "Nothing has to be booked. Courses appear here when their window opens.",
    "overdue": "No window has passed unused.",
    "waiting": "No course waits for anything.",
    "ending": "No authorisation of an unbooked session ends within a month.",
    "later": "No window opens later.",
    "off": "Nothing is put off.",
    "stopped": "No course has stopped by itself lately.",
}
OWNERS = {
    "patient": "the patient's answer",
    "physician": "the physician",
    "nurse": "the nurse",
    "desk": "the desk",
    "biller": "billing",
}


@dataclass(frozen=True, slots=True)
class Offered:
    """One opening as a button says it; `value` is what the button sends."""

    value: str
    told: str
    who: str
    also: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One course on the list."""

    key: str
    public_id: str
    patient: str
    patient_url: str
    phone: str
    dial: str
    what: str
    step: str
    course_url: str
    state: str
    when: str
    tone: str
    told: tuple[str, ...]
    conditions: tuple[str, ...]
    waits: str
    openings: tuple[Offered, ...]
    why_none: str
    is_searched: bool
    calls: str
    snoozed: str
    book_url: str
    call_url: str
    snooze_url: str
    form_url: str


@dataclass(frozen=True, slots=True)
class Worklist:
    """The worklist as the page shows it."""

    title: str
    tabs: tuple[Tab, ...]
    rows: tuple[Row, ...]
    page: Page
    empty: str
    outcomes: tuple[Pair, ...]
    tomorrow: str
    may_work: bool
    may_book: bool
    tab: str
    bulk_url: str


@dataclass(frozen=True, slots=True)
class BulkRow:
    """One row of a dry run, or of what became of it."""

    key: str
    patient: str
    what: str
    course_url: str
    told: str
    who: str = ""
    waits: tuple[str, ...] = ()
    why_not: str = ""
    token: str = ""
    case_url: str = ""


@dataclass(frozen=True, slots=True)
class CourseLine:
    """One course in a patient's list."""

    name: str
    what: str
    told: str
    why: tuple[str, ...]
    url: str
    is_running: bool


@dataclass(frozen=True, slots=True)
class CourseShown:
    """One course as its page shows it."""

    key: str
    title: str
    name: str
    patient: str
    patient_url: str
    status: str
    status_told: str
    version: int
    stops: tuple[Stop, ...]
    facts: tuple[Pair, ...]
    row: Row | None
    calls: tuple[Pair, ...]
    earlier: tuple[Pair, ...]
    outcomes: tuple[Pair, ...]
    may_order: bool
    may_work: bool
    may_book: bool
    pathway_url: str
    change_url: str
    stop_url: str
    restart_url: str
    series_url: str
    tomorrow: str


def queues(today: date) -> Mapping[str, Q]:
    """Return what makes a planned session belong to each tab; what is put off is in its own only."""
    lately = datetime.combine(today - LOOKED_BACK, time(), tzinfo=UTC)
    on = Q(course__snoozed_until=None) | Q(course__snoozed_until__lte=today)
    to_book = on & Q(state=PlanState.PROPOSED, appointment=None, course__status=CourseStatus.ACTIVE)
    return {
        "book": to_book & Q(opens_on__lte=today + SOON, closes_on__gte=today),
        "overdue": to_book & Q(closes_on__lt=today),
        "waiting": on & Q(state=PlanState.WAITING, course__is_parked=False),
        "ending": to_book & Q(authorised_until__gte=today, authorised_until__lte=today + ENDING),
        "later": to_book & Q(opens_on__gt=today + SOON),
        "off": Q(course__snoozed_until__gt=today, course__status=CourseStatus.ACTIVE),
        "stopped": Q(course__is_parked=True)
        | Q(state=PlanState.STOPPED, course__is_stopped_by_hand=False, planned_at__gte=lately),
    }


def listed(*, user: User, today: date, tab: str) -> QuerySet[PlannedSession]:
    """Return what is in one tab for the sites of this user, the most pressing first."""
    return _pressing(_mine(user, today).filter(queues(today)[tab]))


def _mine(user: User, today: date) -> QuerySet[PlannedSession]:
    """Return what is planned at the sites of this user, with the window as of today."""
    mine = PlannedSession.objects.filter(is_current=True, course__site__in=user.sites.all())
    return mine.annotate(opens_on=_rolled("earliest", today), closes_on=_rolled("latest", today))


def _pressing(rows: QuerySet[PlannedSession]) -> QuerySet[PlannedSession]:
    return rows.order_by(F("closes_on").asc(nulls_last=True), F("due_on").asc(nulls_last=True), "pk")


def worklist(*, user: User, by: Actor, at: datetime, zone: ZoneInfo, tab: str, number: str) -> Worklist:
    """Return one tab of the worklist of this user's sites, the most pressing first."""
    today = at.astimezone(zone).date()
    mine = _mine(user, today)
    found = queues(today)
    counts = mine.aggregate(**{name: Count("pk", filter=part) for name, part in found.items()})
    shown = tab if tab in TABS else "book"
    rows = _pressing(_joined(mine.filter(found[shown])))
    page = Paginator(rows, PER_PAGE).get_page(number)
    url = reverse("scheduling:worklist")
    return Worklist(
        title="Worklist",
        tabs=tuple(
            Tab(f"{label} ({counts[name]})", f"{url}?tab={name}", name == shown)
            for name, label in TABS.items()
            if counts[name] or name in ("book", "waiting", shown)
        ),
        rows=rows_of(list(page.object_list), by=by, today=today),
        page=words.paged(page, url, tab=shown),
        empty=EMPTY[shown],
        outcomes=tuple(Pair(value, str(label)) for value, label in CallOutcome.choices),
        tomorrow=(today + timedelta(days=1)).isoformat(),
        may_work=by.may("scheduling.work_course"),
        may_book=by.may("scheduling.work_course") and by.may("scheduling.book_appointment"),
        tab=shown,
        bulk_url=reverse("scheduling:bulk_try") if shown in BOOKABLE and page.object_list else "",
    )


def bookable(*, user: User, at: datetime, zone: ZoneInfo, tab: str, only: Sequence[UUID] = ()) -> list[PlannedSession]:
    """Return rows of a tab that could be booked together, the most pressing first: those named, or as many as go at once."""
    today = at.astimezone(zone).date()
    mine = _mine(user, today)
    rows = mine.filter(public_id__in=only) if only else mine.filter(queues(today)[tab if tab in BOOKABLE else "book"])
    return [rolling.shown(row, today) for row in _pressing(_joined(rows))[:MOST_ROWS]]


def tried_rows(tried: Sequence[Tried]) -> tuple[BulkRow, ...]:
    """Return a dry run as its page shows it; the view adds what its buttons send."""
    procedures, pathways = _procedures([one.planned for one in tried]), pathwaybook.pathways()
    found = []
    for one in tried:
        offered = _offered(one.opening) if one.opening is not None else None
        found.append(
            BulkRow(
                **_named(one.planned, procedures, pathways),
                told=f"{offered.told}, {offered.also}" if offered and offered.also else offered.told if offered else "",
                who=offered.who if offered else "",
                waits=tuple(dict.fromkeys(finding.message for finding in one.waits)),
                why_not=one.why_not,
            )
        )
    return tuple(found)


def result_rows(results: Sequence[Result]) -> tuple[BulkRow, ...]:
    """Return what became of each row."""
    cases = {
        case.public_id: case
        for case in Appointment.objects.filter(public_id__in=[one.case for one in results if one.case is not None])
    }
    procedures, pathways = _procedures([one.planned for one in results]), pathwaybook.pathways()
    found = []
    for one in results:
        case = cases.get(one.case) if one.case is not None else None
        found.append(
            BulkRow(
                **_named(one.planned, procedures, pathways),
                told=words.stamp(datetime.combine(case.local_date, case.local_time)) if case else "",
                why_not=one.refusal.message if one.refusal is not None else "",
                case_url=words.case_url(case.public_id) if case is not None else "",
            )
        )
    return tuple(found)


def _named(row: PlannedSession, procedures: Mapping[str, Procedure], pathways: Mapping[str, Pathway]) -> dict[str, Any]:
    procedure = procedures.get(row.procedure)
    parts = (procedure.short_name if procedure else _pathway_name(row.course, pathways), _target(row.course, row))
    return {
        "key": str(row.public_id),
        "patient": words.full_name(row.course.patient),
        "what": " ".join(part for part in parts if part),
        "course_url": reverse("scheduling:course", args=[row.course.public_id]),
    }


def _procedures(planned: Sequence[PlannedSession]) -> dict[str, Procedure]:
    codes = {row.procedure for row in planned} | {code for row in planned for code in row.course.works.values()}
    return {one.code: one for one in Procedure.objects.filter(code__in=codes).order_by("pk")}


def rows_of(planned: Sequence[PlannedSession], *, by: Actor, today: date) -> tuple[Row, ...]:
    """Return planned sessions as rows; courses, patients and openings are joined already."""
    procedures = _procedures(planned)
    pathways = pathwaybook.pathways()
    free = still_free(planned)
    return tuple(_row(rolling.shown(row, today), procedures, pathways, free.get(row.pk), by, today) for row in planned)


def course_page(*, course: Course, by: Actor, at: datetime) -> CourseShown:
    """Return one course as its page shows it; patient, site and physician are joined."""
    zone = ZoneInfo(course.site.time_zone)
    today = at.astimezone(zone).date()
    plans = list(_joined(PlannedSession.objects.filter(course=course)).order_by("number"))
    planned = next((rolling.shown(row, today) for row in plans if row.is_current), None)
    calls = CourseCall.objects.filter(course=course).order_by("-at", "-pk")[:10]
    pathway = pathwaybook.pathways().get(course.pathway)
    reverse_of = {name: reverse(f"scheduling:{name}", args=[course.public_id]) for name in _COURSE_URLS}
    return CourseShown(
        key=str(course.public_id),
        title=f"{words.full_name(course.patient)}: {pathway.name if pathway else course.pathway}",
        name=pathway.name if pathway else course.pathway,
        patient=words.full_name(course.patient),
        patient_url=reverse("patients:patient", args=[course.patient.public_id]),
        status=course.status,
        status_told=_status_told(course),
        version=course.version,
        stops=stops(course, planned, at=at),
        facts=_facts(course),
        row=rows_of([planned], by=by, today=today)[0] if planned is not None else None,
        calls=tuple(_call(call, zone) for call in calls),
        earlier=tuple(
            Pair(
                words.short_day(row.planned_at.astimezone(zone).date()), f"{row.name or row.get_state_display()}: {row.for_what}"
            )
            for row in plans
            if not row.is_current
        ),
        outcomes=tuple(Pair(value, str(label)) for value, label in CallOutcome.choices),
        may_order=by.may("scheduling.order_course"),
        may_work=by.may("scheduling.work_course"),
        may_book=by.may("scheduling.work_course") and by.may("scheduling.book_appointment"),
        pathway_url=_pathway_url(course, by),
        change_url=reverse_of["course_change"],
        stop_url=reverse_of["course_stop"],
        restart_url=reverse_of["course_restart"],
        series_url=f"{reverse('scheduling:series_order', args=[course.patient.public_id])}?course={course.public_id}",
        tomorrow=(today + timedelta(days=1)).isoformat(),
    )


_COURSE_URLS = ("course_change", "course_stop", "course_restart")


def of_patient(*, patient: Patient, user: User, today: date, stamp: pathwaybook.Stamp | None = None) -> tuple[CourseLine, ...]:
    """Return a patient's courses at the sites of this user, the running ones first.

    Who has read the pathways' stamp already hands it over, and saves a statement.
    """
    rows = _joined(PlannedSession.objects.filter(is_current=True, course__patient=patient, course__site__in=user.sites.all()))
    pathways = pathwaybook.pathways(stamp)
    found = sorted(rows, key=lambda row: (row.course.status != CourseStatus.ACTIVE, row.course.created_at, row.pk))
    return tuple(
        CourseLine(
            name=_pathway_name(row.course, pathways),
            what=_target(row.course),
            told=_when(row) if row.course.status == CourseStatus.ACTIVE else _status_told(row.course),
            why=_why(row) if row.course.status == CourseStatus.ACTIVE else (),
            url=reverse("scheduling:course", args=[row.course.public_id]),
            is_running=row.course.status == CourseStatus.ACTIVE,
        )
        for row in (rolling.shown(one, today) for one in found)
    )


def _why(row: PlannedSession) -> tuple[str, ...]:
    """Return why a session is planned as it is: what it waits for, what keeps it from being booked, or its reasons."""
    if row.state == PlanState.WAITING:
        return (row.for_what,) if row.for_what else ()
    return tuple((not row.booked_on and row.blocked_by) or row.reasons)


def _joined(rows: QuerySet[PlannedSession]) -> QuerySet[PlannedSession]:
    return rows.select_related("course__patient", "course__site", "course__physician", "found", "appointment").annotate(
        call_count=Count("course__calls"), called_at=Max("course__calls__at")
    )


def _rolled(name: str, today: date) -> Combinable:
    """Return a date column as of today: those that a lead time holds move on with the days."""
    passed = Func(F(name), F("rolls_from"), function="", template="(%(expressions)s)", arg_joiner=" - ")
    moved = Func(passed, Value(today), function="", template="(%(expressions)s)", arg_joiner=" + ")
    return Case(When(rolls__contains=[name], then=moved), default=F(name), output_field=DateField())


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
            for part in (procedure.short_name if procedure else _pathway_name(course, pathways), _target(course, row))
            if part
        ),
        step=row.name,
        course_url=reverse("scheduling:course", args=[course.public_id]),
        state=_state(row, today),
        when=_when(row),
        tone=_tone(row, today),
        told=tuple(row.blocked_by) if is_to_book else tuple(row.reasons),
        conditions=tuple(row.conditions),
        waits=row.for_what if row.state in (PlanState.WAITING, PlanState.STOPPED) else "",
        openings=tuple(_offered(one) for one in free) if free is not None and is_to_book else (),
        why_none=found.why_none if found is not None else "",
        # Where somebody has taken all that was found, it is looked for again.
        is_searched=not is_to_book or (found is not None and bool(free or not found.openings)),
        calls=_calls(row, ZoneInfo(course.site.time_zone)),
        snoozed=f"until {words.short_day(course.snoozed_until)}: {course.snooze_reason}" if course.snoozed_until else "",
        book_url=urls["plan_book"],
        call_url=urls["plan_call"],
        snooze_url=urls["plan_snooze"],
        form_url=_form_url(row, procedure) if is_to_book and by.may("scheduling.book_appointment") else "",
    )


def _form_url(row: PlannedSession, procedure: Procedure | None) -> str:
    """Return the booking page with everything of this session filled in."""
    course = row.course
    if procedure is None:
        return ""
    spot = spot_of(procedure, row.side or course.side, course.levels, course.regions)
    return words.book_url(
        patient=course.patient.public_id, procedure=procedure.code, side=spot.side, levels=",".join(spot.levels),
        regions=",".join(spot.regions), day=row.earliest, physician=course.physician.public_id if course.physician else "",
        site=course.site.slug,
    )  # fmt: skip


def _offered(one: Mapping[str, object]) -> Offered:
    local = datetime.fromisoformat(str(one["local"]))
    pair = one.get("removal")
    also = f"with the removal {words.stamp(datetime.fromisoformat(str(pair['local'])))}" if isinstance(pair, dict) else ""
    who = ", ".join(part for part in (str(one["physician"]), str(one["room"])) if part)
    return Offered(str(one["starts_at"]), words.stamp(local), who, also)


def _calls(row: PlannedSession, zone: ZoneInfo) -> str:
    count, last = getattr(row, "call_count", 0), getattr(row, "called_at", None)
    if not count or last is None:
        return ""
    return f"called {count} time{'' if count == 1 else 's'}, last {words.stamp(last.astimezone(zone))}"


def _call(call: CourseCall, zone: ZoneInfo) -> Pair:
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


def _tone(row: PlannedSession, today: date) -> str:
    if row.course.is_parked or (row.latest is not None and row.latest < today and row.state == PlanState.PROPOSED):
        return "deny"
    if row.booked_on and row.state != PlanState.PROPOSED:
        return "warn"
    return {PlanState.WAITING: "pending", PlanState.STOPPED: "info"}.get(PlanState(row.state), "")


def _when(row: PlannedSession) -> str:
    if row.booked_on:
        return f"booked for {words.short_day(row.booked_on)}"
    if row.state == PlanState.WAITING:
        due = f"due {words.short_day(row.due_on)}" if row.due_on else ""
        first = f"then not before {words.short_day(row.earliest)}" if row.earliest else ""
        return ", ".join(part for part in (due, first) if part)
    if row.state != PlanState.PROPOSED or row.earliest is None or row.ideal is None or row.latest is None:
        return row.for_what
    days = [("from", row.earliest), ("best", row.ideal), ("until", row.latest)]
    return ", ".join(f"{word} {words.short_day(day)}" for word, day in days)


def _status_told(course: Course) -> str:
    if course.is_parked:
        return "Planning this course breaks down. An engineer has to look; restart it afterwards."
    if course.status == CourseStatus.STOPPED:
        who = "by a physician" if course.is_stopped_by_hand else "by itself"
        return f"Stopped {who}: {course.stop_reason}"
    return str(course.get_status_display())


def _pathway_url(course: Course, by: Actor) -> str:
    row = ClinicPathway.objects.filter(code=course.pathway).first() if by.may("procedures.view_pathways") else None
    return row.get_absolute_url() if row is not None else ""


def _pathway_name(course: Course, pathways: Mapping[str, Pathway]) -> str:
    pathway = pathways.get(course.pathway)
    return pathway.name if pathway else course.pathway


def _target(course: Course, row: PlannedSession | None = None) -> str:
    side = (row.side if row is not None and row.side else "") or course.side
    return words.target(tuple(course.levels), side, "facet_nerves", tuple(course.regions))


def _facts(course: Course) -> tuple[Pair, ...]:
    """Return what was ordered, as far as something was."""
    names = {one.code: one.name for one in Procedure.objects.filter(code__in=course.works.values()).order_by("pk")}
    bounds = [
        f"not before {words.short_day(course.not_before)}" if course.not_before else "",
        f"not after {words.short_day(course.not_after)}" if course.not_after else "",
        f"at most {course.most_sessions} sessions" if course.most_sessions else "",
        f"at least {course.gap_days} days between them" if course.gap_days else "",
    ]
    found = [
        Pair("Where", _target(course)),
        Pair("Procedures", ", ".join(dict.fromkeys(names.get(code, code) for code in course.works.values()))),
        Pair("Diagnosis", course.diagnosis),
        Pair("Goal", course.goal),
        Pair("Limits", ", ".join(bound for bound in bounds if bound)),
        Pair("Both sides", f"one after the other, {course.first_side} first" if course.is_staged else ""),
        Pair("Physician", course.physician.name if course.physician else ""),
        Pair("Since", words.short_day(course.since)),
        Pair("Reason written", course.rationale),
    ]
    return tuple(pair for pair in found if pair.value)
