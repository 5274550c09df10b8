"""Turn what was read into plans: per site, length and, where blocks are kept for a physician, per such physician."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from procedures.catalogue import need_label
from procedures.guidance import usual
from procedures.models import ProcedureNeed
from scheduling.availability import Demand, Frame, Plan, Unit, runs_of
from scheduling.intervals import SLOT_MINUTES, local_day, ones, zone_of
from scheduling.models import Kind
from scheduling.openings.reading import Blocked, Held, Stock
from scheduling.openings.words import Asked

WATCHED_SEDATION = frozenset({"moderate", "deep", "mac", "general"})


def plans_of(
    asked: Asked, needs: Sequence[ProcedureNeed], stock: Stock, blocked: Sequence[Blocked], frame: Frame
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


def _privileged(asked: Asked, stock: Stock, where: int) -> list[tuple[int, Held]]:
    guidance = asked.options.guidance or usual(asked.procedure)
    wanted = {pk for pk in asked.wanted if pk in stock.rows and stock.rows[pk][0].kind == Kind.PHYSICIAN}
    return [
        (resource, privilege)
        for resource, privilege in stock.privileges.items()
        if (resource, where) in stock.free
        and (not wanted or resource in wanted)
        and (asked.physician is None or resource == asked.physician)
        and (not privilege.modalities or guidance in privilege.modalities)
    ]


def _minutes(asked: Asked, privilege: Held | None) -> int:
    own = privilege.minutes if privilege else None
    return asked.options.minutes or own or asked.procedure.room_minutes


class _Views:
    """The units of one site, as a physician sees them through the blocks; shared where blocks make no difference."""

    def __init__(
        self,
        asked: Asked,
        needs: Sequence[ProcedureNeed],
        stock: Stock,
        hidden: Sequence[Blocked],
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
                self._demands[key] = Demand(name, runs, units, need.count, turnover_ends, need_label(need.kind, need.attribute))
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

    def _privileged_days(self, privilege: Held) -> int:
        first, stop = 0, self.frame.slots
        if privilege.valid_from is not None:
            first = self.frame.slot_after(local_day(privilege.valid_from, self._zone).starts_at)
        if privilege.valid_until is not None:
            stop = self.frame.slot_after(local_day(privilege.valid_until, self._zone).ends_at)
        return ones(first, stop)


def _legs(need: ProcedureNeed, asked: Asked) -> list[str]:
    """Return the legs of a need; the nurse stays for the procedure when sedation asks for it."""
    legs = list(need.legs)
    if need.kind == Kind.NURSE and asked.options.sedation in WATCHED_SEDATION and "procedure" not in legs:
        legs.append("procedure")
    return legs
