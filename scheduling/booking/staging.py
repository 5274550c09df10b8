"""What every booking verb does before and after it decides: lock, cast, judge, write down."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from pain_clinic import statements
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from pain_clinic.audit import trail
from patients.models import Clearance, Patient, PatientSite
from procedures.models import Procedure
from procedures.rules import Finding, Waiver
from scheduling import readiness
from scheduling.assessing import NOTHING_SAID, Details, asking_of, details_row, is_fixed_ahead, open_cases
from scheduling.availability import Opening
from scheduling.booking import judging, pairs, reading, taking
from scheduling.booking.reading import lock_patients, lock_resources
from scheduling.booking.scene import Scene, needs_of
from scheduling.booking.words import HoldEnded, Stale, Target, Times
from scheduling.models import (
    BEFORE_ARRIVAL,
    Allocation,
    Appointment,
    CaseDetails,
    Check,
    CheckMoment,
    Hold,
    InvalidMove,
)

__all__ = [
    "TIME_FIELDS",
    "fitness",
    "forget_answers",
    "is_there",
    "judged",
    "keep",
    "know_at_site",
    "leave",
    "live",
    "lock_patients",
    "lock_resources",
    "locked_case",
    "look",
    "must_be_before_arrival",
    "old_place",
    "record",
    "refuse_to_part",
    "set_times",
    "stage",
    "standing_allocations",
    "target_of",
    "tell",
]

TIME_FIELDS = ("arrives_at", "starts_at", "ends_at", "leaves_at", "local_date", "local_time", "zone")


def stage(
    patient: Patient | None,
    procedure: Procedure,
    target: Target,
    opening: Opening,
    at: datetime,
    *,
    hold: Hold | None = None,
    also: Iterable[int] = (),
) -> Scene:
    """Lock the opening's units (and those also named), free what ended holds and this hold have, and cast the needs."""
    wanted = {unit for units in opening.units.values() for unit in units}
    resources, site = lock_resources(wanted | set(also), site=opening.site)
    if hold is not None:
        kept = reading.lock_hold(hold)
        if kept.released_at is not None:
            raise HoldEnded
        Hold.objects.filter(pk=kept.pk).update(released_at=at)
        own = Allocation.objects.filter(hold=kept, released_at__isnull=True, appointment__isnull=True)
        taking.give_back(list(own.order_by("pk")), at)
    scene = Scene(
        patient=patient,
        procedure=procedure,
        site=site or Site.objects.get(pk=opening.site),
        target=target,
        starts_at=opening.starts_at,
        resources={pk: resources[pk] for pk in sorted(wanted) if pk in resources},
        needs=needs_of(procedure, target.guidance),
        also_locked=tuple(sorted(set(resources) - wanted)),
    )
    scene.cast()
    return scene


def live(hold: Hold | None, by: Actor, at: datetime) -> Hold | None:
    if hold is not None and (hold.held_by_id != by.user_id or hold.released_at is not None or hold.ends_at <= at):
        raise HoldEnded
    return hold


def look(scene: Scene, at: datetime) -> taking.Board:
    """Read what is true under the locks, once what ended holds still have is free again."""
    truth = _read(scene, at)
    if truth.ended:
        taking.give_back(reading.allocations(truth.ended), at)
        truth = _read(scene, at)
    for unit in scene.resources.values():
        unit._prefetched_objects_cache = {"privileges": truth.privileges.get(unit.pk, [])}  # type: ignore[attr-defined]
    return taking.look(scene.runs(), scene.site.pk, truth)


def _read(scene: Scene, at: datetime) -> reading.Truth:
    return reading.read_truth(
        units=sorted(scene.resources),
        locked=sorted({*scene.resources, *scene.also_locked}),
        site=scene.site.pk,
        patient=scene.patient.pk if scene.patient is not None else None,
        procedure=scene.procedure,
        starts_at=scene.starts_at,
        at=at,
    )


