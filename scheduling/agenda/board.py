"""The board: one site's day, week or list, by physician, room or device, in seven statements."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from pain_clinic.accounts.actors import Actor
from scheduling.agenda import words
from scheduling.agenda.rows import Asked, Rows, load
from scheduling.agenda.shapes import Band, Bar, Board, Choice, Column, HourLine, Leg, Tab, WeekCell, WeekDay, WeekRow
from scheduling.intervals import Interval, Intervals, clip, intersect, local_day, subtract, union, window
from scheduling.models import (
    Absence,
    Appointment,
    Kind,
    Resource,
)

if TYPE_CHECKING:
    pass

SLOT = timedelta(minutes=5)
VIEWS = {"day": "Day", "week": "Week", "list": "List"}
BYS = {"physician": "Physician", "room": "Room", "device": "Device"}
KINDS: dict[str, tuple[str, ...]] = {"physician": (Kind.PHYSICIAN,), "room": (Kind.ROOM,), "device": words.DEVICES}
DEFAULT_HOURS = (time(7), time(18))
ABSENCE_WORDS = {"leave": "leave", "out_of_service": "out of service", "meeting": "meeting"}
# A block is kept for a family of procedures; its colour is that of the family.
BLOCK_HUES = {
    "esi": "epidural",
    "other_neuraxial": "epidural",
    "adhesiolysis": "epidural",
    "mbb_diagnostic": "facet",
    "facet_injection": "facet",
    "facet_cyst": "facet",
    "si_joint": "facet",
    "trigger_point": "trigger",
}


def board(*, asked: Asked, by: Actor, at: datetime) -> Board:
    """Return the board for a site's day or week; `selected` and `etag` are left to `finished`."""
    zone = ZoneInfo(asked.site.time_zone)
    today = at.astimezone(zone).date()
    monday = asked.day - timedelta(days=asked.day.weekday())
    days = [monday + timedelta(days=n) for n in range(7)] if asked.view == "week" else [asked.day]
    rows = load(asked, days, zone, at)
    may_book = by.may("scheduling.book_appointment")
    step = timedelta(days=7 if asked.view == "week" else 1)
    title_day = f"Week of {words.long_day(monday, today)}" if asked.view == "week" else words.long_day(asked.day, today)
    drawn = _Drawing(asked, rows, asked.day, at)
    columns = drawn.columns(may_book) if asked.view == "day" else ()
    is_empty = not rows.appointments
    return Board(
        title=f"{title_day}, {asked.site.name}",
        day=asked.day,
        view=asked.view,
        by=asked.by,
        url=asked.url(case=asked.case),
        previous_url=asked.url(day=asked.day - step),
        next_url=asked.url(day=asked.day + step),
        today_url=asked.url(day=today),
        day_url_base=asked.url(),
        views=tuple(Tab(label, asked.url(view=key), key == asked.view) for key, label in VIEWS.items()),
        bys=tuple(Tab(label, asked.url(by=key), key == asked.by) for key, label in BYS.items()),
        sites=tuple(Choice(site.slug, site.name, site.pk == asked.site.pk) for site in asked.sites),
        site=asked.site.slug,
        first_slot=drawn.first,
        slot_count=drawn.count,
        hours=drawn.hour_lines(),
        now_slot=drawn.now_slot(at) if asked.view == "day" else None,
        columns=columns,
        rows=_week_rows(asked, rows, days, at) if asked.view == "week" else (),
        week_days=_week_days(asked, rows, days, today) if asked.view == "week" else (),
        cases=drawn.cases() if asked.view != "week" else (),
        count=len(rows.appointments),
        loaded_at=at.astimezone(zone),
        book_url=words.book_url(day=max(asked.day, today)) if may_book else "",
        may_move=by.may("scheduling.move_appointment"),
        empty=_empty(drawn, asked, is_empty),
        close_url=asked.url(),
    )


def finished(shown: Board, selected: Any) -> Board:
    """Return the board with its open case and the mark by which a poll knows that nothing changed."""
    whole = replace(shown, selected=selected)
    told = repr(
        replace(whole, loaded_at=shown.loaded_at.replace(year=2000, month=1, day=1, hour=0, minute=0, second=0, microsecond=0))
    )
    return replace(whole, etag=hashlib.sha256(told.encode()).hexdigest()[:32])


