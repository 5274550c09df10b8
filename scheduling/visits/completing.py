"""The physician completes a case: what was done is written down once, prefilled from the booking; the rest follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.audit import trail
from pain_clinic.errors import Conflict, Forbidden, Refused, translated
from patients import coverage, notes, outcomes, records
from patients.models import (
    Complication,
    ComplicationKind,
    ComplicationSeverity,
    DrugKind,
    GivenDrug,
    PerformedProcedure,
    Phase,
)
from procedures import guidance as guiding
from procedures.levels import default_regions, levels_offered, regions_kept, regions_offered
from procedures.models import Procedure
from procedures.rules import offers
from scheduling import asks, contacts
from scheduling.assessing import details_row
from scheduling.booking import staging
from scheduling.booking.words import guarded
from scheduling.models import (
    Allocation,
    Appointment,
    CaseDetails,
    CauseKind,
    Completion,
    InvalidMove,
    Kind,
    PlanCause,
    Status,
)
from scheduling.visits import releasing
from scheduling.visits.checking import LABELS, checklist

COMPLETE = "scheduling.complete_case"
FROM = (Status.IN_ROOM, Status.RECOVERY, Status.DISCHARGED)
COURSE = "course"  # the section that says how it went
COMPARED = ("procedure", "side", "levels", "regions", "role", "guidance", "sedation", "operator_name")
NO_STEROID = NO_IMAGING = "none"


class AlreadyCompleted(Conflict):
    """What was done is on record; it is amended, not completed again."""

    def __init__(self) -> None:
        super().__init__("already_completed", "This case is completed already. Amend what was done instead.")


class ChecklistOpen(Refused):
    """The checklist before the needle has answers missing, and nobody said why the case went on."""

    def __init__(self, items: Sequence[str]) -> None:
        words = ", ".join(LABELS[item].lower() for item in items)
        super().__init__(
            "checklist_open",
            f"The checklist before the needle is not answered: {words}. Answer it, or give the reason.",
            {"items": list(items)},
        )


class RoleNotSaid(Refused):
    """The procedure may be one or the other, and how a payer's limits count it goes by that."""

    def __init__(self, procedure: Procedure) -> None:
        super().__init__(
            "role_not_said",
            f"Say whether {procedure.name} was diagnostic or therapeutic: limits count it by that.",
            {"field": "role"},
        )


class RegionNotSaid(Refused):
    """Another procedure was done than booked, and it may be done in several places."""

    def __init__(self) -> None:
        super().__init__("region_not_said", "Choose where on the body it was done.", {"field": "regions"})


# What the database says when the locks did not: the case is completed.
ONCE = dict.fromkeys(("patients_performedprocedure_appointment_key", "scheduling_completion_pkey"), AlreadyCompleted)


@dataclass(frozen=True, slots=True)
class Given:
    """A drug given."""

    kind: str
    drug: str
    dose_mg: Decimal | None = None
    volume_ml: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Harm:
    """Something that went wrong."""

    kind: str
    severity: str
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """A score told before the needle or right after it."""

    measure: str
    aspect: str
    value: Decimal
    phase: str = Phase.BEFORE


@dataclass(frozen=True, slots=True)
class Done:
    """What was done, as the physician says. An empty ``role`` is that of the procedure unless somebody says otherwise."""

    procedure: Procedure
    side: str = ""
    levels: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    guidance: str = ""
    sedation: str = "none"
    operator: User | None = None
    operator_name: str = ""
    role: str = ""
    body_site: str = ""
    fluoroscopy_seconds: int | None = None
    dose_ugy_m2: Decimal | None = None
    is_image_saved: bool | None = None
    drugs: tuple[Given, ...] = ()
    harms: tuple[Harm, ...] = ()
    scores: tuple[Told, ...] = ()
    sections: dict[str, str] = field(default_factory=dict)
    remark: str = ""


def as_booked(appointment: Appointment) -> Done:
    """Return what was done if all went as booked.

    Drugs are those of the last time that this was done by the same hand; the steroid is the planned one where one is
    planned. The role is empty where the procedure needs one and nobody has said it.
    """
    procedure, planned = appointment.procedure, details_row(appointment)
    row = (
        Allocation.objects.filter(appointment=appointment, kind=Kind.PHYSICIAN)
        .select_related("resource__user")
        .order_by("-pk")
        .first()
    )
    name = row.resource.name if row is not None else ""
    guidance = appointment.guidance or guiding.usual(procedure)
    return Done(
        procedure=procedure,
        side=appointment.side,
        levels=tuple(appointment.levels),
        regions=tuple(appointment.regions) or default_regions(procedure),
        guidance=guidance,
        sedation=appointment.sedation,
        operator=row.resource.user if row is not None else None,
        operator_name=name,
        role=(planned.role if planned is not None else "") or usual_role(procedure),
        body_site=_body_site(procedure, appointment.side),
        is_image_saved=True if guidance != "none" else None,
        drugs=_planned_drugs(planned, _usual_drugs(procedure, name)),
        sections=notes.prefilled(procedure, side=appointment.side, levels=appointment.levels, guidance=guidance),
    )


