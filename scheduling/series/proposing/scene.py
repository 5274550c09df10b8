"""What is read about the patient of a series and its procedures, and the windows in which each session may lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from patients.facts import Reading, read
from procedures import pathwaybook
from procedures.guidance import usual
from procedures.levels import touched
from procedures.models import Procedure
from procedures.pathways import Pathway
from procedures.rules import Session
from procedures.rules.dates import DAY, as_date
from scheduling.assessing import CountedCases, Details, Wish, counted_cases, fixed_ahead, open_cases, session_of
from scheduling.availability import Opening
from scheduling.courses.offering import OVERDUE
from scheduling.models import AWAY, Appointment, Series, SeriesSession, Status
from scheduling.openings import Look, Options, look
from scheduling.series.proposing.beside import Others, others_of

NEAR = timedelta(days=98)  # beyond an ideal day: as many working days as a session may have to choose from


@dataclass(frozen=True, slots=True)
class Row:
    """A session that is to get a date, and the days that may come into question."""

    session: SeriesSession
    procedure: Procedure
    leader: int | None  # the place of the row that it follows
    first: date
    ideal: date
    latest: date
    last: date

    @property
    def near(self) -> date:
        """Return up to which day to look before anything shows that this is not far enough."""
        return max(self.first, self.ideal, self.session.fixed_on or self.ideal) + NEAR


@dataclass(frozen=True, slots=True)
class Free:
    """What is free for one procedure: the days on which it could be, what was read, and why there are none."""

    days: tuple[date, ...]
    last: date
    is_whole: bool  # it was read to the end of what is asked; else up to `last`
    look: Look | None
    why_none: str = ""


@dataclass
class Scene:
    """What was read about the patient of a series and its procedures."""

    series: Series
    sessions: Sequence[SeriesSession]
    procedures: Mapping[str, Procedure]
    reading: Reading
    others: Sequence[Appointment]
    pathways: Mapping[str, Pathway]
    at: datetime
    fixed: frozenset[int]
    _looked: dict[tuple[str, date, date, bool], Free] = field(default_factory=dict)
    openings: dict[tuple[str, date, bool], tuple[Opening, ...]] = field(default_factory=dict)
    _kinds: dict[object, Session] = field(default_factory=dict)  # a session of each work, on some day

    @classmethod
    def read(cls, series: Series, sessions: Sequence[SeriesSession], at: datetime) -> Scene:
        """Read the procedures, the patient's facts and cases, and the pathways."""
        codes = {one.procedure for one in sessions}
        procedures = {one.code: one for one in Procedure.objects.filter(code__in=codes).prefetch_related("needs").order_by("pk")}
        return cls(
            series, sessions, procedures, read([series.patient]), open_cases([series.patient_id], at), pathwaybook.pathways(), at,
            fixed_ahead(series.pk),
        )  # fmt: skip

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.series.site.time_zone)

    @cached_property
    def today(self) -> date:
        return as_date(self.at, self.zone)

    @cached_property
    def proposed(self) -> Others:
        """Return what the patient's other courses propose, of which this series orders nothing."""
        ordered = [(row.session.course_id, self.as_session(row, self.today)) for row in self.rows({})]
        return others_of(self.series, ordered, reading=self.reading, pathways=self.pathways, at=self.at)

    @cached_property
    def cases(self) -> CountedCases:
        """Return the patient's other cases with the sessions that rules count."""
        return counted_cases(self.reading, self.reading.known[self.series.patient_id], self.others)

    def rows(self, later: Mapping[int, date]) -> tuple[Row, ...]:
        """Return the sessions to be placed; `later` says from which day on to look for some of them."""
        found: list[Row] = []
        places: dict[int, int] = {}  # number -> place among the rows
        by_number = {one.number: one for one in self.sessions}
        for session in self.sessions:
            procedure = self.procedures.get(session.procedure)
            if session.is_skipped or is_booked(session) or procedure is None:
                continue
            leader = leader_of(session, by_number)
            is_led = leader is not None and leader.number in places
            bounds = (
                self._led(session, found[places[leader.number]]) if is_led and leader else self._own(session, leader, by_number)
            )
            first, ideal, latest, last = bounds
            first = max(first, later.get(session.number, first))
            if session.number in later:
                last = max(last, first + OVERDUE)
            if session.not_after is not None:
                last = min(last, session.not_after)
            places[session.number] = len(found)
            found.append(
                Row(
                    session,
                    procedure,
                    places[leader.number] if is_led and leader else None,
                    first,
                    max(ideal, first),
                    latest,
                    last,
                )
            )
        return tuple(found)

    def _led(self, session: SeriesSession, before: Row) -> tuple[date, date, date, date]:
        least, ideal, most = (timedelta(days=days) for days in (session.least_days, session.ideal_days, session.most_days))
        return before.first + least, before.ideal + ideal, before.latest + most, before.last + most

    def _own(
        self, session: SeriesSession, leader: SeriesSession | None, by_number: Mapping[int, SeriesSession]
    ) -> tuple[date, date, date, date]:
        """Return the window of a session that follows nothing to be placed: from a case that stands, or its own."""
        if leader is not None and leader.appointment is not None:
            days = (session.least_days, session.ideal_days, session.most_days)
            first, ideal, latest = (leader.appointment.local_date + timedelta(days=one) for one in days)
        else:
            root = _root(session, by_number)
            assert root.earliest is not None
            assert root.ideal is not None
            assert root.latest is not None
            first, ideal, latest = root.earliest, root.ideal, root.latest
        first = max(first, self.today, self.series.not_before or first)
        latest = max(latest, first)
        return first, ideal, latest, latest if session.is_bound else latest + OVERDUE

    def free(self, procedure: Procedure, first: date, last: date, *, is_whole: bool) -> Free:
        """Return what is free from one day to another, read once; nothing is named yet: only few of the days are asked for."""
        window = (procedure.code, first, last, is_whole)
        if window not in self._looked:
            self._looked[window] = self._look(procedure, first, last, is_whole=is_whole)
        return self._looked[window]

    def _look(self, procedure: Procedure, first: date, last: date, *, is_whole: bool) -> Free:
        if last < first:
            return Free((), last, is_whole, None)
        series, zone = self.series, self.zone
        found = look(
            procedure=procedure,
            at=self.at,
            earliest=datetime.combine(first, time(), tzinfo=zone),
            latest=datetime.combine(last + DAY, time(), tzinfo=zone),
            site=series.site,
            physician=series.physician,
            patient=series.patient,
            options=Options(sedation=procedure.planned_sedation),
        )
        days = found.dates()
        why_none = "" if days or not is_whole else found.why_none(series.site, series.physician).text
        return Free(days, last, is_whole, found, why_none)

    def work(self, row: Row) -> object:
        """Return all that the rules are told about a session but its day."""
        session = row.session
        target = (session.procedure, session.side, tuple(session.levels), tuple(session.regions))
        return target, details_of(session), session.number in self.fixed

    def wish(self, row: Row, day: date) -> Wish:
        """Return a session on a day as booking would judge it."""
        session, procedure = row.session, row.procedure
        levels = tuple(session.levels)
        return Wish(
            procedure=procedure,
            site=self.series.site,
            starts_at=datetime.combine(day, time(12), tzinfo=self.zone),
            side=session.side,
            levels=levels,
            regions=touched(levels, tuple(session.regions)),
            guidance=usual(procedure),
            sedation=procedure.planned_sedation,
            details=details_of(session),
            is_series=session.number in self.fixed,
        )

    def as_session(self, row: Row, day: date) -> Session:
        """Return a session on a day as one that is booked."""
        work, session = self.work(row), row.session
        found = self._kinds.get(work)
        if found is None:
            case = Appointment(
                procedure=row.procedure, status=Status.BOOKED, local_date=day, side=session.side, levels=session.levels,
                regions=list(touched(tuple(session.levels), tuple(session.regions))),
            )  # fmt: skip
            found = session_of(case, self.reading.book)
            if session.drug:
                found = replace(found, drug="" if session.drug == "none" else session.drug, dose_mg=None)
            found = self._kinds[work] = replace(found, role=session.role or found.role)
        return replace(found, on=day)


def details_of(session: SeriesSession) -> Details:
    """Return what the order says about a case beyond its target."""
    said = Details(role=session.role, drug=session.drug)
    course = session.course
    if course is None:
        return said
    return replace(said, rationale=course.rationale, course_id=course.pk, problem_id=course.problem_id)


def is_booked(session: SeriesSession) -> bool:
    """Say whether a session has a case that stands."""
    return session.appointment is not None and session.appointment.status not in AWAY


def leader_of(session: SeriesSession, by_number: Mapping[int, SeriesSession]) -> SeriesSession | None:
    """Return the session that one follows, skipped ones left out."""
    found = by_number.get(session.after) if session.after is not None else None
    while found is not None and found.is_skipped:
        found = by_number.get(found.after) if found.after is not None else None
    return found


def _root(session: SeriesSession, by_number: Mapping[int, SeriesSession]) -> SeriesSession:
    found = session
    while found.earliest is None and found.after is not None:
        found = by_number[found.after]
    return found