def _empty(drawn: _Drawing, asked: Asked, is_empty: bool) -> str:
    if drawn.closure():
        return f"{asked.site.name} is closed on this day: {drawn.closure()}."
    if asked.view == "list" and is_empty:
        return "Nothing is booked on this day."
    noun = {"physician": "No physician works", "room": "No room is open", "device": "No device is in service"}[asked.by]
    return f"{noun} at {asked.site.name} on this day."


# --- drawing ---------------------------------------------------------------------------------------------------------


class _Drawing:
    """One local day of a site, drawn in elapsed 5-minute steps since its midnight."""

    def __init__(self, asked: Asked, rows: Rows, day: date, at: datetime) -> None:
        self.asked, self.rows, self.day, self.at = asked, rows, day, at
        self.zone = rows.zone
        self.whole = local_day(day, self.zone)
        self.appointments = [each for each in rows.appointments if self.whole.starts_at <= each.starts_at < self.whole.ends_at]
        self.known = {each.pk: each for each in self.appointments}
        self.first, self.count = self._drawn()

    def closure(self) -> str:
        """Return the name of the day on which the site is closed, if it is."""
        return next((str(row[8]) for row in self.rows.hours if row[0] == "closed" and row[4] == self.day), "")

    def work(self, resource_id: int) -> tuple[Intervals, Intervals]:
        """Return a resource's working time and its breaks on this day."""
        if self.closure():
            return (), ()
        mine = [row for row in self.rows.hours if row[1] == resource_id]
        dated = [row for row in mine if row[0] == "dated" and row[4] == self.day]
        if dated:
            return self._windows(dated), ()
        weekly = [
            row
            for row in mine
            if row[0] == "weekly"
            and row[3] == self.day.weekday()
            and (row[4] is None or row[4] <= self.day)
            and (row[5] is None or row[5] >= self.day)
        ]
        return self._windows([row for row in weekly if row[2] == "work"]), self._windows(
            [row for row in weekly if row[2] == "break"]
        )

    def _windows(self, rows: Iterable[tuple[Any, ...]]) -> Intervals:
        found = [window(self.day, row[6], row[7], self.zone) for row in rows if row[6] is not None]
        return union(each for each in found if each is not None)

    def _drawn(self) -> tuple[int, int]:
        """Return the first step drawn and how many: opening hours and every bar, widened to whole hours."""
        spans = [(each.arrives_at, each.leaves_at) for each in self.appointments if each.is_standing]
        for resource in self.rows.resources:
            if resource.kind in KINDS[self.asked.by]:
                spans += [(each.starts_at, each.ends_at) for each in self.work(resource.pk)[0]]
            spans += [
                (row["starts_at"], row["ends_at"])
                for row in self.rows.allocations.get(resource.pk, ())
                if row["appointment_id"] in self.known
            ]
        if not spans:
            usual = window(self.day, *DEFAULT_HOURS, self.zone) or self.whole
            spans = [(usual.starts_at, usual.ends_at)]
        first = max(self.slot(min(starts for starts, _ in spans)), 0) // 12 * 12
        last = -(-self.slot(max(ends for _, ends in spans)) // 12) * 12
        return first, max(min(last, self.slot(self.whole.ends_at)) - first, 12)

    def slot(self, moment: datetime) -> int:
        return (moment - self.whole.starts_at) // SLOT

    def place(self, starts: datetime, ends: datetime) -> tuple[int, int]:
        """Return slot and span from the first step drawn, cut to what is drawn."""
        first = min(max(self.slot(starts) - self.first, 0), self.count)
        last = min(max(-((self.whole.starts_at - ends) // SLOT) - self.first, 0), self.count)
        return first, max(last - first, 0)

    def hour_lines(self) -> tuple[HourLine, ...]:
        lines = []
        for slot in range(self.count):
            local = (self.whole.starts_at + (self.first + slot) * SLOT).astimezone(self.zone)
            if local.minute == 0:
                lines.append(HourLine(slot, words.clock(local)))
        return tuple(lines)

    def now_slot(self, at: datetime) -> int | None:
        slot = self.slot(at) - self.first
        return slot if 0 <= slot < self.count else None

    def columns(self, may_book: bool) -> tuple[Column, ...]:
        found = []
        for resource in self.rows.resources:
            if resource.kind not in KINDS[self.asked.by]:
                continue
            work, breaks = self.work(resource.pk)
            bars = self.bars(resource.pk)
            away = [
                each
                for each in self.rows.absences.get(resource.pk, ())
                if each.starts_at < self.whole.ends_at and each.ends_at > self.whole.starts_at
            ]
            if not bars and (not resource.is_active or not work):
                continue
            can_book = may_book and resource.is_active and self.whole.ends_at > self.at
            who = {"physician": resource.public_id} if resource.kind == Kind.PHYSICIAN else {}
            room = {"room": resource.public_id} if resource.kind == Kind.ROOM else {}
            found.append(
                Column(
                    public_id=resource.public_id,
                    kind=self.asked.by,
                    name=resource.name,
                    note=self._note(work, away),
                    load=self._load(resource.pk, work, breaks, away),
                    bands=self._bands(resource.pk, work, breaks, away),
                    bars=bars,
                    book_url=words.book_url(day=self.day, **who, **room) if can_book else "",
                )
            )
        return tuple(found)

    def _note(self, work: Intervals, away: Sequence[Absence]) -> str:
        if not work:
            return "no hours here today"
        if away and not subtract(work, _times(away)):
            return ABSENCE_WORDS[away[0].kind]
        return ""

    def _load(self, resource_id: int, work: Intervals, breaks: Intervals, away: Sequence[Absence]) -> int:
        free = subtract(subtract(work, breaks), _times(away))
        total = sum((each.length for each in free), timedelta())
        if not total:
            return -1
        taken = [
            Interval(row["starts_at"], row["ends_at"])
            for row in self.rows.allocations.get(resource_id, ())
            if row["appointment_id"]
        ]
        return min(round(sum((each.length for each in intersect(free, taken)), timedelta()) / total * 100), 100)

    def _bands(self, resource_id: int, work: Intervals, breaks: Intervals, away: Sequence[Absence]) -> tuple[Band, ...]:
        drawn = Interval(self.whole.starts_at + self.first * SLOT, self.whole.starts_at + (self.first + self.count) * SLOT)
        bands = [("closed", each, "", "") for each in subtract((drawn,), work)]
        bands += [("break", each, "break", "") for each in breaks]
        for absence in away:
            kind = "out_of_service" if absence.kind == "out_of_service" else "leave"
            bands += [(kind, each, ABSENCE_WORDS[absence.kind], "") for each in clip(_times([absence]), drawn)]
        for kept in self.rows.blocks.get(resource_id, ()):
            owner = f", {kept.block.physician.short_name}" if kept.block.physician else ""
            hue = BLOCK_HUES.get(kept.block.family, "ablation" if "rfa" in kept.block.family else "other")
            bands.append(("block", Interval(kept.starts_at, kept.ends_at), f"{kept.block.name}{owner}", hue))
        for row in self.rows.allocations.get(resource_id, ()):
            if not row["appointment_id"]:
                bands.append(("hold", Interval(row["starts_at"], row["ends_at"]), "held", ""))
        placed = [(kind, *self.place(each.starts_at, each.ends_at), label, hue) for kind, each, label, hue in bands]
        return tuple(Band(kind, slot, span, label, hue) for kind, slot, span, label, hue in placed if span)

    def bars(self, resource_id: int) -> tuple[Bar, ...]:
        held: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for row in self.rows.allocations.get(resource_id, ()):
            if row["appointment_id"] in self.known:
                held[row["appointment_id"]].append(row)
        return tuple(self.bar(self.known[pk], rows) for pk, rows in held.items())

    def cases(self) -> tuple[Bar, ...]:
        return tuple(self.bar(each, ()) for each in self.appointments)

    def bar(self, appointment: Appointment, held: Sequence[dict[str, Any]]) -> Bar:
        rows = self.rows.by_appointment.get(appointment.pk, ())
        starts = min((row["starts_at"] for row in held), default=appointment.starts_at)
        ends = max((row["ends_at"] for row in held), default=appointment.ends_at)
        slot, span = self.place(starts, ends)
        procedure = appointment.procedure
        return Bar(
            public_id=appointment.public_id,
            version=appointment.version,
            url=self.asked.url(case=appointment.public_id, day=self.day),
            case_url=words.case_url(appointment.public_id),
            move_url=f"{words.case_url(appointment.public_id)}move/",
            slot=slot,
            span=max(span, 1),
            legs=self._legs(appointment, held, rows),
            starts_at=appointment.starts_at.astimezone(self.zone),
            ends_at=appointment.ends_at.astimezone(self.zone),
            minutes=(appointment.ends_at - appointment.starts_at) // timedelta(minutes=1),
            patient=appointment.patient.short_name,
            procedure=procedure.short_name,
            target=words.target(appointment),
            physician=self._names(rows, (Kind.PHYSICIAN,)),
            room=self._names(rows, (Kind.ROOM,)),
            device=self._names(rows, words.DEVICES),
            status=appointment.status,
            category=procedure.category,
            family=procedure.family,
            flags=words.patient_flags(appointment.patient, same_name=appointment.has_twin, is_brief=True),  # type: ignore[attr-defined]
            is_ready=not appointment.is_waiting,  # type: ignore[attr-defined]
            is_selected=appointment.public_id == self.asked.case,
        )

    def _names(self, rows: Sequence[dict[str, Any]], kinds: Sequence[str]) -> str:
        found = dict.fromkeys(self.rows.names[row["resource_id"]].short_name for row in rows if row["kind"] in kinds)
        return ", ".join(found)

    def _legs(self, appointment: Appointment, held: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> tuple[Leg, ...]:
        mine = {leg for row in held for leg in row["legs"]}
        legs = [
            ("prep", appointment.arrives_at, appointment.starts_at),
            ("procedure", appointment.starts_at, appointment.ends_at),
            ("recovery", appointment.ends_at, appointment.leaves_at),
        ]
        turnover = [row["ends_at"] for row in held if "turnover" in row["legs"] and row["ends_at"] > appointment.ends_at]
        if turnover:
            legs.append(("turnover", appointment.ends_at, max(turnover)))
        placed = [(kind, *self.place(starts, ends)) for kind, starts, ends in legs if starts < ends]
        return tuple(Leg(kind, slot, span, kind in mine) for kind, slot, span in placed if span)


def _times(absences: Iterable[Absence]) -> list[Interval]:
    return [Interval(each.starts_at, each.ends_at) for each in absences]


# --- the week --------------------------------------------------------------------------------------------------------


def _week_days(asked: Asked, rows: Rows, days: Sequence[date], today: date) -> tuple[WeekDay, ...]:
    counts: dict[date, int] = defaultdict(int)
    for each in rows.appointments:
        if each.is_standing:
            counts[each.starts_at.astimezone(rows.zone).date()] += 1
    return tuple(WeekDay(day, asked.url(view="day", day=day), counts[day], day == today) for day in days)


def _week_rows(asked: Asked, rows: Rows, days: Sequence[date], at: datetime) -> tuple[WeekRow, ...]:
    drawings = [_Drawing(asked, rows, day, at) for day in days]
    found = []
    for resource in rows.resources:
        if resource.kind not in KINDS[asked.by]:
            continue
        cells = tuple(_week_cell(drawing, resource) for drawing in drawings)
        if resource.is_active or any(cell.bars for cell in cells):
            found.append(WeekRow(resource.name, "" if resource.is_active else "no longer in use", cells))
    return tuple(found)


def _week_cell(drawing: _Drawing, resource: Resource) -> WeekCell:
    work, _ = drawing.work(resource.pk)
    away = [each for each in drawing.rows.absences.get(resource.pk, ()) if intersect(work, _times([each]))]
    note = drawing.closure() or ", ".join(dict.fromkeys(ABSENCE_WORDS[each.kind] for each in away))
    bars = tuple(sorted(drawing.bars(resource.pk), key=lambda bar: (bar.starts_at, bar.public_id)))
    return WeekCell(bars, note, not work)
