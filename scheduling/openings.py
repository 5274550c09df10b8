"""Free places to book: read the bitmaps of everything a procedure may need, and ask `availability`."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from pain_clinic.accounts.models import Site
from patients.models import Patient
from procedures.models import Procedure, ProcedureNeed
from procedures.rules import Finding, structural
from scheduling.availability import (
    Demand,
    Explanation,
    Frame,
    Opening,
    Plan,
    Question,
    Relaxation,
    Unit,
    Window,
    explain,
    runs_of,
    search,
)
from scheduling.intervals import DAY_BYTES, SLOT, SLOT_MINUTES, SLOTS_PER_DAY, local_day, ones, slot_after, slot_of, zone_of
from scheduling.models import Allocation, Appointment, Kind, Resource
from scheduling.models.appointments import AWAY

LATER_DAYS = 60
WATCHED_SEDATION = frozenset({"moderate", "deep", "mac", "general"})
_DAY = timedelta(days=1)
Pair = tuple[int, int]  # resource, site


@dataclass(frozen=True, slots=True)
class FoundUnit:
    """A resource as an answer names it."""

    id: int
    public_id: uuid.UUID
    kind: str
    name: str
    short_name: str


@dataclass(frozen=True, slots=True)
class FoundSite:
    """A site as an answer names it."""

    id: int
    public_id: uuid.UUID
    name: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class OpeningsFound:
    """The openings, or why there are none; and the names of the units and sites they speak of."""

    openings: tuple[Opening, ...]
    explanation: Explanation | None
    units: Mapping[int, FoundUnit]
    sites: Mapping[int, FoundSite]


@dataclass(frozen=True, slots=True)
class Fit:
    """One named start: what would be taken, or the structural findings that stand in its way."""

    opening: Opening | None
    findings: tuple[Finding, ...]
    units: Mapping[int, FoundUnit]


@dataclass(frozen=True, slots=True)
class Options:
    """How a procedure is to be done, where that changes lengths or needs."""

    sedation: str = ""
    guidance: str = ""
    minutes: int | None = None  # of the procedure leg; None: the physician's own or the catalogue's


def find_openings(
    *,
    procedure: Procedure,
    at: datetime,
    earliest: datetime | None = None,
    latest: datetime | None = None,
    site: Site | None = None,
    sites: Collection[int] | None = None,
    physician: Resource | None = None,
    weekdays: Iterable[int] = (),
    part_of_day: tuple[time, time] | None = None,
    patient: Patient | None = None,
    moving: Appointment | None = None,
    options: Options = Options(),
    grid_minutes: int = SLOT_MINUTES,
    per_day: int | None = None,
    per_physician: bool = False,
    limit: int = 20,
    with_reasons: bool = True,
) -> OpeningsFound:
    """Return the first openings with `earliest <= starts_at < latest`, or why there are none, in at most 4 queries.

    `sites` are those the asker may see (none named: all); `moving` is an appointment whose own time does not count
    against its patient.
    """
    window = _window(at, earliest, latest, frozenset(weekdays), part_of_day)
    frame = _frame(procedure, window, at)
    asked = _Asked(procedure, options, at, site.pk if site else None, sites, physician.pk if physician else None)
    needs = list(procedure.needs.all())
    stock = _read_stock(asked, needs, frame)
    blocked, busy = _read_hindrances(asked, needs, frame, patient, moving)
    question = Question(
        frame=frame,
        plans=_plans(asked, needs, stock, blocked, frame),
        window=window,
        patient_busy=busy,
        grid_slots=grid_minutes // SLOT_MINUTES,
        limit=limit,
        per_day=per_day,
        per_physician=per_physician,
    )
    openings = search(question)
    explanation = None
    if not openings and with_reasons:
        explanation = explain(question, _relaxations(asked, needs, question, stock, blocked))
    return OpeningsFound(openings, explanation, stock.units, stock.sites)


def fit(
    *,
    procedure: Procedure,
    starts_at: datetime,
    site: Site,
    at: datetime,
    units: Collection[int] | None = None,
    patient: Patient | None = None,
    moving: Appointment | None = None,
    options: Options = Options(),
) -> Fit:
    """Return what one named start would take, or every structural finding against it.

    `units` are the resources wanted: a need for which some of them would do takes those, every other need chooses
    from its pool. The appointment in `moving` neither hinders its patient nor its own resources' hours.
    """
    window = Window(starts_at, starts_at + SLOT, arrives_from=_round_up(at))
    frame = _frame(procedure, window, at)
    asked = _Asked(procedure, options, at, site.pk, None, None, frozenset(units or ()))
    needs = list(procedure.needs.all())
    stock = _read_stock(asked, needs, frame)
    if moving is not None:
        stock.give_back(moving, frame)
    blocked, busy = _read_hindrances(asked, needs, frame, patient, moving)
    question = Question(frame, _plans(asked, needs, stock, blocked, frame), window, patient_busy=busy, limit=1)
    is_on_mark = starts_at == _round_up(starts_at)
    far = starts_at >= at + timedelta(days=settings.BOOKING_HORIZON_DAYS)
    openings = search(question) if is_on_mark and not far else ()
    if openings:
        return Fit(openings[0], (), stock.units)
    return Fit(None, _against(asked, site, starts_at, question, stock, is_on_mark, far), stock.units)


@dataclass(frozen=True, slots=True)
class _Asked:
    procedure: Procedure
    options: Options
    at: datetime
    site: int | None
    sites: Collection[int] | None
    physician: int | None
    wanted: frozenset[int] = frozenset()

    def wider(self) -> _Asked:
        return replace(self, site=None, physician=None)


@dataclass(slots=True)
class _Privilege:
    minutes: int | None
    valid_from: date | None
    valid_until: date | None
    modalities: Sequence[str]


@dataclass(slots=True)
class _Stock:
    """Everything that might serve, as read: free time per resource and site, in the key order of the answer."""

    free: dict[Pair, int]
    rows: dict[int, tuple[FoundUnit, frozenset[str], int, int]]  # attributes, extra turnover slots, position
    privileges: dict[int, _Privilege]
    sites: dict[int, FoundSite]

    @property
    def units(self) -> dict[int, FoundUnit]:
        return {pk: row[0] for pk, row in self.rows.items()}

    def give_back(self, appointment: Appointment, frame: Frame) -> None:
        """Count an appointment's own allocations as free."""
        for resource, where, starts_at, ends_at in Allocation.objects.filter(
            appointment=appointment, released_at=None
        ).values_list("resource_id", "site_id", "starts_at", "ends_at"):
            if (resource, where) in self.free:
                self.free[resource, where] |= ones(frame.slot_after(starts_at), frame.slot_after(ends_at))


