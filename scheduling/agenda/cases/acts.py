"""What somebody may do with a case now, the most likely first."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.urls import reverse

from pain_clinic.accounts.actors import Actor
from scheduling.agenda.shapes import Act, Field
from scheduling.models import Appointment, Status
from scheduling.models.appointments import AWAY, BEFORE_ARRIVAL, LEGAL_MOVES

STATUS_ACTS = {
    "arrived": "Arrived",
    "preparing": "Preparing",
    "ready": "Ready",
    "in_room": "In room",
    "recovery": "In recovery",
    "discharged": "Discharge",
    "left_before_seen": "Left before seen",
    "no_show": "No-show",
}


def acts(*, appointment: Appointment, by: Actor, at: datetime) -> tuple[Act, ...]:
    """Return what this person may do with the case now, the most likely first."""
    found = []
    legal = LEGAL_MOVES[appointment.status]

    def fields(act: str) -> tuple[Field, ...]:
        """Give the version, and a key that is the same for the same act on the same version: a double click acts once."""
        key = f"{appointment.public_id}-{appointment.version}-{act}"
        return Field("version", "", str(appointment.version), kind="hidden"), Field("request_key", "", key, kind="hidden")

    address = {
        name: reverse(f"scheduling:{name}", args=[appointment.public_id])
        for name in ("confirm", "status", "move", "swap", "cancel", "reinstate")
    }
    zone = ZoneInfo(appointment.site.time_zone)
    is_today_or_past = appointment.starts_at.astimezone(zone).date() <= at.astimezone(zone).date()
    if Status.CONFIRMED in legal and by.may("scheduling.confirm_appointment"):
        found.append(
            Act("confirm", "Confirmed by the patient", address["confirm"], is_main=not is_today_or_past, fields=fields("confirm"))
        )
    if by.may("scheduling.check_in") and is_today_or_past:
        steps = [step for step in legal if step in STATUS_ACTS and (step != Status.NO_SHOW or appointment.starts_at <= at)]
        for place, step in enumerate(steps):
            to = (*fields(str(step)), Field("to", "", str(step), kind="hidden"))
            is_bad = step in AWAY
            found.append(
                Act(
                    str(step),
                    STATUS_ACTS[step],
                    address["status"],
                    is_main=place == 0 and not is_bad,
                    is_danger=is_bad,
                    fields=to,
                )
            )
    found += _record_acts(appointment, by)
    if appointment.status in BEFORE_ARRIVAL and by.may("scheduling.plan_case"):
        url = reverse("scheduling:case_rules", args=[appointment.public_id])
        found.append(Act("rules", "Rules and plan", url, method="get"))
    if appointment.status in BEFORE_ARRIVAL and by.may("scheduling.move_appointment"):
        found.append(Act("move", "Move", address["move"], method="get"))
        found.append(Act("swap", "Swap", address["swap"], method="get"))
    if Status.CANCELLED in legal and by.may("scheduling.cancel_appointment"):
        found.append(Act("cancel", "Cancel", address["cancel"], method="get", is_danger=True))
    if appointment.status in AWAY and by.may("scheduling.reinstate_appointment"):
        found.append(Act("reinstate", "Reinstate", address["reinstate"], method="get", is_main=True))
    return tuple(found)


def _record_acts(appointment: Appointment, by: Actor) -> list[Act]:
    """Return what is answered and written down about the visit itself."""
    found = []
    public_id, status = appointment.public_id, appointment.status
    if by.may("scheduling.answer_checklist"):
        if status in (Status.ARRIVED, Status.PREPARING, Status.READY, Status.IN_ROOM):
            found.append(Act("check", "Checklist", reverse("scheduling:checklist", args=[public_id, "before"]), method="get"))
        if status in (Status.RECOVERY, Status.DISCHARGED):
            found.append(Act("leave", "Leaving", reverse("scheduling:checklist", args=[public_id, "leaving"]), method="get"))
    if by.may("patients.record_performed") and status not in (*AWAY, Status.DISCHARGED):
        found.append(Act("consent", "Consent", consent_url(appointment), method="get"))
    if by.may("scheduling.complete_case") and status in (Status.IN_ROOM, Status.RECOVERY, Status.DISCHARGED):
        is_done = hasattr(appointment, "completion")
        label = "Note" if is_done else "Complete"
        url = reverse("scheduling:complete", args=[public_id])
        found.append(Act("complete", label, url, method="get", is_main=not is_done and status != Status.IN_ROOM))
    return found


def ways_to_leave(*, appointment: Appointment, by: Actor) -> tuple[Act, ...]:
    """Return where the leaving checklist is filled in, and the discharge without it; nothing for who may do neither."""
    if not by.may("scheduling.answer_checklist"):
        return ()
    public_id, version = appointment.public_id, appointment.version
    fields = (
        Field("version", "", str(version), kind="hidden"),
        Field("request_key", "", f"{public_id}-{version}-discharged-all-the-same", kind="hidden"),
        Field("to", "", str(Status.DISCHARGED), kind="hidden"),
        Field("reason", "Reason to discharge without it", is_required=True),
    )
    leave = reverse("scheduling:checklist", args=[public_id, "leaving"])
    return (
        Act("leave", "Fill in the leaving checklist", leave, method="get", is_main=True),
        Act("discharge", "Discharge without it", reverse("scheduling:status", args=[public_id]), is_danger=True, fields=fields),
    )


def ways_to_start(*, appointment: Appointment, by: Actor, may_override: bool, reason: str = "") -> tuple[Act, ...]:
    """Return where food and drink are written down, and for who may override a short fast the start all the same.

    `reason` is what was typed already.
    """
    public_id, version = appointment.public_id, appointment.version
    found = []
    if by.may("scheduling.answer_checklist"):
        url = reverse("scheduling:checklist", args=[public_id, "before"])
        found.append(Act("check", "Look at food and drink", url, method="get", is_main=True))
    if may_override:
        fields = (
            Field("version", "", str(version), kind="hidden"),
            Field("request_key", "", f"{public_id}-{version}-in-room-all-the-same", kind="hidden"),
            Field("to", "", str(Status.IN_ROOM), kind="hidden"),
            Field("reason", "Reason to begin all the same", reason, is_required=True),
        )
        url = reverse("scheduling:status", args=[public_id])
        found.append(Act("start", "Begin all the same", url, is_danger=True, fields=fields))
    return tuple(found)


def consent_url(appointment: Appointment) -> str:
    """Return where the consent to this case is written down, with what it is for."""
    asked = {
        "procedure": appointment.procedure.code, "side": appointment.side, "levels": " ".join(appointment.levels),
        "case": str(appointment.public_id),
    }  # fmt: skip
    address = reverse("patients:consent_new", args=[appointment.patient.public_id])
    return f"{address}?{urlencode({name: value for name, value in asked.items() if value})}"
