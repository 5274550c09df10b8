"""Book what a series proposes: all of it in one transaction or nothing, or each session with its own result."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.errors import DomainError, Forbidden
from procedures.models import Procedure
from procedures.rules import Waiver
from scheduling import booking, openings
from scheduling.assessing import fixed_ahead
from scheduling.booking import Target, staging
from scheduling.booking.words import guarded
from scheduling.courses.planning import plan
from scheduling.courses.words import must_work
from scheduling.models import Appointment, Series, SeriesSession
from scheduling.series.proposing import details_of, is_booked
from scheduling.series.verbs import locked, read, record
from scheduling.series.words import Booked, NothingToBook, NotWhole


def book(
    *,
    series: Series,
    by: Actor,
    at: datetime,
    is_whole: bool = True,
    version: int | None = None,
    reason_code: str = "",
    reason: str = "",
) -> tuple[Booked, ...]:
    """Book the dates proposed. `is_whole`: all of them or none; otherwise each for itself, what is bound together with it.

    `reason_code` and `reason` are for what the proposal said needs a reason, and for nothing else. Patient, series and
    every unit are locked first, in the order in which all verbs lock.

    Raises:
        Forbidden: the actor may not work on the worklist or not book.
        SeriesStale: the series is no longer at `version`.
        SeriesClosed: it was withdrawn.
        NothingToBook: nothing of it is left to be booked.
        NotWhole: all were to be booked and one could not be; it has that refusal's code and status.
    """
    must_work(by)
    if not by.may("scheduling.book_appointment"):
        raise Forbidden("not_allowed", "You may not book.")
    with guarded(), transaction.atomic():
        row = locked(series, version)
        waiting = [one for one in read(row) if one.opening is not None and not is_booked(one) and not one.is_skipped]
        if not waiting:
            raise NothingToBook
        staging.lock_resources({unit for one in waiting for unit in _units(one)})
        found: list[Booked] = []
        fixed = fixed_ahead(row.pk)
        for group in _groups(waiting):
            found += _book_group(group, row, by, at, is_whole, Waiver("", reason_code, reason), fixed)
        row.version += 1
        row.save(update_fields=["version"])
        plan({one.course_id for one in waiting if one.course_id is not None}, at=at)
        done = sum(one.refusal is None for one in found)
        record("scheduling.book_series", row, by, details={"booked": done, "refused": len(found) - done})
    return tuple(sorted(found, key=lambda one: one.session.number))


def _book_group(
    group: Sequence[SeriesSession],
    series: Series,
    by: Actor,
    at: datetime,
    is_whole: bool,
    word: Waiver,
    fixed: frozenset[int],
) -> list[Booked]:
    """Book sessions that are not without each other; a refusal leaves none of them."""
    one = group[0]
    try:
        with transaction.atomic():
            for one in group:
                one.appointment = _book_one(one, series, by, at, word, is_fixed=one.number in fixed)
                one.save(update_fields=["appointment"])
    except DomainError as error:
        if is_whole:
            raise NotWhole(one, error) from error
        for other in group:
            other.appointment, other.opening, other.why_none = None, None, error.message[:600]
            other.save(update_fields=["opening", "why_none"])
        return [Booked(other, error) for other in group]
    return [Booked(one) for one in group]


def _book_one(session: SeriesSession, series: Series, by: Actor, at: datetime, word: Waiver, *, is_fixed: bool) -> Appointment:
    """Book one session at the opening proposed, as it is now.

    Raises:
        SlotTaken: the opening is no longer free.
        RulesRefused, Busy: as for `booking.book`.
    """
    procedure = Procedure.objects.get(code=session.procedure)
    packed: dict[str, Any] = session.opening or {}
    fit = openings.fit(
        procedure=procedure, starts_at=datetime.fromisoformat(packed["starts_at"]), site=series.site, at=at,
        units=_units(session), patient=series.patient, options=openings.Options(sedation=procedure.planned_sedation),
    )  # fmt: skip
    if fit.opening is None:
        raise booking.SlotTaken
    told = [one["key"] for one in session.findings if one["severity"] != "info" and not one["pending"]]
    waivers = [Waiver(key, word.reason_code, word.text) for key in told] if word.is_complete else []
    target = Target(
        side=session.side, levels=tuple(session.levels), sedation=procedure.planned_sedation, regions=tuple(session.regions),
        details=details_of(session), is_series=is_fixed,
    )  # fmt: skip
    return booking.book(
        patient=series.patient, procedure=procedure, target=target, opening=fit.opening, by=by, at=at, waivers=waivers
    )


def _units(session: SeriesSession) -> set[int]:
    assert session.opening is not None
    return {unit for units in session.opening["units"].values() for unit in units}


def _groups(waiting: Sequence[SeriesSession]) -> list[list[SeriesSession]]:
    """Return the sessions in the order of their dates, those bound together as one: what is needed for another first."""
    groups: dict[int, list[SeriesSession]] = {}
    for one in waiting:
        head = one.after if one.is_bound and one.after in groups else None
        if head is not None:
            groups[head].insert(0, one)  # the removal before its trial, which booking refuses without it
        else:
            groups[one.number] = [one]
    return sorted(groups.values(), key=lambda group: min(_starts(one) for one in group))


def _starts(session: SeriesSession) -> datetime:
    assert session.opening is not None
    return datetime.fromisoformat(session.opening["starts_at"])