def _window(
    at: datetime,
    earliest: datetime | None,
    latest: datetime | None,
    weekdays: frozenset[int],
    part: tuple[time, time] | None,
) -> Window:
    now = _round_up(at)
    end = at + timedelta(days=settings.BOOKING_HORIZON_DAYS)
    return Window(
        earliest=max(earliest, now) if earliest else now,
        latest=min(latest, end) if latest else end,
        weekdays=weekdays,
        part=part,
        arrives_from=now,
    )


def _round_up(moment: datetime) -> datetime:
    day = moment.astimezone(UTC).date()
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + slot_after(moment, day) * SLOT


def _frame(procedure: Procedure, window: Window, at: datetime) -> Frame:
    first = (window.earliest - timedelta(minutes=procedure.prep_minutes)).astimezone(UTC).date()
    last = max((window.latest + _DAY).astimezone(UTC).date(), first)
    return Frame(first, (last - first).days + 1)


def _later(frame: Frame) -> Frame:
    return Frame(frame.first, frame.days + LATER_DAYS)


_STOCK = """
SELECT f.resource_id, f.site_id, f.later, f.first, f.last, f.days, f.bits,
       r.public_id, r.kind, r.name, r.short_name, r.attributes, r.extra_turnover_minutes, r.position,
       s.public_id, s.name, s.time_zone,
       p.id, p.procedure_minutes, p.valid_from, p.valid_until, p.modalities
FROM (
    SELECT t.resource_id, t.site_id, t.day > %(last)s AS later, min(t.day) AS first, max(t.day) AS last,
           count(*) AS days, string_agg(t.bits, ''::bytea ORDER BY t.day) AS bits
    FROM scheduling_freetime t
    WHERE t.day BETWEEN %(first)s AND %(until)s
      AND t.resource_id = ANY(ARRAY(
          SELECT k.id FROM scheduling_resource k
          WHERE k.is_active AND k.kind = ANY(%(kinds)s)
            AND (k.kind <> 'physician' OR (
                (%(physician)s IS NULL OR k.id = %(physician)s)
                AND k.id IN (SELECT v.resource_id FROM scheduling_privilege v WHERE v.procedure_id = %(procedure)s)))))
      AND (%(sites)s::bigint[] IS NULL OR t.site_id = ANY(%(sites)s))
      AND (t.day > %(last)s OR NOT ((t.resource_id, t.site_id) IN
           (SELECT * FROM unnest(%(had)s::bigint[], %(had_at)s::bigint[]))))
    GROUP BY 1, 2, 3
) f
JOIN scheduling_resource r ON r.id = f.resource_id
JOIN accounts_site s ON s.id = f.site_id AND s.is_active
LEFT JOIN scheduling_privilege p ON p.resource_id = f.resource_id AND p.procedure_id = %(procedure)s
ORDER BY r.kind, r.position, r.name, r.id, f.site_id, f.later
"""


