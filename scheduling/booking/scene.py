"""The rows one booking decision rests on, locked in the one order: patient, resources, appointment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from django.db.models import Q, QuerySet

from pain_clinic.accounts.models import Site
from patients.models import Patient
from procedures.models import Procedure, ProcedureNeed
from scheduling.booking.words import Target, Times
from scheduling.models import Allocation, Hold, Kind, Privilege, Resource

Run: TypeAlias = tuple[datetime, datetime, tuple[str, ...]]

WATCHED_SEDATION = frozenset({"moderate", "deep", "mac", "general"})
LEG_ORDER = ("prep", "procedure", "recovery", "turnover")


@dataclass(slots=True)
class Scene:
    """One patient, one procedure, one time and the units proposed for it."""

    patient: Patient | None  # a hold may not know it yet
    procedure: Procedure
    site: Site
    target: Target
    starts_at: datetime
    resources: dict[int, Resource]
    needs: tuple[ProcedureNeed, ...]
    chosen: dict[int, tuple[Resource, ...]] = field(default_factory=dict)  # need id -> units
    unfit: tuple[Resource, ...] = ()
    missing: tuple[ProcedureNeed, ...] = ()

    @property
    def physician(self) -> Resource | None:
        return next((one for one in self.resources.values() if one.kind == Kind.PHYSICIAN), None)

    @property
    def times(self) -> Times:
        """Give the legs' instants: the physician's own procedure length where there is one."""
        minutes = self.procedure.room_minutes
        if self.physician is not None:
            for privilege in self.physician.privileges.all():
                if privilege.procedure_id == self.procedure.pk and privilege.procedure_minutes:
                    minutes = privilege.procedure_minutes
        ends_at = self.starts_at + timedelta(minutes=minutes)
        return Times(
            arrives_at=self.starts_at - timedelta(minutes=self.procedure.prep_minutes),
            starts_at=self.starts_at,
            ends_at=ends_at,
            leaves_at=ends_at + timedelta(minutes=self.procedure.recovery_minutes),
        )

    def cast(self) -> None:
        """Give each need its units out of those proposed; what fits no need, or is missing, is kept as such."""
        left = sorted(self.resources.values(), key=lambda one: one.pk)
        missing = []
        for need in self.needs:
            fitting = [one for one in left if one.kind == need.kind and (not need.attribute or need.attribute in one.attributes)]
            self.chosen[need.pk] = tuple(fitting[: need.count])
            if len(fitting) < need.count:
                missing.append(need)
            left = [one for one in left if one not in self.chosen[need.pk]]
        self.unfit, self.missing = tuple(left), tuple(missing)

    def legs_of(self, need: ProcedureNeed) -> list[str]:
        """Return the legs of a need; who is sedated is watched by the nurse during the procedure, too."""
        if need.kind == Kind.NURSE and self.target.sedation in WATCHED_SEDATION and "procedure" not in need.legs:
            return [*need.legs, "procedure"]
        return list(need.legs)

    def runs(self) -> list[tuple[Resource, Run]]:
        """Return every stretch that has to be free, per unit, legs that touch made one."""
        times = self.times
        turnover_ends = times.ends_at + timedelta(minutes=self.procedure.turnover_minutes)
        spans = {
            "prep": (times.arrives_at, times.starts_at),
            "procedure": (times.starts_at, times.ends_at),
            "recovery": (times.ends_at, times.leaves_at),
            "turnover": (times.ends_at, turnover_ends),
        }
        found: list[tuple[Resource, Run]] = []
        for need in self.needs:
            for unit in self.chosen.get(need.pk, ()):
                wanted = self.legs_of(need)
                legs = [(leg, *spans[leg]) for leg in LEG_ORDER if leg in wanted]
                if "turnover" in need.legs and unit.extra_turnover_minutes:
                    extra = timedelta(minutes=unit.extra_turnover_minutes)
                    legs = [(leg, start, end + extra if leg == "turnover" else end) for leg, start, end in legs]
                found += [(unit, run) for run in _merged(legs)]
        return found


def _merged(legs: Iterable[tuple[str, datetime, datetime]]) -> list[Run]:
    runs: list[Run] = []
    for leg, start, end in sorted(legs, key=lambda one: (one[1], one[2])):
        if start >= end:
            continue
        if runs and start <= runs[-1][1]:
            first, last, names = runs[-1]
            runs[-1] = (first, max(last, end), (*names, leg))
        else:
            runs.append((start, end, (leg,)))
    return runs


def lock_patients(ids: Iterable[int]) -> dict[int, Patient]:
    """Lock patients in key order and return them."""
    rows = Patient.objects.filter(pk__in=set(ids)).order_by("pk").select_for_update(no_key=True)
    return {row.pk: row for row in rows}


def for_update(rows: QuerySet[Resource]) -> QuerySet[Resource]:
    """Lock rows against other writers, not against those that only refer to them."""
    return rows.select_for_update(no_key=True)


def lock_resources(ids: Iterable[int], procedures: Sequence[int]) -> dict[int, Resource]:
    """Lock resources in key order, with their privileges for these procedures."""
    rows = list(for_update(Resource.objects.filter(pk__in=set(ids)).order_by("pk")))
    physicians = [row for row in rows if row.kind == Kind.PHYSICIAN]
    if physicians:
        from_table = _privileges(physicians, procedures)
        for row in physicians:
            row._prefetched_objects_cache = {"privileges": from_table.get(row.pk, [])}  # type: ignore[attr-defined]
    return {row.pk: row for row in rows}


def _privileges(physicians: Sequence[Resource], procedures: Sequence[int]) -> dict[int, list[Privilege]]:
    from_table: dict[int, list[Privilege]] = {}
    for row in Privilege.objects.filter(resource__in=physicians, procedure__in=procedures).order_by("pk"):
        from_table.setdefault(row.resource_id, []).append(row)
    return from_table


def ended_holds(resource_ids: Iterable[int], at: datetime) -> list[Allocation]:
    """Return the allocations that ended holds still have on these resources."""
    return list(
        Allocation.objects.filter(
            Q(hold__ends_at__lte=at) | Q(hold__released_at__isnull=False),
            resource__in=list(resource_ids),
            released_at__isnull=True,
            appointment__isnull=True,
        ).order_by("pk")
    )


def lock_hold(hold: Hold) -> Hold:
    """Lock a hold and return it as it is now."""
    return Hold.objects.select_for_update(no_key=True).get(pk=hold.pk)


def needs_of(procedure: Procedure) -> tuple[ProcedureNeed, ...]:
    """Return the needs, those that ask for an attribute first, so that they choose first."""
    return tuple(sorted(procedure.needs.all(), key=lambda need: (not need.attribute, need.kind, need.pk)))
