"""Order several sessions together, find dates for them, skip or move one, and withdraw the order. None of it takes room."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from pain_clinic.audit import trail
from patients.models import Patient
from scheduling.assessing import asking_of
from scheduling.booking import staging
from scheduling.booking.words import guarded
from scheduling.courses.words import must_order, must_work
from scheduling.models import Resource, Series, SeriesSession, SeriesStatus
from scheduling.series.ordering import sessions_of
from scheduling.series.proposing import is_booked, propose
from scheduling.series.words import (
    DayRefused,
    FromCourse,
    Item,
    NothingToBook,
    OrderRefused,
    Proposal,
    SeriesClosed,
    SeriesStale,
)


def order(
    *,
    patient: Patient,
    site: Site,
    given: Sequence[FromCourse | Item],
    by: Actor,
    at: datetime,
    physician: Resource | None = None,
    not_before: date | None = None,
    is_one_weekday: bool = False,
) -> Series:
    """Order several sessions of a patient together, and find dates for them.

    Raises:
        Forbidden: the actor may not order.
        OrderRefused: nothing is ordered, too much, or something that cannot be done like this.
    """
    must_order(by)
    if patient.deceased_on is not None:
        raise OrderRefused("The patient has died.")
    if any(isinstance(one, FromCourse) and one.course.patient_id != patient.pk for one in given):
        raise OrderRefused("This course is another patient's.")
    today = at.astimezone(ZoneInfo(site.time_zone)).date()
    sessions = sessions_of(given, today=today, at=at, not_before=not_before)
    with guarded(), transaction.atomic():
        staging.lock_patients([patient.pk])
        series = Series.objects.create(
            patient=patient, site=site, physician=physician, not_before=not_before, is_one_weekday=is_one_weekday,
            created_at=at, created_by_id=by.user_id,
        )  # fmt: skip
        for one in sessions:
            one.series = series
        SeriesSession.objects.bulk_create(sessions)
        write(series, read(series), at)
        record("scheduling.order_series", series, by, details={"sessions": len(sessions)})
    return series


def replan(*, series: Series, by: Actor, at: datetime, version: int | None = None) -> Series:
    """Find dates again for everything that is not booked.

    Raises:
        Forbidden: the actor may not work on the worklist.
        SeriesStale: it is no longer at `version`.
        SeriesClosed: it was withdrawn.
    """
    must_work(by)
    with guarded(), transaction.atomic():
        row = locked(series, version)
        write(row, read(row), at)
        record("scheduling.replan_series", row, by)
    return row


def skip(*, series: Series, number: int, by: Actor, at: datetime, is_skipped: bool = True, version: int | None = None) -> Series:
    """Leave one session out, or take it in again, with what is bound to it; and find dates for the rest.

    Raises:
        Forbidden, SeriesStale, SeriesClosed: as for `replan`.
        NothingToBook: the session is booked, or is none of this series.
    """
    must_work(by)
    with guarded(), transaction.atomic():
        row = locked(series, version)
        sessions = read(row)
        chosen = _bound_to(number, sessions)
        for one in chosen:
            one.is_skipped = is_skipped
            one.fixed_on = None
        SeriesSession.objects.bulk_update(chosen, ["is_skipped", "fixed_on"])
        write(row, sessions, at)
        record("scheduling.skip_session", row, by, details={"session": number, "is_skipped": is_skipped})
    return row


def move(*, series: Series, number: int, on: date | None, by: Actor, at: datetime, version: int | None = None) -> Series:
    """Put one session on a day that somebody chose, None for the best one again; and find dates for the rest.

    Raises:
        Forbidden, SeriesStale, SeriesClosed: as for `replan`.
        NothingToBook: the session is booked or skipped, or is none of this series.
        DayRefused: it cannot be on that day; nothing was changed.
    """
    must_work(by)
    with guarded(), transaction.atomic():
        row = locked(series, version)
        sessions = read(row)
        one = next((one for one in sessions if one.number == number and not one.is_skipped and not is_booked(one)), None)
        if one is None:
            raise NothingToBook
        one.fixed_on = on
        one.save(update_fields=["fixed_on"])
        found = write(row, sessions, at).sessions[number]
        if on is not None and found.opening is None:
            raise DayRefused(on, found.why_none)
        record("scheduling.move_session", row, by, details={"session": number})
    return row


def withdraw(*, series: Series, by: Actor, at: datetime, version: int | None = None) -> Series:
    """Close an order: what is booked stays booked, nothing more is proposed.

    Raises:
        Forbidden: the actor may not order.
        SeriesStale, SeriesClosed: as for `replan`.
    """
    must_order(by)
    with guarded(), transaction.atomic():
        row = locked(series, version)
        row.status = SeriesStatus.WITHDRAWN
        row.version += 1
        row.save(update_fields=["status", "version"])
        record("scheduling.withdraw_series", row, by)
    return row


# --- what every verb does --------------------------------------------------------------------------------------------


def locked(series: Series, version: int | None) -> Series:
    """Lock patient and series, in that order, and refuse if it is not the one that the caller knew."""
    staging.lock_patients([series.patient_id])
    rows = Series.objects.select_for_update(no_key=True, of=("self",)).select_related("patient", "site", "physician")
    row = rows.get(pk=series.pk)
    if version is not None and row.version != version:
        raise SeriesStale
    if row.status != SeriesStatus.OPEN:
        raise SeriesClosed
    return row


def read(series: Series) -> list[SeriesSession]:
    """Return the sessions of a series in their order, with course and case joined."""
    rows = SeriesSession.objects.filter(series=series).select_related("course", "appointment__procedure").order_by("number")
    return list(rows)


def write(series: Series, sessions: Sequence[SeriesSession], at: datetime) -> Proposal:
    """Find dates and keep them; the series is locked, its patient, site and physician joined.

    Raises:
        RulesNotAsked: the rules break down on what is on file about the patient.
    """
    with asking_of(series.patient):
        found = propose(series=series, sessions=sessions, at=at)
    changed = []
    for one in sessions:
        if is_booked(one):
            continue
        told = found.sessions.get(one.number)
        one.opening = dict(told.opening) if told is not None and told.opening is not None else None
        one.findings = [finding.as_json() for finding in told.findings] if told is not None else []
        one.why_none = told.why_none if told is not None else ""
        changed.append(one)
    SeriesSession.objects.bulk_update(changed, ["opening", "findings", "why_none"])
    series.is_best, series.proposed_at = found.is_best, at
    series.version += 1
    series.save(update_fields=["is_best", "proposed_at", "version"])
    return found


def record(act: str, series: Series, by: Actor, *, details: dict[str, Any] | None = None) -> None:
    """Leave one event about a series."""
    trail.record(
        by=by, act=act, subject=series, patient=series.patient.public_id, site_id=series.site_id,
        details={"version": series.version, **(details or {})},
    )  # fmt: skip


def _bound_to(number: int, sessions: Sequence[SeriesSession]) -> list[SeriesSession]:
    """Return a session and what is bound to it, before and after; none of them is booked."""
    numbers = {number}
    numbers |= {one.after for one in sessions if one.number in numbers and one.is_bound and one.after is not None}
    numbers |= {one.number for one in sessions if one.is_bound and one.after in numbers}
    found = [one for one in sessions if one.number in numbers]
    if not found or any(is_booked(one) for one in found):
        raise NothingToBook
    return found