def judged(
    scene: Scene,
    at: datetime,
    *,
    leaving_out: Appointment | None = None,
    also_leaving_out: Appointment | None = None,
    is_rehearsal: bool = False,
) -> tuple[tuple[Finding, ...], taking.Board]:
    """Return every finding about the scene, and the free time that it touches.

    Who lost the race for a unit learns it before anything else is read or judged: others wait for these locks. Only a
    rehearsal judges all the same.

    Raises:
        SlotTaken: a unit is allocated to somebody else.
    """
    patient = scene.patient
    assert patient is not None  # only a hold may not know it, and a hold is not judged
    board = look(scene, at)
    if not is_rehearsal:
        board.refuse_what_is_taken()
    away = {one.pk for one in (leaving_out, also_leaving_out) if one is not None}
    cases = open_cases([patient.pk], at)
    others = [other for other in cases if other.pk not in away]
    if leaving_out is not None:
        scene.target = dataclasses.replace(scene.target, is_series=is_fixed_ahead(leaving_out, cases))
    blocks = reading.block_times(
        [
            pk
            for pk, resource, starts_at, ends_at in board.truth.blocks
            if any(unit.pk == resource and run[0] < ends_at and starts_at < run[1] for unit, run in board.runs)
        ]
    )
    findings = judging.findings_of(scene, patient, others=others, lacking=board.lacking, blocks=blocks, at=at, case=leaving_out)
    return findings, board


def locked_case(appointment: Appointment, version: int | None) -> Appointment:
    """Lock the case last, after patient and resources, and refuse if it is not the one the caller knew."""
    case = Appointment.objects.select_for_update(no_key=True, of=("self",)).select_related("procedure", "site", "patient").get(
        pk=appointment.pk
    )  # fmt: skip
    if (version is not None and case.version != version) or (case.version != appointment.version):
        raise Stale(case.version)
    return case


def refuse_to_part(case: Appointment, at: datetime) -> None:
    """Refuse to cancel what another case of the patient cannot do without.

    Raises:
        RemovalNeeded: it removes the leads of a trial that stands.
    """
    if case.procedure.family == pairs.REMOVAL:  # others pay no statement for it
        since = at - pairs.MOST - timedelta(days=1)
        rows = Appointment.objects.filter(patient=case.patient_id, is_history=False, starts_at__gt=since)
        pairs.refuse_to_part(case, list(rows.select_related("procedure").order_by("starts_at", "pk")))


def must_be_before_arrival(case: Appointment) -> None:
    """Refuse to move a case that has begun or is over.

    Raises:
        InvalidMove: with the status it has.
    """
    if case.status not in BEFORE_ARRIVAL:
        raise InvalidMove(
            "invalid_move",
            f"This case is {case.get_status_display().lower()}; only one that has not begun can be moved.",
            {"status": case.status},
        )


def is_there(case: Appointment, scene: Scene, own: Sequence[Allocation]) -> bool:
    """Say whether a case has this place already: the same people and things, and the same times by today's lengths."""
    if case.starts_at != scene.starts_at or {one.resource_id for one in own} != set(scene.resources):
        return False
    times = scene.times
    return (case.arrives_at, case.ends_at, case.leaves_at) == (times.arrives_at, times.ends_at, times.leaves_at)


def standing_allocations(appointment: Appointment) -> list[Allocation]:
    return list(Allocation.objects.filter(appointment=appointment, released_at__isnull=True).order_by("pk"))


def old_place(appointment: Appointment) -> Opening:
    """Return the last place that a case had: its times and the units last released."""
    units: dict[str, tuple[int, ...]] = {}
    batch: list[Allocation] = []
    for row in Allocation.objects.filter(appointment=appointment).order_by("-pk"):  # the last batch comes first
        is_again = any((one.resource_id, one.legs) == (row.resource_id, row.legs) for one in batch)
        if is_again or (batch and row.created_at != batch[0].created_at) or not _belongs(row, appointment):
            break
        batch.append(row)
        units[row.kind] = tuple(sorted({*units.get(row.kind, ()), row.resource_id}))
    return Opening(
        appointment.arrives_at, appointment.starts_at, appointment.ends_at, appointment.leaves_at, appointment.site_id, units
    )


def _belongs(row: Allocation, case: Appointment) -> bool:
    starts = {"prep": case.arrives_at, "procedure": case.starts_at, "recovery": case.ends_at, "turnover": case.ends_at}
    return not row.legs or row.starts_at == starts[row.legs[0]]


