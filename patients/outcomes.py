"""Scores and relief: verbs that record scores, and what they say about each session, kept beside it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from patients import records, relief
from patients.models import Patient, PerformedProcedure, Phase, Role, Score, SessionOutcome
from patients.records import FieldRefused
from procedures import yaml_files
from procedures.tables.files import DATA

PAIN_SCALES = ("nrs", "vas")
CHUNK = 2_000  # sessions computed together
AFTER = (Phase.AFTER, Phase.DIARY, Phase.FOLLOW_UP)


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of the outcomes table; its values lie in ``least`` to ``most``."""

    code: str
    name: str
    least: Decimal
    most: Decimal
    is_lower_better: bool
    absolute: Fraction | None
    pct: Fraction | None


@cache
def measures() -> Mapping[str, Measure]:
    """Return the measures of the product's own table by code (source: `procedures/data/outcomes.yaml`)."""
    found = {}
    for row in yaml_files.read(DATA / "outcomes.yaml")[0]["measures"]:
        change = row.get("meaningful_change", {})
        found[row["id"]] = Measure(
            code=row["id"],
            name=row["name"],
            least=Decimal(str(row["range"][0])),
            most=Decimal(str(row["range"][1])),
            is_lower_better=row["better"] == "lower",
            absolute=Fraction(str(change["absolute"])) if "absolute" in change else None,
            pct=Fraction(str(change["percent"])) if "percent" in change else None,
        )
    return found


def record_score(*, patient: Patient, values: Mapping[str, Any], by: Actor, at: datetime) -> Score:
    """Record one score and renew what it says about its session.

    Raises:
        FieldRefused: the measure is unknown, the value outside its range, or the session another patient's or later.
        MayNotRecord: the actor may not record scores.
    """
    _check(patient, values)
    with transaction.atomic():
        score = records.record(kind=Score, patient=patient, values=values, by=by, at=at)
        _renew([score.performed_id])
    return score


def amend_score(*, score: Score, changes: Mapping[str, Any], by: Actor, at: datetime, version: int | None = None) -> Score:
    """Amend a score and renew what is said about its session, the old one too if it changed.

    Raises:
        FieldRefused, MayNotRecord: as for `record_score`.
        FactStale, NotAFact: as for `records.amend_fact`.
    """
    present = {name: getattr(score, name) for name in ("measure", "value", "range_text", "scored_on", "performed", "phase")}
    _check(score.patient, {**present, **changes})
    with transaction.atomic():
        old = score.performed_id
        kept = records.amend_fact(row=score, changes=changes, by=by, at=at, version=version)
        _renew([old, kept.performed_id])
    return kept


def withdraw_score(*, score: Score, reason: str, by: Actor, at: datetime, version: int | None = None) -> Score:
    """Mark a score as recorded by mistake and renew what is said about its session.

    Raises:
        FieldRefused, MayNotRecord, FactStale, NotAFact: as for `records.mark_in_error`.
    """
    with transaction.atomic():
        kept = records.mark_in_error(row=score, reason=reason, by=by, at=at, version=version)
        _renew([kept.performed_id])
    return kept


def refresh(performed: Iterable[int]) -> int:
    """Compute the outcomes of these sessions anew and write those that differ; return how many did."""
    keys = sorted(set(performed))
    fresh = {outcome.performed_id: outcome for outcome in compute(keys)}
    names = [field.attname for field in SessionOutcome._meta.fields if not field.primary_key]
    stored = {outcome.performed_id: outcome for outcome in SessionOutcome.objects.filter(pk__in=keys)}
    changed = [
        outcome
        for key, outcome in fresh.items()
        if key not in stored or any(getattr(stored[key], name) != getattr(outcome, name) for name in names)
    ]
    SessionOutcome.objects.bulk_create(
        changed, update_conflicts=True, unique_fields=["performed"], update_fields=names, batch_size=1000
    )
    return len(changed)


def check() -> int:
    """Compute the outcomes of every performed procedure anew, some at a time; return how many were otherwise."""
    keys = list(PerformedProcedure.objects.order_by("pk").values_list("pk", flat=True))
    return sum(refresh(keys[place : place + CHUNK]) for place in range(0, len(keys), CHUNK))


