"""Lines of the search: its core against big ints alone, the whole request against a plain read and the same kernel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from django.db import connection

from procedures.models import Procedure
from scheduling.availability import Frame, Question, search
from scheduling.availability.search import first_starts
from scheduling.intervals import SLOT, SLOTS_PER_DAY, midnight, slot_after
from scheduling.models import Allocation
from scheduling.openings import find_openings
from scheduling.openings.planning import plans_of
from scheduling.openings.reading import read_hindrances, read_stock
from scheduling.openings.words import AS_USUAL, Asked, frame_of, window_of
from tests.bench.clinic import CLOSES, COUNTS, FIVE, OPENS, PREP, RECOVERY, ROOM, TURNOVER, ZONE, BenchClinic
from tests.bench.measuring import Line, counted, line, paired

LIMIT = 20
Pool = tuple[int, int, Sequence[int]]  # slots after arrival, slots, free bits of each unit


def bare_kernel(pools: Sequence[Pool], first: int, stop: int) -> list[int]:
    """Return the first starts by big ints alone: erode each unit, OR the pool, AND the pools, lowest bits."""
    arrivals = -1
    for offset, length, units in pools:
        free = 0
        for bits in units:
            reach = 1
            while reach < length:
                step = min(reach, length - reach)
                bits &= bits >> step
                reach += step
            free |= bits
        arrivals &= free >> offset
    starts = arrivals << PREP // 5 & ((1 << stop) - 1) >> first << first
    found: list[int] = []
    while starts and len(found) < LIMIT:
        lowest = (starts & -starts).bit_length() - 1
        found.append(lowest)
        starts &= starts - 1
    return found


def question_of(clinic: BenchClinic, procedure: Procedure, days: int) -> Question:
    """Return the question that a request over some days asks, its bitmaps in hand."""
    window = window_of(clinic.at, None, clinic.at + timedelta(days=days), frozenset(), None)
    frame = frame_of(procedure, window, clinic.at)
    asked = Asked(procedure, AS_USUAL, clinic.at, clinic.site.pk, None, None)
    needs = list(procedure.needs.all())
    stock = read_stock(asked, needs, frame)
    blocked, busy = read_hindrances(asked, needs, frame, None, None)
    return Question(frame, plans_of(asked, needs, stock, blocked, frame), window, patient_busy=busy, limit=LIMIT)


def pools_of(question: Question) -> list[Pool]:
    """Return the same bitmaps as plain ints."""
    return [(each.runs[0][0], each.runs[0][1], [unit.free for unit in each.candidates]) for each in question.plans[0].demands]


def bounds(question: Question) -> tuple[int, int]:
    """Return the first slot at which a procedure may start and the one after the last."""
    window, frame = question.window, question.frame
    arrives = frame.slot_after(window.arrives_from) if window.arrives_from else 0
    return max(frame.slot_after(window.earliest), arrives + PREP // 5), frame.slot_after(window.latest)


def plain_request(clinic: BenchClinic, procedure: Procedure, days: int, minutes: int = ROOM) -> list[int]:
    """Read the bitmaps in one plain statement and run the bare kernel over them."""
    first = clinic.at.astimezone(UTC).date()
    kinds = [need.kind for need in procedure.needs.all()]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.kind, string_agg(f.bits, ''::bytea ORDER BY f.day) FROM scheduling_freetime f"
            " JOIN scheduling_resource r ON r.id = f.resource_id"
            " WHERE f.day BETWEEN %s AND %s AND r.is_active AND r.kind = ANY(%s) GROUP BY r.id",
            [first, first + timedelta(days=days + 1), kinds],
        )
        free: dict[str, list[int]] = {kind: [] for kind in kinds}
        for kind, packed in cursor.fetchall():
            free[kind].append(int.from_bytes(packed, "little"))
    prep, length, recovery, turnover = PREP // 5, minutes // 5, RECOVERY // 5, TURNOVER // 5
    spans = {
        "prep": (0, prep),
        "procedure": (prep, length),
        "recovery": (prep + length, recovery),
        "turnover": (prep + length, turnover),
    }
    pools = [(spans[legs[0]][0], sum(spans[leg][1] for leg in legs), free[kind]) for kind, legs in FIVE if kind in free]
    now = slot_after(clinic.at, first)
    return bare_kernel(pools, now + prep, slot_after(clinic.at + timedelta(days=days), first))


class Oracle:
    """The slow truth: hours and allocations as sets of slots, every start of the year tried one by one."""

    def __init__(self, clinic: BenchClinic) -> None:
        self.clinic, self.first = clinic, clinic.at.astimezone(UTC).date()
        self.base = midnight(self.first)
        self.taken: set[tuple[int, int]] = set()
        rows = Allocation.objects.filter(released_at=None, ends_at__gt=self.base).values_list(
            "resource_id", "starts_at", "ends_at"
        )
        for resource, starts_at, ends_at in rows:
            for slot in range((starts_at - self.base) // SLOT, -((self.base - ends_at) // SLOT)):
                self.taken.add((resource, slot))
        self.units: dict[str, list[int]] = {}
        for need in clinic.five.needs.all():
            self.units[need.kind] = list(clinic.site.resources.filter(kind=need.kind).order_by("pk").values_list("pk", flat=True))

    def starts(
        self, days: int, *, minutes: int = ROOM, physicians: Sequence[int] | None = None, from_day: int = 0
    ) -> list[datetime]:
        """Return the first starts at which a unit of each kind is there and free for all its legs."""
        found: list[datetime] = []
        length = minutes // 5
        runs = {
            "physician": (0, length), "nurse": (-PREP // 5, length), "room": (0, length + TURNOVER // 5),
            "bay": (length, length + RECOVERY // 5), "c_arm": (0, length + TURNOVER // 5),
        }  # fmt: skip
        for slot in range(days * SLOTS_PER_DAY + SLOTS_PER_DAY):
            moment = self.base + slot * SLOT
            wall = moment.astimezone(ZONE)
            if moment - timedelta(minutes=PREP) < self.clinic.at or moment >= self.clinic.at + timedelta(days=days):
                continue
            if (
                wall.weekday() > 4
                or not OPENS <= wall.time() < CLOSES
                or (wall.date() - self.clinic.at.astimezone(ZONE).date()).days < from_day
            ):
                continue
            if all(self._one(kind, slot, run, physicians if kind == "physician" else None) for kind, run in runs.items()):
                found.append(moment)
                if len(found) == LIMIT:
                    break
        return found

    def _one(self, kind: str, slot: int, run: tuple[int, int], only: Sequence[int] | None) -> bool:
        needed = range(slot + run[0], slot + run[1])
        opens, last = ((self.base + each * SLOT).astimezone(ZONE) for each in (needed[0], needed[-1]))
        if opens.date() != last.date() or opens.time() < OPENS or last.time() >= CLOSES:
            return False
        return any(all((unit, each) not in self.taken for each in needed) for unit in (only or self.units[kind]))


def lines(clinic: BenchClinic) -> list[Line]:
    """Measure the search; an answer that the oracle does not give makes its lines miss."""
    oracle = Oracle(clinic)
    found: list[Line] = []
    horizons = [days for days in (90, 365) if days <= max(clinic.size.days, 90)]
    for days in horizons:
        question = question_of(clinic, clinic.five, days)
        pools, (first, stop) = pools_of(question), bounds(question)
        truth = oracle.starts(days)
        same = list(first_starts(question)) == [one.starts_at for one in search(question)] == truth
        same = same and [question.frame.instant(slot) for slot in bare_kernel(pools, first, stop)] == truth
        bare_core = partial(bare_kernel, pools, first, stop)
        core, bare = paired(partial(first_starts, question), bare_core, rounds=9, times=20)
        found.append(line(f"search core, {len(COUNTS)} pools, {days} days", core, "ms", bare, most=1.5, is_right=same))
        named, bare = paired(partial(search, question), bare_core, rounds=9, times=10)
        found.append(line(f"search core with units named, {days} days", named, "ms", bare, is_right=same))
    for days in horizons:
        found += _requests(clinic, oracle, days)
    return found


def _requests(clinic: BenchClinic, oracle: Oracle, days: int) -> list[Line]:
    latest = clinic.at + timedelta(days=days)

    def ask(procedure: Procedure) -> list[datetime]:
        answer = find_openings(procedure=procedure, at=clinic.at, latest=latest, site=clinic.site, limit=LIMIT)
        return [one.starts_at for one in answer.openings]

    physician = list(clinic.late.privileges.values_list("resource_id", flat=True))
    base = Frame(clinic.at.astimezone(UTC).date(), days + 2)
    cases = [
        ("", clinic.five, oracle.starts(days), ROOM),
        (", nothing at all", clinic.never, oracle.starts(days, minutes=690), 690),
    ]
    if days >= 365:
        cases.append((", nothing before day 300", clinic.late, oracle.starts(days, physicians=physician, from_day=300), ROOM))
    found = []
    for words, procedure, truth, minutes in cases:
        with counted() as statements:
            answer = ask(procedure)
        plain = [base.instant(slot) for slot in plain_request(clinic, procedure, days, minutes)]
        is_right = answer == truth and (procedure == clinic.late or plain == truth)
        ours, bare = paired(partial(ask, procedure), partial(plain_request, clinic, procedure, days, minutes))
        found.append(
            line(
                f"search request, {days} days{words}",
                ours,
                "ms",
                bare,
                most=2,
                queries=len(statements),
                most_queries=4,
                is_right=is_right,
            )
        )
    return found
