"""Filling the demo clinic's days: cases packed so that nobody and nothing is in two places."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from procedures.levels import RegionLevels, default_side, levels_offered, regions_offered
from procedures.models import Procedure
from scheduling.demo.people import Person
from scheduling.intervals import instant
from scheduling.models import Kind, Resource

SLOT = 5
NOON = 12 * 60 // SLOT
LEGS = ("prep", "procedure", "recovery", "turnover")
OFTEN_WITH_STEROID = frozenset({"facet_injection", "si_injection", "joint_injection"})
APART = 15  # days between two steroids of one person: what the clinic's own rules ask for
HURTS = {0: "lumbar", 1: "cervical", 2: "thoracic"}  # where, of the complaints whose work may be done anywhere
SELDOM = frozenset({"S2", "S3", "S4"})  # offered, and hardly ever wanted
# What people come for: share of patients, codes with weights.
COMPLAINTS: tuple[tuple[float, dict[str, float]], ...] = (
    (22, {"esi_tf_lumbar": 6, "esi_il_lumbar": 4, "esi_caudal": 1, "snrb": 1, "rfa_pulsed": 0.5, "epidural_adhesiolysis": 0.3}),
    (9, {"esi_il_cervical": 4, "esi_tf_cervical": 1, "occipital_block": 1, "snrb": 0.5}),
    (3, {"esi_il_thoracic": 2, "esi_tf_thoracic": 1, "intercostal_block": 2, "mbb_thoracic": 1, "rfa_facet_thoracic": 1}),
    (15, {"mbb_lumbar": 5, "rfa_facet_lumbar": 3, "facet_ia_lumbar": 1.5, "rfa_cooled_facet": 0.5, "facet_cyst_rupture": 0.2}),
    (7, {"mbb_cervical": 4, "rfa_facet_cervical": 2, "facet_ia_cervical": 1, "facet_ia_thoracic": 0.3}),
    (8, {"si_joint_ia": 5, "si_lateral_branch_block": 2, "rfa_si_lateral_branch": 2}),
    (8, {"genicular_block": 4, "genicular_rfa": 2, "joint_major": 3, "prp": 1}),
    (7, {"occipital_block": 3, "botox_migraine": 3, "sphenopalatine_block": 1, "trigeminal_branch_block": 0.5}),
    (5, {"suprascapular_block": 4, "joint_major": 3, "peripheral_nerve_rfa": 1, "prp": 0.5}),
    (7, {"tpi": 5, "tpi_3plus": 2, "piriformis_injection": 1.5}),
    (4, {"stellate_block": 3, "lumbar_sympathetic_block": 3, "ganglion_impar_block": 1, "celiac_block": 0.4,
         "superior_hypogastric_block": 0.5}),
    (3, {"ilioinguinal_block": 2, "pudendal_block": 2, "lfcn_block": 1, "tap_block": 1, "other_peripheral_block": 1,
         "epidural_blood_patch": 0.3}),
    (3, {"scs_trial": 3, "scs_trial_lead_pull": 3, "scs_implant": 2, "drg_trial": 1, "ipg_replacement": 0.7, "pns_trial_temp": 1,
         "pns_implant": 0.7, "intrathecal_trial": 0.3}),
    (3, {"mild": 2, "vertebral_augmentation": 2, "bvn_ablation": 2, "discography": 1}),
)  # fmt: skip


@dataclass(slots=True)
class Taken:
    """One resource for one stretch of a case, in slots of the local day."""

    resource: Resource
    legs: list[str]
    first: int
    stop: int


@dataclass(frozen=True, slots=True)
class Tale:
    """How a session goes where that is not left to chance."""

    pain: float  # before it
    relief: float  # at its best, percent
    days: float  # how long it lasts
    harm: str = ""


@dataclass(slots=True)
class Case:
    """One packed appointment; the database's rows are made from it."""

    person: Person
    procedure: Procedure
    site: int
    day: date
    public_id: uuid.UUID
    side: str
    levels: list[str]
    regions: list[str]
    arrives_at: datetime
    starts_at: datetime
    ends_at: datetime
    leaves_at: datetime
    starts: time
    zone: str
    taken: list[tuple[Resource, list[str], datetime, datetime]]
    is_free: bool  # cancelled or missed: takes no room
    status: str = ""
    tale: Tale | None = None
    key: int = 0  # of its row, once that is known


