"""Random clinics on paper, and the brute force that judges searches over them.

The oracle shares nothing with the product: it knows sets of instants and tries every assignment one by one.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from scheduling.availability import Demand, Frame, Plan, Question, Unit, Window
from scheduling.intervals import Interval

FIVE = timedelta(minutes=5)
ZONES = tuple(
    ZoneInfo(name)
    for name in ("America/New_York", "America/Chicago", "America/Phoenix", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")
)
# The day before a change or an ordinary day: both changes of the United States, both of Lord Howe, new year.
FIRST_DAYS = (
    date(2026, 10, 31),
    date(2027, 3, 13),
    date(2026, 10, 3),
    date(2027, 4, 3),
    date(2026, 12, 31),
    date(2027, 6, 15),
)
EPOCH = datetime(2026, 10, 31, tzinfo=UTC)

instants = st.integers(0, 2000).map(lambda minutes: EPOCH + timedelta(minutes=minutes))
five_minute_instants = st.integers(0, 400).map(lambda slots: EPOCH + slots * FIVE)
intervals = st.tuples(instants, instants).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: Interval(*sorted(pair)))
interval_sets = st.lists(intervals, max_size=8)
seeds = st.integers(0, 2**32 - 1)


def minutes_of(some: Iterable[Interval]) -> set[datetime]:
    """Return every minute that begins in the intervals."""
    found = set()
    for interval in some:
        moment = interval.starts_at
        while moment < interval.ends_at:
            found.add(moment)
            moment += timedelta(minutes=1)
    return found


def bits_of(moments: Iterable[datetime], first: date) -> int:
    """Return the bitmap of some 5-minute instants."""
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    return sum(1 << int((moment - start) / FIVE) for moment in set(moments))


@dataclass(frozen=True)
class Clinic:
    """A question and, beside it, the same free time as sets of instants."""

    question: Question
    free: dict[tuple[int, int], frozenset[datetime]]  # plan index, unit id
    patient: frozenset[datetime]


def clinic(seed: int) -> Clinic:
    """Return a small clinic of 2 to 3 days with pools that may overlap, kept the same by its seed."""
    dice = random.Random(seed)
    frame = Frame(dice.choice(FIRST_DAYS), dice.choice((2, 3)))
    start = frame.instant(0)
    plans: list[Plan] = []
    free: dict[tuple[int, int], frozenset[datetime]] = {}
    for index in range(dice.choice((1, 1, 2))):
        plan = _plan(dice, frame, index, free)
        plans.append(plan)
    zone = plans[0].zone
    earliest = start + dice.randrange(0, 300) * FIVE
    part = dice.choice((None, None, (time(9), time(12)), (time(12), time(0)), (time(1, 30), time(2, 30))))
    weekdays = frozenset(dice.sample(range(7), dice.choice((0, 0, 4))))
    window = Window(
        earliest=earliest,
        latest=earliest + dice.choice((20, 150, 600, 900)) * FIVE,
        weekdays=weekdays,
        part=part,
        arrives_from=dice.choice((None, earliest)),
    )
    patient = frozenset(
        start + slot * FIVE for slot in _stretch(dice, frame.slots, 1) if dice.random() < 1
    ) if dice.random() < 0.4 else frozenset()  # fmt: skip
    question = Question(
        frame=frame,
        plans=tuple(plans),
        window=window,
        patient_busy=bits_of(patient, frame.first),
        grid_slots=dice.choice((1, 1, 2, 3, 6)) if zone.key != "Asia/Kathmandu" else 1,
        limit=dice.choice((1, 5, 10_000)),
        per_physician=dice.random() < 0.4,
    )
    return Clinic(question, free, patient)


def _plan(dice: random.Random, frame: Frame, index: int, free: dict[tuple[int, int], frozenset[datetime]]) -> Plan:
    start = frame.instant(0)
    prep, length, recovery, turnover = dice.randrange(0, 4), dice.randrange(1, 8), dice.randrange(0, 5), dice.randrange(0, 3)
    out = prep + length
    shapes = [
        (((prep, length),), None),
        (((0, prep), (out, recovery)) if prep and recovery else ((prep, length),), None),
        (((prep, length + turnover),), out + turnover),
        (((0, out + recovery),), None),
    ]
    units: dict[int, Unit] = {}
    pools: list[tuple[Unit, ...]] = []
    for pool in range(dice.randrange(1, 4)):
        ids = [100 * index + 10 * pool + number for number in range(dice.randrange(1, 4))]
        for pk in ids:
            slots = {slot for _ in range(dice.choice((1, 3))) for slot in _stretch(dice, frame.slots, 3)}
            free[index, pk] = frozenset(start + slot * FIVE for slot in slots)
            units[pk] = Unit(
                pk, "kind", index, bits_of(free[index, pk], frame.first), dice.choice((0, 0, 2)), f"Unit {pk}", rank=pk % 3
            )
        pools.append(tuple(units[pk] for pk in ids))
    demands = []
    for number, pool in enumerate(pools):
        runs, turnover_ends = dice.choice(shapes)
        count = dice.choice((1, 1, 1, 2)) if len(pool) > 1 else 1
        demands.append(Demand(f"d{number}", runs, pool, count, turnover_ends, f"thing {number}"))
    if dice.random() < 0.5:  # a further demand on units that others want too
        mixed = tuple(dice.sample(list(units.values()), min(len(units), dice.randrange(1, 4))))
        runs, turnover_ends = dice.choice(shapes)
        demands.append(Demand("mixed", runs, mixed, 1, turnover_ends, "mixed thing"))
    lead = dice.choice([demand.key for demand in demands] + ["nobody"])
    return Plan(index, dice.choice(ZONES), prep, length, recovery, tuple(demands), lead)


def _stretch(dice: random.Random, slots: int, parts: int) -> range:
    first = dice.randrange(0, slots)
    return range(first, min(slots, first + dice.randrange(1, slots // parts)))


@dataclass(frozen=True)
class Answer:
    """What the brute force says of one start of one plan: who could lead it."""

    starts_at: datetime
    plan: int
    leads: frozenset[int | None]


def brute_force(some: Clinic) -> list[Answer]:
    """Try every 5 minutes, every plan and every assignment."""
    question = some.question
    found = []
    moment = question.frame.instant(0)
    end = question.frame.instant(question.frame.slots)
    while moment < end:
        for index, plan in enumerate(question.plans):
            if _is_asked(question, plan, moment) and not _stay(plan, moment) & some.patient:
                leads = _leads(some, index, plan, moment)
                if leads:
                    found.append(Answer(moment, index, leads))
        moment += FIVE
    return found


def needed(demand: Demand, unit: Unit, arrives_at: datetime) -> set[datetime]:
    """Return the instants at which a unit is needed by a demand."""
    wanted = {arrives_at + (offset + step) * FIVE for offset, length in demand.runs for step in range(length)}
    if demand.turnover_ends is not None:
        wanted |= {arrives_at + (demand.turnover_ends + step) * FIVE for step in range(unit.extra_turnover_slots)}
    return wanted


def _stay(plan: Plan, starts_at: datetime) -> set[datetime]:
    arrives_at = starts_at - plan.prep * FIVE
    return {arrives_at + step * FIVE for step in range(plan.prep + plan.procedure + plan.recovery)}


def _is_asked(question: Question, plan: Plan, starts_at: datetime) -> bool:
    window, arrives_at = question.window, starts_at - plan.prep * FIVE
    wall = starts_at.astimezone(plan.zone)
    if not window.earliest <= starts_at < window.latest or arrives_at < question.frame.instant(0):
        return False
    if window.arrives_from is not None and arrives_at < window.arrives_from:
        return False
    if window.weekdays and wall.weekday() not in window.weekdays:
        return False
    if window.part is not None:
        begins, ends = window.part
        if not (begins <= wall.time() and (ends == time(0) or wall.time() < ends)) and not _repeated_part(wall, window.part):
            return False
    return (wall.hour * 60 + wall.minute) % (question.grid_slots * 5) == 0


def _repeated_part(wall: datetime, part: tuple[time, time]) -> bool:
    """Hours open at the first and close at the last of a repeated wall time: all between counts."""
    first, last = _part_of_date(wall.date(), wall.tzinfo, part)
    return first <= wall.astimezone(UTC) <= last


@cache
def _part_of_date(on: date, zone: tzinfo | None, part: tuple[time, time]) -> tuple[datetime, datetime]:
    midnight = datetime.combine(on, time(0), tzinfo=zone).astimezone(UTC)
    moments = [midnight + step * FIVE for step in range(26 * 12)]
    walls = [(moment, moment.astimezone(zone)) for moment in moments]
    inside = [m for m, w in walls if w.date() == on and part[0] <= w.time() and (part[1] == time(0) or w.time() < part[1])]
    return (min(inside), max(inside)) if inside else (midnight + timedelta(days=9), midnight)


def _leads(some: Clinic, index: int, plan: Plan, starts_at: datetime) -> frozenset[int | None]:
    arrives_at = starts_at - plan.prep * FIVE
    able = []
    for demand in plan.demands:
        ids = [unit.id for unit in demand.candidates if needed(demand, unit, arrives_at) <= some.free[index, unit.id]]
        if len(ids) < demand.count:
            return frozenset()
        able.append(ids)
    choices = [itertools.combinations(ids, demand.count) for ids, demand in zip(able, plan.demands, strict=True)]
    lead = next((i for i, demand in enumerate(plan.demands) if demand.key == plan.lead), None)
    leads: set[int | None] = set()
    for chosen in itertools.product(*choices):
        flat = [pk for group in chosen for pk in group]
        if len(flat) == len(set(flat)):
            leads |= {None} if lead is None else set(chosen[lead])
    return frozenset(leads)


def overlapping(groups: Sequence[Sequence[int]]) -> bool:
    """Tell whether one id is in two groups."""
    flat = [pk for group in groups for pk in group]
    return len(flat) != len(set(flat))