def _read_stock(
    asked: _Asked, needs: Sequence[ProcedureNeed], frame: Frame, *, base: _Stock | None = None, later_days: int = 0
) -> _Stock:
    """Read free time; with `base`, what that lacks and the days after it, joined to what it has."""
    sites = None if asked.sites is None else list(asked.sites)
    if asked.site is not None:
        sites = [asked.site] if sites is None or asked.site in sites else []
    had = list(base.free) if base else []
    last = frame.first + (frame.days - 1) * _DAY
    if base is None:
        stock = _Stock({}, {}, {}, {})
    else:
        stock = _Stock(dict(base.free), dict(base.rows), dict(base.privileges), dict(base.sites))
    with connection.cursor() as cursor:
        cursor.execute(
            _STOCK,
            {
                "first": frame.first,
                "last": last,
                "until": last + later_days * _DAY,
                "kinds": sorted({need.kind for need in needs}),
                "physician": asked.physician,
                "procedure": asked.procedure.pk,
                "sites": sites,
                "had": [resource for resource, _ in had],
                "had_at": [where for _, where in had],
            },
        )
        rows = cursor.fetchall()
    for row in rows:
        resource, where, later, first, final, days, packed = row[:7]
        if (final - first).days + 1 != days:  # a hole in the rows: read them day by day
            bits = _with_holes(resource, where, first, final, first)
        else:
            bits = int.from_bytes(packed, "little")
        shift = (first - frame.first).days * SLOTS_PER_DAY
        stock.free[resource, where] = stock.free.get((resource, where), 0) | bits << shift
        _note(stock, row, later)
    return stock


