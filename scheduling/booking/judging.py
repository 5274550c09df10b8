"""Judge a scene: booking's own structural findings and, beside them, what the rules in force say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings

from pain_clinic.accounts.actors import Actor
from patients.facts import read
from patients.models import Patient, PerformedProcedure
from procedures.catalogue import need_label
from procedures.guidance import in_sentence, needs_reason, usual
from procedures.levels import default_regions, default_side, touched, validate_target
from procedures.rules import Finding, Severity, Waiver, ordered, structural, unwaived
from scheduling.assessing import NOT_ASKED, Judged, RulesNotAsked, Wish, asking_of, judge
from scheduling.booking import pairs
from scheduling.booking.scene import Scene
from scheduling.booking.taking import Lack
from scheduling.booking.words import RulesRefused
from scheduling.models import Appointment, BlockTime, Kind

OVERRIDES = {Severity.NEEDS_OVERRIDE: "scheduling.override_warn", Severity.BLOCKER: "scheduling.override_deny"}


def findings_of(
    scene: Scene,
    patient: Patient,
    *,
    others: Sequence[Appointment],
    lacking: Sequence[Lack],
    blocks: Sequence[BlockTime],
    at: datetime,
    case: Appointment | None = None,
) -> tuple[Finding, ...]:
    """Return everything that speaks about this scene, hidden by nothing; `case` is the one that stands already."""
    target = scene.target
    found: list[Finding] = validate_target(
        scene.procedure, target.side, target.levels, target.regions, target.guidance, is_booked=case is not None
    )
    reason = needs_reason(scene.procedure, target.guidance)
    found += [reason] if reason is not None else []
    found += fitness(scene, lacking, at)
    found += _about_patient(scene, patient, others)
    found += _about_same_day(scene, patient, others, at, case)
    found += _about_blocks(scene, blocks)
    found += pairs.findings_of(scene, others)
    found += pairs.findings_of_done(scene, at, case)
    try:
        with asking_of(patient):
            scene.judged = _by_the_rules(scene, patient, others, at, case)
        found += scene.judged.findings
    except RulesNotAsked:
        found.append(NOT_ASKED)
    return ordered(found)


def _by_the_rules(
    scene: Scene, patient: Patient, others: Sequence[Appointment], at: datetime, case: Appointment | None
) -> Judged:
    reading = read([patient])
    target = scene.target
    wish = Wish(
        procedure=scene.procedure,
        site=scene.site,
        starts_at=scene.starts_at,
        side=target.side,
        levels=tuple(target.levels),
        regions=touched(target.levels, scene.regions),
        guidance=scene.guidance,
        sedation=target.sedation,
        details=target.details,
        case=case.public_id if case is not None else None,
        is_series=target.is_series,
        number=case.pk if case is not None else None,
    )
    return judge(wish, reading, reading.known[patient.pk], others, at)


def fitness(scene: Scene, lacking: Sequence[Lack], at: datetime) -> tuple[Finding, ...]:
    """Return the structural findings that need no patient: time, units, hours."""
    zone = ZoneInfo(scene.site.time_zone)
    return ordered((*_about_time(scene, at), *_about_units(scene), *_about_hours(scene, lacking, zone)))


def refuse_unless_waived(findings: Sequence[Finding], waivers: Sequence[Waiver], by: Actor) -> tuple[Waiver, ...]:
    """Return the waivers that were needed.

    Raises:
        RulesRefused: a finding stands that no complete waiver of an actor who may lifts.
    """
    standing = unwaived(findings, waivers, lambda severity: by.may(OVERRIDES[severity]))
    if standing:
        raise RulesRefused(findings, standing)
    lifted = {finding.key for finding in findings if finding.refuses}
    return tuple(waiver for waiver in waivers if waiver.code in lifted)


def _about_time(scene: Scene, at: datetime) -> list[Finding]:
    if scene.times.arrives_at < at - timedelta(minutes=5):
        return [structural("in_the_past", "The patient would have had to arrive before now. Choose a later time.")]
    horizon = at + timedelta(days=settings.BOOKING_HORIZON_DAYS)
    if scene.starts_at > horizon:
        return [
            structural(
                "too_far_ahead", f"Bookings open {settings.BOOKING_HORIZON_DAYS} days ahead, so far until {horizon:%d %B %Y}."
            )
        ]
    return []


def _about_units(scene: Scene) -> list[Finding]:
    found = [
        structural(
            "resource_unfit",
            f"{need.count} {need_label(need.kind, need.attribute)} is needed and was not among what was chosen.",
            about=f"{need.kind}{need.attribute}",
        )
        for need in scene.missing
    ]
    found += [
        structural("resource_unfit", f"{unit.name} does not serve this procedure.", about=str(unit.pk)) for unit in scene.unfit
    ]
    on = scene.starts_at.astimezone(ZoneInfo(scene.site.time_zone)).date()
    for unit in scene.resources.values():
        if not unit.is_active:
            found.append(structural("resource_unfit", f"{unit.name} is no longer in use.", about=f"inactive{unit.pk}"))
        if unit.kind == Kind.PHYSICIAN and not any(
            row.procedure_id == scene.procedure.pk
            and (row.valid_from is None or row.valid_from <= on)
            and (row.valid_until is None or on <= row.valid_until)
            and (not row.modalities or scene.guidance in row.modalities)
            for row in unit.privileges.all()
        ):
            found.append(
                structural(
                    "not_privileged",
                    f"{unit.name} does not hold the privilege for {scene.procedure.name}{_under(scene)} on that day.",
                    about=str(unit.pk),
                )
            )
    return found


def _under(scene: Scene) -> str:
    return "" if scene.guidance == usual(scene.procedure) else f" under {in_sentence(scene.guidance)}"


def _about_patient(scene: Scene, patient: Patient, others: Sequence[Appointment]) -> list[Finding]:
    times = scene.times
    found = []
    if patient.deceased_on is not None:
        found.append(
            structural(
                "patient_deceased", f"The patient died on {patient.deceased_on:%-d %B %Y}. If that is wrong, correct it first."
            )
        )
    return found + [
        structural(
            "patient_elsewhere",
            "The patient has another case at that time.",
            evidence={"appointment": str(other.public_id)},
            about=str(other.pk),
        )
        for other in others
        if other.is_standing and other.arrives_at < times.leaves_at and other.leaves_at > times.arrives_at
    ]


def _about_same_day(
    scene: Scene, patient: Patient, others: Sequence[Appointment], at: datetime, case: Appointment | None
) -> list[Finding]:
    """Ask whether it is meant that the patient comes twice on one day for the same work at the same place.

    What is on record as done that day counts as it was done, the patient gone or not; else what stands as it is booked.
    """
    on = scene.starts_at.astimezone(ZoneInfo(scene.site.time_zone)).date()
    done = _done_on(scene, patient, on, at, case)
    over = {row.appointment for row in done}
    found = [
        _twice(str(other.pk), f"is booked for this procedure at the same place that day already, {_where_else(scene, other)}")
        for other in others
        if other.is_standing and other.public_id not in over and other.local_date == on and _is_same_place(scene, other)
    ]
    same = [row for row in done if _is_same_place(scene, row)]
    cases = {row.public_id: row for row in Appointment.objects.filter(public_id__in=[row.appointment for row in same])}
    for row in same:
        held = cases.get(row.appointment) if row.appointment else None
        there = "as is on record" if row.site_id == scene.site.pk else "at another site"
        where = _where_else(scene, held) if held else "elsewhere" if row.is_elsewhere else there
        told = f"had this procedure at the same place that day already, {where}: it is done"
        found.append(_twice(str(held.pk) if held else f"done{row.pk}", told))
    return found


def _done_on(scene: Scene, patient: Patient, on: date, at: datetime, case: Appointment | None) -> list[PerformedProcedure]:
    """Return what is on record as done to the patient on a day, besides this case; no day ahead has any, so none is asked."""
    if on > at.astimezone(ZoneInfo(scene.site.time_zone)).date():
        return []
    rows = PerformedProcedure.objects.of(patient).filter(done_on=on).order_by("pk")
    return [row for row in rows if case is None or row.appointment != case.public_id]


def _twice(about: str, told: str) -> Finding:
    message = f"The patient {told}. If both are meant, give the reason."
    return Finding(code="same_day_twice", severity=Severity.NEEDS_OVERRIDE, message=message, source="booking", about=about)


def _where_else(scene: Scene, other: Appointment) -> str:
    """Return when another case is, or, of one that whoever reads this may not see, that it is elsewhere."""
    if other.site_id != scene.site.pk:
        return "at another site"
    return f"at {other.starts_at.astimezone(ZoneInfo(other.zone)):%H:%M}"


def _is_same_place(scene: Scene, other: Appointment | PerformedProcedure) -> bool:
    """Say whether it is the same procedure and shares side and level, or region; what is not said may be any."""
    levels, only = scene.target.levels, default_side(scene.procedure)  # of one side only: nobody needs to say it
    sides = {scene.target.side or only, other.side or only}
    if other.procedure_id != scene.procedure.pk or (len(sides) > 1 and sides.isdisjoint({"", "bilateral"})):
        return False
    if levels and other.levels:
        return not set(levels).isdisjoint(other.levels)
    ours, theirs = scene.regions, tuple(other.regions) or default_regions(scene.procedure)
    return bool(levels or other.levels) or not ours or not theirs or not set(ours).isdisjoint(theirs)


def _about_hours(scene: Scene, lacking: Sequence[Lack], zone: ZoneInfo) -> list[Finding]:
    found: dict[int, Finding] = {}
    for lack in lacking:
        start, end = (moment.astimezone(zone) for moment in lack.run[:2])
        if lack.unit.pk not in found and not lack.is_taken:
            found[lack.unit.pk] = structural(
                "outside_hours",
                f"{lack.unit.name} is not available at {scene.site.name} from {start:%H:%M} to {end:%H:%M} that day.",
                about=str(lack.unit.pk),
            )
    return list(found.values())


def _about_blocks(scene: Scene, blocks: Sequence[BlockTime]) -> list[Finding]:
    found: dict[int, Finding] = {}
    physician = scene.physician
    for row in blocks:
        block = row.block
        is_for_it = block.family == scene.procedure.family if block.family else True
        if block.physician_id and (physician is None or physician.pk != block.physician_id):
            is_for_it = False
        if not is_for_it:
            found[block.pk] = Finding(
                code="in_block",
                severity=Severity.NEEDS_OVERRIDE,
                message=f"This is block time: {block.name}. It is released {block.release_days} days before.",
                evidence=(("releases_at", row.releases_at.isoformat()),),
                source="booking",
                about=str(block.pk),
            )
    return list(found.values())