@dataclass(slots=True)
class Hidden:
    """Block time as it hides a resource from others on one day."""

    resource: int
    mask: int
    family: str
    physician: int | None


@dataclass
class Day:
    """One day at one site: what is still free, by resource, as bits of 5 minutes from local midnight."""

    site: int
    on: date
    zone: ZoneInfo
    free: dict[int, int]
    doctors: list[Resource]
    hidden: list[Hidden] = field(default_factory=list)

    def moment(self, slot: int) -> datetime:
        return instant(self.on, time(12), self.zone) + timedelta(minutes=(slot - NOON) * SLOT)


def slots(starts: time, ends: time) -> int:
    """Return the bits of a stretch of the local day."""
    first, stop = (starts.hour * 60 + starts.minute) // SLOT, (ends.hour * 60 + ends.minute) // SLOT
    return ((1 << (stop - first)) - 1) << first


@dataclass
class Packer:
    """Puts people into days. The same seed gives the same clinic."""

    procedures: dict[str, Procedure]
    resources: dict[int, Resource]
    minutes: dict[tuple[int, int], int | None]  # (physician, procedure) -> own minutes; a key is a privilege
    people: dict[int, list[Person]]  # by home site
    rng: random.Random

    def __post_init__(self) -> None:
        self.needs = {
            code: [(need.kind, need.attribute, need.count, set(need.legs)) for need in procedure.needs.all()]
            for code, procedure in self.procedures.items()
        }
        self.codes = [
            ([code for code in codes if code in self.procedures], [codes[code] for code in codes if code in self.procedures])
            for _, codes in COMPLAINTS
        ]

    def fill(self, day: Day, wanted: int, *, may_free: float = 0.0, spacing: int = 6) -> list[Case]:
        """Return up to this many cases of one day; `may_free` of them are cases that came to nothing."""
        cases: list[Case] = []
        failures = 0
        while len(cases) < wanted and failures < 25 + wanted // 2 and day.doctors:
            case = self._one(day, day.doctors[(len(cases) + failures) % len(day.doctors)], spacing, self.rng.random() < may_free)
            if case is None:
                failures += 1
                continue
            cases.append(case)
        return cases

    def _one(self, day: Day, doctor: Resource, spacing: int, is_free: bool) -> Case | None:
        pool = self.people[day.site]
        for _ in range(10):
            person = pool[int(len(pool) * self.rng.random() ** 1.6)]
            if any(abs((day.on - other).days) < spacing for other in person.busy or ()):
                continue
            codes, weights = self.codes[person.complaint]
            if not codes:
                continue
            procedure = self.procedures[self.rng.choices(codes, weights)[0]]
            if (doctor.pk, procedure.pk) not in self.minutes or _is_too_early(procedure, person, day.on):
                continue
            found = self._place(day, doctor, procedure)
            if found is not None:
                return self._case(day, person, procedure, *found, is_free=is_free)
        return None

    def place(self, day: Day, person: Person, procedure: Procedure, *, is_free: bool = False) -> Case | None:
        """Return a case of this person on this day with the first physician who may and has time, or None."""
        for doctor in day.doctors:
            if (doctor.pk, procedure.pk) in self.minutes:
                found = self._place(day, doctor, procedure)
                if found is not None:
                    return self._case(day, person, procedure, *found, is_free=is_free)
        return None

    def _place(self, day: Day, doctor: Resource, procedure: Procedure) -> tuple[int, list[Taken]] | None:
        """Return where it fits first without what can do more than it needs, else where it fits at all."""
        return self._fitted(day, doctor, procedure, is_plain=True) or self._fitted(day, doctor, procedure, is_plain=False)

    def _fitted(self, day: Day, doctor: Resource, procedure: Procedure, *, is_plain: bool) -> tuple[int, list[Taken]] | None:
        room = self.minutes[doctor.pk, procedure.pk] or procedure.room_minutes
        spans = _spans(procedure, room)
        wanted: list[tuple[int, list[tuple[Resource, int]], list[tuple[list[str], int, int]]]] = []
        joint = -1
        for kind, attribute, count, legs in self.needs[procedure.code]:
            runs = _runs(spans, legs)
            units = []
            for resource in self._units(day, doctor, kind, attribute, is_plain=is_plain):
                own = [(names, start, stop + self._extra(resource, names)) for names, start, stop in runs]
                starts = _fits(self._free(day, resource, doctor, procedure), own)
                if starts:
                    units.append((resource, starts))
            if len(units) < count:
                return None
            either = 0
            for _, starts in units:
                either |= starts
            joint &= either
            wanted.append((count, units, runs))
        for _ in range(6):
            if joint <= 0:
                return None
            arrives = (joint & -joint).bit_length() - 1
            taken = self._choose(day, wanted, arrives)
            if taken is not None:
                return arrives, taken
            joint &= joint - 1
        return None

    def _units(self, day: Day, doctor: Resource, kind: str, attribute: str, *, is_plain: bool) -> Iterable[Resource]:
        if kind == Kind.PHYSICIAN:
            return (doctor,)
        rows = [row for row in (self.resources[pk] for pk in day.free) if row.kind == kind]
        if not attribute:
            return [row for row in rows if not (is_plain and row.attributes)]
        return [row for row in rows if attribute in row.attributes]

    @staticmethod
    def _extra(resource: Resource, names: list[str]) -> int:
        return resource.extra_turnover_minutes // SLOT if "turnover" in names else 0

    @staticmethod
    def _free(day: Day, resource: Resource, doctor: Resource, procedure: Procedure) -> int:
        free = day.free[resource.pk]
        for hidden in day.hidden:
            if hidden.resource == resource.pk:
                is_for_it = (not hidden.family or hidden.family == procedure.family) and hidden.physician in (None, doctor.pk)
                free &= free if is_for_it else ~hidden.mask
        return free

    def _choose(
        self, day: Day, wanted: list[tuple[int, list[tuple[Resource, int]], list[tuple[list[str], int, int]]]], arrives: int
    ) -> list[Taken] | None:
        used: set[int] = set()
        taken: list[Taken] = []
        # Who has the smaller choice chooses first.
        for count, units, runs in sorted(wanted, key=lambda one: len(one[1])):
            able = [row for row, starts in units if starts >> arrives & 1 and row.pk not in used]
            if len(able) < count:
                return None
            # A plain room before the operating room, then the one with most time left.
            able.sort(key=lambda row: (len(row.attributes), -day.free[row.pk].bit_count(), row.pk))
            for row in able[:count]:
                used.add(row.pk)
                taken += [
                    Taken(row, names, arrives + start, arrives + stop + self._extra(row, names)) for names, start, stop in runs
                ]
        return taken

    def _case(self, day: Day, person: Person, procedure: Procedure, arrives: int, taken: list[Taken], *, is_free: bool) -> Case:
        doctor = next((one for one in taken if one.resource.kind == Kind.PHYSICIAN), None)
        room = procedure.room_minutes
        if doctor is not None:
            room = self.minutes[doctor.resource.pk, procedure.pk] or room
        starts = arrives + procedure.prep_minutes // SLOT
        ends = starts + room // SLOT
        if not is_free:
            for one in taken:
                day.free[one.resource.pk] &= ~(((1 << (one.stop - one.first)) - 1) << one.first)
        if person.busy is not None:
            person.busy.add(day.on)
        if _has_steroid(procedure):
            person.steroids.add(day.on)
        side, levels = _target(procedure, person)
        clock = day.moment(starts).astimezone(day.zone)
        return Case(
            person=person,
            procedure=procedure,
            site=day.site,
            day=day.on,
            public_id=uuid.UUID(int=self.rng.getrandbits(128), version=4),
            side=side,
            levels=levels,
            regions=_regions(procedure, person),
            arrives_at=day.moment(arrives),
            starts_at=day.moment(starts),
            ends_at=day.moment(ends),
            leaves_at=day.moment(ends + procedure.recovery_minutes // SLOT),
            starts=clock.time(),
            zone=day.zone.key,
            taken=[(one.resource, one.legs, day.moment(one.first), day.moment(one.stop)) for one in taken],
            is_free=is_free,
        )


def _has_steroid(procedure: Procedure) -> bool:
    return procedure.steroid.startswith("yes") or procedure.family in OFTEN_WITH_STEROID


def _is_too_early(procedure: Procedure, person: Person, on: date) -> bool:
    """Say whether a steroid would come too close to another one of this person."""
    return _has_steroid(procedure) and any(abs((on - other).days) < APART for other in person.steroids)


def _spans(procedure: Procedure, room: int) -> dict[str, tuple[int, int]]:
    prep, procedure_end = procedure.prep_minutes // SLOT, (procedure.prep_minutes + room) // SLOT
    return {
        "prep": (0, prep),
        "procedure": (prep, procedure_end),
        "recovery": (procedure_end, procedure_end + procedure.recovery_minutes // SLOT),
        "turnover": (procedure_end, procedure_end + procedure.turnover_minutes // SLOT),
    }


def _runs(spans: dict[str, tuple[int, int]], legs: set[str]) -> list[tuple[list[str], int, int]]:
    """Return the stretches a need takes, legs that touch made one, as the booking verb does."""
    runs: list[tuple[list[str], int, int]] = []
    for start, stop, leg in sorted((*spans[leg], leg) for leg in LEGS if leg in legs):
        if start >= stop:
            continue
        if runs and start <= runs[-1][2]:
            names, first, last = runs[-1]
            runs[-1] = ([*names, leg], first, max(last, stop))
        else:
            runs.append(([leg], start, stop))
    return runs


def _fits(free: int, runs: list[tuple[list[str], int, int]]) -> int:
    """Return the arrivals at which every run finds its slots free."""
    starts = -1
    for _, first, stop in runs:
        bits, reach, length = free >> first, 1, stop - first
        while reach < length and bits:
            step = min(reach, length - reach)
            bits &= bits >> step
            reach += step
        starts &= bits
    return starts if runs else free


def _target(procedure: Procedure, person: Person) -> tuple[str, list[str]]:
    side = default_side(procedure) or (person.side if person.side in procedure.laterality else procedure.laterality[0])
    groups = _usual(levels_offered(procedure))
    if not groups:
        return side, []
    named = HURTS.get(person.complaint, "")
    group = groups[named] if named in groups else list(groups.values())[int(person.height * len(groups)) % len(groups)]
    # Most people hurt low: the lower half of the region.
    place = min(len(group) - 1, int(len(group) * (0.45 + 0.55 * person.height)))
    count = 2 if (procedure.max_levels or 1) > 1 and person.height > 0.6 else 1
    first = max(0, place - count + 1)
    return side, list(group[first : place + 1])


def _usual(groups: Iterable[RegionLevels]) -> dict[str, list[str]]:
    """Return the levels that people come for, by region: of the sacral foramina the first, which goes with the low back."""
    found: dict[str, list[str]] = {}
    for group in groups:
        held = found.setdefault("lumbar" if group.region == "sacral" else group.region, [])
        held += [level for level in group.levels if level not in SELDOM]
    return found


def _regions(procedure: Procedure, person: Person) -> list[str]:
    """Return one region for work that no level places; the same for the same person."""
    offered = () if levels_offered(procedure) else regions_offered(procedure)
    return [offered[int(person.height * len(offered))]] if offered else []
