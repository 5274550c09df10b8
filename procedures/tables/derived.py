"""Derive what a catalogue row means for booking: lengths, planned sedation, needs by leg, instructions.

Where the table is silent these are product defaults, for clinician review. Pure: a row in, plain values out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from procedures.levels import scheme_of

PREP_MINUTES = 15
TURNOVER_MINUTES = 10
STEP = 5
PLANNED_SEDATION = {"mac_common": "mac", "mac_or_general": "mac", "moderate_common": "moderate"}
WATCHED = frozenset({"moderate", "deep", "mac", "general"})
DEVICES = ("c_arm", "ultrasound", "rf_generator", "cooling_pump")
GUIDANCE_DEVICE = {"fluoroscopy": "c_arm", "ultrasound": "ultrasound"}

Values = dict[str, Any]


def values_of(row: Mapping[str, Any], *, position: int, short_name: str, extra_equipment: Iterable[str] = ()) -> Values:
    """Return the fields and needs of a procedure for one row of the catalogue."""
    planned = PLANNED_SEDATION.get(row["sedation"], "none")
    guidance = row["guidance"]
    bleeding = row["bleeding_risk"]
    recovery = rounded(row["recovery_minutes"])
    equipment = [*row["equipment"], *(word for word in extra_equipment if word not in row["equipment"])]
    return {
        "name": row["name"],
        "short_name": short_name,
        "category": row["category"],
        "family": row["family"],
        "approach": row.get("approach", ""),
        "position": position,
        "status": row["status"],
        "is_offered": row["status"] == "active",
        "cpt_primary": list(row["cpt"]["primary"]),
        "cpt_add_on": list(row["cpt"].get("add_on", [])),
        "hcpcs": list(row["cpt"].get("hcpcs", [])),
        "regions": list(row["regions"]),
        "level_scheme": scheme_of(code=row["id"], family=row["family"], approach=row.get("approach", "")),
        "levels_note": row.get("levels", ""),
        "max_levels": row.get("max_levels_per_session_default"),
        "laterality": list(row["laterality"]),
        "guidance_default": guidance["default"],
        "guidance_alternatives": list(guidance.get("alternatives", [])),
        "prep_minutes": PREP_MINUTES,
        "room_minutes": rounded(row["room_minutes"]),
        "recovery_minutes": recovery,
        "turnover_minutes": TURNOVER_MINUTES,
        "equipment": equipment,
        "sedation": row["sedation"],
        "planned_sedation": planned,
        "steroid": row["steroid"],
        "bleeding_class": bleeding["asra_2018"],
        "bleeding_alternative": dict(bleeding.get("alternative", {})),
        "driver": row["driver"],
        "fasting": row["fasting"],
        "notes": row.get("notes", ""),
        "instructions": instructions(planned=planned, driver=row["driver"]),
        "source": [dict(entry) for entry in row["source"]],
        "verified": row["verified"],
        "unverified_fields": list(row["unverified_fields"]),
        "needs": needs_of(equipment=equipment, guidance=guidance["default"], planned=planned, has_recovery=recovery > 0),
    }


def rounded(minutes: int) -> int:
    """Round minutes up to the 5-minute grid on which everything is booked."""
    return -(-minutes // STEP) * STEP


def needs_of(*, equipment: Iterable[str], guidance: str, planned: str, has_recovery: bool) -> list[Values]:
    """Return who and what must be free, for which legs, in a fixed order."""
    listed = {*equipment, GUIDANCE_DEVICE.get(guidance, "")}
    nurse = ["prep", *(["procedure"] if planned in WATCHED else []), *(["recovery"] if has_recovery else [])]
    needs = [
        need("physician", ["procedure"]),
        need("nurse", nurse),
        need("room", ["procedure", "turnover"], "or_room" if "or_room" in listed else ""),
    ]
    if has_recovery:
        needs.append(need("bay", ["recovery"]))
    needs.extend(need(device, ["procedure", "turnover"]) for device in DEVICES if device in listed)
    if "device_representative" in listed:
        needs.append(need("device_representative", ["procedure"]))
    return needs


def need(kind: str, legs: list[str], attribute: str = "", count: int = 1) -> Values:
    """Return one need as plain values."""
    return {"kind": kind, "attribute": attribute, "count": count, "legs": legs}


def instructions(*, planned: str, driver: str) -> str:
    """Return plain words for the patient; they name no procedure and leave medicines to the clinic."""
    lines = [
        "Please be here at the arrival time we gave you: we use it to prepare you.",
        "Bring a photo identity card, your insurance card and a list of everything you take.",
        "Call us about your medicines before your visit.",
    ]
    if planned != "none":
        lines.append("You will be offered medicine that makes you drowsy. We will tell you when to stop eating and drinking.")
    if driver == "required" or planned != "none":
        lines.append("An adult has to take you home. Please arrange this before the day.")
    elif driver == "required_if_sedated":
        lines.append("If you choose medicine that makes you drowsy, an adult has to take you home.")
    lines.append("If you have a fever, an infection or could be pregnant, call us before you come.")
    return "\n".join(lines)
