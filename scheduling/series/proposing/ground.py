"""One question put together: the days that are free, what the rules say of them, and the answer in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from functools import cached_property

from django.conf import settings

from procedures import rulebook
from procedures.pathways import Aim, KeptApart
from procedures.pathways.joint import BLOCKED, FINE, NEEDS_REASON, Apart, Cap, Gap, Joint, Part, Placed, Together
from procedures.rules import Facts, Finding, Session, Severity, assess
from procedures.rules.dates import as_date
from procedures.rules.earliest import at_date, blocks
from scheduling.assessing import facts_with, used_up
from scheduling.availability import Opening
from scheduling.courses.aims import Rulebook
from scheduling.courses.offering import pack
from scheduling.models import AWAY, SeriesSession
from scheduling.series.proposing.beside import at_one_time, note, to_decide
from scheduling.series.proposing.scene import Free, Row, Scene
from scheduling.series.words import Suggested

MOST_DAYS = 64  # that a session may have to choose from
CLOSEST_GRID, GRID = 5, 30  # minutes between the starts that are looked at: for the first of a day, and for sharing it
STARTS = 10  # a day, where sessions may share it
_DAY = timedelta(days=1)


@dataclass
class Ground:
    """One question put together: the days that are free, and what the rules say of them."""

    scene: Scene
    rows: tuple[Row, ...]
    freed: frozenset[int] = frozenset()  # numbers of the sessions that keep apart only from what is booked
    _free: dict[str, Free] = field(default_factory=dict)
    # By the work that is judged, and the work that is placed: of the same work the rules say the same.
    _findings: dict[tuple[int, date, tuple[tuple[int, date], ...]], tuple[Finding, ...]] = field(default_factory=dict)
    _kept: dict[tuple[int, date, tuple[tuple[int, date], ...]], Finding | None] = field(default_factory=dict)
    _bare: dict[tuple[int, date], Facts] = field(default_factory=dict)
    _sessions: dict[tuple[int, date], Session] = field(default_factory=dict)
    _packed: dict[tuple[date, tuple[int, ...]], tuple[Opening, ...] | None] = field(default_factory=dict)

    def again(self, rows: tuple[Row, ...], freed: frozenset[int]) -> Ground:
        """Return the question anew, with other windows or more freed: what the rules said of the same rows stays known."""
        known = {"_findings": self._findings, "_kept": self._kept, "_bare": self._bare, "_sessions": self._sessions}
        return Ground(self.scene, rows, freed, **known)  # type: ignore[arg-type]

    # --- what is free ---

    def free(self, index: int, *, is_whole: bool = False) -> Free:
        """Return what is free for a row, as far on as was read; rows of one procedure are looked for together.

        Few sessions are put off to the end of their time: what lies beyond the days near the ideal ones is read if need be.
        """
        code = self.rows[index].procedure.code
        known = self._free.get(code)
        if known is None or (is_whole and not known.is_whole):
            same = [row for row in self.rows if row.procedure.code == code]
            first, last = min(row.first for row in same), max(row.last for row in same)
            until = last if is_whole else min(last, max(row.near for row in same))
            known = self._free[code] = self.scene.free(same[0].procedure, first, until, is_whole=until == last)
        return known

    def openings(self, index: int, day: date, *, is_shared: bool) -> tuple[Opening, ...]:
        """Return the first opening of a day for a row; where others share the day, some more to choose from.

        None is at the time of what another course proposes, unless the row is freed and has no other.
        """
        proposed = self.scene.proposed
        is_met = day in proposed.days
        found = self._starts(index, day, is_shared=is_shared or is_met)
        clear = tuple(one for one in found if proposed.meets(one.arrives_at, one.leaves_at) is None) if is_met else found
        return clear if clear or self.is_strict(index) else found

    def _starts(self, index: int, day: date, *, is_shared: bool) -> tuple[Opening, ...]:
        free, row = self.free(index), self.rows[index]
        key = (row.procedure.code, day, is_shared)
        if key not in self.scene.openings:
            assert free.look is not None
            begins = datetime.combine(day, time(), tzinfo=self.scene.zone)
            ends = datetime.combine(day + _DAY, time(), tzinfo=self.scene.zone)
            found = list(free.look.between(begins, ends, grid_minutes=CLOSEST_GRID, per_day=1, limit=1))
            if is_shared:
                more = free.look.between(begins, ends, grid_minutes=GRID, per_day=STARTS, limit=STARTS)
                found += [one for one in more if all(one.starts_at != other.starts_at for other in found)]
            self.scene.openings[key] = tuple(sorted(found, key=lambda one: one.starts_at))
        return self.scene.openings[key]

    def days_of(self, index: int) -> tuple[date, ...]:
        """Return the days that one row may have, at most `MOST_DAYS`, those nearest to its ideal one."""
        row, free, met = self.rows[index], self.free(index), self.scene.proposed.days
        days = [day for day in free.days if row.first <= day <= row.last]
        days = [day for day in days if day not in met or self.openings(index, day, is_shared=False)]
        if row.session.fixed_on is not None:
            return tuple(day for day in days if day == row.session.fixed_on)
        is_enough = free.is_whole or row.last <= free.last or len(days) > MOST_DAYS
        if row.leader is None and is_enough:
            # What comes before others may open a day to those, so only these are judged by themselves.
            days = self._from_covered(index, days)
        nearest = sorted(days, key=lambda day: (abs(day - row.ideal), day))[:MOST_DAYS]
        if not free.is_whole and free.last < row.last and (
            not is_enough or len(nearest) < MOST_DAYS or free.last - row.ideal < abs(nearest[-1] - row.ideal)
        ):  # fmt: skip
            self.free(index, is_whole=True)
            return self.days_of(index)
        return tuple(sorted(nearest))

    def _from_covered(self, index: int, days: list[date]) -> list[date]:
        """Return the days from the first one on which a row is not blocked by itself; the later ones the search asks about.

        Where everything that blocks a day names a day from which it would do, the days before that are left out unasked.
        Where more days are left than a row may have, each is asked about, so that none that is blocked takes a place.
        """
        found = list(days)
        while found and (standing := self.standing(index, found[0], {})):
            waits = [as_date(one.earliest, self.scene.zone) for one in standing if one.earliest is not None]
            first = max(waits) if len(waits) == len(standing) else found[0]
            found = [day for day in found[1:] if day >= first]
        if len(found) > MOST_DAYS:
            found = [day for day in found if self.judge(index, day, {}) != BLOCKED]
        return found

    # --- the question ---

    @cached_property
    def question(self) -> Together:
        """Return what the search is asked."""
        rows = self.rows
        return Together(
            parts=tuple(Part(self.days_of(index), row.ideal, row.latest) for index, row in enumerate(rows)),
            gaps=tuple(
                Gap(
                    row.leader, index, row.session.least_days, row.session.ideal_days, row.session.most_days, row.session.is_bound
                )
                for index, row in enumerate(rows)
                if row.leader is not None
            ),
            aparts=tuple(
                Apart(one, other, 1)
                for other in range(len(rows))
                for one in range(other)
                if _is_same_work(rows[one].session, rows[other].session)
            ),
            caps=tuple(self._caps()),
            comes_anyway=frozenset(case.local_date for case in self.scene.others if case.status not in AWAY),
            is_one_weekday=self.scene.series.is_one_weekday,
            judge=self.judge,
            packs=lambda day, members: self.packed(day, members) is not None,
        )

    def _caps(self) -> Iterable[Cap]:
        """Yield the pathways' own limits: what was done and what is booked counts, as for the planner."""
        for course in {row.session.course_id: row.session.course for row in self.rows}.values():
            pathway = self.scene.pathways.get(course.pathway) if course is not None else None
            limit = pathway.limit if pathway is not None else None
            if limit is None:
                continue
            members = [
                index
                for index, row in enumerate(self.rows)
                if row.session.course_id == (course.pk if course else None) and row.procedure.family in limit.families
            ]
            if not members:
                continue
            work = self.scene.as_session(self.rows[members[0]], self.scene.today)
            held = self.facts(members[0], self.rows[members[0]].first, {}).of(limit.families)
            if limit.per == "region":
                held = tuple(one for one in held if one.regions & work.regions)
            elif limit.per == "site":
                held = tuple(one for one in held if one.sites & work.sites)
            yield Cap(frozenset(members), limit.most, limit.period, frozenset(one.on for one in held))

    # --- the rules ---

    def judge(self, index: int, day: date, placed: Placed) -> int:
        """Return what the rules say of a row on a day while others are placed."""
        findings = self.findings(index, day, placed)
        if any(blocks(one) for one in findings):
            return BLOCKED
        if self.kept_apart(index, day, placed) is not None:
            return BLOCKED if self.is_strict(index) else NEEDS_REASON
        return NEEDS_REASON if any(one.refuses for one in findings) else FINE

    def standing(self, index: int, day: date, placed: Placed) -> list[Finding]:
        """Return what stands in the way of a row on a day."""
        found = [one for one in self.findings(index, day, placed) if blocks(one)]
        kept = self.kept_apart(index, day, placed) if self.is_strict(index) else None
        return [*found, kept] if kept is not None else found

    def is_strict(self, index: int) -> bool:
        """Say whether a row keeps apart from what is only proposed: not where somebody chose its day, or none is left."""
        session = self.rows[index].session
        return session.fixed_on is None and session.number not in self.freed

    def kept_apart(self, index: int, day: date, placed: Placed) -> Finding | None:
        """Return what other courses propose that would refuse the day if it were booked, and only then.

        Once it keeps a row apart it does so whatever is placed beside: otherwise a session more could open a day. A course
        that is due later than the row gives way to it, as among courses: once the row is booked, it is planned around it.
        """
        beside = self.scene.proposed.due_by(self.rows[index].latest)
        if not beside:
            return None
        counted = tuple(sorted((other, on) for other, on in placed.items() if on <= day and other != index))
        key = (index, day, counted)
        if key not in self._kept:
            sooner = self.kept_apart(index, day, dict(counted[:-1])) if counted else None
            course, reading = self.rows[index].session.course, self.scene.reading
            pathway = self.scene.pathways.get(course.pathway) if course is not None else None
            rule = KeptApart(Rulebook(reading.book), Aim({}, self.scene.today), beside, pathway)
            self._kept[key] = sooner or rule.check(self.facts(index, day, dict(counted)), day)
        return self._kept[key]

    def findings(self, index: int, day: date, placed: Placed) -> tuple[Finding, ...]:
        """Return everything that the rules say of it; what lies after the day plays no part."""
        counted = {other: on for other, on in sorted(placed.items()) if on <= day and other != index}
        key = (self.works[index], day, tuple((self.works[other], on) for other, on in counted.items()))
        found = self._findings.get(key)
        if found is None:
            facts = self.facts(index, day, counted)
            found = self._findings[key] = assess(rulebook.in_force(self.scene.reading.book, facts, day), facts, day)
        return found

    def facts(self, index: int, day: date, placed: Placed) -> Facts:
        """Return what is known when a row is judged on a day, the placed ones counted as booked."""
        key = (self.works[index], day)
        bare = self._bare.get(key)
        if bare is None:
            scene = self.scene
            known = scene.reading.known[scene.series.patient_id]
            wish = scene.wish(self.rows[index], day)
            bare = self._bare[key] = at_date(facts_with(wish, scene.reading, known, scene.cases, scene.at), day)
        own = [self.session(other, on) for other, on in placed.items()]
        if not own:
            return bare
        return used_up(replace(bare, sessions=(*bare.sessions, *own)), [("", one) for one in own], self.scene.reading.book)

    def session(self, index: int, day: date) -> Session:
        """Return a row on a day as a session that is booked."""
        key = (self.works[index], day)
        found = self._sessions.get(key)
        if found is None:
            found = self._sessions[key] = self.scene.as_session(self.rows[index], day)
        return found

    @cached_property
    def works(self) -> tuple[int, ...]:
        """Return for each row the first one that is the very same work, of which the rules say the same on the same day."""
        first: dict[object, int] = {}
        return tuple(first.setdefault(self.scene.work(row), index) for index, row in enumerate(self.rows))

    # --- the time of a day ---

    def packed(self, day: date, members: tuple[int, ...]) -> tuple[Opening, ...] | None:
        """Return openings of one day at which these rows can be done one after the other; the earliest end wins."""
        key = (day, members)
        if key not in self._packed:
            self._packed[key] = self._pack(day, members, ())
        return self._packed[key]

    def _pack(self, day: date, members: tuple[int, ...], held: tuple[Opening, ...]) -> tuple[Opening, ...] | None:
        if len(held) == len(members):
            return held
        best: tuple[Opening, ...] | None = None
        for opening in self.openings(members[len(held)], day, is_shared=len(members) > 1):
            if any(self._clashes(members[place], other, members[len(held)], opening) for place, other in enumerate(held)):
                continue
            found = self._pack(day, members, (*held, opening))
            if found is not None and (best is None or _end(found) < _end(best)):
                best = found
                if len(members) - len(held) == 1:
                    break
        return best

    def _clashes(self, one: int, first: Opening, other: int, second: Opening) -> bool:
        """Say whether two cases of the patient would overlap, the tidying of what they use counted in."""
        return first.arrives_at < self._over(other, second) and second.arrives_at < self._over(one, first)

    def _over(self, index: int, opening: Opening) -> datetime:
        return max(opening.leaves_at, opening.ends_at + timedelta(minutes=self.rows[index].procedure.turnover_minutes))

    # --- the answer ---

    def suggested(self, index: int, answer: Joint) -> Suggested:
        """Return what is proposed for a row."""
        day = answer.days[index]
        placed = {other: on for other, on in enumerate(answer.days) if on is not None}
        if day is None:
            return Suggested(None, (), self._why_none(index, placed)[:600])
        members = tuple(sorted(other for other, on in placed.items() if on == day))
        packed = self.packed(day, members)
        assert packed is not None
        opening = packed[members.index(index)]
        told = [one for one in self.findings(index, day, placed) if one.severity is not Severity.ADVICE]
        told += self._beside(index, day, placed, opening)
        read = self.free(index).look
        assert read is not None
        return Suggested(pack(opening, read.answer(packed), self.scene.zone), tuple(told))

    def _beside(self, index: int, day: date, placed: Placed, opening: Opening) -> Iterator[Finding]:
        """Yield from which proposals of other courses a row is not kept apart, or else from which of them it is."""
        near = self.kept_apart(index, day, placed)
        if near is not None:
            yield to_decide(near)
        met = self.scene.proposed.meets(opening.arrives_at, opening.leaves_at)
        if met is not None:
            yield at_one_time(met)
        if near is not None or met is not None or not self.scene.proposed.beside:
            return
        row = self.rows[index]
        ideal = row.ideal if row.leader is None else placed[row.leader] + timedelta(days=row.session.ideal_days)
        away = abs(day - ideal)
        read = self.free(index, is_whole=ideal + away > self.free(index).last)
        nearer = [one for one in read.days if abs(one - ideal) < away and self._could(index, one, placed)]
        for other in sorted(nearer, key=lambda one: abs(one - ideal))[:MOST_DAYS]:
            kept = self.kept_apart(index, other, placed)
            if kept is not None and not any(one.refuses for one in self.findings(index, other, placed)):
                yield note(kept, other)
                return

    def _why_none(self, index: int, placed: Placed) -> str:
        row = self.rows[index]
        if row.leader is not None and row.leader not in placed:
            return f"It follows session {self.rows[row.leader].session.number}, which has no date."
        if row.session.not_after is not None and row.first > row.session.not_after:
            return f"It could not be before {row.first}, and the order says not after {row.session.not_after}."
        day = self._first_day(index, placed)
        if day is None and row.first > self.scene.today + timedelta(days=settings.BOOKING_HORIZON_DAYS):
            return f"It could not be before {row.first}, and bookings open {settings.BOOKING_HORIZON_DAYS} days ahead."
        if day is None:
            return self.free(index).why_none or f"Nothing is free from {row.first} to {row.last}."
        standing = self.standing(index, day, placed)
        if standing:
            return " ".join(dict.fromkeys(one.message for one in standing))
        for cap in self.question.caps:
            if index in cap.members and self._room_from(cap, day, placed) != day:
                return f"At most {cap.most} sessions in {cap.period} by the pathway."
        if self.scene.series.is_one_weekday:
            return "No free day beside the other sessions falls on the same weekday as they do."
        return "No free day keeps the intervals and limits of this series beside its other sessions."

    def _first_day(self, index: int, placed: Placed) -> date | None:
        """Return the first free day that a row could have beside these; where none has been read, all its days are."""
        ways = (self.free(index, is_whole=is_whole).days for is_whole in (False, True))
        return next((day for days in ways for day in days if self._could(index, day, placed)), None)

    def _could(self, index: int, day: date, placed: Placed) -> bool:
        row = self.rows[index]
        if row.session.fixed_on is not None and day != row.session.fixed_on:
            return False
        first = row.first
        if row.leader is not None:
            first = max(first, placed[row.leader] + timedelta(days=row.session.least_days))
        return first <= day <= row.last

    def later(self, answer: Joint) -> dict[int, date]:
        """Return for sessions that found no day the first one that the rules themselves name further on."""
        placed = {other: on for other, on in enumerate(answer.days) if on is not None}
        found: dict[int, date] = {}
        for index, row in enumerate(self.rows):
            if index in placed or row.session.fixed_on is not None or (row.leader is not None and row.leader not in placed):
                continue
            day = self._first_day(index, placed)
            if day is None:
                continue
            standing = self.standing(index, day, placed)
            waits = [as_date(one.earliest, self.scene.zone) for one in standing if one.earliest is not None]
            if len(waits) < len(standing):
                continue
            waits += [self._room_from(cap, day, placed) for cap in self.question.caps if index in cap.members]
            if waits and max(waits) > row.first:
                found[row.session.number] = max(waits)
        return found

    def _room_from(self, cap: Cap, day: date, placed: Placed) -> date:
        """Return the first day from one on on which a limit of the pathway leaves room."""
        taken = cap.held | {on for index, on in placed.items() if index in cap.members}
        days = sorted({day, *(cap.period.left_on(on) for on in taken)})
        return next(
            one for one in days
            if one >= day and sum(cap.period.before(one) < on < one for on in taken) < cap.most
        )  # fmt: skip


def _is_same_work(one: SeriesSession, other: SeriesSession) -> bool:
    """Say whether two sessions are the same work at the same place, which is not done twice a day."""
    names = ("procedure", "side", "levels", "regions")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _end(openings: Sequence[Opening]) -> datetime:
    return max(one.leaves_at for one in openings)
