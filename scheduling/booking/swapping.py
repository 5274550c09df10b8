"""Two cases trade their times and what they take there: looked at first, then done, both or neither."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.errors import Refused
from procedures.rules import Finding, Waiver
from scheduling import messages
from scheduling.availability import Opening
from scheduling.booking import judging, staging, taking
from scheduling.booking.scene import Scene, needs_of
from scheduling.booking.words import guarded
from scheduling.models import Appointment, MessageKind, Resource, Status

Versions = tuple[int | None, int | None]
UNSEEN: Versions = (None, None)


class SameCase(Refused):
    def __init__(self) -> None:
        super().__init__("same_case", "A case cannot be swapped with itself. Choose another.")


@dataclass(frozen=True, slots=True)
class Traded:
    """What a swap would mean for one of the two: its new place, and everything that speaks about it there."""

    opening: Opening
    findings: tuple[Finding, ...]


class _Rehearsed(Exception):
    """Leaves a rehearsal's transaction, so that nothing of it stays."""


def swap(
    *,
    first: Appointment,
    second: Appointment,
    by: Actor,
    at: datetime,
    versions: Versions = UNSEEN,
    waivers: Sequence[Waiver] = (),
    second_waivers: Sequence[Waiver] = (),
) -> tuple[Appointment, Appointment]:
    """Let two cases trade their times and resources, both or neither; what the other has not got, a case brings along.

    Raises:
        SameCase: they are one case.
        Stale, InvalidMove, RulesRefused, SlotTaken, Busy: as for `reschedule`, for either case.
    """
    given = {first.pk: waivers, second.pk: second_waivers}
    with guarded(), transaction.atomic():
        stages = _staged(first, second, versions, at)
        one, other = (case for case, _ in stages)
        for case, stage in stages:
            findings, board = staging.judged(stage, at, leaving_out=case, also_leaving_out=other if case is one else one)
            lifted = judging.refuse_unless_waived(findings, given[case.pk], by)
            _put(case, stage, board, at)
            if not board.truth.is_known:
                staging.know_at_site(case.patient, stage.site, at)
            staging.keep(case, stage, findings, lifted, by, at)
            messages.lay_down(appointment=case, kind=MessageKind.CHANGE, at=at)
            staging.record("scheduling.swap", case, by)
        _look_at_patients()
        return (one, other) if one.pk == first.pk else (other, one)


def preview_swap(*, first: Appointment, second: Appointment, at: datetime, versions: Versions = UNSEEN) -> tuple[Traded, Traded]:
    """Return where both cases would go and what would be found there; write nothing.

    Raises:
        SameCase, Stale, InvalidMove, SlotTaken, Busy: as for `swap`.
    """
    found: dict[int, Traded] = {}
    try:
        with guarded(), transaction.atomic():
            stages = _staged(first, second, versions, at)
            one, other = (case for case, _ in stages)
            for case, stage in stages:
                away = other if case is one else one
                findings, board = staging.judged(stage, at, leaving_out=case, also_leaving_out=away, is_rehearsal=True)
                found[case.pk] = Traded(_opening(stage), findings)
                if board.lacking and any(finding.structural for finding in findings):
                    continue  # it cannot go there anyway, and why is said
                _put(case, stage, board, at)
            _look_at_patients()
            raise _Rehearsed
    except _Rehearsed:
        return found[first.pk], found[second.pk]


def _staged(first: Appointment, second: Appointment, versions: Versions, at: datetime) -> list[tuple[Appointment, Scene]]:
    """Lock everything of both cases, in the one order, and give it back; return each with the scene at the other's place."""
    if first.pk == second.pk:
        raise SameCase
    own = {case.pk: staging.standing_allocations(case) for case in (first, second)}
    patients = staging.lock_patients([first.patient_id, second.patient_id])
    everything = {one.resource_id for rows in own.values() for one in rows}
    resources, _ = staging.lock_resources(everything)
    seen = {first.pk: versions[0], second.pk: versions[1]}
    cases = [staging.locked_case(case, seen[case.pk]) for case in sorted((first, second), key=lambda one: one.pk)]
    for case in cases:
        staging.must_be_before_arrival(case)
    units = {pk: {row.resource_id: resources[row.resource_id] for row in rows} for pk, rows in own.items()}
    stages = []
    for case, place in (cases, cases[::-1]):
        stage = Scene(
            patient=patients[case.patient_id],
            procedure=case.procedure,
            site=place.site,
            target=staging.target_of(case),
            starts_at=place.starts_at,
            resources=dict(units[place.pk]),
            needs=needs_of(case.procedure, case.guidance),
        )
        _cast(stage, units[case.pk])
        staging.leave(case, stage)
        stages.append((case, stage))
    taking.give_back([row for rows in own.values() for row in rows], at)
    with connection.cursor() as cursor:  # two cases of one patient pass each other: look at the end, not half-way
        cursor.execute("SET CONSTRAINTS patient_not_in_two_places DEFERRED")
    return stages


def _cast(stage: Scene, own: dict[int, Resource]) -> None:
    """Give the needs the other's units; what the other has not got comes along, what is not needed stays behind."""
    stage.cast()
    if not (stage.missing or stage.unfit):
        return
    wanted = {need.kind for need in stage.missing}
    stage.resources = {pk: unit for pk, unit in stage.resources.items() if unit not in stage.unfit}
    stage.resources.update({pk: unit for pk, unit in own.items() if unit.kind in wanted})
    stage.cast()
    stage.resources = {pk: unit for pk, unit in stage.resources.items() if unit not in stage.unfit}
    stage.unfit = ()


def _put(case: Appointment, stage: Scene, board: taking.Board, at: datetime) -> None:
    if case.status == Status.CONFIRMED:
        case.move_to(Status.BOOKED)  # the patient confirmed another time
    case.site = stage.site
    staging.set_times(case, stage.times, stage.site)
    case.version += 1
    case.calendar_sequence += 1
    case.save(update_fields=[*staging.TIME_FIELDS, "site", "status", "version", "calendar_sequence"])
    taking.take(board, at=at, appointment=case)


def _look_at_patients() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS patient_not_in_two_places IMMEDIATE")


def _opening(stage: Scene) -> Opening:
    units: dict[str, tuple[int, ...]] = {}
    for need in stage.needs:
        chosen = tuple(unit.pk for unit in stage.chosen.get(need.pk, ()))
        units[need.kind] = (*units.get(need.kind, ()), *chosen)
    times = stage.times
    return Opening(times.arrives_at, times.starts_at, times.ends_at, times.leaves_at, stage.site.pk, units)
