"""Change the catalogue: what a procedure takes, needs and is offered as. Every change is audited and versioned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from pain_clinic.errors import Conflict, Forbidden, Refused
from procedures.guidance import DEVICES, IMAGING, usual
from procedures.models import NeedKind, NeedLeg, Procedure, ProcedureNeed

CHANGE = "procedures.change_catalogue"
# What the clinic may change; the rest are facts that come with the clinical tables.
EDITABLE = (
    "short_name",
    "prep_minutes",
    "room_minutes",
    "recovery_minutes",
    "turnover_minutes",
    "planned_sedation",
    "max_levels",
    "is_offered",
    "is_retired",
    "instructions",
)
SLOT_MINUTES = 5


class ChangedMeanwhile(Conflict):
    """Somebody changed the procedure since the form was opened."""


class NotForYou(Forbidden):
    """The actor may not change the catalogue."""


class UnfitProcedure(Refused):
    """The values would make a procedure that cannot be booked sensibly."""


def amend(
    *,
    procedure: Procedure,
    changes: Mapping[str, Any],
    needs: Sequence[Mapping[str, Any]] | None,
    version: int,
    by: Actor,
    at: datetime,
) -> Procedure:
    """Give a procedure the clinic's own values and, unless None, needs; return the changed row.

    `version` is the one that the actor saw. An amendment that changes nothing leaves no trace. Cases already booked
    keep their times. Locks the procedure.

    Raises:
        NotForYou: the actor may not change the catalogue.
        ChangedMeanwhile: the version is no longer that one.
        UnfitProcedure: lengths off the 5-minute grid, no physician or room, a bay without recovery or the reverse.
    """
    if not by.may(CHANGE):
        raise NotForYou("may_not_change_catalogue", "You may see the catalogue but not change it.")
    unknown = set(changes) - set(EDITABLE)
    if unknown:
        raise ValueError(f"not for the clinic to change: {', '.join(sorted(unknown))}")
    with transaction.atomic():
        row = Procedure.objects.select_for_update(no_key=True).get(pk=procedure.pk)
        if row.version != version:
            raise ChangedMeanwhile(
                "changed_meanwhile", "Someone else changed this procedure meanwhile. Look at it again, then save.",
                {"version": row.version},
            )  # fmt: skip
        changed = [name for name, value in changes.items() if getattr(row, name) != value]
        for name in changed:
            setattr(row, name, changes[name])
        wanted = needs_now(row) if needs is None else tidy(needs)
        refuse_unfit(row, wanted)
        if wanted != needs_now(row):
            put_needs(row, wanted)
            changed.append("needs")
        if changed:
            row.version += 1
            row.save(update_fields=[*(name for name in changed if name != "needs"), "version"])
            trail.record(by=by, act="procedures.amend", subject=row, details={"fields": sorted(changed), "version": row.version})
        return row


def switch(*, procedure: Procedure, is_offered: bool, by: Actor, at: datetime) -> Procedure:
    """Offer a procedure for booking, or no longer. Booked cases stay.

    Raises:
        NotForYou: the actor may not change the catalogue.
        UnfitProcedure: a retired procedure cannot be offered.
    """
    with transaction.atomic():
        row = Procedure.objects.select_for_update(no_key=True).get(pk=procedure.pk)
        return amend(procedure=row, changes={"is_offered": is_offered}, needs=None, version=row.version, by=by, at=at)


def needs_now(procedure: Procedure) -> list[dict[str, Any]]:
    """Return the needs as plain values, in the order in which tables and pages give them."""
    rows = ProcedureNeed.objects.filter(procedure=procedure)
    return tidy([{"kind": row.kind, "attribute": row.attribute, "count": row.count, "legs": row.legs} for row in rows])


def needs_under(procedure: Procedure, guidance: str) -> list[ProcedureNeed]:
    """Return the needs under a guidance: as they stand for the usual one, else with that guidance's own imaging device.

    A device that only another guidance takes is left out; one that the chosen guidance takes is added, unsaved, for
    the legs of the one that it stands for. Reads the needs through the relation, so that prefetched ones serve.
    """
    rows = list(procedure.needs.all())
    if not guidance or guidance == usual(procedure):
        return rows
    device = DEVICES.get(guidance, "")
    imaging = [row for row in rows if row.kind in IMAGING]
    kept = [row for row in rows if row.kind not in IMAGING or row.kind == device]
    if device and not any(row.kind == device for row in imaging):
        legs = imaging[0].legs if imaging else [NeedLeg.PROCEDURE, NeedLeg.TURNOVER]
        kept.append(ProcedureNeed(pk=0, procedure=procedure, kind=device, count=1, legs=[str(leg) for leg in legs]))
    return kept


def need_label(kind: str, attribute: str = "") -> str:
    """Return what a need asks for as it stands inside a sentence: "operating room", "C-arm", "room with laser"."""
    if (kind, attribute) == (NeedKind.ROOM, "or_room"):
        return "operating room"
    label = str(NeedKind(kind).label)
    label = label if label[1:2].isupper() or "-" in label else label[0].lower() + label[1:]
    return f"{label} with {attribute.replace('_', ' ')}" if attribute else label


def tidy(needs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the needs as plain values in one order, with each need's legs in the order of the day."""
    plain = [
        {
            "kind": str(need["kind"]),
            "attribute": str(need["attribute"]),
            "count": int(need["count"]),
            "legs": [leg for leg in NeedLeg.values if leg in need["legs"]],
        }
        for need in needs
    ]
    return sorted(plain, key=lambda need: (NeedKind.values.index(need["kind"]), need["attribute"]))


