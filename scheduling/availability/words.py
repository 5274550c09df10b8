"""What a search is asked: units, demands, plans, windows."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from scheduling.intervals import SLOTS_PER_DAY, at_slot, local_day, ones, slot_after, window

Run = tuple[int, int]
SLOTS_PER_HOUR = 12


@dataclass(frozen=True, slots=True)
class Frame:
    """The stretch of UTC days that all bitmaps of one search cover."""

    first: date
    days: int

    @property
    def slots(self) -> int:
        return self.days * SLOTS_PER_DAY

    def instant(self, slot: int) -> datetime:
        return at_slot(slot, self.first)

    def slot_after(self, moment: datetime) -> int:
        """Return the first slot beginning at or after an instant, kept inside the frame."""
        return min(max(slot_after(moment, self.first), 0), self.slots)

    def day_slots(self, on: date, zone: ZoneInfo) -> tuple[int, int]:
        """Return the first slot of a local date and the one after its last."""
        whole = local_day(on, zone)
        return self.slot_after(whole.starts_at), self.slot_after(whole.ends_at)


@dataclass(frozen=True, slots=True)
class Unit:
    """One person, room or device as it is free at one site; `rank` breaks ties before `id` does."""

    id: int
    kind: str
    site: int
    free: int = field(repr=False)
    extra_turnover_slots: int = 0
    label: str = ""
    capabilities: frozenset[str] = frozenset()
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Demand:
    """`count` units out of `candidates`, each for every run: (slots after arrival, slots).

    A unit serves at most one demand, and the same unit serves all runs of its demand: the nurse who prepares is the
    nurse who watches over the recovery. `turnover_ends` is the slot, counted from arrival, up to which the room or
    device is being made ready again; a unit's own extra turnover follows there.
    """

    key: str
    runs: tuple[Run, ...]
    candidates: tuple[Unit, ...]
    count: int = 1
    turnover_ends: int | None = None
    label: str = ""

    def runs_of(self, unit: Unit) -> tuple[Run, ...]:
        """Return the runs as this unit has to serve them, its own extra turnover included."""
        if self.turnover_ends is None or not unit.extra_turnover_slots:
            return self.runs
        return merged((*self.runs, (self.turnover_ends, unit.extra_turnover_slots)))


@dataclass(frozen=True, slots=True)
class Plan:
    """One way to do the procedure: a site, the lengths of its legs in slots, and who and what that takes.

    Physicians with lengths of their own, or for whom blocks hide other time, come in plans of their own. `lead` is
    the demand by which openings are told apart, "physician" as a rule.
    """

    site: int
    zone: ZoneInfo
    prep: int
    procedure: int
    recovery: int
    demands: tuple[Demand, ...]
    lead: str = "physician"

    @property
    def stay(self) -> int:
        """Return how many slots the patient is in the clinic."""
        return self.prep + self.procedure + self.recovery


@dataclass(frozen=True, slots=True)
class Window:
    """When the procedure may start: `earliest <= starts_at < latest`, on these weekdays, in this part of the day.

    Weekday and part of day are those of the site's own wall clock; `part` may not pass midnight. Nobody arrives
    before `arrives_from`.
    """

    earliest: datetime
    latest: datetime
    weekdays: frozenset[int] = frozenset()
    part: tuple[time, time] | None = None
    arrives_from: datetime | None = None

    def starts(self, frame: Frame, zone: ZoneInfo, grid_slots: int = 1) -> int:
        """Return the slots at which a procedure may start at a site of this zone."""
        bits = ones(frame.slot_after(self.earliest), frame.slot_after(self.latest))
        if self.weekdays or self.part:
            bits &= wall_mask(frame, zone, self.weekdays, self.part)
        if grid_slots > 1:
            bits &= grid_mask(frame, zone, grid_slots)
        return bits


@dataclass(frozen=True, slots=True)
class Question:
    """Everything one search needs to know.

    `per_day` caps the openings of a local date and spreads them: the first of each physician in each half of the day
    comes before a second one. Without it every start counts, in order. `per_physician` gives an opening for each
    physician who could start at that time, not only for the one who is chosen.
    """

    frame: Frame
    plans: tuple[Plan, ...]
    window: Window
    patient_busy: int = field(default=0, repr=False)
    grid_slots: int = 1
    limit: int = 20
    per_day: int | None = None
    per_physician: bool = False

    def allowed(self, plan: Plan) -> int:
        """Return the arrivals of a plan that window, grid and patient allow, whatever the clinic has free."""
        bits = self.window.starts(self.frame, plan.zone, self.grid_slots) >> plan.prep
        if self.window.arrives_from is not None:
            bits &= -1 << self.frame.slot_after(self.window.arrives_from)
        if self.patient_busy:
            busy = self.patient_busy  # an arrival is bad when any slot of the stay is busy
            reach, length = 1, plan.stay
            while reach < length:
                step = min(reach, length - reach)
                busy |= busy >> step
                reach += step
            bits &= ~busy
        return bits


@lru_cache(maxsize=256)
def wall_mask(frame: Frame, zone: ZoneInfo, weekdays: frozenset[int], part: tuple[time, time] | None) -> int:
    """Return the slots on these weekdays (none named: all) and in this part of the day on a zone's clocks."""
    bits = 0
    for offset in range(-1, frame.days + 1):
        on = frame.first + timedelta(days=offset)
        if weekdays and on.weekday() not in weekdays:
            continue
        hours = local_day(on, zone) if part is None else window(on, *part, zone)
        if hours is not None:
            bits |= ones(frame.slot_after(hours.starts_at), frame.slot_after(hours.ends_at))
    return bits


@lru_cache(maxsize=64)
def grid_mask(frame: Frame, zone: ZoneInfo, grid_slots: int) -> int:
    """Return the slots whose wall time is a multiple of `grid_slots` counted from the zone's midnight hour."""
    bits = 0
    for slot in range(0, frame.slots, SLOTS_PER_HOUR):  # offsets change on the hour, by halves of it at most
        for half in (slot, slot + SLOTS_PER_HOUR // 2):
            wall = frame.instant(half).astimezone(zone)
            behind = (wall.hour * 60 + wall.minute) // 5 % grid_slots
            for marked in range(half + -behind % grid_slots, half + SLOTS_PER_HOUR // 2, grid_slots):
                bits |= 1 << marked
    return bits


def merged(runs: Iterable[Run]) -> tuple[Run, ...]:
    """Return runs in order, those that touch or overlap made one, empty ones left out."""
    result: list[Run] = []
    for offset, length in sorted(run for run in runs if run[1] > 0):
        if result and offset <= result[-1][0] + result[-1][1]:
            first, known = result[-1]
            result[-1] = (first, max(known, offset + length - first))
        else:
            result.append((offset, length))
    return tuple(result)


def runs_of(
    legs: Collection[str], *, prep: int, procedure: int, recovery: int, turnover: int
) -> tuple[tuple[Run, ...], int | None]:
    """Return the runs of a need that covers these legs, and where its turnover ends if it has one.

    Recovery and turnover both begin when the procedure leg ends: the patient is wheeled out, the room is cleaned.
    """
    out = prep + procedure
    runs = {
        "prep": (0, prep),
        "procedure": (prep, procedure),
        "recovery": (out, recovery),
        "turnover": (out, turnover),
    }
    return merged(runs[leg] for leg in legs), out + turnover if "turnover" in legs else None