def _note(stock: _Stock, row: Sequence[Any], later: bool) -> None:
    resource, where = row[0], row[1]
    if resource not in stock.rows:
        unit = FoundUnit(resource, row[7], row[8], row[9], row[10])
        stock.rows[resource] = (unit, frozenset(row[11]), -(-row[12] // SLOT_MINUTES), row[13])
        if row[17] is not None:
            stock.privileges[resource] = _Privilege(row[18], row[19], row[20], row[21])
    if where not in stock.sites:
        stock.sites[where] = FoundSite(where, row[14], row[15], row[16])


def _with_holes(resource: int, where: int, first: date, last: date, origin: date) -> int:
    packed = bytearray(((last - first).days + 1) * DAY_BYTES)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT day, bits FROM scheduling_freetime WHERE resource_id = %s AND site_id = %s AND day BETWEEN %s AND %s",
            [resource, where, first, last],
        )
        for day, bits in cursor.fetchall():
            start = (day - origin).days * DAY_BYTES
            packed[start : start + DAY_BYTES] = bits
    return int.from_bytes(packed, "little")


@dataclass(frozen=True, slots=True)
class _Blocked:
    """Time of a resource at a site that a block keeps; for nobody here, or for one physician."""

    pair: Pair
    bits: int
    physician: int | None


_HINDRANCES = """
SELECT t.resource_id, t.site_id, t.starts_at, t.ends_at,
       b.family, b.physician_id
FROM scheduling_blocktime t JOIN scheduling_block b ON b.id = t.block_id
WHERE t.resource_id IN (SELECT id FROM scheduling_resource WHERE is_active AND kind = ANY(%(kinds)s))
  AND t.ends_at > %(from)s AND t.starts_at < %(until)s AND t.releases_at > %(at)s
  AND (b.physician_id IS NOT NULL OR b.family <> %(family)s)
UNION ALL
SELECT NULL, NULL, a.arrives_at, a.leaves_at, '', NULL
FROM scheduling_appointment a
WHERE a.patient_id = %(patient)s AND a.leaves_at > %(from)s AND a.arrives_at < %(until)s
  AND NOT a.is_history AND a.status <> ALL(%(away)s) AND a.id <> %(moving)s
"""


def _read_hindrances(
    asked: _Asked, needs: Sequence[ProcedureNeed], frame: Frame, patient: Patient | None, moving: Appointment | None
) -> tuple[list[_Blocked], int]:
    """Return the blocks in the way, and the slots at which the patient is in the clinic already.

    For every unit that could be meant and for the days after the frame too, so that an explanation need not ask again.
    """
    frame = _later(frame)
    with connection.cursor() as cursor:
        cursor.execute(
            _HINDRANCES,
            {
                "kinds": sorted({need.kind for need in needs}),
                "from": frame.instant(0),
                "until": frame.instant(frame.slots),
                "at": asked.at,
                "family": asked.procedure.family,
                "patient": patient.pk if patient else 0,
                "away": list(AWAY),
                "moving": moving.pk if moving else 0,
            },
        )
        rows = cursor.fetchall()
    busy = 0
    kept: dict[tuple[Pair, int | None], int] = defaultdict(int)
    for resource, where, starts_at, ends_at, family, physician in rows:
        bits = ones(max(slot_of(starts_at, frame.first), 0), frame.slot_after(ends_at))
        if resource is None:
            busy |= bits
        else:
            is_for_family = not family or family == asked.procedure.family
            kept[(resource, where), physician if is_for_family else None] |= bits
    return [_Blocked(pair, bits, physician) for (pair, physician), bits in kept.items()], busy


def _plans(
    asked: _Asked, needs: Sequence[ProcedureNeed], stock: _Stock, blocked: Sequence[_Blocked], frame: Frame
) -> tuple[Plan, ...]:
    """Return a plan per site, length and, where blocks are kept for a physician, per such physician."""
    wants_physician = any(need.kind == Kind.PHYSICIAN for need in needs)
    plans: list[Plan] = []
    for where in sorted({where for _, where in stock.free}):
        hidden = [each for each in blocked if each.pair[1] == where]
        owners = {each.physician for each in hidden if each.physician is not None and each.pair[0] != each.physician}
        views = _Views(asked, needs, stock, hidden, where, frame)
        if not wants_physician:
            plans.append(views.plan(None, _minutes(asked, None)))
            continue
        groups: dict[tuple[int, int | None], list[int]] = defaultdict(list)
        for resource, privilege in _privileged(asked, stock, where):
            groups[_minutes(asked, privilege), resource if resource in owners else None].append(resource)
        plans += [views.plan(group, minutes) for (minutes, _), group in groups.items()]
    return tuple(plans)


def _privileged(asked: _Asked, stock: _Stock, where: int) -> list[tuple[int, _Privilege]]:
    wanted = {pk for pk in asked.wanted if pk in stock.rows and stock.rows[pk][0].kind == Kind.PHYSICIAN}
    return [
        (resource, privilege)
        for resource, privilege in stock.privileges.items()
        if (resource, where) in stock.free
        and (not wanted or resource in wanted)
        and (asked.physician is None or resource == asked.physician)
        and (not asked.options.guidance or not privilege.modalities or asked.options.guidance in privilege.modalities)
    ]


def _minutes(asked: _Asked, privilege: _Privilege | None) -> int:
    own = privilege.minutes if privilege else None
    return asked.options.minutes or own or asked.procedure.room_minutes


class _Views:
    """The units of one site, as a physician sees them through the blocks; shared where blocks make no difference."""

    def __init__(
        self,
        asked: _Asked,
        needs: Sequence[ProcedureNeed],
        stock: _Stock,
        hidden: Sequence[_Blocked],
        where: int,
        frame: Frame,
    ) -> None:
        self.asked, self.needs, self.stock, self.hidden = asked, needs, stock, hidden
        self.where, self.frame = where, frame
        self._units: dict[tuple[int, int | None], Unit] = {}
        self._demands: dict[object, Demand] = {}
        self._zone = zone_of(stock.sites[where].time_zone)

    def plan(self, physicians: Sequence[int] | None, minutes: int) -> Plan:
        procedure = self.asked.procedure
        prep, length, recovery, turnover = (
            -(-each // SLOT_MINUTES)
            for each in (procedure.prep_minutes, minutes, procedure.recovery_minutes, procedure.turnover_minutes)
        )
        only = physicians[0] if physicians is not None and len(physicians) == 1 else None
        demands = []
        for need in self.needs:
            runs, turnover_ends = runs_of(
                _legs(need, self.asked), prep=prep, procedure=length, recovery=recovery, turnover=turnover
            )
            units = tuple(self._candidates(need, physicians, only))
            key = (need.pk, runs, tuple(id(unit) for unit in units))
            if runs and key not in self._demands:
                name = f"{need.kind}:{need.attribute}" if need.attribute else need.kind
                self._demands[key] = Demand(name, runs, units, need.count, turnover_ends, _label(need))
            if runs:
                demands.append(self._demands[key])
        return Plan(self.where, self._zone, prep, length, recovery, tuple(demands))

    def _candidates(self, need: ProcedureNeed, physicians: Sequence[int] | None, only: int | None) -> Iterable[Unit]:
        fitting = []
        for pk, (unit, attributes, _, _) in self.stock.rows.items():
            if unit.kind != need.kind or (pk, self.where) not in self.stock.free:
                continue
            if need.attribute and need.attribute not in attributes:
                continue
            if need.kind == Kind.PHYSICIAN and pk not in (physicians or ()):
                continue
            fitting.append(pk)
        wanted = [pk for pk in fitting if pk in self.asked.wanted]
        if len(wanted) >= need.count:
            fitting = wanted
        return [self._unit(pk, only) for pk in fitting]

    def _unit(self, pk: int, physician: int | None) -> Unit:
        hidden = 0
        differs = False
        for each in self.hidden:
            if each.pair[0] == pk:
                owner = each.physician
                if owner is not None and owner in (pk, physician):
                    differs = differs or owner == physician
                else:
                    hidden |= each.bits
        key = (pk, physician if differs else None)
        if key not in self._units:
            found, attributes, extra, position = self.stock.rows[pk]
            free = self.stock.free[pk, self.where] & ~hidden
            if pk in self.stock.privileges:
                free &= self._privileged_days(self.stock.privileges[pk])
            self._units[key] = Unit(pk, found.kind, self.where, free, extra, found.name, attributes, position)
        return self._units[key]

    def _privileged_days(self, privilege: _Privilege) -> int:
        first, stop = 0, self.frame.slots
        if privilege.valid_from is not None:
            first = self.frame.slot_after(local_day(privilege.valid_from, self._zone).starts_at)
        if privilege.valid_until is not None:
            stop = self.frame.slot_after(local_day(privilege.valid_until, self._zone).ends_at)
        return ones(first, stop)


def _legs(need: ProcedureNeed, asked: _Asked) -> list[str]:
    """Return the legs of a need; the nurse stays for the procedure when sedation asks for it."""
    legs = list(need.legs)
    if need.kind == Kind.NURSE and asked.options.sedation in WATCHED_SEDATION and "procedure" not in legs:
        legs.append("procedure")
    return legs


def _label(need: ProcedureNeed) -> str:
    kind = Kind(need.kind).label
    kind = kind if kind[1:2].isupper() or "-" in kind else kind.lower()
    return f"{kind} with {need.attribute.replace('_', ' ')}" if need.attribute else kind


def _relaxations(
    asked: _Asked,
    needs: Sequence[ProcedureNeed],
    question: Question,
    stock: _Stock,
    blocked: Sequence[_Blocked],
) -> list[Relaxation]:
    """Return the single changes worth trying, from one more read of what the question left out."""
    window, frame = question.window, question.frame
    wider = _later(frame)
    everything = _read_stock(asked.wider(), needs, frame, base=stock, later_days=LATER_DAYS)

    def asking(changed: _Asked, new_window: Window) -> Question:
        kept = {pair: bits for pair, bits in everything.free.items() if _is_asked(changed, pair, everything)}
        part = _Stock(kept, everything.rows, everything.privileges, everything.sites)
        plans = _plans(changed, needs, part, blocked, wider)
        return replace(question, frame=wider, plans=plans, window=new_window)

    found = []
    if asked.physician is not None:
        found.append(Relaxation("physician", "with another physician", asking(replace(asked, physician=None), window)))
    if asked.site is not None:
        found.append(Relaxation("site", "at another site", asking(replace(asked, site=None), window)))
    if window.weekdays:
        found.append(Relaxation("weekday", "on another weekday", asking(asked, replace(window, weekdays=frozenset()))))
    if window.part is not None:
        found.append(Relaxation("part_of_day", "at another time of day", asking(asked, replace(window, part=None))))
    later = replace(window, earliest=window.latest, latest=window.latest + timedelta(days=LATER_DAYS))
    found.append(Relaxation("later", "on a later date", asking(asked, later)))
    return found


def _is_asked(asked: _Asked, pair: Pair, stock: _Stock) -> bool:
    if asked.site is not None and pair[1] != asked.site:
        return False
    return asked.physician is None or stock.rows[pair[0]][0].kind != Kind.PHYSICIAN or pair[0] == asked.physician


def _against(
    asked: _Asked,
    site: Site,
    starts_at: datetime,
    question: Question,
    stock: _Stock,
    is_on_mark: bool,
    far: bool,
) -> tuple[Finding, ...]:
    """Return every structural finding against one named start that does not fit."""
    found: list[Finding] = []
    if not is_on_mark:
        found.append(structural("not_on_mark", "Times are multiples of five minutes."))
    if far:
        horizon = settings.BOOKING_HORIZON_DAYS
        found.append(structural("too_far_ahead", f"Bookings open {horizon} days ahead."))
    if starts_at - timedelta(minutes=asked.procedure.prep_minutes) < asked.at:
        found.append(structural("in_the_past", "The patient would have had to arrive before now. Choose a later time."))
    if question.patient_busy:
        stay = timedelta(minutes=asked.procedure.stay_minutes)
        first = question.frame.slot_after(starts_at - timedelta(minutes=asked.procedure.prep_minutes))
        if question.patient_busy & ones(first, first + -(-stay // SLOT)):
            found.append(structural("patient_elsewhere", "The patient has another case at that time."))
    strangers = sorted(set(asked.wanted) - set(stock.rows))
    for unit in Resource.objects.filter(pk__in=strangers).order_by("pk"):
        if unit.kind == Kind.PHYSICIAN:
            text = f"{unit.name} does not hold the privilege for {asked.procedure.name}."
            found.append(structural("not_privileged", text, about=str(unit.pk)))
        else:
            found.append(structural("resource_unfit", f"{unit.name} does not serve this procedure there.", about=str(unit.pk)))
    if not question.plans:
        found.append(structural("not_privileged", f"Nobody at {site.name} may do {asked.procedure.name} in the way asked."))
    found += _lacking(site, starts_at, question)
    return tuple(found)


def _lacking(site: Site, starts_at: datetime, question: Question) -> list[Finding]:
    """Say of each demand that nobody can serve at this start whether its units are taken or not at work."""
    found: dict[str, Finding] = {}
    served: set[str] = set()
    arrival_of: Callable[[Plan], int] = lambda plan: question.frame.slot_after(starts_at) - plan.prep  # noqa: E731
    lacking: dict[str, tuple[Demand, datetime, datetime]] = {}
    for plan in question.plans:
        arrival = arrival_of(plan)
        for demand in plan.demands:
            able = sum(_is_free(unit, demand, arrival) for unit in demand.candidates)
            if able >= demand.count:
                served.add(demand.key)
            else:
                begin, end = demand.runs[0][0], sum(demand.runs[-1])
                lacking[demand.key] = (demand, question.frame.instant(arrival + begin), question.frame.instant(arrival + end))
    ids = {unit.id for key, (demand, _, _) in lacking.items() if key not in served for unit in demand.candidates}
    rows = list(
        Allocation.objects.filter(
            resource__in=ids, released_at=None, starts_at__lt=starts_at + _DAY, ends_at__gt=starts_at - _DAY
        ).values_list("resource_id", "starts_at", "ends_at")
    )
    for key, (demand, begins_at, ends_at) in lacking.items():
        if key in served:
            continue
        those = {unit.id for unit in demand.candidates}
        names = demand.candidates[0].label if len(those) == 1 else f"any {demand.label}"
        if any(pk in those and s < ends_at and e > begins_at for pk, s, e in rows):
            found[key] = structural("taken", f"{names[0].upper()}{names[1:]} is taken at that time.", about=key)
        elif those:
            found[key] = structural("outside_hours", f"No {demand.label} works at {site.name} then.", about=key)
        else:
            found[key] = structural("resource_unfit", f"{site.name} has no {demand.label}.", about=key)
    if not found and question.plans and not served:
        return []
    return list(found.values())


def _is_free(unit: Unit, demand: Demand, arrival: int) -> bool:
    if arrival < 0:
        return False
    wanted = 0
    for offset, length in demand.runs_of(unit):
        wanted |= ones(arrival + offset, arrival + offset + length)
    return unit.free & wanted == wanted