def put_needs(procedure: Procedure, needs: Sequence[Mapping[str, Any]]) -> None:
    """Make the rows of a procedure's needs equal to these, touching only what differs."""
    rows = {(row.kind, row.attribute): row for row in ProcedureNeed.objects.filter(procedure=procedure)}
    for need in needs:
        row = rows.pop((need["kind"], need["attribute"]), None)
        if row is None:
            ProcedureNeed.objects.create(procedure=procedure, **need)
        elif (row.count, row.legs) != (need["count"], need["legs"]):
            row.count, row.legs = need["count"], need["legs"]
            row.save(update_fields=["count", "legs"])
    for row in rows.values():
        row.delete()


def refuse_unfit(procedure: Procedure, needs: Sequence[Mapping[str, Any]]) -> None:
    """Refuse values with which the procedure could be booked wrongly."""
    problems = []
    minutes = {leg: getattr(procedure, f"{leg}_minutes") for leg in ("prep", "room", "recovery", "turnover")}
    problems += [
        f"{leg.capitalize()} minutes must be a multiple of {SLOT_MINUTES}."
        for leg, length in minutes.items()
        if length % SLOT_MINUTES
    ]
    legs_of: dict[str, set[str]] = {}
    for need in needs:
        if not need["legs"]:
            problems.append(f"Say when the {NeedKind(need['kind']).label.lower()} is needed.")
        legs_of.setdefault(need["kind"], set()).update(need["legs"])
    if len({(need["kind"], need["attribute"]) for need in needs}) != len(needs):
        problems.append("Each need stands once; raise its number instead.")
    for kind in (NeedKind.PHYSICIAN, NeedKind.ROOM):
        if "procedure" not in legs_of.get(kind, set()):
            problems.append(f"A {kind.label.lower()} is needed for the procedure.")
    if procedure.recovery_minutes and "recovery" not in legs_of.get(NeedKind.BAY, set()):
        problems.append("Recovery needs a bay; set recovery to 0 minutes if there is none.")
    if not procedure.recovery_minutes and any("recovery" in legs for legs in legs_of.values()):
        problems.append("Nothing can be needed for recovery when recovery takes 0 minutes.")
    if procedure.is_offered and procedure.is_retired:
        problems.append("A retired procedure cannot be offered.")
    if problems:
        raise UnfitProcedure("unfit_procedure", " ".join(problems), {"problems": problems})
