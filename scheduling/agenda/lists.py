"""Home, a patient's dates, messages and findings: lists with a fixed number of statements."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from django.core.paginator import Paginator
from django.db.models import Count as CountOf
from django.db.models import Q
from django.urls import reverse

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from pain_clinic.audit.models import AuditEvent
from patients import recorded
from patients.models import EmergencyAccess, Patient
from scheduling.agenda import cases, mail, outbox, story, words
from scheduling.agenda.shapes import CaseLine, Count, FindingPage, FindingRow, Flag, Home, HomeAct, Panel, Who
from scheduling.intervals import local_day
from scheduling.models import Appointment, DeskTask, Message, MessageState, RuleOverride, Status, TaskRole
from scheduling.models.appointments import BEFORE_ARRIVAL, PRESENT

if TYPE_CHECKING:
    from pain_clinic.accounts.models import User

PER_PAGE, PAST_PER_PAGE = 50, 25
MESSAGES_PER_PAGE = 50
JOINED = ("patient", "procedure", "site")
HURTS = {"medicines": "thinner", "allergies": "allergy"}  # which flag a fact that can hurt gets; others get their own


def home(*, user: User, by: Actor, at: datetime, sites: tuple[Site, ...]) -> Home:
    """Return the first page after sign-in: what this person does most, what is open, who comes next."""
    site = sites[0] if sites else None
    zone = ZoneInfo(site.time_zone) if site else ZoneInfo("UTC")
    local = at.astimezone(zone)
    may_board = by.may("scheduling.view_board") and site is not None
    board_url = words.board_url(site=site.slug, day=local.date()) if site and may_board else ""
    part = "morning" if local.hour < 12 else "afternoon" if local.hour < 18 else "evening"
    next_cases, is_own = _next_cases(user, at, site, zone) if site and may_board else ((), False)
    may_book = by.may("scheduling.book_appointment")
    return Home(
        greeting=f"Good {part}, {user.shown_name}",
        title=", ".join(part for part in (words.long_day(local.date(), local.date()), site.name if site else "") if part),
        acts=_home_acts(by, board_url),
        counts=_counts(user, by, at, site, zone, board_url) if site and may_board else (),
        next_cases=next_cases,
        next_title="Your next cases today" if is_own else "Next today",
        board_url=board_url,
        alerts=mail.alerts(),
        shows_cases=user.has_perm("scheduling.view_board"),
        empty="" if next_cases else _home_empty(by, site),
        **_home_next(may_book, board_url, site),
    )


def _home_empty(by: Actor, site: Site | None) -> str:
    if site is None:
        return "You belong to no site yet. The board says how to get one."
    return "Nobody else is expected today." if by.may("scheduling.view_board") else ""


def _home_next(may_book: bool, board_url: str, site: Site | None) -> dict[str, str]:
    if site is None:
        return {"empty_url": reverse("scheduling:board"), "empty_act": "How to get a site"}
    if may_book:
        return {"empty_url": words.book_url(), "empty_act": "Book a procedure"}
    return {"empty_url": board_url, "empty_act": "Open the board" if board_url else ""}


def _home_acts(by: Actor, board_url: str) -> tuple[HomeAct, ...]:
    wanted = (
        (
            "scheduling.book_appointment",
            HomeAct(
                "Book a procedure", words.book_url(), "calendar-plus", "A time when everyone and everything is free", is_main=True
            ),
        ),
        ("scheduling.view_board", HomeAct("Open the board", board_url, "calendar-days", "The day by physician, room or device")),
        (
            "patients.register_patient",
            HomeAct("Register a patient", reverse("patients:new"), "user-plus", "Somebody who was never here"),
        ),
        (
            "scheduling.view_messages",
            HomeAct("Messages", reverse("scheduling:messages"), "mail", "What was sent, and what could not be"),
        ),
        (
            "scheduling.manage_resources",
            HomeAct("Set-up", reverse("scheduling:settings"), "settings", "Sites, people, rooms, devices and their hours"),
        ),
        ("accounts.manage_staff", HomeAct("Staff", reverse("staff"), "users", "Accounts, roles and sites")),
        (
            "patients.review_emergencies",
            HomeAct(
                "Emergencies", reverse("patients:emergencies"), "shield-alert", "Records opened past the usual rules, to look at"
            ),
        ),
        ("accounts.view_audit", HomeAct("Audit", reverse("audit"), "scroll-text", "Who did what, and when")),
    )
    return tuple(act for permission, act in wanted if act.url and by.may(permission))


def _next_cases(user: User, at: datetime, site: Site, zone: ZoneInfo) -> tuple[tuple[CaseLine, ...], bool]:
    """Return today's next cases; a physician's own, anybody else's whole site."""
    day = local_day(at.astimezone(zone).date(), zone)
    coming = (
        Appointment.objects.visible_to(user)
        .standing()
        .filter(starts_at__lt=day.ends_at, leaves_at__gt=at, starts_at__gte=day.starts_at)
    )
    is_own = hasattr(user, "resource")
    if is_own:
        coming = coming.filter(pk__in=user.resource.allocations.filter(released_at=None).values("appointment"))
    else:
        coming = coming.filter(site=site)
    rows = list(coming.exclude(status=Status.DISCHARGED).select_related(*JOINED).order_by("starts_at", "pk")[:8])
    return cases.lines_of(rows, day_shown=False, with_patient=True), is_own


