"""Sessions as the tests made them, and figures computed from these by other means than the product's."""

from __future__ import annotations

import random
import statistics
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from django.test import Client
from scipy import stats

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from patients import outcomes as recording
from patients import reports
from patients.models import Complication, Coverage, Medication, Patient, PerformedProcedure, Phase, Score
from patients.reports import By, Figures, Group, OutcomeReport
from procedures.models import Procedure
from tests import factories
from tests.factories import NOW, TODAY, SmallClinic

Enter = Callable[..., Client]
END = TODAY.replace(day=1)  # sessions of this month are not in the report yet


@dataclass
class Made:
    """One session as the test made it; the figures are computed from these, not from the product's tables."""

    patient: int
    procedure: str
    physician: str
    side: str
    on: date
    is_diagnostic: bool = False
    before: int | None = None
    later: list[tuple[date, int]] = field(default_factory=list)
    same_day: int | None = None
    peg: tuple[Decimal, Decimal] | None = None
    is_harmed: bool = False


class World:
    """Sessions by the hundred, their scores written as rows and judged by the product's own computation."""

    def __init__(self, clinic: SmallClinic, seed: int) -> None:
        self.clinic, self.dice = clinic, random.Random(seed)
        self.made: list[Made] = []
        self.procedures = [factories.procedure(code=f"kind_{n}", name=f"Kind {n}", needs=()) for n in range(3)]
        self.people = [factories.patient(home=clinic.site, last_name=f"Person{n}") for n in range(120)]
        self.opioids: dict[int, tuple[Decimal, date, date | None]] = {}
        for person in self.people[::2]:
            started, stopped = END - timedelta(days=900), END - timedelta(days=self.dice.randrange(30, 500))
            until = stopped if self.dice.random() < 0.6 else None
            amount = Decimal(self.dice.choice((10, 20, 40)))
            Medication.objects.create(
                patient=person, kind="opioid", drug="oxycodone", name="Oxycodone", daily_amount=amount, started_on=started,
                stopped_on=until, recorded_at=NOW,
            )  # fmt: skip
            self.opioids[person.pk] = (amount * Decimal("1.5"), started, until)
        for n, person in enumerate(self.people):
            if n % 3:
                Coverage.objects.create(
                    patient=person, payer="Harbour" if n % 3 == 1 else "Lakeland", payer_rules="none", plan_type="commercial",
                    recorded_at=NOW,
                )  # fmt: skip

    def add(self, count: int, **fixed: Any) -> None:
        """Make so many sessions, all their rows at once."""
        drawn = [self._drawn(**fixed) for _ in range(count)]
        people, kinds = {one.pk: one for one in self.people}, {one.code: one for one in self.procedures}
        kinds |= {one.code: one for one in [fixed.get("procedure")] if one}
        rows = PerformedProcedure.objects.bulk_create(
            PerformedProcedure(
                patient=people[one.patient], procedure=kinds[one.procedure], site=self.clinic.site, done_on=one.on, side=one.side,
                operator_name=one.physician, role="diagnostic" if one.is_diagnostic else "therapeutic", levels=["L4-L5"],
                recorded_at=NOW,
            )
            for one in drawn
        )  # fmt: skip
        pairs = list(zip(rows, drawn, strict=True))
        Score.objects.bulk_create(score for row, one in pairs for score in scores(row, one))
        Complication.objects.bulk_create(
            Complication(
                patient_id=one.patient, performed=row, kind="vasovagal", severity="minor", noticed_on=one.on, recorded_at=NOW
            )
            for row, one in pairs
            if one.is_harmed
        )
        recording.refresh(row.pk for row in rows)
        self.made += drawn

    def _drawn(self, **fixed: Any) -> Made:
        dice = self.dice
        person: Patient = fixed.get("person") or dice.choice(self.people)
        procedure: Procedure = fixed.get("procedure") or dice.choices(self.procedures, (6, 3, 3))[0]
        physician = fixed.get("physician") or dice.choice(("Dr. Adler", "Dr. Brandt"))
        on = fixed.get("on") or END - timedelta(days=dice.randrange(1, 364))
        return Made(
            patient=person.pk,
            procedure=procedure.code,
            physician=physician,
            side=dice.choice(("left", "right")),
            on=on,
            is_diagnostic=procedure.code == "kind_2",
            before=dice.randrange(3, 11) if dice.random() < 0.85 else None,
            same_day=dice.randrange(0, 5) if dice.random() < 0.7 else None,
            later=[(on + timedelta(days=days), dice.randrange(0, 10)) for days in (14, 42, 91) if dice.random() < 0.7],
            peg=(Decimal(dice.randrange(3, 10)), Decimal(dice.randrange(0, 9))) if dice.random() < 0.5 else None,
            is_harmed=dice.random() < 0.1,
        )


