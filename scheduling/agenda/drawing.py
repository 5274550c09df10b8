"""One local day of a site as the board draws it: lanes, bands and bars in 5-minute steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from functools import cached_property

from django.utils.html import format_html

from pain_clinic.looks import hue_of
from patients.models import short_name
from scheduling.agenda import markup, words
from scheduling.agenda.rows import KINDS, Asked, AwayRow, CaseRow, HoursRow, Rows, UseRow
from scheduling.agenda.shapes import Band, Bar, Chip, Column, HourLine, Leg, WeekCell
from scheduling.intervals import Interval, Intervals, clip, intersect, local_day, subtract, union, window
from scheduling.models import Kind
from scheduling.models.appointments import AWAY, NOT_IN_THE_ROOM

SLOT, MINUTE = timedelta(minutes=5), timedelta(minutes=1)
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


class Drawing:
    """One local day of a site, drawn in elapsed 5-minute steps since its midnight."""

    def __init__(self, asked: Asked, rows: Rows, day: date, at: datetime) -> None:
        self.asked, self.rows, self.day, self.at = asked, rows, day, at
        self.zone = rows.zone
        self.whole = local_day(day, self.zone)
        self.known = {each.pk: each for each in rows.cases if self.whole.starts_at <= each.starts_at < self.whole.ends_at}
        self.url = asked.url(day=day)
        self.case_url = words.case_urls()
        self.closure = rows.closures.get(day, "")
        self._work: dict[int, tuple[Intervals, Intervals]] = {}

    @cached_property
    def first(self) -> int:
        return self._drawn[0]

    @cached_property
    def count(self) -> int:
        return self._drawn[1]

    def work(self, resource_id: int) -> tuple[Intervals, Intervals]:
        """Return a resource's working time and its breaks on this day."""
        if resource_id not in self._work:
            self._work[resource_id] = self._hours(self.rows.hours.get(resource_id, ()))
        return self._work[resource_id]

    def _hours(self, mine: Sequence[HoursRow]) -> tuple[Intervals, Intervals]:
        if self.closure:
            return (), ()
        dated = [row for row in mine if row.tag == "dated" and row.on == self.day]
        if dated:
            return self._windows(dated), ()
        weekly = [
            row
            for row in mine
            if row.tag == "weekly"
            and row.weekday == self.day.weekday()
            and (row.on is None or row.on <= self.day)
            and (row.until is None or row.until >= self.day)
        ]
        return self._windows([row for row in weekly if row.what == "work"]), self._windows(
            [row for row in weekly if row.what == "break"]
        )

    def _windows(self, rows: Iterable[HoursRow]) -> Intervals:
        found = [
            window(self.day, row.starts, row.ends, self.zone) for row in rows if row.starts is not None and row.ends is not None
        ]
        return union(each for each in found if each is not None)

    @cached_property
    def _drawn(self) -> tuple[int, int]:
        """Return the first step drawn and how many: opening hours and every bar, widened to whole hours."""
        spans = [(each.arrives_at, each.leaves_at) for each in self.known.values() if each.status not in AWAY]
        for unit in self.rows.units:
            if unit.kind in KINDS[self.asked.by]:
                spans += [(each.starts_at, each.ends_at) for each in self.work(unit.pk)[0]]
                spans += [(row.starts_at, row.ends_at) for row in self.rows.uses.get(unit.pk, ()) if row.case in self.known]
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
        book_url = words.book_url(day=self.day) if may_book and self.whole.ends_at > self.at else ""
        for unit in self.rows.units:
            if unit.kind not in KINDS[self.asked.by]:
                continue
            work, breaks = self.work(unit.pk)
            bars = self.bars(unit.pk)
            if not bars and (not unit.is_active or not work):
                continue
            away = [
                each
                for each in self.rows.absences.get(unit.pk, ())
                if each.starts_at < self.whole.ends_at and each.ends_at > self.whole.starts_at
            ]
            bands = self._bands(unit.pk, work, breaks, away)
            who = f"&{unit.kind}={unit.public_id}" if unit.kind in (Kind.PHYSICIAN, Kind.ROOM) else ""
            found.append(
                Column(
                    public_id=unit.public_id,
                    kind=self.asked.by,
                    name=unit.name,
                    note=self._note(work, away),
                    load=self._load(unit.pk, work, breaks, away),
                    bands=bands,
                    bars=bars,
                    drawn=format_html("{}\n{}", markup.bands(bands), markup.bars(bars, self.asked.by)),
                    book_url=f"{book_url}{who}" if book_url and unit.is_active else "",
                )
            )
        return tuple(found)

    def _note(self, work: Intervals, away: Sequence[AwayRow]) -> str:
        if not work:
            return "no hours here today"
        if away and not subtract(work, _times(away)):
            return ABSENCE_WORDS[away[0].kind]
        return ""

    def _load(self, resource_id: int, work: Intervals, breaks: Intervals, away: Sequence[AwayRow]) -> int:
        free = subtract(subtract(work, breaks), _times(away))
        total = sum((each.length for each in free), timedelta())
        if not total:
            return -1
        taken = [Interval(row.starts_at, row.ends_at) for row in self.rows.uses.get(resource_id, ()) if row.case]
        return min(round(sum((each.length for each in intersect(free, taken)), timedelta()) / total * 100), 100)

    def _bands(self, resource_id: int, work: Intervals, breaks: Intervals, away: Sequence[AwayRow]) -> tuple[Band, ...]:
        drawn = Interval(self.whole.starts_at + self.first * SLOT, self.whole.starts_at + (self.first + self.count) * SLOT)
        bands = [("closed", each, "", "") for each in subtract((drawn,), work)]
        bands += [("break", each, "break", "") for each in breaks]
        for absence in away:
            kind = "out_of_service" if absence.kind == "out_of_service" else "leave"
            bands += [(kind, each, ABSENCE_WORDS[absence.kind], "") for each in clip(_times([absence]), drawn)]
        for kept in self.rows.blocks.get(resource_id, ()):
            owner = f", {kept.owner}" if kept.owner else ""
            hue = BLOCK_HUES.get(kept.family, "ablation" if "rfa" in kept.family else "other")
            bands.append(("block", Interval(kept.starts_at, kept.ends_at), f"{kept.name}{owner}", hue))
        for row in self.rows.uses.get(resource_id, ()):
            if not row.case:
                bands.append(("hold", Interval(row.starts_at, row.ends_at), "held", ""))
        placed = [(kind, *self.place(each.starts_at, each.ends_at), label, hue) for kind, each, label, hue in bands]
        return tuple(Band(kind, slot, span, label, hue) for kind, slot, span, label, hue in placed if span)

    def bars(self, resource_id: int) -> tuple[Bar, ...]:
        held: dict[int, list[UseRow]] = defaultdict(list)
        for row in self.rows.uses.get(resource_id, ()):
            if row.case in self.known:
                held[row.case].append(row)
        return tuple(self.bar(self.known[pk], rows) for pk, rows in held.items())

    def cases(self) -> tuple[Bar, ...]:
        """Return the day's cases as a list shows them: in the order of time, each once, the cancelled too."""
        return tuple(self.bar(each, ()) for each in self.known.values())

    def bar(self, case: CaseRow, held: Sequence[UseRow]) -> Bar:
        uses = self.rows.by_case.get(case.pk, ())
        starts = min((row.starts_at for row in held), default=case.starts_at)
        ends = max((row.ends_at for row in held), default=case.ends_at)
        slot, span = self.place(starts, ends)
        local = case.starts_at.astimezone(self.zone)
        return Bar(
            public_id=case.public_id,
            version=case.version,
            url=f"{self.url}&case={case.public_id}",
            case_url=self.case_url(case.public_id),
            slot=slot,
            span=max(span, 1),
            legs=self._legs(case, held),
            starts_at=local,
            clock=words.clock(local),
            until=words.clock(case.ends_at.astimezone(self.zone)),
            minutes=(case.ends_at - case.starts_at) // MINUTE,
            patient=short_name(case.first_name, case.last_name, case.birth_date),
            procedure=case.procedure,
            target=words.target(*case.target),
            physician=self._names(uses, "physician"),
            room=self._names(uses, "room"),
            device=self._names(uses, "device"),
            status=case.status,
            hue=hue_of(case.category, case.family),
            flags=words.brief_flags(case.deceased_on is not None, case.has_twin, case.language),
            is_waiting=case.is_waiting,
            is_refused=case.is_refused,
            is_unasked=case.is_unasked and case.status in NOT_IN_THE_ROOM,
            is_selected=case.public_id == self.asked.case,
        )

    def _names(self, uses: Sequence[UseRow], by: str) -> str:
        kinds = KINDS[by]
        found = [self.rows.names[row.resource_id] for row in uses if row.kind in kinds]
        return ", ".join(dict.fromkeys(found)) if len(found) > 1 else found[0] if found else ""

    def _legs(self, case: CaseRow, held: Sequence[UseRow]) -> tuple[Leg, ...]:
        mine = {leg for row in held for leg in row.legs}
        legs = [
            ("prep", case.arrives_at, case.starts_at),
            ("procedure", case.starts_at, case.ends_at),
            ("recovery", case.ends_at, case.leaves_at),
        ]
        turnover = [row.ends_at for row in held if "turnover" in row.legs and row.ends_at > case.ends_at]
        if turnover:
            legs.append(("turnover", case.ends_at, max(turnover)))
        placed = [(kind, *self.place(starts, ends)) for kind, starts, ends in legs if starts < ends]
        return tuple(Leg(kind, slot, span, kind in mine) for kind, slot, span in placed if span)

    def cell(self, resource_id: int) -> WeekCell:
        """Return this day of one resource as a week shows it."""
        work, _ = self.work(resource_id)
        away = [each for each in self.rows.absences.get(resource_id, ()) if intersect(work, _times([each]))]
        note = self.closure or ", ".join(dict.fromkeys(ABSENCE_WORDS[each.kind] for each in away))
        known = self.known
        mine = {row.case: known[row.case] for row in self.rows.uses.get(resource_id, ()) if row.case in known}
        cases = sorted(mine.values(), key=lambda case: (case.starts_at, case.public_id))
        chips = tuple(self.chip(case) for case in cases)
        return WeekCell(chips, markup.chips(chips), note, not work)

    def chip(self, case: CaseRow) -> Chip:
        return Chip(
            public_id=case.public_id,
            url=f"{self.url}&case={case.public_id}",
            case_url=self.case_url(case.public_id),
            clock=words.clock(case.starts_at.astimezone(self.zone)),
            patient=short_name(case.first_name, case.last_name, case.birth_date),
            procedure=case.procedure,
            target=words.target(*case.target),
            status=case.status,
            hue=hue_of(case.category, case.family),
        )


def _times(absences: Iterable[AwayRow]) -> list[Interval]:
    return [Interval(each.starts_at, each.ends_at) for each in absences]