def _counts(user: User, by: Actor, at: datetime, site: Site, zone: ZoneInfo, board_url: str) -> tuple[Count, ...]:
    today = at.astimezone(zone).date()
    day, tomorrow = local_day(today, zone), local_day(today + timedelta(days=1), zone)
    on_day = Q(starts_at__gte=day.starts_at, starts_at__lt=day.ends_at)
    next_day = Q(starts_at__gte=tomorrow.starts_at, starts_at__lt=tomorrow.ends_at)
    found = Appointment.objects.filter(site=site, starts_at__gte=day.starts_at, starts_at__lt=tomorrow.ends_at).aggregate(
        today=CountOf("pk", filter=on_day & ~Q(status__in=(Status.CANCELLED, Status.NO_SHOW, Status.LEFT_BEFORE_SEEN))),
        here=CountOf("pk", filter=on_day & Q(status__in=PRESENT)),
        open=CountOf("pk", filter=next_day & Q(status=Status.BOOKED)),
    )
    list_url = words.board_url(site=site.slug, day=today, view="list")
    counts = [
        Count("Cases today", found["today"], list_url),
        Count("In the clinic now", found["here"], list_url),
        Count(
            "Not confirmed for tomorrow",
            found["open"],
            f"{reverse('scheduling:unconfirmed')}?day={(today + timedelta(days=1)).isoformat()}&site={site.slug}"
            if by.may("scheduling.view_messages")
            else words.board_url(site=site.slug, day=today + timedelta(days=1), view="list"),
            tone="warn" if found["open"] else "",
        ),
    ]
    if by.may("scheduling.work_tasks"):
        to_do = DeskTask.objects.filter(site=site).open().by_telephone().count()
        counts.append(Count("To do by telephone", to_do, reverse("scheduling:tasks"), tone="warn" if to_do else ""))
        role = mail.whose(user, "", may_see_all=by.may("patients.view_safety"))
        mine = DeskTask.objects.filter(site=site, due_at__lt=tomorrow.ends_at).open().before_a_case()
        due = (mine if role == mail.ALL else mine.filter(role=role)).count()
        url = f"{reverse('scheduling:tasks')}?kind={mail.CASES}"
        counts.append(Count("Cases wait for, by tomorrow", due, url, tone="warn" if due else ""))
        if role in (mail.ALL, TaskRole.NURSE):
            asked = DeskTask.objects.filter(site=site, due_at__lt=day.ends_at).open().after_a_visit().count()
            url = f"{reverse('scheduling:tasks')}?kind={mail.AFTER}"
            counts.append(Count("To ask how it went", asked, url, tone="warn" if asked else "", hint="by today"))
    if by.may("patients.review_emergencies"):
        opened = EmergencyAccess.objects.visible_to(user).to_review().count()
        counts.append(Count("Emergencies to look at", opened, reverse("patients:emergencies"), tone="bad" if opened else ""))
    if by.may("scheduling.view_messages"):
        failed = Message.objects.filter(
            appointment__site=site, state=MessageState.FAILED, created_at__gte=at - timedelta(days=14)
        ).count()
        url = f"{reverse('scheduling:messages')}?state=failed"
        counts.append(Count("Messages that failed", failed, url, tone="bad" if failed else "", hint="in the last 14 days"))
    return tuple(counts)


def person(*, patient: Patient, user: User, by: Actor, at: datetime) -> Who:
    """Return a patient as the booking page shows them, with what is coming up."""
    upcoming = list(patient.appointments.visible_to(user).upcoming(at).select_related(*JOINED)[:5])
    zone = ZoneInfo(patient.home_site.time_zone)
    today = at.astimezone(zone).date()
    who = words.who(
        patient, today=today, same_name=cases.same_name(cases.twins_of(patient, user)), upcoming=cases.lines_of(upcoming)
    )
    if not by.may("patients.view_safety"):
        return who
    hurts = tuple(
        Flag(HURTS.get(code, "hurts"), f"{one.text}, {one.more}" if one.more else one.text)
        for code, one in recorded.can_hurt(patient=patient, on=today)
    )
    return replace(who, facts=(*hurts, *who.facts))


def swappable(*, appointment: Appointment, user: User, day: date) -> tuple[CaseLine, ...]:
    """Return the other cases of a day at a case's site that have not begun: those it could be swapped with."""
    whole = local_day(day, ZoneInfo(appointment.site.time_zone))
    rows = (
        Appointment.objects.visible_to(user)
        .filter(site=appointment.site, status__in=BEFORE_ARRIVAL, is_history=False)
        .filter(starts_at__gte=whole.starts_at, starts_at__lt=whole.ends_at)
        .exclude(pk=appointment.pk)
        .select_related(*JOINED)
        .order_by("starts_at", "pk")
    )
    return cases.lines_of(list(rows[:200]), day_shown=False, with_patient=True)


