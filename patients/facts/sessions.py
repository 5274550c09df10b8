"""What was performed, with the drugs given and how it went, as sessions that rules count."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

from patients import relief
from procedures.rules.facts import Score, Session
from procedures.rules.offers import DEFAULT_DOSE, DEFAULT_DRUG
from procedures.rules.places import is_level

PAIN, PERCENT = ("nrs", "vas"), "percent_relief"
FUNCTION = {
    "peg": True,
    "odi": True,
    "ndi": True,
    "rmdq": True,
    "qbpds": True,
    "pdi": True,
    "promis_pi": True,
    "promis_pf": False,
}
BEFORE, AFTER = "before", frozenset({"after", "diary", "follow_up"})
OTHER = "other"
Rows = Sequence[Sequence[Any]]


class _Scored(NamedTuple):
    performed: int | None
    measure: str
    aspect: str
    value: str | None
    range_text: str
    on: str
    phase: str


def day(written: str | None) -> date | None:
    """Return a day as the database writes it in JSON."""
    return None if written is None else date.fromisoformat(written[:10])


def sure_day(written: str) -> date:
    return date.fromisoformat(written[:10])


@lru_cache(maxsize=4096)  # the same few scores and doses come again and again, and reading one takes longer than finding it
def exact(written: str) -> Fraction:
    """Return a figure exactly as it is written."""
    return Fraction(written)


def figure(written: str | None) -> Fraction | None:
    """Return a figure exactly as it is on file."""
    return None if written is None else exact(written)


def performed_sessions(performed: Rows, given: Rows, scores: Rows, names: Mapping[str, str]) -> tuple[Session, ...]:
    """Return what was performed here and elsewhere, and each steroid outside any procedure as a session of its own.

    `names` are what people call the procedures, by code.
    """
    drugs: dict[int | None, list[Sequence[Any]]] = defaultdict(list)
    for row in given:
        drugs[row[0]].append(row)
    scored: dict[int | None, list[_Scored]] = defaultdict(list)
    for row in scores:
        scored[row[0]].append(_Scored(*row))
    found = []
    for row in performed:
        own = drugs.pop(row[0], [])
        found.append(_session(row, own[:1], scored.get(row[0], ()), names))
        found += [_steroid(one) for one in own[1:]]
    found += [_steroid(one) for rows in drugs.values() for one in rows]
    return tuple(found)


def _steroid(row: Sequence[Any]) -> Session:
    _, drug, dose, on = row
    return Session(sure_day(on), OTHER, OTHER, "performed", "midline", drug=drug, dose_mg=figure(dose))


def _session(row: Sequence[Any], given: Rows, scored: Sequence[_Scored], names: Mapping[str, str]) -> Session:
    (_, code, family, approach, steroid, _, done_on, is_elsewhere, side, levels, regions, body_site, role, indication, has_kx,
     function_improved, medication_reduced, medication_reduction, matched, lead_removed_on, other_name) = row  # fmt: skip
    on = sure_day(done_on)
    held = tuple(level for level in levels if is_level(level))
    drug, dose = (given[0][1], figure(given[0][2])) if given else ("", None)
    if not given and (steroid or "").startswith("yes"):
        drug, dose = DEFAULT_DRUG, DEFAULT_DOSE  # nobody wrote down what was given, and some was
    side, site = apart(side, body_site or ("" if held else "_".join(regions)))
    return Session(
        on, code or OTHER, family or OTHER, "performed", side or "midline", held, is_elsewhere, role=role,
        approach=approach or "", site=site, indication=indication, drug=drug, dose_mg=dose, has_kx=has_kx is not False,
        scores=scores_of(on, scored), has_range=any(one.range_text for one in scored),
        function_improved=function_improved, medication_reduced=medication_reduced,
        medication_reduction=figure(medication_reduction), matched_agent=matched, lead_removed_on=day(lead_removed_on),
        name=names.get(code) or other_name,
    )  # fmt: skip


def apart(side: str, site: str) -> tuple[str, str]:
    """Return side and site told apart: `right_knee` names both."""
    word, _, rest = site.partition("_")
    return (side or word, rest) if word in ("left", "right") and rest else (side, site)


def scores_of(on: date, scored: Sequence[_Scored]) -> tuple[Score, ...]:
    """Return how the patient did after a session, in percent, by day; of one day the better figure."""
    pain = [*_relief(scored, dict.fromkeys(PAIN, True)), *_percents(scored)]
    function = _relief(scored, FUNCTION)
    days: dict[date, list[Fraction | None]] = {}
    for place, readings in enumerate((pain, function)):
        for day_, pct in readings:
            held = days.setdefault(day_, [None, None])
            best = held[place]
            held[place] = pct if best is None else max(best, pct)
    return tuple(Score(day_, *days[day_]) for day_ in sorted(days) if day_ >= on)


def _relief(scored: Sequence[_Scored], measures: Mapping[str, bool]) -> list[tuple[date, Fraction]]:
    """Return relief on the scale with a score before and the most after it."""
    told = [one for one in scored if one.measure in measures and one.value is not None]
    if not told:
        return []
    baselines = {(one.measure, one.aspect): exact(one.value or "0") for one in told if one.phase == BEFORE}
    counted = Counter((one.measure, one.aspect) for one in told if one.phase in AFTER)
    usable = [(count, scale) for scale, count in counted.items() if baselines.get(scale)]
    if not usable:
        return []
    scale = max(usable)[1]
    after = [
        (sure_day(one.on), exact(one.value or "0")) for one in told if (one.measure, one.aspect) == scale and one.phase in AFTER
    ]
    return list(relief.reliefs(baselines[scale], after, is_lower_better=measures[scale[0]]))


def _percents(scored: Sequence[_Scored]) -> list[tuple[date, Fraction]]:
    return [
        (sure_day(one.on), exact(one.value))
        for one in scored
        if one.measure == PERCENT and one.value is not None and one.phase in AFTER
    ]