def target_of(appointment: Appointment) -> Target:
    """Return what a case is booked for.

    Raises:
        RulesNotAsked: what was said about it cannot be read.
    """
    with asking_of(appointment):
        details = Details.of(details_row(appointment))
    return Target(
        side=appointment.side,
        levels=tuple(appointment.levels),
        sedation=appointment.sedation,
        guidance=appointment.guidance,
        regions=tuple(appointment.regions),
        details=details,
    )


def set_times(appointment: Appointment, times: Times, site: Site) -> None:
    wall = times.starts_at.astimezone(ZoneInfo(site.time_zone))
    appointment.arrives_at, appointment.starts_at = times.arrives_at, times.starts_at
    appointment.ends_at, appointment.leaves_at = times.ends_at, times.leaves_at
    appointment.local_date, appointment.local_time, appointment.zone = wall.date(), wall.time(), site.time_zone


def keep(
    appointment: Appointment,
    scene: Scene,
    findings: Sequence[Finding],
    lifted: Sequence[Waiver],
    by: Actor,
    at: datetime,
    *,
    is_new: bool = False,
) -> None:
    """Keep what was said and what was waived, as it was said; what was waived at another place counts no more."""
    said = readiness.NOTHING if is_new else readiness.read_said([appointment])[appointment.pk]
    keys = [waiver.code for waiver in lifted]
    prints = scene.judged.fingerprints(keys) if keys and scene.judged is not None else {}
    readiness.keep(appointment, findings, lifted, by, at, fingerprints=prints, said=said, is_elsewhere=True)


def tell(appointment: Appointment, details: Details) -> None:
    """Keep what was said about a new case beyond its target, if anything was."""
    if details == NOTHING_SAID:
        return
    values = {field.name: _plain(getattr(details, field.name)) for field in dataclasses.fields(details)}
    CaseDetails.objects.create(appointment=appointment, **values)


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return {what: ended_at.isoformat() for what, ended_at in value}
    return Decimal(value.numerator) / Decimal(value.denominator) if isinstance(value, Fraction) else value


def record(
    act: str, appointment: Appointment, by: Actor, *, reason_code: str = "", details: dict[str, object] | None = None
) -> None:
    trail.record(
        by=by,
        act=act,
        subject=appointment,
        patient=appointment.patient.public_id,
        site_id=appointment.site_id,
        reason_code=reason_code,
        details={"version": appointment.version, **(details or {})},
    )


def fitness(scene: Scene, lacking: Sequence[taking.Lack], at: datetime) -> tuple[Finding, ...]:
    """Return what speaks against holding this opening: units that do not fit, time outside hours or bounds."""
    return judging.fitness(scene, lacking, at)


def know_at_site(patient: Patient, site: Site, at: datetime) -> None:
    """Leave the row by which the site's staff see this patient."""
    row = PatientSite(patient=patient, site=site, because=PatientSite.Because.APPOINTMENT, since=at)
    statements.insert(row, unless="patient_site_because_once")


def forget_answers(case: Appointment) -> None:
    """Take back what the patient gave as the last dose before a case whose time is given up; the row history keeps it.

    The prescriber's word stays, for it was about times. The patient's was about what was taken until then: once the plan is over
    the medicine is taken again.
    """
    told = Clearance.objects.filter(case=case.public_id).exclude(told_last_at=None).order_by("pk")
    for row in told.select_for_update(no_key=True):
        row.told_last_at, row.version = None, row.version + 1
        row.save(update_fields=["told_last_at", "version"])


def forget_day(case: Appointment, stage: Scene) -> None:
    """Take back what was asked and written down on a day on which the case is not done; the row history keeps it."""
    Check.objects.filter(appointment=case, moment=CheckMoment.BEFORE).delete()
    CaseDetails.objects.filter(appointment=case).exclude(intake={}).update(intake={})
    stage.target = dataclasses.replace(stage.target, details=dataclasses.replace(stage.target.details, intake=()))


def leave(case: Appointment, stage: Scene) -> None:
    """Forget what was said for the time, and asked on the day, that a case leaves for another."""
    if stage.starts_at != case.starts_at:
        forget_answers(case)
    if stage.starts_at.astimezone(ZoneInfo(stage.site.time_zone)).date() != case.local_date:
        forget_day(case, stage)
