"""A series as its page shows it: each session with its opening or its reason, and what may be done about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from django.urls import reverse

from pain_clinic.accounts.actors import Actor
from patients.models import Patient
from procedures.models import Procedure
from procedures.rules import Severity
from scheduling.agenda import words
from scheduling.models import Series, SeriesSession, SeriesStatus
from scheduling.series.proposing import TO_DECIDE, is_booked, leader_of
from scheduling.series.verbs import read

if TYPE_CHECKING:
    from pain_clinic.accounts.models import User

NOTE = Severity.ADVICE.value


@dataclass(frozen=True, slots=True)
class SessionShown:
    """One session of a series."""

    number: int
    what: str
    where: str
    follows: str
    state: str  # booked, proposed, none, skipped
    when: str
    who: str
    is_fixed: bool
    reasons: tuple[str, ...]
    conditions: tuple[str, ...]
    to_decide: tuple[str, ...]  # from which proposals of other courses it is not kept apart
    notes: tuple[str, ...]
    why_none: str
    day: str
    case_url: str
    form_url: str
    skip_url: str
    move_url: str


@dataclass(frozen=True, slots=True)
class SeriesShown:
    """A series with its sessions, in the order in which they were ordered."""

    key: str
    title: str
    patient: str
    patient_url: str
    told: str
    journeys: str
    version: int
    sessions: tuple[SessionShown, ...]
    to_book: int
    needs_reason: bool
    is_open: bool
    may_work: bool
    may_book: bool
    may_order: bool
    book_url: str
    replan_url: str
    withdraw_url: str


@dataclass(frozen=True, slots=True)
class SeriesLine:
    """One series in a patient's list."""

    told: str
    url: str


def page(*, series: Series, by: Actor, at: datetime) -> SeriesShown:
    """Return a series as its page shows it; patient and site are joined."""
    sessions = read(series)
    codes = {one.procedure for one in sessions}
    procedures = {one.code: one for one in Procedure.objects.filter(code__in=codes).order_by("pk")}
    urls = {name: reverse(f"scheduling:series_{name}", args=[series.public_id]) for name in ("book", "replan", "withdraw")}
    is_open = series.status == SeriesStatus.OPEN
    by_number = {one.number: one for one in sessions}
    shown = tuple(_shown(one, leader_of(one, by_number), procedures.get(one.procedure), series, by) for one in sessions)
    zone = ZoneInfo(series.site.time_zone)
    to_book = sum(one.state == "proposed" for one in shown)
    return SeriesShown(
        key=str(series.public_id),
        title=f"{words.full_name(series.patient)}: {len(sessions)} session{'' if len(sessions) == 1 else 's'} together",
        patient=words.full_name(series.patient),
        patient_url=reverse("patients:patient", args=[series.patient.public_id]),
        told=_told(series, zone),
        journeys=_journeys(sessions),
        version=series.version,
        sessions=shown,
        to_book=to_book,
        needs_reason=any(one.reasons and one.state == "proposed" for one in shown),
        is_open=is_open,
        may_work=is_open and by.may("scheduling.work_course"),
        may_book=is_open and to_book > 0 and by.may("scheduling.work_course") and by.may("scheduling.book_appointment"),
        may_order=is_open and by.may("scheduling.order_course"),
        book_url=urls["book"],
        replan_url=urls["replan"],
        withdraw_url=urls["withdraw"],
    )


def of_patient(*, patient: Patient, user: User) -> tuple[SeriesLine, ...]:
    """Return the series of a patient that are not wholly booked, the newest first."""
    rows = Series.objects.visible_to(user).filter(patient=patient, status=SeriesStatus.OPEN, sessions__appointment=None)
    return tuple(
        SeriesLine(f"Ordered together on {words.short_day(row.site.day_at(row.created_at))}", _url(row))
        for row in rows.select_related("site").filter(sessions__is_skipped=False).distinct().order_by("-pk")[:5]
    )


def _url(series: Series) -> str:
    return reverse("scheduling:series", args=[series.public_id])