def done_as(booked: Done, said: Mapping[str, Any]) -> Done:
    """Return what was done: as booked but for what is said, by the names of `Done`.

    Where another procedure was done, role, place, guidance and drugs that nobody says are not those of the booked one.
    """
    procedure: Procedure = said.get("procedure", booked.procedure)
    own: dict[str, Any] = {}
    if procedure != booked.procedure:
        is_offered = booked.guidance in guiding.guidance_offered(procedure)
        offered = {level for region in levels_offered(procedure) for level in region.levels}
        own |= {
            "role": usual_role(procedure), "regions": regions_kept(procedure, booked.regions), "drugs": (),
            "levels": tuple(level for level in booked.levels if level in offered),
            "guidance": booked.guidance if is_offered else guiding.usual(procedure),
        }  # fmt: skip
    if said.get("operator_name", booked.operator_name) != booked.operator_name:
        own["operator"] = None  # whose account it is, nobody said
    done = replace(booked, **{**own, **said, "sections": {**booked.sections, **said.get("sections", {})}})
    return replace(done, is_image_saved=None) if done.guidance == NO_IMAGING else done


def _body_site(procedure: Procedure, side: str) -> str:
    is_knee = procedure.family in {"genicular_block", "genicular_rfa"}
    return f"{side}_knee" if is_knee and side in {"left", "right"} else ""


def usual_role(procedure: Procedure) -> str:
    """Return the role that a procedure has unless somebody says otherwise; empty where somebody has to."""
    return "" if offers.needs_role(procedure.code) else offers.default_role(procedure.code, procedure.family)


def lacks_region(procedure: Procedure, regions: Sequence[str]) -> bool:
    """Say whether nobody has said where on the body, and neither a level nor the procedure itself does."""
    return not regions and not levels_offered(procedure) and len(regions_offered(procedure)) > 1


def _planned_drugs(planned: CaseDetails | None, usual: tuple[Given, ...]) -> tuple[Given, ...]:
    """Put the planned steroid in the place of the usual one."""
    if planned is None or not planned.drug:
        return usual
    others = tuple(one for one in usual if one.kind != DrugKind.STEROID)
    if planned.drug == NO_STEROID:
        return others
    last = next((one for one in usual if one.kind == DrugKind.STEROID and one.drug == planned.drug), None)
    if last is not None and planned.dose_mg in (None, last.dose_mg):
        return (last, *others)
    return (Given(DrugKind.STEROID, planned.drug, planned.dose_mg), *others)


def _usual_drugs(procedure: Procedure, operator_name: str) -> tuple[Given, ...]:
    last = (
        PerformedProcedure.objects.standing()
        .filter(procedure=procedure, operator_name=operator_name, is_elsewhere=False)
        .order_by("-done_on", "-pk")
        .first()
    )
    if last is None:
        return ()
    rows = GivenDrug.objects.standing().filter(performed=last.pk).order_by("pk")
    return tuple(Given(row.kind, row.drug, row.dose_mg, row.volume_ml) for row in rows)


def complete(
    *, appointment: Appointment, done: Done, by: Actor, at: datetime, version: int | None = None, reason: str = ""
) -> Completion:
    """Write down what was done in a case, once; give back time that is not needed; leave the planner a cause.

    Discharge is another act. Locks patient, resources and case, in that order.

    Raises:
        Forbidden, MayNotRecord: the actor may not complete cases.
        Stale: the case is no longer at `version`.
        InvalidMove: the patient has not been in the room.
        AlreadyCompleted: it was completed before.
        ChecklistOpen: the checklist has gaps and `reason` is empty.
        RoleNotSaid: the procedure needs a role and has none. RegionNotSaid: another than booked needs a region.
        FieldRefused: something that was done cannot be kept as it is written.
    """
    if not by.may(COMPLETE):
        raise Forbidden("not_allowed", "Only a physician completes a case.")
    with guarded(), translated(ONCE), transaction.atomic():
        own = staging.standing_allocations(appointment)
        staging.lock_patients([appointment.patient_id])
        staging.lock_resources([one.resource_id for one in own])
        case = staging.locked_case(appointment, version)
        _must_be_open(case)
        gaps = checklist(case).open_items
        if gaps and not reason.strip():
            raise ChecklistOpen(gaps)
        booked = as_booked(case)
        where = _body_site(done.procedure, done.side) if done.body_site == booked.body_site else done.body_site
        role = done.role or usual_role(done.procedure)
        done = replace(done, role=role, body_site=where, sections=_sections(booked, done))
        if not done.role:
            raise RoleNotSaid(done.procedure)
        if done.procedure != case.procedure and lacks_region(done.procedure, done.regions):
            raise RegionNotSaid
        performed = _record(case, done, by, at)
        coverage.draw_down(performed=performed, by=by, at=at)
        row = Completion.objects.create(
            appointment=case,
            performed=performed.public_id,
            differs=_differences(booked, done, details_row(case)),
            unchecked=list(gaps),
            reason=reason.strip()[:300],
            at=at,
            by_id=by.user_id,
        )
        case.version += 1
        case.save(update_fields=["version"])
        if case.status != Status.IN_ROOM:
            releasing.release_rest(case, own, at)
        asks.lay_down(case=case, performed=performed, at=at)
        contacts.lay_down(case=case, performed=performed, by=by, at=at)
        PlanCause.objects.create(patient=case.patient, appointment=case, kind=CauseKind.COMPLETED, at=at)
        trail.record(
            by=by, act="scheduling.complete", subject=case, patient=case.patient.public_id, site_id=case.site_id,
            details={"version": case.version, "performed": str(performed.public_id), "differs": row.differs, "unchecked": gaps},
        )  # fmt: skip
    return row