def patient_dates(*, patient: Patient, user: User, by: Actor, at: datetime, number: str = "1") -> Panel:
    """Return a patient's coming cases and one page of the past ones, at the sites of this user."""
    mine = patient.appointments.visible_to(user).select_related(*JOINED)
    earlier = mine.filter(Q(leaves_at__lte=at) | ~Q(status__in=mail.STANDING)).order_by("-starts_at", "-pk")
    found = Paginator(earlier, PAST_PER_PAGE).get_page(number)
    upcoming, past = list(mine.upcoming(at)[:30]), list(found.object_list)
    lines = {line.public_id: line for line in cases.lines_of([*upcoming, *past])}
    return Panel(
        upcoming=tuple(lines[each.public_id] for each in upcoming),
        past=tuple(lines[each.public_id] for each in past),
        book_url=words.book_url(patient=patient.public_id) if by.may("scheduling.book_appointment") else "",
        title=words.full_name(patient),
        patient_url=reverse("patients:patient", args=[patient.public_id]),
        page=words.paged(found, reverse("scheduling:patient_upcoming", args=[patient.public_id])),
    )


def patient_messages(*, patient: Patient, user: User, by: Actor, number: str = "1", reasons: cases.Reasons = str) -> Panel:
    """Return one page of a patient's messages about cases at the sites of this user: what is to come, then from now back."""
    rows = (
        Message.objects.visible_to(user)
        .filter(patient=patient)
        .select_related("patient", "appointment", "appointment__site")
        .order_by(outbox.WHEN.desc(), "-pk")
    )
    found = Paginator(rows, MESSAGES_PER_PAGE).get_page(number)
    may_resend = by.may("scheduling.view_messages")
    return Panel(
        messages=tuple(
            cases.message_line(row, zone=ZoneInfo(row.appointment.site.time_zone), may_resend=may_resend, reasons=reasons)
            for row in found.object_list
        ),
        title=words.full_name(patient),
        patient_url=reverse("patients:patient", args=[patient.public_id]),
        page=words.paged(found, reverse("scheduling:patient_messages", args=[patient.public_id])),
    )


def findings(*, user: User, by: Actor, from_on: date, to_on: date, zone: ZoneInfo, number: str) -> FindingPage:
    """Return the overrides given and the refusals met between two days, newest first."""
    url = reverse("scheduling:findings")
    starts, ends = local_day(from_on, zone).starts_at, local_day(to_on, zone).ends_at
    given = (
        RuleOverride.objects.filter(appointment__in=Appointment.objects.visible_to(user), at__gte=starts, at__lt=ends)
        .select_related("by", *(f"appointment__{name}" for name in JOINED))
        .order_by("-at", "-pk")[:500]
    )
    met = (
        AuditEvent.objects.filter(at__gte=starts, at__lt=ends, outcome="refused", act__startswith="scheduling.")
        .filter(Q(site_id__in=by.site_ids or ()) | Q(user_id=by.user_id))
        .select_related("user")
        .order_by("-at", "-pk")[:500]
    )
    refusals = list(met)
    known = {
        each.public_id: each
        for each in Appointment.objects.visible_to(user)
        .filter(public_id__in={row.subject_id for row in refusals if row.subject_id})
        .select_related(*JOINED)
    }
    rows = [_override_row(row) for row in given] + [_refusal_row(row, known, zone) for row in refusals]
    rows.sort(key=lambda row: row.at, reverse=True)
    found = Paginator(rows, PER_PAGE).get_page(number)
    query = {"from": from_on.isoformat(), "to": to_on.isoformat()}
    return FindingPage("Findings", query["from"], query["to"], tuple(found.object_list), words.paged(found, url, **query))


def _override_row(row: RuleOverride) -> FindingRow:
    return FindingRow(
        at=row.at.astimezone(ZoneInfo(row.appointment.site.time_zone)),
        who=row.by.shown_name if row.by else "the system",
        severity=row.severity,
        code=row.code,
        message=row.message,
        reason=cases.reason_word(row.reason_code),
        text=row.text,
        outcome="override",
        **_case_of(row.appointment),
    )


def _refusal_row(row: AuditEvent, known: dict[Any, Appointment], zone: ZoneInfo) -> FindingRow:
    code = row.reason_code
    return FindingRow(
        at=row.at.astimezone(zone),
        who=row.user.shown_name if row.user else row.actor_name,
        severity="deny",
        code=code,
        message=f"{story.act_word(row.act).capitalize()}: {code.replace('_', ' ')}",
        reason="",
        text="",
        outcome="refused",
        **_case_of(known.get(row.subject_id)),
    )


def _case_of(appointment: Appointment | None) -> dict[str, str]:
    if appointment is None:
        return {"case_url": "", "patient_url": "", "patient": "", "procedure": ""}
    return {
        "case_url": words.case_url(appointment.public_id),
        "patient_url": reverse("patients:patient", args=[appointment.patient.public_id]),
        "patient": appointment.patient.short_name,
        "procedure": words.case_title(appointment),
    }