def scores(row: PerformedProcedure, one: Made) -> Iterator[Score]:
    """Yield the scores of a session as rows."""
    told: list[tuple[str, Any, date, str]] = []
    if one.before is not None:
        told.append(("nrs", one.before, one.on, Phase.BEFORE))
    if one.same_day is not None:
        told.append(("nrs", one.same_day, one.on, Phase.AFTER))
    told += [("nrs", value, on, Phase.FOLLOW_UP) for on, value in one.later]
    if one.peg:
        told += [("peg", one.peg[0], one.on, Phase.BEFORE), ("peg", one.peg[1], one.on + timedelta(days=42), Phase.FOLLOW_UP)]
    for measure, value, on, phase in told:
        yield Score(
            patient_id=one.patient, performed=row, measure=measure, aspect="index" if measure == "nrs" else "total", value=value,
            scored_on=on, phase=phase, recorded_at=NOW,
        )  # fmt: skip


def reliefs(one: Made) -> list[tuple[date, float]]:
    """Return relief by day, as `docs/decisions/0012` says it counts."""
    told = [*([(one.on, one.same_day)] if one.is_diagnostic and one.same_day is not None else []), *one.later]
    return [(on, 100 * (one.before - value) / one.before) for on, value in told] if one.before else []


def expected(made: Iterable[Made], world: World) -> dict[str, Any]:
    """Compute the figures of some sessions from what the test made, by other means than the product's."""
    sessions = list(made)
    known = [one for one in sessions if reliefs(one)]
    halves = [one for one in known if max(pct for _, pct in reliefs(one)) >= 50]
    ended, censored = [], []
    for one in halves:
        if one.is_diagnostic:
            continue
        held: date | None = None
        lost: date | None = None
        for on, pct in reliefs(one):
            if pct >= 50 and lost is None:
                held = on
            elif held is not None and lost is None:
                lost = on
        assert held is not None
        (ended if lost else censored).append(((lost or held) - one.on).days)
    pains = [reliefs(one)[-1][1] / -100 * (one.before or 0) for one in known]
    pegs = [float(one.peg[1] - one.peg[0]) for one in sessions if one.peg]
    return {
        "sessions": len(sessions),
        "people": len({one.patient for one in sessions}),
        "missing": (len(sessions) - len(known), len(sessions)),
        "half": (len(halves), len(known)),
        "most": (sum(max(pct for _, pct in reliefs(one)) >= 80 for one in known), len(known)),
        "ended": sorted(ended),
        "censored": sorted(censored),
        "pain": pains,
        "peg": pegs,
        "opioids": opioid_changes(sessions, world),
        "complications": (sum(one.is_harmed for one in sessions), len(sessions)),
    }


def opioid_changes(sessions: list[Made], world: World) -> list[float]:
    found = []
    for one in sessions:
        if one.patient not in world.opioids or one.on + timedelta(days=90) > TODAY:
            continue
        amount, started, stopped = world.opioids[one.patient]

        def takes(day: date, started: date = started, stopped: date | None = stopped) -> bool:
            return started <= day and (stopped is None or day < stopped)

        if takes(one.on):
            found.append(0.0 if takes(one.on + timedelta(days=90)) else -float(amount))
    return found