def _must_be_open(case: Appointment) -> None:
    taken = Completion.objects.filter(appointment=case).exists()
    if taken or PerformedProcedure.objects.filter(appointment=case.public_id).exists():
        raise AlreadyCompleted
    if case.status not in FROM:
        raise InvalidMove(
            "invalid_move",
            f"This case is {case.get_status_display().lower()}: it can be completed once the patient has been in the room.",
            {"status": case.status},
        )


def _record(case: Appointment, done: Done, by: Actor, at: datetime) -> PerformedProcedure:
    """Write down the performed procedure and all that belongs to it."""
    patient = case.patient
    values = {
        "procedure": done.procedure, "appointment": case.public_id, "done_on": case.local_date, "done_at": case.starts_at,
        "site": case.site, "side": done.side, "levels": list(done.levels), "regions": list(done.regions), "role": done.role,
        "guidance": done.guidance, "sedation": done.sedation or "none", "operator": done.operator,
        "operator_name": done.operator_name, "body_site": done.body_site, "note": done.remark,
        "fluoroscopy_seconds": done.fluoroscopy_seconds, "dose_ugy_m2": done.dose_ugy_m2, "is_image_saved": done.is_image_saved,
    }  # fmt: skip
    performed = records.record(kind=PerformedProcedure, patient=patient, values=values, by=by, at=at)
    for drug in done.drugs:
        given: dict[str, Any] = {
            "performed": performed, "kind": DrugKind(drug.kind), "drug": drug.drug, "dose_mg": drug.dose_mg,
            "volume_ml": drug.volume_ml, "given_on": case.local_date,
        }  # fmt: skip
        records.record(kind=GivenDrug, patient=patient, values=given, by=by, at=at)
    for harm in done.harms:
        wrong = {"performed": performed, "kind": harm.kind, "severity": harm.severity, "outcome": harm.outcome}
        records.record(kind=Complication, patient=patient, values={**wrong, "noticed_on": case.local_date}, by=by, at=at)
    for told in done.scores:
        score = {
            "measure": told.measure, "aspect": told.aspect, "value": told.value, "scored_on": case.local_date,
            "scored_at": case.starts_at if told.phase == Phase.BEFORE else max(case.ends_at, case.starts_at), "phase": told.phase,
            "performed": performed, "side": done.side, "levels": list(done.levels),
        }  # fmt: skip
        outcomes.record_score(patient=patient, values=score, by=by, at=at)
    notes.write(performed=performed, sections=done.sections, by=by, at=at)
    return performed


def _sections(booked: Done, done: Done) -> dict[str, str]:
    """Return the note's sections: a text that nobody touched says what was done, not what was booked, and what went wrong.

    What was typed under a heading that the note of another procedure does not have goes into its course.
    """
    fresh = notes.prefilled(done.procedure, side=done.side, levels=done.levels, guidance=done.guidance)
    if done.harms:
        fresh[COURSE] = " ".join(map(_in_words, done.harms))
    typed = {code: text for code, text in done.sections.items() if text != booked.sections.get(code)}
    is_another = bool(done.sections) and done.procedure != booked.procedure
    told = {code: typed.pop(code, text) for code, text in fresh.items() if is_another or code in done.sections}
    left = [text for text in typed.values() if text]
    if left:
        told[COURSE] = "\n".join(filter(None, (told.get(COURSE, ""), *left)))
    return told


def _in_words(harm: Harm) -> str:
    kind, severity = ComplicationKind(harm.kind).label, ComplicationSeverity(harm.severity).label.lower()
    return f"{kind} ({severity}). {harm.outcome}".strip()


def _differences(booked: Done, done: Done, planned: CaseDetails | None) -> list[str]:
    """Return the names of what was done otherwise than booked; what the booking left open cannot differ."""
    found = [name for name in COMPARED if getattr(booked, name) != getattr(done, name) and (name != "role" or booked.role)]
    return [*found, "steroid"] if planned is not None and planned.drug and _is_other_steroid(planned, done) else found


def _is_other_steroid(planned: CaseDetails, done: Done) -> bool:
    given = [(one.drug, one.dose_mg) for one in done.drugs if one.kind == DrugKind.STEROID]
    meant = [] if planned.drug == NO_STEROID else [planned.drug]
    return [drug for drug, _ in given] != meant or any(planned.dose_mg not in (None, dose) for _, dose in given)