def compute(keys: Sequence[int]) -> list[SessionOutcome]:
    """Return what the standing scores say about each of these sessions; writes nothing."""
    rows = PerformedProcedure.objects.filter(pk__in=keys).values_list("pk", "done_on", "role")
    sessions = {key: (done_on, role == Role.DIAGNOSTIC) for key, done_on, role in rows}
    scores: dict[int, list[Score]] = defaultdict(list)
    for score in Score.objects.standing().filter(performed__in=keys).order_by("scored_on", "scored_at", "pk"):
        scores[score.performed_id].append(score)  # type: ignore[index]  # filtered by it
    return [_outcome(key, *session, scores[key]) for key, session in sorted(sessions.items())]


def _outcome(key: int, done_on: date, is_diagnostic: bool, scores: Sequence[Score]) -> SessionOutcome:
    outcome = SessionOutcome(performed_id=key)
    peg = [score for score in scores if score.measure == "peg" and score.value is not None]
    outcome.peg_before = next((score.value for score in reversed(peg) if score.phase == Phase.BEFORE), None)
    outcome.peg_last = next((score.value for score in reversed(peg) if score.phase in AFTER), None)
    told = [score for score in scores if score.measure in PAIN_SCALES and score.value is not None]
    counted = Counter((score.measure, score.aspect) for score in told if score.phase in AFTER)
    baselines = {(score.measure, score.aspect): score.value for score in told if score.phase == Phase.BEFORE}
    usable = [(count, scale) for scale, count in counted.items() if baselines.get(scale)]
    outcome.score_count = sum(counted.values())
    if not usable:
        return outcome
    scale = max(usable, key=lambda one: (one[0], one[1]))[1]
    baseline = baselines[scale]
    after = [
        (score.scored_on, Fraction(score.value))
        for score in told
        if (score.measure, score.aspect) == scale and score.phase in AFTER and score.value is not None
    ]
    readings = relief.reliefs(Fraction(baseline or 0), after)
    outcome.measure, outcome.baseline = scale[0], baseline
    outcome.first_pct, outcome.last_pct = _rounded(readings[0][1]), _rounded(readings[-1][1])
    outcome.best_pct = _rounded(max(pct for _, pct in readings))
    outcome.last_on = readings[-1][0]
    for threshold, name in ((relief.HALF, "50"), (relief.MOST, "80")):
        lasted = relief.lasting(readings, threshold)
        if lasted is not None:
            setattr(outcome, f"held_{name}_until", lasted.held_until)
            setattr(outcome, f"lost_{name}_on", lasted.lost_on)
    _tell_later(outcome, readings if is_diagnostic else [one for one in readings if one[0] > done_on])
    return outcome


def _tell_later(outcome: SessionOutcome, readings: relief.Readings) -> None:
    """Fill what the readings of later days say: those by which a session is judged."""
    outcome.later_count = len(readings)
    if not readings:
        return
    outcome.later_best_pct = _rounded(max(pct for _, pct in readings))
    lasted = relief.lasting(readings, relief.HALF)
    if lasted is not None:
        outcome.later_50_until, outcome.later_50_lost_on = lasted.held_until, lasted.lost_on


def _rounded(pct: Fraction) -> Decimal:
    return (Decimal(pct.numerator) / Decimal(pct.denominator)).quantize(Decimal("0.0001"))


def _renew(keys: Iterable[int | None]) -> None:
    refresh(key for key in keys if key is not None)


def _check(patient: Patient, values: Mapping[str, Any]) -> None:
    measure = measures().get(values.get("measure", ""))
    if measure is None:
        raise FieldRefused("measure_unknown", "measure", f"Choose one of: {', '.join(sorted(measures()))}.")
    value = values.get("value")
    if value is not None and not measure.least <= Decimal(value) <= measure.most:
        raise FieldRefused("out_of_range", "value", f"{measure.name} goes from {measure.least} to {measure.most}.")
    performed, scored_on = values.get("performed"), values.get("scored_on")
    if performed is None:
        return
    if performed.patient_id != patient.pk:
        raise FieldRefused("not_this_patient", "performed", "This procedure is another patient's.")
    if scored_on is None:
        raise FieldRefused("missing", "scored_on", "Say on which day.")
    if values.get("phase") in AFTER and scored_on < performed.done_on:
        raise FieldRefused("before_the_procedure", "scored_on", "This day is before the procedure.")
    if values.get("phase") == Phase.BEFORE and scored_on > performed.done_on:
        raise FieldRefused("after_the_procedure", "scored_on", "A score before the procedure cannot be dated after it.")