def gaps(world: World, of: Callable[[Made], bool]) -> list[int]:
    """Return the days between sessions of one procedure on one side of one patient; the later one is what is counted."""
    chains: dict[tuple[int, str, str], list[Made]] = defaultdict(list)
    for one in sorted(world.made, key=lambda made: made.on):
        chains[one.patient, one.procedure, one.side].append(one)
    pairs = [pair for chain in chains.values() for pair in pairwise(chain)]
    return sorted((b.on - a.on).days for a, b in pairs if of(b) and b.on != a.on)


def sizes(told: dict[str, Any]) -> dict[str, int]:
    """Return on how many values each figure rests."""
    counted = {name: told[name][1] for name in ("missing", "half", "most", "complications")}
    listed = {name: len(told[name]) for name in ("pain", "peg", "opioids")}
    return counted | listed | {"duration": len(told["ended"]) + len(told["censored"])}


def check_all(groups: Iterable[tuple[Figures, list[Made]]], world: World) -> None:
    """Compare the figures of groups; where a measure is small in one, others may be hidden to protect it."""
    pairs = [(figures, expected(made, world)) for figures, made in groups]
    few = {name for _, told in pairs for name, n in sizes(told).items() if 0 < n < 11}
    assert len(few) < 3
    for figures, told in pairs:
        check(figures, told, few)


def check(figures: Figures, told: dict[str, Any], few: Collection[str] = ()) -> None:
    """Compare every figure with what the other computation says."""
    told_sizes = sizes(told)
    for name, n in told_sizes.items():
        is_hidden = getattr(figures, name) is None
        assert not is_hidden or name in few, name
        assert is_hidden or not 0 < n < 11, name
    assert (figures.sessions, figures.people) == (told["sessions"], told["people"])
    for name in ("missing", "half", "most", "complications"):
        (count, n), found = told[name], getattr(figures, name)
        if found is None:
            continue
        bounds = stats.binomtest(count, n).proportion_ci(method="wilson")
        assert (found.n, found.value) == (n, pytest.approx(count / n))
        assert (found.low, found.high) == (pytest.approx(bounds.low, abs=1e-9), pytest.approx(bounds.high, abs=1e-9))
    for name in ("pain", "peg", "opioids"):
        values, found = told[name], getattr(figures, name)
        if found is None:
            continue
        low, high = stats.t.interval(0.95, len(values) - 1, statistics.fmean(values), stats.sem(values))
        assert (found.n, found.value) == (len(values), pytest.approx(statistics.fmean(values), abs=1e-3))
        assert (found.low, found.high) == (pytest.approx(low, abs=1e-3), pytest.approx(high, abs=1e-3))
    lasting = figures.duration
    if lasting is None:
        return
    assert (lasting.ended, lasting.censored) == (len(told["ended"]), len(told["censored"]))
    assert lasting.median.value == product_limit_median(told["ended"], told["censored"])


def product_limit_median(ended: list[int], censored: list[int]) -> float | None:
    left = 1.0
    for day in sorted(set(ended)):
        left *= 1 - ended.count(day) / sum(one >= day for one in [*ended, *censored])
        if left <= 0.5 + 1e-12:
            return float(day)
    return None


def report(clinic: SmallClinic, manager: User, by: By = By.PROCEDURE, years: int = 1, procedure: str = "") -> OutcomeReport:
    return reports.outcomes(
        by=by, years=years, today=TODAY, actor=Actor.of_user(manager), sites=[clinic.site.pk], procedure=procedure
    )  # fmt: skip


def group(found: OutcomeReport, code: str) -> Group:
    return next(one for one in found.groups if one.code == code)
