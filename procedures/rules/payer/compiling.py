"""Make rules of the rows of payer rules: which rules apply is data, what a rule means is code.

The rows of one coverage are compiled together, because some of them speak of one another: response and rescue, blocks,
repeats and staleness, first criteria and the reset of an episode, caps and the definition of a plan's year.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from procedures.rules.dates import Period, Window, period_of
from procedures.rules.payer.blocks import (
    AblationBlocks,
    BlockAfterAblation,
    SacroiliacTest,
    SecondBlock,
    Stale,
    TherapeuticFacet,
)
from procedures.rules.payer.caps import LifetimeBodies, Limit, MinInterval, SessionCap
from procedures.rules.payer.criteria import (
    Criteria,
    DiagnosisList,
    EpisodeReset,
    ExtendedReview,
    Initial,
    Noncovered,
    NoncoveredIndication,
    PriorAuthorization,
    Requires,
    ScaleDocumentation,
    SiteOfService,
)
from procedures.rules.payer.limits import (
    DoseCeiling,
    GuidanceProhibited,
    GuidanceRequired,
    Hint,
    LevelLimit,
    NoSeries,
    OneRegion,
    SameDay,
    SedationReview,
    Technique,
)
from procedures.rules.payer.parts import (
    Companions,
    Data,
    blocks_of,
    ceilings,
    number,
    response_of,
    row_of,
    scope_of,
    window_of,
)
from procedures.rules.payer.repeats import CystRepeat, RepeatResponse, Rescue, TrialSuccess
from procedures.rules.payer.rounds import MaxBlocks
from procedures.rules.payer.shapes import CRITERIA
from procedures.rules.responses import Response
from procedures.rules.rows import Row, Ruled
from procedures.rules.shapes import UNITS

# The parts of types whose requirements hold each time, not only before a first session.
_ALWAYS = frozenset({"prerequisite_procedures", "repeat_limit", "extended_treatment_review", "coverage_with_study"})


def compile_rows(rows: Sequence[Data]) -> tuple[Ruled, ...]:
    """Return the rules of the rows that are in force together."""
    companions = Companions(rows)
    return tuple(rule for data in rows for rule in _compile(data, companions))


def _compile(data: Data, others: Companions) -> list[Ruled]:
    found = _KINDS[data["type"]](row_of(data), data["params"], data, others)
    if CRITERIA.keys() & data["params"].keys() or ("requires" in data["params"] and data["type"] not in _ALWAYS):
        found.append(_initial(row_of(data), data, others))
    return found


def _initial(row: Row, data: Data, others: Companions) -> Initial:
    params = data["params"]
    requires = () if data["type"] in _ALWAYS else tuple(params.get("requires", ()))
    score = params.get("min_pain_score")
    criteria = Criteria(
        pain_weeks=params.get("min_pain_weeks"),
        pain_months=params.get("min_pain_months"),
        conservative_weeks=params.get("min_conservative_weeks"),
        conservative_months=params.get("min_conservative_months"),
        waived_if=frozenset(params.get("conservative_waived_if", ())),
        pain_score=None if score is None else number(score),
        provocation_tests=params.get("min_positive_provocation_tests", params.get("min_provocation_tests")),
        imaging_months=params.get("imaging_within_months"),
        requires=requires,
        indications=frozenset(params.get("indication_any_of", ())),
    )
    reset = others.of("episode_reset", data)
    return Initial(row, criteria, None if reset is None else Period(months=12 * reset["years_since_previous"]))


def _cap(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    defined = others.of("window_definition", data)
    default = Window(defined["kind"] if defined else "rolling")
    limits = tuple(Limit(window_of(one.get("window"), default), one["max_sessions"]) for one in params.get("all_of") or (params,))
    per = next((one for one in params.get("count_per", ("payer_region",)) if one != "patient"), "patient")
    is_one = params.get("bilateral_same_level_counts_as") == 1
    return [SessionCap(row, limits, per, params.get("role", ""), params.get("unit", "session"), is_one)]


def _interval(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    since = params.get("since", "")
    is_block = "first_diagnostic" in since
    is_site = is_block or any(since.endswith(word) for word in ("same_site", "same_joint", "same_levels"))
    scope = "site" if is_site else "region" if since.endswith("same_region") else "any"
    later = params.get("later_interval")
    return [
        MinInterval(
            row,
            period_of({unit: params[unit] for unit in UNITS if unit in params}),
            scope,
            is_block,
            params.get("initial_max", 0),
            period_of(later) if later else None,
        )
    ]


def _repeat(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    stale = others.of("staleness", data)
    scope = scope_of(params.get("reference", ""))
    return [
        RepeatResponse(
            row,
            response_of(params),
            scope,
            params.get("role", "therapeutic"),
            scope == "region" and others.of("rescue_repeat", data) is not None,
            None if stale is None or scope != "site" else Period(months=12 * stale["max_years_since_previous_rfa"]),
        )
    ]


def _rescue(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    repeat = others.of("repeat_response", data)
    response = response_of(repeat) if repeat else Response(Fraction(50), any_of=("pain", "function"))
    changes = tuple(params.get("must_change_at_least_one_of", ()))
    return [Rescue(row, response, Period(days=params["min_interval_days"]), changes, params.get("requires_rationale", False))]


def _levels(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    return [
        LevelLimit(
            row, params["max_levels"], frozenset(params.get("approach", ())), params.get("bilateral", ""),
            params.get("regions_per_session"),
        )
    ]  # fmt: skip


def _one_region(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    found: list[Ruled] = []
    if "max_regions" in params:
        found.append(OneRegion(row, params["max_regions"]))
    if "max_anatomical_groups" in params:
        found.append(OneRegion(row, params["max_anatomical_groups"], is_group=True))
    return found


def _same_day(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    return [
        SameDay(
            row,
            frozenset(params.get("not_with", ())),
            frozenset(params.get("exception", ())),
            tuple(map(frozenset, params.get("not_with_same_side", ()))),
            params.get("only_one_invasive_modality_at_a_time", False),
        )
    ]


def _guidance(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    return [GuidanceRequired(row, frozenset(params["allowed"]), "ultrasound" in params.get("exception", ""))]


def _not_guidance(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    return [GuidanceProhibited(row, frozenset((*params.get("not_covered", ()), *params.get("investigational", ()))))]


def _technique(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    least = params.get("min_temperature_c")
    refused = frozenset(params.get("noncovered", ()))
    return [Technique(row, refused, None if least is None else number(least), params.get("strictly_greater", False))]


def _dose(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    return [DoseCeiling(row, ceilings(params["ceiling_mg"]))]


def _second_block(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    pct = number(params["min_relief_pct"])
    return [SacroiliacTest(row, pct) if "side" in params["reference"] else SecondBlock(row, pct)]


def _prerequisite(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    if "success_any_of" in params or "trial" in params.get("reference", ""):
        success = params.get("success_any_of") or [{"min_relief_pct": params.get("min_relief_pct", 0)}]
        relief = [number(one["min_relief_pct"]) for one in success if "min_relief_pct" in one]
        reduction = [number(one["min_reduction_pct"]) for one in success if "min_reduction_pct" in one]
        families = blocks_of({**params, "min_relief_pct": 0}).families
        found: Ruled = TrialSuccess(row, families, min(relief, default=None), min(reduction, default=None))
    elif params.get("for_role") == "therapeutic":
        pct = params.get("repeat_min_relief_pct", params.get("min_relief_pct", 0))
        repeat = Response(number(pct), period_of(params.get("repeat_min_duration") or {}))
        return [TherapeuticFacet(row, blocks_of(params), repeat, tuple(params.get("requires", ())))]
    else:
        found = AblationBlocks(row, blocks_of(params))
    return [found, *([Requires(row, tuple(params["requires"]))] if "requires" in params else [])]


def _stale(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    blocks = others.of("prerequisite_procedures", data)
    period = Period(months=12 * params["max_years_since_previous_rfa"])
    return [Stale(row, period, None if blocks is None else blocks_of(blocks))]


def _noncovered(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    if "success_min_relief_pct" in params:
        period = Period(months=12 * params.get("max_years_since_previous_rfa", 100))
        return [BlockAfterAblation(row, number(params["success_min_relief_pct"]), period)]
    return [Noncovered(row, params.get("reason", ""))]


def _cyst(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    response = response_of({"min_relief_pct": 0, **params})
    return [CystRepeat(row, params["max_repeats_per_cyst"], response, tuple(params.get("requires", ())))]


def _modifier(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    role = "diagnostic" if "diagnostic" in params.get("when", "") else ""
    when = f" ({params['when'].replace('_', ' ')})" if "when" in params else ""
    text = f"Add the modifier {params['modifier']}{when}."
    return [Hint(row, text, role, frozenset(params.get("procedure_ids", ())))]


def _units(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    units = params.get("primary_code_units_per_day", 1)
    both = f"; both sides are {params['bilateral']}" if "bilateral" in params else ""
    return [Hint(row, f"At most {units} unit of the first code a day{both}.")]


def _bodies(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    return [
        LifetimeBodies(
            row,
            params["max_vertebral_bodies"],
            tuple(params.get("allowed_levels", ())),
            params.get("max_per_session"),
            "same_body_again" in params,
            tuple(params.get("modic_type_any_of", ())),
        )
    ]


def _authorization(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    skipped = params.get("if_skipped", "")
    note = f"It is voluntary; without it: {skipped.replace('_', ' ')}." if params.get("voluntary") else ""
    if "may_be_waived_at" in params:
        # "May" is not known to be: the finding stays, and whoever books gives the waiver as the reason.
        note = f"The plan may waive it at {' or '.join(params['may_be_waived_at'])}."
    return [
        PriorAuthorization(
            row,
            frozenset(params.get("codes", ())),
            frozenset(params.get("place_of_service", ())),
            frozenset(params.get("not_in", ())),
            frozenset(params.get("states", ())),
            frozenset(params.get("covers_families", ())),
            params.get("approval_valid_days"),
            note,
        )
    ]


def _site(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    return [SiteOfService(row, frozenset(params.get("codes", ())), tuple(params.get("asc_only_if", ())))]


def _reset(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    is_elsewhere = others.of("initial_criteria", data) is not None
    return [EpisodeReset(row, Period(months=12 * params["years_since_previous"]), is_elsewhere)]


def _combined(row: Row, params: Data, data: Data, others: Companions) -> list[Ruled]:
    found: list[Ruled] = []
    for name, kind in (("session_cap", _cap), ("min_interval", _interval)):
        if name in params:
            found += kind(row, params[name], data, others)
    if "prerequisite" in params:
        found.append(AblationBlocks(row, blocks_of(params["prerequisite"])))
    if "repeat" in params:
        repeat = params["repeat"]
        found.append(RepeatResponse(row, response_of(repeat), scope_of(repeat.get("reference", "site"))))
    if "max_levels_contiguous_per_side" in params:
        found.append(LevelLimit(row, params["max_levels_contiguous_per_side"], is_per_side=True))
    if "max_levels" in params:
        found.append(LevelLimit(row, params["max_levels"], injections_most=params.get("max_injections_bilateral")))
    if "diagnostic_min_relief_pct" in params:
        found.append(SacroiliacTest(row, number(params["diagnostic_min_relief_pct"])))
    if "second_block_min_relief_pct" in params:
        found.append(SecondBlock(row, number(params["second_block_min_relief_pct"])))
    if "max_blocks_same_level_side" in params:
        found.append(MaxBlocks(row, params["max_blocks_same_level_side"]))
    if "further_blocks_same_levels" in params:
        found.append(MaxBlocks(row, 2, is_reported=False))
    if "therapeutic" in params:
        found.append(Noncovered(row, params["therapeutic"], role="therapeutic"))
    if "ultrasound" in params:
        found.append(Noncovered(row, params["ultrasound"], guidance="ultrasound"))
    if "max_sets_to_diagnose" in params:
        found.append(SessionCap(row, (Limit(Window("episode"), params["max_sets_to_diagnose"]),), "patient"))
    return found


_KINDS: dict[str, Callable[[Row, Data, Data, Companions], list[Ruled]]] = {
    "session_cap": _cap,
    "initial_criteria": lambda row, params, data, others: [],
    "repeat_response": _repeat,
    "rescue_repeat": _rescue,
    "level_limit": _levels,
    "one_region_per_session": _one_region,
    "same_day_exclusion": _same_day,
    "guidance_required": _guidance,
    "guidance_prohibited": _not_guidance,
    "no_predetermined_series": lambda row, params, data, others: [NoSeries(row)],
    "dose_ceiling_per_session": _dose,
    "extended_treatment_review": lambda row, params, data, others: [
        ExtendedReview(row, Period(months=params["after_months"]), tuple(params["requires"]))
    ],
    "noncovered_indication": lambda row, params, data, others: [NoncoveredIndication(row, frozenset(params["indications"]))],
    "sedation_review": lambda row, params, data, others: [SedationReview(row, frozenset(params["levels"]))],
    "modifier_hint": _modifier,
    "min_interval": _interval,
    "prerequisite_response": _second_block,
    "prerequisite_procedures": _prerequisite,
    "staleness": _stale,
    "technique": _technique,
    "noncovered": _noncovered,
    "repeat_limit": _cyst,
    "documentation": lambda row, params, data, others: [ScaleDocumentation(row)],
    "unit_limit": _units,
    "diagnosis_list": lambda row, params, data, others: [
        DiagnosisList(row, tuple(params["icd10_prefixes"]), params.get("must_be_billable", False))
    ],
    "lifetime_cap": _bodies,
    "coverage_with_study": lambda row, params, data, others: [
        Requires(row, tuple(params["requires"]), "Covered only in a study: needed")
    ],
    "prior_authorization": _authorization,
    "site_of_service": _site,
    "episode_reset": _reset,
    "window_definition": lambda row, params, data, others: [],
    "combined": _combined,
}
