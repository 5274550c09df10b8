"""What the desk sees of mail: one message, what is to be done by telephone, who has not confirmed, whether mails leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.core.paginator import Paginator
from django.urls import reverse

from pain_clinic import health
from pain_clinic.accounts.models import Site
from patients.pages import spoken
from procedures.rules import Finding
from scheduling.agenda import cases, words
from scheduling.agenda.shapes import Page, Pair, Tab
from scheduling.intervals import local_day
from scheduling.models import (
    AFTER_A_VISIT,
    BEFORE_ARRIVAL,
    Appointment,
    DeskTask,
    Dispatch,
    Link,
    LinkAnswer,
    Message,
    MessageState,
    Status,
    TaskKind,
    TaskOutcome,
    TaskRole,
)

if TYPE_CHECKING:
    from pain_clinic.accounts.models import User
    from scheduling.letters import Letter

PER_PAGE = 50
DONE, CASES, AFTER = "done", "cases", "after"
STANDING = [status for status in Status.values if status not in (Status.CANCELLED, Status.NO_SHOW, Status.LEFT_BEFORE_SEEN)]


@dataclass(frozen=True, slots=True)
class MailShown:
    """One message: what it says, when, what became of it, and what the patient answered."""

    title: str
    state: str
    state_word: str
    case_url: str
    patient: str
    patient_url: str
    facts: tuple[Pair, ...]
    subject: str
    text: str
    is_draft: bool  # as it would read if it left now
    answers: tuple[str, ...]
    resend_url: str


@dataclass(frozen=True, slots=True)
class TaskRow:
    title: str
    why: str
    patient: str
    patient_url: str
    phone: str
    dial: str
    case: str
    case_url: str
    message_url: str
    ways: tuple[Pair, ...]  # label and address of the pages on which it is seen to
    opened_at: datetime
    due_at: datetime
    role: str
    age: str
    is_overdue: bool
    owner: str
    is_mine: bool
    note: str
    outcome: str
    take_url: str
    close_url: str
    key: str


@dataclass(frozen=True, slots=True)
class TaskPage:
    title: str
    roles: tuple[Tab, ...]
    tabs: tuple[Tab, ...]
    rows: tuple[TaskRow, ...]
    outcomes: tuple[Pair, ...]
    page: Page | None
    empty: str


@dataclass(frozen=True, slots=True)
class UnconfirmedRow:
    at: datetime
    patient: str
    patient_url: str
    phone: str
    dial: str
    case: str
    case_url: str
    told: str


@dataclass(frozen=True, slots=True)
class UnconfirmedPage:
    title: str
    day: str
    previous_url: str
    next_url: str
    tabs: tuple[Tab, ...]
    rows: tuple[UnconfirmedRow, ...]
    empty: str


def one_message(*, message: Message, reasons: cases.Reasons, may_resend: bool, draft: Letter | None = None) -> MailShown:
    """Return a message (appointment, site, procedure and patient joined) with what was answered to it.

    `draft` is how one that still waits would read now.
    """
    zone = ZoneInfo(message.appointment.site.time_zone)
    line = cases.message_line(message, zone=zone, may_resend=may_resend, reasons=reasons)
    given = Link.objects.filter(message=message).exclude(answer="").order_by("answered_at", "pk")
    facts = [
        Pair("To", line.to),
        Pair("Planned for", words.stamp(message.planned_at.astimezone(zone)) if message.planned_at else ""),
        Pair("Next try", words.stamp(message.due_at.astimezone(zone)) if message.state == MessageState.DUE else ""),
        Pair("Done", words.stamp(message.done_at.astimezone(zone)) if message.done_at else ""),
        Pair("Why", line.why),
        Pair("Tries", _tries(message)),
        Pair("Message-ID", f"{message.public_id}"),
    ]
    return MailShown(
        title=f"{line.kind}: {words.case_title(message.appointment)}",
        state=message.state,
        state_word=line.state_word,
        case_url=line.case_url,
        patient=words.full_name(message.patient),
        patient_url=reverse("patients:patient", args=[message.patient.public_id]),
        facts=tuple(fact for fact in facts if fact.value),
        subject=draft.subject if draft else message.subject,
        text=draft.text if draft else message.text,
        is_draft=draft is not None,
        answers=tuple(
            f"{LinkAnswer(row.answer).label}, {words.stamp(row.answered_at.astimezone(zone))}" for row in given if row.answered_at
        ),
        resend_url=line.resend_url,
    )


def _tries(message: Message) -> str:
    if message.attempts < 2:
        return str(message.attempts) if message.attempts else ""
    if message.state != MessageState.SENT:
        return str(message.attempts)
    # The stated policy of an unclear end: once more, with the same Message-ID.
    return f"{message.attempts}; if one of the earlier ones did arrive, the patient has two copies with the same Message-ID"


ALL = "all"
EMPTY = {
    DONE: "Nothing was done here yet.",
    CASES: "No case waits for anything.",
    AFTER: "Nobody is to be asked how it went.",
    TaskKind.RULES_DOWN: "The rules could be asked about everybody.",
}


# What is shown first of whose tasks: the desk telephones about mails and visits to come, a manager sees to the rules.
FIRST: dict[str, str] = {TaskRole.DESK: "", ALL: "", TaskRole.MANAGER: TaskKind.RULES_DOWN}


def whose(user: User, wanted: str, *, may_see_all: bool) -> str:
    """Return whose tasks to show: what was asked for, else those of a person's own role; of others only to who may see them.

    A manager sees to everybody's, whatever else that person is.
    """
    roles = [role for role in user.groups.values_list("name", flat=True).order_by("name") if role in TaskRole.values]
    own = [role for role in roles if role != TaskRole.MANAGER]
    if may_see_all:
        return wanted if wanted in (ALL, *TaskRole.values) else own[0] if len(own) == 1 and own == roles else ALL
    return wanted if wanted in own else next(iter(own), TaskRole.BILLER)


def tasks(
    *, user: User, at: datetime, kind: str, number: str, role: str = "", may_see_all: bool = True, reasons: cases.Reasons = str
) -> TaskPage:
    """Return what is to be done by hand, the most pressing first, or what was done lately; of one role, or of all."""
    url = reverse("scheduling:tasks")
    rows = DeskTask.objects.visible_to(user)
    shown = whose(user, role, may_see_all=may_see_all)
    kind = kind or FIRST.get(shown, CASES)
    if shown != ALL:
        rows = rows.filter(role=shown)
    there = {*rows.open().values_list("kind", flat=True).distinct(), kind}
    rows = rows.exclude(done_at=None).order_by("-done_at", "-pk") if kind == DONE else rows.open().in_order()
    if kind in TaskKind.values:
        rows = rows.filter(kind=kind)
    elif kind != DONE:
        rows = {CASES: rows.before_a_case, AFTER: rows.after_a_visit}.get(kind, rows.by_telephone)()
    joined = rows.select_related("patient", "appointment__procedure", "site", "owner", "message")
    found = Paginator(joined, PER_PAGE).get_page(number)
    behind = cases.findings_behind(found.object_list)
    tabs = [
        *([("", "By telephone")] if shown in (TaskRole.DESK, ALL) else []),
        (CASES, "Before the visit"),
        *([(AFTER, "After the visit")] if shown in (TaskRole.NURSE, ALL) else []),
        (DONE, "Done"),
        *((value, label) for value, label in SHORT.items() if str(value) in there and value not in AFTER_A_VISIT),
    ]
    roles = [*TaskRole.choices, (ALL, "Everybody")] if may_see_all and kind else []

    def address(**query: str) -> str:
        told = urlencode({name: value for name, value in query.items() if value})
        return f"{url}?{told}" if told else url

    return TaskPage(
        title="To do",
        roles=tuple(
            Tab(str(label), address(role=value, kind=FIRST.get(value) or CASES), value == shown) for value, label in roles
        ),
        tabs=tuple(Tab(label, address(role=role, kind=str(key)), str(key) == kind) for key, label in tabs),
        rows=tuple(_task(row, user, at, reasons, behind.get(row.pk, ())) for row in found.object_list),
        outcomes=tuple(Pair(value, str(label)) for value, label in TaskOutcome.choices),
        page=words.paged(found, url, kind=kind, role=role),
        empty=EMPTY.get(kind, "Nobody is to be called."),
    )


SHORT = {
    TaskKind.ANOTHER_TIME: "Another time",
    TaskKind.MAIL_FAILED: "Mail failed",
    TaskKind.ADDRESS_BOUNCES: "Address bounces",
    TaskKind.COMPLAINED: "Complained",
    TaskKind.NO_EMAIL: "No e-mail",
    TaskKind.UNCONFIRMED: "Not confirmed",
    TaskKind.MISSED: "Missed",
    TaskKind.NO_ANSWER: "No answer",
    TaskKind.UNWELL: "Worried",
    TaskKind.FOLLOW_UP: "After the visit",
    TaskKind.RULES_DOWN: "Rules not asked",
    TaskKind.RULES: "Rules",
    TaskKind.ASK: "Ask",
    TaskKind.CLEARANCE: "Clearance",
    TaskKind.LAB: "Laboratory",
    TaskKind.DRIVER: "Driver",
    TaskKind.CONSENT: "Consent",
    TaskKind.PREMEDICATION: "Premedication",
    TaskKind.PLAN: "Plan",
    TaskKind.DEVICE_PLAN: "Device",
    TaskKind.AUTHORIZATION: "Authorisation",
    TaskKind.PAPERS: "Papers",
}


# Of these the reason says more than the title.
OF_A_MAIL = (TaskKind.NO_EMAIL, TaskKind.MAIL_FAILED, TaskKind.ADDRESS_BOUNCES)


def _task(row: DeskTask, user: User, at: datetime, reasons: cases.Reasons, behind: Sequence[Finding]) -> TaskRow:
    zone = ZoneInfo(row.site.time_zone)
    phone = str(row.patient.phone or "")
    is_of_a_mail = row.kind in OF_A_MAIL and bool(row.reason)
    case = row.appointment
    return TaskRow(
        title="Tell the patient by telephone" if row.kind == TaskKind.NO_EMAIL else str(TaskKind(row.kind).label),
        why=reasons(row.reason) if is_of_a_mail else "",
        patient=words.full_name(row.patient),
        patient_url=reverse("patients:patient", args=[row.patient.public_id]),
        phone=spoken(row.patient.phone) or "no telephone on file",
        dial=phone,
        case=f"{words.case_title(case)}, {words.stamp(case.starts_at.astimezone(zone))}" if case else "",
        case_url=words.case_url(case.public_id) if case else "",
        message_url=reverse("scheduling:message", args=[row.message.public_id]) if row.message else "",
        ways=cases.ways_of(TaskKind(row.kind), behind, case, row.patient, user.has_perm),
        opened_at=row.opened_at.astimezone(zone),
        due_at=row.due_at.astimezone(zone),
        role=str(TaskRole(row.role).label),
        age=_age(at - row.opened_at),
        is_overdue=row.done_at is None and row.due_at < at,
        owner=row.owner.shown_name if row.owner else "",
        is_mine=row.owner_id == user.pk,
        note=row.note,
        outcome=str(TaskOutcome(row.outcome).label) if row.outcome else "",
        take_url=reverse("scheduling:task_take", args=[row.public_id]),
        close_url=reverse("scheduling:task_close", args=[row.public_id]),
        key=f"task-{row.public_id}",
    )


def _age(since: timedelta) -> str:
    minutes = max(int(since.total_seconds() // 60), 0)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"


def unconfirmed(*, sites: Sequence[Site], site: Site, day: date) -> UnconfirmedPage:
    """Return the cases of one day that the patient has not confirmed, and what the patient was told so far."""
    zone = ZoneInfo(site.time_zone)
    span = local_day(day, zone)
    rows = list(
        Appointment.objects.filter(site=site, status=Status.BOOKED, starts_at__gte=span.starts_at, starts_at__lt=span.ends_at)
        .select_related("patient", "procedure", "site")
        .order_by("starts_at", "pk")
    )
    sent: dict[int, list[str]] = {}
    last = Message.objects.filter(appointment__in=rows, state=MessageState.SENT).order_by("done_at", "pk")
    for message in last:
        when = words.short_day(message.done_at.astimezone(zone).date()) if message.done_at else ""
        sent.setdefault(message.appointment_id, []).append(f"{message.get_kind_display()} {when}")
    url = reverse("scheduling:unconfirmed")

    def address(on: date, at: Site) -> str:
        return f"{url}?day={on.isoformat()}&site={at.slug}"

    return UnconfirmedPage(
        title="Not confirmed",
        day=words.long_day(day, day),
        previous_url=address(day - timedelta(days=1), site),
        next_url=address(day + timedelta(days=1), site),
        tabs=tuple(Tab(each.name, address(day, each), each.pk == site.pk) for each in sites) if len(sites) > 1 else (),
        rows=tuple(
            UnconfirmedRow(
                at=row.starts_at.astimezone(zone),
                patient=words.full_name(row.patient),
                patient_url=reverse("patients:patient", args=[row.patient.public_id]),
                phone=spoken(row.patient.phone) or "no telephone on file",
                dial=str(row.patient.phone or ""),
                case=words.case_title(row),
                case_url=words.case_url(row.public_id),
                told=", ".join(sent.get(row.pk, [])) or "nothing sent",
            )
            for row in rows
        ),
        empty="Everybody who is booked for this day has confirmed."
        if Appointment.objects.filter(
            site=site, status__in=STANDING, starts_at__gte=span.starts_at, starts_at__lt=span.ends_at
        ).exists()
        else "Nobody is booked for this day.",
    )


def next_day(*, site: Site, today: date) -> date:
    """Return the next day after today on which somebody is booked at a site; tomorrow if there is none."""
    coming = Appointment.objects.filter(site=site, status__in=BEFORE_ARRIVAL, local_date__gt=today).order_by("local_date")
    return coming.values_list("local_date", flat=True).first() or today + timedelta(days=1)


def alerts() -> tuple[str, ...]:
    """Return what keeps mails from leaving: sending stopped, or the clock or the worker not seen lately."""
    found = []
    row = Dispatch.objects.select_related("stopped_by").filter(pk=Dispatch.ONLY, is_stopped=True).first()
    if row is not None:
        who = f" by {row.stopped_by.shown_name}" if row.stopped_by else ""
        why = f": {row.reason}" if row.reason else ""
        found.append(f"Sending is stopped{who}{why}. No patient gets a message until it is resumed under Set-up, Messages.")
    quiet = max((age for name, age in health.ages().items() if name in {"beat", "sweep"}), default=timedelta())
    if quiet > health.FRESH:
        found.append(
            f"No message has been looked at for {_age(quiet)}: the background worker is not running. Tell whoever runs it."
        )
    return tuple(found)
