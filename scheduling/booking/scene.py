"""One booking decision: whom, what, where and when, which units for which need, and what has to be free."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from pain_clinic.accounts.models import Site
from patients.models import Patient
from procedures.catalogue import needs_under
from procedures.guidance import usual
from procedures.levels import default_regions
from procedures.models import Procedure, ProcedureNeed
from scheduling.assessing import Judged
from scheduling.booking.words import Target, Times
from scheduling.models import Kind, Resource

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
    also_locked: tuple[int, ...] = ()
    chosen: dict[int, tuple[Resource, ...]] = field(default_factory=dict)  # need id -> units
    judged: Judged | None = None  # by the rules, once it was
    unfit: tuple[Resource, ...] = ()
    missing: tuple[ProcedureNeed, ...] = ()

    @property
    def guidance(self) -> str:
        """Give the guidance chosen, or the usual one."""
        return self.target.guidance or usual(self.procedure)

    @property
    def regions(self) -> tuple[str, ...]:
        """Give the regions chosen, or the only one there is."""
        return self.target.regions or default_regions(self.procedure)

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


def needs_of(procedure: Procedure, guidance: str) -> tuple[ProcedureNeed, ...]:
    """Return the needs under a guidance, those that ask for an attribute first, so that they choose first."""
    return tuple(sorted(needs_under(procedure, guidance), key=lambda need: (not need.attribute, need.kind, need.pk)))