def _shown(
    one: SeriesSession, leader: SeriesSession | None, procedure: Procedure | None, series: Series, by: Actor
) -> SessionShown:  # fmt: skip
    opening = one.opening or {}
    is_there = is_booked(one)
    state = "booked" if is_there else "skipped" if one.is_skipped else "proposed" if opening else "none"
    when = str(opening.get("local", ""))
    day = datetime.fromisoformat(when).date() if when else None
    standing = [finding for finding in one.findings if not finding["pending"] and finding["severity"] != NOTE]
    notes = [finding for finding in one.findings if finding["severity"] == NOTE] if state == "proposed" else []
    return SessionShown(
        number=one.number,
        what=procedure.short_name if procedure is not None else one.procedure,
        where=words.target(tuple(one.levels), one.side, procedure.level_scheme if procedure else "", tuple(one.regions)),
        follows=_follows(one, leader),
        state=state,
        when=_when(one, when),
        who=", ".join(part for part in (str(opening.get("physician", "")), str(opening.get("room", ""))) if part),
        is_fixed=one.fixed_on is not None and not is_there,
        reasons=tuple(dict.fromkeys(finding["message"] for finding in standing)) if state == "proposed" else (),
        conditions=tuple(dict.fromkeys(finding["message"] for finding in one.findings if finding["pending"])),
        to_decide=tuple(finding["message"] for finding in notes if finding["code"] == TO_DECIDE),
        notes=tuple(finding["message"] for finding in notes if finding["code"] != TO_DECIDE),
        why_none=one.why_none if state == "none" else "",
        day=day.isoformat() if day else "",
        case_url=words.case_url(one.appointment.public_id) if one.appointment is not None and is_there else "",
        form_url=_form_url(one, series, day) if not is_there and by.may("scheduling.book_appointment") else "",
        skip_url=reverse("scheduling:series_skip", args=[series.public_id, one.number]),
        move_url=reverse("scheduling:series_move", args=[series.public_id, one.number]),
    )


def _when(one: SeriesSession, local: str) -> str:
    if one.appointment is not None and is_booked(one):
        moment = datetime.combine(one.appointment.local_date, one.appointment.local_time)
        return words.stamp(moment)
    return words.stamp(datetime.fromisoformat(local)) if local else ""


def _follows(one: SeriesSession, leader: SeriesSession | None) -> str:
    """Say what a session comes after, and at what distance: what is skipped has nothing after it."""
    if leader is None:
        return ""
    days = f"{one.least_days} to {one.most_days} days " if one.is_bound else f"at least {one.least_days} days "
    return f"{days if one.most_days or one.least_days else ''}after session {leader.number}"


def _form_url(one: SeriesSession, series: Series, day: date | None) -> str:
    return words.book_url(
        patient=series.patient.public_id, procedure=one.procedure, side=one.side, levels=",".join(one.levels),
        regions=",".join(one.regions), day=day, physician=series.physician.public_id if series.physician else "",
        site=series.site.slug, course=one.course.public_id if one.course is not None else "",
    )  # fmt: skip


def _told(series: Series, zone: ZoneInfo) -> str:
    if series.status == SeriesStatus.WITHDRAWN:
        return "This order was withdrawn. What is booked stays booked."
    if series.proposed_at is None:
        return ""
    found = "no better dates exist" if series.is_best else "better dates may exist, which were not looked for"
    wish = ", the same weekday throughout" if series.is_one_weekday else ""
    return f"Proposed {words.stamp(series.proposed_at.astimezone(zone))}{wish}: {found}. Nothing is held until it is booked."


def _journeys(sessions: Sequence[SeriesSession]) -> str:
    """Return how often the patient would come."""
    days = {str(one.opening["local"])[:10] for one in sessions if one.opening and not is_booked(one) and not one.is_skipped}
    days |= {one.appointment.local_date.isoformat() for one in sessions if one.appointment is not None and is_booked(one)}
    return f"{len(days)} journey{'' if len(days) == 1 else 's'}" if days else "No dates yet"
