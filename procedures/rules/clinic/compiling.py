"""Make rules of the rows of the clinic's own tables: blood thinners, steroids and safety, fasting and escort."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from procedures.rules.clinic.antithrombotics import Antithrombotics
from procedures.rules.clinic.drugs import CLASSES, LABS, NO_SECOND_SET, SECOND_SET, Drug, Hold, Modifier, SecondSet
from procedures.rules.clinic.fasting import Escort, Fasting, Glp1
from procedures.rules.clinic.safety import (
    AllergyNote,
    Antibiotics,
    Arthroplasty,
    ContrastAllergy,
    ContrastReaction,
    DevicePlan,
    Gadolinium,
    Infection,
    MriStatus,
    Pregnancy,
)
from procedures.rules.clinic.steroids import (
    A1c,
    CervicalLevel,
    Glucose,
    NotIndicated,
    Particulate,
    SteroidInterval,
    SteroidNote,
    Supported,
    Total,
    VaccineGap,
)
from procedures.rules.dates import Period, Window
from procedures.rules.findings import Severity
from procedures.rules.payer.limits import DoseCeiling
from procedures.rules.payer.parts import ceilings, number, source_of
from procedures.rules.places import place_of
from procedures.rules.rows import Row, Ruled

Data = Mapping[str, Any]


def antithrombotics_of(table: Data) -> Antithrombotics:
    """Return the rule that judges every drug of a patient."""
    drugs = {row["id"]: _drug(row) for row in table["drugs"]}
    limits = {row["lab"]: (number(row["normal_max"]), row["window_days_before"]) for row in table["lab_limits"]}
    severities = {code: Severity(text.split(";")[0].split()[0]) for code, text in table["finding_ids"].items()}
    second = NO_SECOND_SET
    for row in table.get("conventions") or ():
        if row["id"] == SECOND_SET:  # never chosen unless the clinic says so
            second = SecondSet(source_of(row), row.get("enabled_by_default", False))
    return Antithrombotics(drugs, frozenset(table["upgrade_drug_classes"]), limits, severities, second=second)


def _drug(row: Data) -> Drug:
    return Drug(
        id=row["id"],
        name=row["drug"],
        drug_class=row["drug_class"],
        holds={name: _hold(row["hold_before"][name]) for name in CLASSES},
        restart_hours={name: number(row["restart_after"][name]["hours"]) for name in CLASSES if name in row["restart_after"]},
        modifiers=tuple(_modifier(one) for one in row.get("modifiers", ())),
        source=source_of(row),
        notes={name: _notes(row["hold_before"][name], row["restart_after"], name) for name in CLASSES},
    )


def _notes(hold: Data, restarts: Data, name: str) -> tuple[str, ...]:
    """Return what the row says in words beside its figures for one class."""
    restart = restarts.get(name, {})
    lab_note = f"{LABS.get(hold.get('lab', ''), 'Laboratory')}: {hold['lab_note']}" if "lab_note" in hold else ""
    told = [hold.get("note") and f"Hold: {hold['note']}", lab_note]
    told += [f"Restart: {one['note']}" for one in (restart, restarts) if one.get("note")]
    return tuple(one for one in told if one)


def _hold(written: Data) -> Hold:
    hours = written.get("hours")
    return Hold(written["action"], None if hours is None else number(hours), written.get("days"), written.get("lab", ""))


def _modifier(written: Data) -> Modifier:
    by = written.get("if") or written.get("known_by") or {}
    hold = _hold({"action": "hold", **(written.get("hold" if "if" in written else "at_least") or {})})
    below = number(by["below"]) if by else None
    told = f"{written.get('when', '')}: {written.get('then', '')}".strip(": ")
    return Modifier(by.get("lab", ""), below, hold.hours, hold.days, told, is_live="if" not in written)


def fasting_of(table: Data) -> list[tuple[Data, Ruled]]:
    """Return the rules of the fasting table, each with its row."""
    found: list[tuple[Data, Ruled]] = []
    for data in table["minimum_hours"]:
        row = Row(f"fasting_{data['intake']}", Severity(data["severity"]), source_of(data))
        found.append((data, Fasting(row, data["intake"], number(data["hours"]))))
    for data in table.get("glp1", ()):
        row = Row(data["id"], Severity(data["severity"]), source_of(data))
        found.append((data, Glp1(row, data["drug_schedule"], data["rule"])))
    for data in table.get("escort", ()):
        row = Row(data["id"], Severity(data["severity"]), source_of(data))
        found.append((data, Escort(row, data["driver_required"] == "by_catalogue", data.get("responsible_adult_hours"))))
    return found


def steroids_of(table: Data) -> list[tuple[Data, Ruled]]:
    """Return the rules of the steroid table, each with its row."""
    equal = {row["id"]: number(row["mg_equal_to_4mg_methylprednisolone"]) for row in table["drugs"]}
    particulate = frozenset(row["id"] for row in table["drugs"] if row["particulate"])
    bone_risk = frozenset(word for row in table["rules"] for word in (row.get("params") or {}).get("applies_if_any", ()))
    found: list[tuple[Data, Ruled]] = []
    for data in table["rules"]:
        params = data.get("params") or {}
        row = Row(data["id"], Severity(data["severity"]), source_of(data), frozenset(params.get("families", ())))
        if data["topic"] == "particulate":
            is_cleared = params.get("cleared_by") == "rationale"
            rule: Ruled = Particulate(row, frozenset(params["procedure_ids"]), particulate, is_cleared)
        elif data["topic"] == "cumulative" and "limit_mpe_mg" in params:
            conditions = frozenset(params.get("applies_if_any", ()))
            window = Window("rolling", Period(months=params["window_months"]))
            most = number(params["limit_mpe_mg"])
            rule = Total(row, window, most, equal, conditions or bone_risk, is_for_others=not conditions)
        else:
            rule = _TOPICS[data["topic"]](row, params, data)
        found.append((data, rule))
    return found


def _technique(row: Row, params: Data, data: Data) -> Ruled:
    topmost = place_of(params["max_cranial_level"])
    places = {f"C{n}-C{n + 1}": place_of(f"C{n}") for n in range(1, 7)} | {"C7-T1": place_of("C7")}
    return CervicalLevel(row, frozenset(params["procedure_ids"]), topmost, tuple(params.get("requires", ())), places)


def _interval(row: Row, params: Data, data: Data) -> Ruled:
    period = Period(days=params.get("days", 0), months=params.get("months", 0))
    return SteroidInterval(row, period, params["scope"])


def _indication(row: Row, params: Data, data: Data) -> Ruled:
    if not params:
        return Supported(row)
    return NotIndicated(row, frozenset(params.get("procedure_ids", ())), frozenset(params.get("occipital_indications", ())))


def _diabetes(row: Row, params: Data, data: Data) -> Ruled:
    if "warn_above_pct" in params:
        return A1c(row, number(params["warn_above_pct"]))
    if "deny_mg_dl" in params:
        return Glucose(row, number(params["warn_mg_dl"]), number(params["deny_mg_dl"]))
    return SteroidNote(row, data["rule"], condition="diabetes")


def _infection(row: Row, params: Data, data: Data) -> Ruled:
    return Antibiotics(row, params["days_after_last_dose"]) if params else Infection(row)


def _vaccine(row: Row, params: Data, data: Data) -> Ruled:
    if not params:
        return SteroidNote(row, data["rule"], vaccines=frozenset({"inactivated"}))
    return VaccineGap(
        row, frozenset(params["vaccine_types"]), params["min_days_before_vaccine"], params["min_days_after_vaccine"]
    )


def _contrast(row: Row, params: Data, data: Data) -> Ruled:
    if params:
        hours: dict[str, Fraction] = {}
        for name, plan in (("oral_prednisone", "oral_plan"), ("oral_methylprednisolone", "alternative_plan")):
            hours[name] = max(number(one) for dose in params[plan] for one in dose["hours_before"])
        hours["iv_accelerated"] = number(params["accelerated_hours"])
        return ContrastReaction(row, tuple(sorted(hours.items())))
    if "gadolinium" in row.code:
        return Gadolinium(row)
    if "shellfish" in row.code:
        return ContrastAllergy(row, "shellfish", data["rule"])
    return ContrastAllergy(row, "iodinated_contrast", data["rule"], "severe")


def _pregnancy(row: Row, params: Data, data: Data) -> Ruled:
    least, most = params["ask_age_range"]
    return Pregnancy(row, frozenset(params["applies_to_guidance"]), (least, most))


def _implant(row: Row, params: Data, data: Data) -> Ruled:
    return DevicePlan(row, frozenset(params["devices"])) if params else MriStatus(row)


_TOPICS: dict[str, Callable[[Row, Data, Data], Ruled]] = {
    "technique": _technique,
    "dose": lambda row, params, data: DoseCeiling(row, ceilings(params["ceiling_mg"])),
    "cumulative": lambda row, params, data: SteroidNote(row, data["rule"]),
    "interval": _interval,
    "indication": _indication,
    "diabetes": _diabetes,
    "infection": _infection,
    "vaccine": _vaccine,
    "surgery": lambda row, params, data: Arthroplasty(row, Period(months=params["months"])),
    "contrast": _contrast,
    "pregnancy": _pregnancy,
    "implant": _implant,
    "allergy": lambda row, params, data: AllergyNote(row, "steroid_preservative", data["rule"]),
}
TOPICS = frozenset(_TOPICS) | {"particulate"}
