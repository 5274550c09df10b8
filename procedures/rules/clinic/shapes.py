"""What the rows of the clinic's own tables must look like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from procedures.rules.clinic.compiling import TOPICS
from procedures.rules.clinic.drugs import SECOND_SET
from procedures.rules.shapes import (
    SEVERITIES,
    Check,
    Checker,
    a_date,
    anything,
    doses,
    fields,
    flag,
    in_order,
    is_number,
    is_whole,
    list_of,
    more_than_nothing,
    number,
    one_of,
    one_unit,
    text,
    texts,
    whole,
)

ACTIONS = ("continue", "shared_decision", "hold", "advise", "specialist", "contraindicated", "follow_aspirin_rule")
LABS = ("inr", "crcl", "hba1c", "glucose")
_COMMON: dict[str, Check] = {
    "source": anything, "verified": flag, "unverified_fields": anything, "notes": anything, "note": anything,
    "enabled_by_default": flag, "effective_from": a_date, "effective_to": a_date, "overridable_with_reason": flag,
}  # fmt: skip
_HOLD: dict[str, Check] = {
    "action": one_of(*ACTIONS), "hours": number, "days": whole(), "lab": one_of(*LABS), "lab_note": text, "note": anything,
}  # fmt: skip
_hold = fields(_HOLD, required=("action",))
_restart = fields({"hours": number, "note": anything}, required=("hours",))
_modifier = fields({
    "when": text, "then": text, "source": anything, "verified": flag,
    "if": fields({"lab": one_of(*LABS), "below": more_than_nothing}, required=("lab", "below")),
    "hold": fields({"hours": number, "days": whole(), "lab": one_of(*LABS)}),
    "known_by": fields({"lab": one_of(*LABS), "below": more_than_nothing}, required=("lab", "below")),
    "at_least": fields({"hours": more_than_nothing, "days": whole(1)}),
})  # fmt: skip
_DRUG: dict[str, Check] = {
    **_COMMON, "id": text, "drug": text, "drug_class": text, "dose_tier": text, "half_life_hours_about": number,
    "hold_before": fields(dict.fromkeys(("low", "intermediate", "high"), _hold), required=("low", "intermediate", "high")),
    "restart_after": fields({**dict.fromkeys(("low", "intermediate", "high"), _restart), "note": anything}),
    "modifiers": list_of(_modifier), "other_guidelines": anything,
}  # fmt: skip


def check_antithrombotics(checker: Checker, table: Mapping[str, Any]) -> None:
    """Gather everything that is wrong with the table of blood thinners; its rows are known to have ids."""
    for row in table["drugs"]:
        name = row["id"]
        fields(_DRUG, required=("drug", "drug_class", "hold_before", "restart_after"))(checker, name, "", row)
        in_order(checker, name, row)
        for level, hold in (row.get("hold_before") or {}).items() if isinstance(row.get("hold_before"), dict) else ():
            if not isinstance(hold, dict) or hold.get("action") != "hold":
                continue
            if ("hours" in hold) == ("days" in hold):
                checker.say(name, f"hold_before.{level}", "hours or days, one of them")
            elif 0 in (hold.get("hours"), hold.get("days")):
                checker.say(name, f"hold_before.{level}", "a hold longer than nothing, or another action")
        for modifier in row.get("modifiers") or () if isinstance(row.get("modifiers"), list) else ():
            hold = modifier.get("hold") if isinstance(modifier, dict) else None
            if isinstance(modifier, dict) and "if" in modifier and not (hold and ("hours" in hold) != ("days" in hold)):
                checker.say(name, "modifiers.hold", "hours or days, one of them")
            least = modifier.get("at_least") if isinstance(modifier, dict) else None
            if isinstance(least, dict) and (("hours" in least) == ("days" in least) or "known_by" not in modifier):
                checker.say(name, "modifiers.at_least", "hours or days, one of them, and the result that it is known by")
    list_of(fields({**_COMMON, "lab": one_of(*LABS), "normal_max": more_than_nothing, "window_days_before": whole()},
                   required=("lab", "normal_max", "window_days_before")))(
        checker, "lab_limits", "", table.get("lab_limits"))  # fmt: skip
    for row in table.get("conventions") or ():  # of the others, which are read by people, none is
        if row["id"] == SECOND_SET:
            fields({**_COMMON, "id": text, "rule": text}, required=("source",))(checker, SECOND_SET, "", row)
            in_order(checker, SECOND_SET, row)
    texts(checker, "upgrade_drug_classes", "", table.get("upgrade_drug_classes"))
    known = table.get("finding_ids")
    if not isinstance(known, dict):
        checker.say("finding_ids", "", "what each finding means, by its id")
        return
    for code in FINDING_IDS:
        told = known.get(code)
        if not isinstance(told, str) or not told.split(";")[0].split() or told.split(";")[0].split()[0] not in SEVERITIES:
            checker.say("finding_ids", code, "a text that begins with deny, warn or info")
    limited = {one.get("lab") for one in table.get("lab_limits") or () if isinstance(one, dict)}
    for row in table["drugs"]:
        for hold in (row.get("hold_before") or {}).values() if isinstance(row.get("hold_before"), dict) else ():
            if isinstance(hold, dict) and hold.get("lab") and hold["lab"] not in limited:
                checker.say(row["id"], "hold_before.lab", "a lab with a limit in lab_limits")
    ids = {row["id"] for row in table["drugs"]}
    for needed in ("aspirin_primary", "aspirin_secondary"):
        if needed not in ids:
            checker.say("drugs", needed, "a row, since other rows follow it")


FINDING_IDS = (
    "antithrombotic_hold",
    "antithrombotic_lab",
    "antithrombotic_contraindicated",
    "antithrombotic_shared_decision",
    "antithrombotic_clearance",
    "antithrombotic_specialist",
    "antithrombotic_stent",
    "antithrombotic_advise",
    "antithrombotic_restart",
)
_STEROID: dict[str, Check] = {
    **_COMMON, "id": text, "name": text, "particulate": flag, "mg_equal_to_4mg_methylprednisolone": number, "mpe_factor": number,
    "ceiling_mg_per_session_medicare_esi": number, "usual_mg": anything,
}  # fmt: skip
_RULE: dict[str, Check] = {
    **_COMMON, "id": text, "topic": one_of(*sorted(TOPICS)), "rule": text, "severity": one_of(*SEVERITIES), "params": anything,
}  # fmt: skip
_WINDOW = {
    "window_months": whole(1),
    "limit_mpe_mg": more_than_nothing,
    "compare": one_of("greater_than"),
    "applies_if_any": texts,
}
_PLAN = list_of(fields({"drug": text, "mg": number, "hours_before": anything, "optional": flag}, required=("hours_before",)))


def _ages(checker: Checker, row: str, name: str, value: Any) -> None:
    if not isinstance(value, list) or len(value) != 2 or not all(map(is_whole, value)) or not 0 <= value[0] <= value[1]:
        checker.say(row, name, "the lowest and the highest age")


# By topic: the parameters that it may have, and the sets of which one has to be there whole.
_PARAMS: dict[str, tuple[Mapping[str, Check], tuple[tuple[str, ...], ...]]] = {
    "particulate": ({"procedure_ids": texts, "particulate": flag, "cleared_by": one_of("rationale")}, (("procedure_ids",),)),
    "technique": (
        {"procedure_ids": texts, "max_cranial_level": text, "requires": texts}, (("procedure_ids", "max_cranial_level"),),
    ),
    "dose": ({"families": texts, "ceiling_mg": doses}, (("families", "ceiling_mg"),)),
    "cumulative": (_WINDOW, ((), ("window_months", "limit_mpe_mg"))),
    "interval": (
        {"days": whole(1), "months": whole(1), "scope": one_of("same_region", "any_region", "same_joint"), "families": texts},
        (("scope", "days"), ("scope", "months")),
    ),
    "indication": ({"families": texts, "procedure_ids": texts, "occipital_indications": texts}, ((),)),
    "diabetes": (
        {"expected_days": whole(), "outer_days": whole(), "mean_rise_mg_dl": number, "ideal_below_pct": number,
         "warn_above_pct": more_than_nothing, "warn_mg_dl": more_than_nothing, "deny_mg_dl": more_than_nothing},
        ((), ("expected_days",), ("warn_above_pct",), ("warn_mg_dl", "deny_mg_dl")),
    ),
    "infection": ({"days_after_last_dose": whole()}, ((),)),
    "vaccine": (
        {"vaccine_types": texts, "min_days_before_vaccine": whole(), "min_days_after_vaccine": whole()},
        ((), ("vaccine_types", "min_days_before_vaccine", "min_days_after_vaccine")),
    ),
    "surgery": ({"months": whole(1), "families": texts}, (("months", "families"),)),
    "contrast": (
        {"oral_plan": _PLAN, "alternative_plan": _PLAN, "accelerated_hours": more_than_nothing, "accelerated_iv": text},
        ((), ("oral_plan", "alternative_plan", "accelerated_hours")),
    ),
    "pregnancy": ({"ask_age_range": _ages, "applies_to_guidance": texts}, (("ask_age_range", "applies_to_guidance"),)),
    "implant": ({"families": texts, "devices": texts, "cleared_by": text}, ((), ("families", "devices"))),
    "allergy": ({}, ((),)),
}  # fmt: skip


def check_steroids(checker: Checker, table: Mapping[str, Any]) -> None:
    """Gather everything that is wrong with the steroid table; its rows are known to have ids."""
    for row in table["drugs"]:
        needed = ("name", "particulate", "mg_equal_to_4mg_methylprednisolone")
        fields(_STEROID, required=needed)(checker, row["id"], "", row)
        equal = row.get("mg_equal_to_4mg_methylprednisolone")
        if is_number(equal) and not equal > 0:
            checker.say(row["id"], "mg_equal_to_4mg_methylprednisolone", "more than 0")
    for row in table["rules"]:
        before = len(checker.faults)
        fields(_RULE, required=("topic", "rule", "severity"))(checker, row["id"], "", row)
        if len(checker.faults) > before:
            continue
        known, sets = _PARAMS[row["topic"]]
        params = row.get("params") or {}
        fields(known)(checker, row["id"], "params", params)
        in_order(checker, row["id"], row)
        if len(checker.faults) == before:
            _check_sets(checker, row["id"], params, sets)
            _check_order(checker, row["id"], params)


def _check_sets(checker: Checker, name: str, params: Mapping[str, Any], sets: tuple[tuple[str, ...], ...]) -> None:
    if not params and () in sets:
        return
    if not any(set(needed) <= set(params) for needed in sets if needed or len(sets) == 1):
        checker.say(name, "params", " or ".join(", ".join(needed) for needed in sets if needed))


def _check_order(checker: Checker, name: str, params: Mapping[str, Any]) -> None:
    """Expect figures that belong together in their order, and one length of time."""
    one_unit(checker, name, "params", params)
    if params.get("warn_mg_dl", 0) > params.get("deny_mg_dl", params.get("warn_mg_dl", 0)):
        checker.say(name, "params.warn_mg_dl", "not more than deny_mg_dl")


_HOURS: dict[str, Check] = {**_COMMON, "intake": text, "hours": number, "severity": one_of(*SEVERITIES), "examples": anything}
_GLP1: dict[str, Check] = {
    **_COMMON, "id": text, "drug_schedule": one_of("weekly", "daily"), "rule": text, "severity": one_of(*SEVERITIES),
}  # fmt: skip
_ESCORT: dict[str, Check] = {
    **_COMMON, "id": text, "level": text, "driver_required": anything, "responsible_adult_hours": whole(),
    "severity": one_of(*SEVERITIES),
}  # fmt: skip


def check_fasting(checker: Checker, table: Mapping[str, Any]) -> None:
    """Gather everything that is wrong with the fasting table; its rows of hours are known to have names."""
    for row in table["minimum_hours"]:
        fields(_HOURS, required=("hours", "severity"))(checker, row["intake"], "", row)
        in_order(checker, row["intake"], row)
    for listed, shape, needed in (
        ("glp1", _GLP1, ("id", "drug_schedule", "rule", "severity")),
        ("escort", _ESCORT, ("id", "driver_required", "severity")),
    ):
        for place, row in enumerate(table.get(listed) or (), start=1):
            name = row.get("id") if isinstance(row, dict) else None
            told = str(name or f"{listed}[{place}]")
            fields(shape, required=needed)(checker, told, "", row)
            in_order(checker, told, row if isinstance(row, dict) else {})
