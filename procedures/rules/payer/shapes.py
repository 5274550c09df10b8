"""The parameters that each type of payer rule may have, and what each of them must look like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from procedures.rules.shapes import (
    COUNT_PER,
    GAINS,
    MEASURES,
    PLAN_TYPES,
    ROLES,
    SEVERITIES,
    UNITS,
    Check,
    Checker,
    a_date,
    anything,
    doses,
    fields,
    flag,
    in_order,
    list_of,
    more_than_nothing,
    number,
    one_of,
    one_unit,
    pairs,
    percent,
    period,
    some_of,
    text,
    texts,
    whole,
    wholes,
    window,
)

SHARED: dict[str, Check] = {"note": anything, "requires": texts}
# What has to be true before a first session; rows of other types may ask for it too.
CRITERIA: dict[str, Check] = {
    "min_pain_weeks": whole(), "min_pain_months": whole(), "min_conservative_weeks": whole(), "min_conservative_months": whole(),
    "conservative_waived_if": texts, "min_pain_score": number, "min_positive_provocation_tests": whole(),
    "min_provocation_tests": whole(), "provocation_tests": texts, "imaging_within_months": whole(1), "indication_any_of": texts,
}  # fmt: skip
_LENGTHS: dict[str, Check] = {unit: whole(1) for unit in UNITS}
_CAP: dict[str, Check] = {
    "max_sessions": whole(), "count_per": some_of(*COUNT_PER), "window": window, "unit": one_of("session", "injection"),
    "role": one_of(*ROLES), "bilateral_same_level_counts_as": whole(1), "then": text,
    "all_of": list_of(fields({"max_sessions": whole(), "window": window}, required=("max_sessions", "window"))),
}  # fmt: skip
_INTERVAL: dict[str, Check] = {**_LENGTHS, "since": text, "exception": text}
_RESPONSE: dict[str, Check] = {
    "reference": text, "min_improvement_pct": percent, "min_relief_pct": percent, "measure_any_of": some_of(*MEASURES),
    "measure_all_of": some_of(*MEASURES), "plus_any_of": some_of(*GAINS), "min_duration": period, "function_alternative": text,
    "role": one_of(*ROLES), "same_scale": flag, "same_scale_as_baseline": flag,
}  # fmt: skip
_BLOCKS: dict[str, Check] = {
    "family": text, "family_any_of": texts, "min_count": whole(1), "consecutive": flag, "same_levels": flag,
    "min_relief_pct": percent, "duration": text, "same_scale": flag, "must_be": text, "reference": text, "role": one_of(*ROLES),
    "for_role": one_of(*ROLES), "repeat_min_relief_pct": percent, "repeat_min_duration": period,
    "success_any_of": list_of(fields({"min_relief_pct": percent, "min_reduction_pct": percent, "of": text})),
}  # fmt: skip

# By type: the parameters that it knows, and those of which it needs at least one of each group.
TYPES: dict[str, tuple[Mapping[str, Check], tuple[tuple[str, ...], ...]]] = {
    "session_cap": (_CAP, (("max_sessions", "all_of"),)),
    "initial_criteria": ({}, ()),
    "repeat_response": (_RESPONSE, (("min_improvement_pct", "min_relief_pct"),)),
    "rescue_repeat": (
        {"when": text, "min_interval_days": whole(1), "must_change_at_least_one_of": some_of("approach", "level", "medication"),
         "requires_rationale": flag},
        (("min_interval_days",),),
    ),
    "level_limit": (
        {"approach": texts, "max_levels": whole(), "regions_per_session": whole(1), "count_by": text, "third_level": text,
         "bilateral": one_of("never", "allowed_when_clinically_indicated"), "bilateral_counts_as": one_of("one_level")},
        (("max_levels",),),
    ),
    "one_region_per_session": (
        {"max_regions": whole(1), "max_anatomical_groups": whole(1)}, (("max_regions", "max_anatomical_groups"),),
    ),
    "same_day_exclusion": (
        {"not_with": texts, "exception": texts, "not_with_same_side": pairs, "only_one_invasive_modality_at_a_time": flag},
        (("not_with", "not_with_same_side", "only_one_invasive_modality_at_a_time"),),
    ),
    "guidance_required": (
        {"allowed": texts, "not_allowed": texts, "exception": text, "min_saved_views": whole()}, (("allowed",),),
    ),
    "guidance_prohibited": ({"not_covered": texts, "investigational": texts}, (("not_covered", "investigational"),)),
    "no_predetermined_series": ({}, ()),
    "dose_ceiling_per_session": ({"ceiling_mg": doses}, (("ceiling_mg",),)),
    "extended_treatment_review": ({"after_months": whole(1)}, (("after_months",), ("requires",))),
    "noncovered_indication": ({"indications": texts, "injectates": texts}, (("indications",),)),
    "sedation_review": ({"levels": texts, "default": text}, (("levels",),)),
    "modifier_hint": ({"modifier": text, "procedure_ids": texts, "when": text}, (("modifier",),)),
    "min_interval": ({**_INTERVAL, "initial_max": whole(), "later_interval": period}, (UNITS,)),
    "prerequisite_response": (
        {"reference": text, "min_relief_pct": percent, "of": text, "duration": text, "same_scale": flag, "if_not_met": text,
         "measure_at": texts},
        (("min_relief_pct",), ("reference",)),
    ),
    "prerequisite_procedures": (_BLOCKS, (("family", "family_any_of"),)),
    "staleness": (
        {"max_years_since_previous_rfa": whole(1), "then": text, "also_when": anything}, (("max_years_since_previous_rfa",),),
    ),
    "technique": (
        {"min_temperature_c": more_than_nothing, "strictly_greater": flag, "noncovered": texts},
        (("min_temperature_c", "noncovered"),),
    ),
    "noncovered": (
        {"when": text, "reason": text, "success_min_relief_pct": percent, "max_years_since_previous_rfa": whole(1)}, (("when",),),
    ),
    "repeat_limit": (
        {"max_repeats_per_cyst": whole(), "min_relief_pct": percent, "min_duration": period}, (("max_repeats_per_cyst",),),
    ),
    "documentation": ({"pain_score_must_be": text, "same_scale_before_and_after": flag}, ()),
    "unit_limit": ({"primary_code_units_per_day": whole(1), "absolute": flag, "bilateral": text}, ()),
    "diagnosis_list": ({"icd10_prefixes": texts, "must_be_billable": flag}, (("icd10_prefixes",),)),
    "lifetime_cap": (
        {"max_vertebral_bodies": whole(1), "allowed_levels": texts, "max_per_session": whole(1),
         "same_body_again": one_of("never"), "modic_type_any_of": wholes},
        (("max_vertebral_bodies",),),
    ),
    "coverage_with_study": ({"ncd": text}, (("requires",),)),
    "prior_authorization": (
        {"place_of_service": texts, "codes": texts, "condition_of_payment": flag, "approval_valid_days": whole(1),
         "not_in": texts, "covers": text, "covers_families": texts, "states": texts, "voluntary": flag, "if_skipped": text,
         "esi_scope": text, "may_be_waived_at": some_of("asc", "office")},
        (),
    ),
    "site_of_service": ({"office_first": flag, "codes": texts, "asc_only_if": texts}, ()),
    "episode_reset": (
        {"years_since_previous": whole(1), "also_when": anything, "then": text}, (("years_since_previous",),),
    ),
    "window_definition": (
        {"kind": one_of("anchored_year", "calendar_year"), "anchor": one_of("first_approved_session"), "when": text},
        (("kind",),),
    ),
    "combined": (
        {"prerequisite": fields(_BLOCKS, required=("family", "min_count", "min_relief_pct")),
         "max_levels_contiguous_per_side": whole(1), "session_cap": fields(_CAP, required=("max_sessions",)),
         "min_interval": fields(_INTERVAL), "repeat": fields(_RESPONSE, required=("min_relief_pct",)),
         "diagnostic_min_relief_pct": percent, "max_blocks_same_level_side": whole(1), "therapeutic": one_of("unproven"),
         "ultrasound": one_of("unproven"), "max_mbb_volume_ml": more_than_nothing, "second_block_min_relief_pct": percent,
         "max_levels": whole(1), "max_injections_bilateral": whole(1), "further_blocks_same_levels": one_of("unproven"),
         "max_sets_to_diagnose": whole(1)},
        (),
    ),
}  # fmt: skip
_ROW: dict[str, Check] = {
    "id": text, "payer_rule_set": text, "applies_to": texts, "type": one_of(*sorted(TYPES)), "params": anything,
    "severity": one_of(*SEVERITIES), "overridable_with_reason": flag, "enabled_by_default": flag, "source": anything,
    "verified": flag, "verified_via": text, "unverified_fields": anything, "notes": anything, "plan_types": some_of(*PLAN_TYPES),
    "effective_from": a_date, "effective_to": a_date, "title": text, "procedure_ids": texts,
}  # fmt: skip
_FAMILY_FIELDS = ("not_with", "exception", "family_any_of", "covers_families")


def check_row(checker: Checker, row: Mapping[str, Any], families: frozenset[str] = frozenset()) -> None:
    """Gather everything that is wrong with one row of payer rules; without `families` any family may be named."""
    name = str(row.get("id"))
    before = len(checker.faults)
    fields(_ROW, required=("id", "applies_to", "type", "params", "severity"))(checker, name, "", row)
    if len(checker.faults) > before:
        return
    known, groups = TYPES[row["type"]]
    params = row["params"]
    fields({**SHARED, **CRITERIA, **known})(checker, name, "params", params)
    if len(checker.faults) > before:
        return
    in_order(checker, name, row)
    for path, held in (("params", params), ("params.min_interval", params.get("min_interval"))):
        one_unit(checker, name, path, held or {})
    for group in groups:
        if not any(key in params for key in group):
            checker.say(name, "params", f"at least one of {', '.join(group)}")
    if not row["applies_to"]:
        checker.say(name, "applies_to", "at least one family")
    _check_families(checker, name, "applies_to", row["applies_to"], families)
    for key in _FAMILY_FIELDS:
        if isinstance(params.get(key), list):
            _check_families(checker, name, f"params.{key}", params[key], families)
    for path, held in (("params.family", params.get("family")), ("params.prerequisite.family", _of(params, "prerequisite"))):
        if held is not None:
            _check_families(checker, name, path, [held], families)


def _of(params: Mapping[str, Any], part: str) -> Any:
    return (params.get(part) or {}).get("family")


def _check_families(checker: Checker, name: str, path: str, held: list[str], families: frozenset[str]) -> None:
    for family in held if families else ():
        if family not in families:
            checker.say(name, path, f"families of the catalogue, not {family}")
