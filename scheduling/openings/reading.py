"""Read free time, blocks and the patient's other appointments: one statement for each page of the answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db import connection

from patients.models import Patient
from procedures.models import ProcedureNeed
from scheduling import free_time
from scheduling.availability import Frame
from scheduling.intervals import DAY_BYTES, SLOT_MINUTES, SLOTS_PER_DAY, ones, slot_of
from scheduling.models import Allocation, Appointment, FreeTime
from scheduling.models.appointments import AWAY
from scheduling.openings.words import Asked, FoundSite, FoundUnit

LATER_DAYS = 28
_DAY = timedelta(days=1)
Pair = tuple[int, int]  # resource, site


@dataclass(slots=True)
class Held:
    minutes: int | None
    valid_from: date | None
    valid_until: date | None
    modalities: Sequence[str]


@dataclass(slots=True)
class Stock:
    """Everything that might serve, as read: free time per resource and site, in the key order of the answer."""

    free: dict[Pair, int]
    rows: dict[int, tuple[FoundUnit, frozenset[str], int, int]]  # attributes, extra turnover slots, position
    privileges: dict[int, Held]
    sites: dict[int, FoundSite]

    @property
    def units(self) -> dict[int, FoundUnit]:
        return {pk: row[0] for pk, row in self.rows.items()}

    def give_back(self, appointment: Appointment, frame: Frame) -> None:
        """Count an appointment's own time as free where its people and things work then, at each of their sites."""
        own = list(Allocation.objects.filter(appointment=appointment, released_at=None).order_by("pk"))
        for (resource, where, day), bits in free_time.without(own).items():
            offset = (day - frame.first).days
            if (resource, where) in self.free and 0 <= offset < frame.days:
                first = offset * SLOTS_PER_DAY
                others = self.free[resource, where] & ~ones(first, first + SLOTS_PER_DAY)
                self.free[resource, where] = others | bits << first


def and_later(frame: Frame) -> Frame:
    return Frame(frame.first, frame.days + LATER_DAYS)


# One small sort for each resource and site: grouping all rows by both takes twice as long.
_STOCK = """
SELECT r.id, s.id, <later>, f.bits,
       r.public_id, r.kind, r.name, r.short_name, r.attributes, r.extra_turnover_minutes, r.position,
       s.public_id, s.name, s.time_zone,
       p.id, p.procedure_minutes, p.valid_from, p.valid_until, p.modalities
FROM scheduling_resource r
CROSS JOIN accounts_site s
CROSS JOIN LATERAL (
    SELECT string_agg(t.bits, ''::bytea ORDER BY t.day) AS bits FROM scheduling_freetime t
    WHERE t.resource_id = r.id AND t.site_id = s.id AND t.day <days>
) f
LEFT JOIN scheduling_privilege p ON p.resource_id = r.id AND p.procedure_id = %(procedure)s
WHERE r.is_active AND s.is_active AND r.kind = ANY(%(kinds)s) AND f.bits IS NOT NULL
  AND (r.kind <> 'physician' OR (p.id IS NOT NULL AND (%(physician)s IS NULL OR r.id = %(physician)s)))
  AND (%(sites)s::bigint[] IS NULL OR s.id = ANY(%(sites)s))
"""
_IN_ORDER = "ORDER BY 6, 11, 7, 1, 2, 3"
_NOT_HAD = " AND (r.id, s.id) NOT IN (SELECT * FROM unnest(%(had)s::bigint[], %(had_at)s::bigint[]))"
_ASKED = _STOCK.replace("<later>", "false").replace("<days>", "BETWEEN %(first)s AND %(last)s")
_AFTER = _STOCK.replace("<later>", "true").replace("<days>", "BETWEEN %(last)s::date + 1 AND %(until)s")


def read_stock(
    asked: Asked, needs: Sequence[ProcedureNeed], frame: Frame, *, base: Stock | None = None, later_days: int = 0
) -> Stock:
    """Read free time; with `base`, what that lacks and the days after it, joined to what it has."""
    sites = None if asked.sites is None else list(asked.sites)
    if asked.site is not None:
        sites = [asked.site] if sites is None or asked.site in sites else []
    had = list(base.free) if base else []
    last = frame.first + (frame.days - 1) * _DAY
    if base is None:
        stock = Stock({}, {}, {}, {})
    else:
        stock = Stock(dict(base.free), dict(base.rows), dict(base.privileges), dict(base.sites))
    with connection.cursor() as cursor:
        cursor.execute(
            _ASKED + _IN_ORDER if base is None else f"{_ASKED}{_NOT_HAD} UNION ALL {_AFTER}{_IN_ORDER}",
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
        resource, where, is_later, packed = row[:4]
        first, days = (last + _DAY, later_days) if is_later else (frame.first, frame.days)
        if len(packed) != days * DAY_BYTES:
            packed = _with_holes(resource, where, first, days)
        bits = int.from_bytes(packed, "little") << (first - frame.first).days * SLOTS_PER_DAY
        stock.free[resource, where] = stock.free.get((resource, where), 0) | bits
        _note(stock, row[4:], resource, where)
    return stock


def _note(stock: Stock, row: Sequence[Any], resource: int, where: int) -> None:
    if resource not in stock.rows:
        public_id, kind, name, short_name, attributes, extra_turnover, position = row[:7]
        unit = FoundUnit(resource, public_id, kind, name, short_name)
        stock.rows[resource] = (unit, frozenset(attributes), -(-extra_turnover // SLOT_MINUTES), position)
        if row[10] is not None:
            stock.privileges[resource] = Held(*row[11:])
    if where not in stock.sites:
        stock.sites[where] = FoundSite(where, *row[7:10])


def _with_holes(resource: int, where: int, first: date, days: int) -> bytes:
    """Return the days of a resource of which some have no row, a new one's for instance; nothing is free on those."""
    packed = bytearray(days * DAY_BYTES)
    rows = FreeTime.objects.filter(resource=resource, site=where, day__range=(first, first + (days - 1) * _DAY))
    for day, bits in rows.values_list("day", "bits"):
        start = (day - first).days * DAY_BYTES
        packed[start : start + DAY_BYTES] = bits
    return bytes(packed)


@dataclass(frozen=True, slots=True)
class Blocked:
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


def read_hindrances(
    asked: Asked, needs: Sequence[ProcedureNeed], frame: Frame, patient: Patient | None, moving: Appointment | None
) -> tuple[list[Blocked], int]:
    """Return the blocks in the way, and the slots at which the patient is in the clinic already.

    For every unit that could be meant and for the days after the frame too, so that an explanation need not ask again.
    """
    frame = and_later(frame)
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
    return [Blocked(pair, bits, physician) for (pair, physician), bits in kept.items()], busy
