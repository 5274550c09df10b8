"""What works in this clinic: figures equal an independent computation, small groups stay hidden, by whatever question."""

from __future__ import annotations

import csv
import io
import random
import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from scipy import stats

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.audit.models import AuditEvent
from patients import outcomes as recording
from patients import reports
from patients.models import Complication, Coverage, Medication, Patient, PerformedProcedure, Phase, Score
from patients.reports import By, Figures, Group, NotShown, OutcomeReport
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


@pytest.fixture
def that_day() -> Iterator[None]:
    """Let doors act on the day of the tests."""
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def manager(clinic: SmallClinic) -> User:
    return factories.user(role="manager", sites=(clinic.site,))


def report(clinic: SmallClinic, manager: User, by: By = By.PROCEDURE, years: int = 1, procedure: str = "") -> OutcomeReport:
    return reports.outcomes(
        by=by, years=years, today=TODAY, actor=Actor.of_user(manager), sites=[clinic.site.pk], procedure=procedure
    )  # fmt: skip


def group(found: OutcomeReport, code: str) -> Group:
    return next(one for one in found.groups if one.code == code)


@pytest.fixture
def world(clinic: SmallClinic) -> World:
    made = World(clinic, seed=20260914)
    made.add(330)
    return made


def test_every_figure_is_that_of_an_independent_computation(world: World, clinic: SmallClinic, manager: User) -> None:
    found = report(clinic, manager)

    assert [one.code for one in found.groups] == ["kind_0", "kind_1", "kind_2"]
    assert (found.first_on, found.last_on, found.hidden) == (date(2025, 9, 1), date(2026, 8, 31), 0)
    assert found.total is not None
    check(found.total, expected(world.made, world))
    check_all(((one.figures, [made for made in world.made if made.procedure == one.code]) for one in found.groups), world)
    between = gaps(world, lambda _: True)
    assert found.total.repeat is not None
    assert (found.total.repeat.n, found.total.repeat.value) == (len(between), statistics.median(between))


@pytest.mark.parametrize(
    ("by", "key"),
    [
        (By.CATEGORY, lambda made, world: "epidural"),
        (By.PHYSICIAN, lambda made, world: made.physician),
        (By.TARGET, lambda made, world: "L4-L5"),
        (By.PAYER, lambda made, world: ("", "Harbour", "Lakeland")[[one.pk for one in world.people].index(made.patient) % 3]),
    ],
)
def test_groups_are_those_of_what_was_asked(
    by: By, key: Callable[[Made, World], str], world: World, clinic: SmallClinic, manager: User
) -> None:
    found = report(clinic, manager, by)

    assert {one.code for one in found.groups} == {key(made, world) for made in world.made}
    check_all(((one.figures, [made for made in world.made if key(made, world) == one.code]) for one in found.groups), world)


def test_quarters_count_back_from_the_last_whole_month(world: World, clinic: SmallClinic, manager: User) -> None:
    found = report(clinic, manager, By.PERIOD)

    assert [one.name for one in found.groups] == [
        "Sep 2025 to Nov 2025", "Dec 2025 to Feb 2026", "Mar 2026 to May 2026", "Jun 2026 to Aug 2026"
    ]  # fmt: skip
    starts = [date(2025, 9, 1), date(2025, 12, 1), date(2026, 3, 1), date(2026, 6, 1), END]
    spans = zip(found.groups, pairwise(starts), strict=True)
    check_all(((one.figures, [made for made in world.made if first <= made.on < end]) for one, (first, end) in spans), world)


def test_a_report_of_one_procedure_is_of_its_sessions_alone(world: World, clinic: SmallClinic, manager: User) -> None:
    found = report(clinic, manager, By.PHYSICIAN, procedure="kind_0")

    own = [made for made in world.made if made.procedure == "kind_0"]
    assert found.total is not None
    check(found.total, expected(own, world))
    check_all(((one.figures, [made for made in own if made.physician == one.code]) for one in found.groups), world)


def test_sessions_elsewhere_of_other_sites_by_mistake_and_of_other_years_do_not_count(
    world: World, clinic: SmallClinic, manager: User
) -> None:
    before = report(clinic, manager)
    other, row = factories.site(), PerformedProcedure.objects.order_by("pk").first()
    assert row is not None
    for changes in (
        {"is_elsewhere": True}, {"site": other}, {"is_in_error": True, "error_reason": "typed twice"},
        {"done_on": END}, {"done_on": END.replace(year=2025) - timedelta(days=1)},
    ):  # fmt: skip
        values = {"patient": world.people[0], "procedure": row.procedure, "site": clinic.site, "done_on": row.done_on}
        PerformedProcedure.objects.create(**{**values, **changes}, recorded_at=NOW)

    assert report(clinic, manager).total == before.total
    assert report(clinic, manager, years=2).total != before.total


# --- small groups ------------------------------------------------------------------------------------------------------


def test_a_small_group_is_hidden_together_with_one_that_would_give_it_away(
    world: World, clinic: SmallClinic, manager: User
) -> None:
    rare = factories.procedure(code="rare", name="Rare", needs=())
    for n in range(5):
        world.add(1, procedure=rare, person=world.people[n])
    found = report(clinic, manager)

    assert "rare" not in {one.code for one in found.groups}
    assert len(found.groups) == 2  # the smallest of the others went with it
    assert found.hidden == 2
    assert found.total is not None
    assert found.total.sessions - sum(one.figures.sessions for one in found.groups) >= 11
    for code in ("rare", "kind_2", "no_such_thing"):
        with pytest.raises(NotShown):
            report(clinic, manager, By.PHYSICIAN, procedure=code)


def test_many_sessions_of_few_people_are_hidden(world: World, clinic: SmallClinic, manager: User) -> None:
    often = factories.procedure(code="often", name="Often", needs=())
    world.add(30, procedure=often, person=world.people[0])

    assert "often" not in {one.code for one in report(clinic, manager).groups}


def test_a_small_group_comes_out_of_no_question(world: World, clinic: SmallClinic, manager: User) -> None:
    """Every report that can be asked for is asked for: no difference of shown sums is a group of one to ten sessions."""
    for n in range(13):
        world.add(1, physician="Dr. Dent", on=END - timedelta(days=400 + n), person=world.people[n])
    for n in range(4):
        world.add(1, physician="Dr. Dent", on=END - timedelta(days=40 + n), person=world.people[20 + n])
    for years in (1, 2, 3, 5):
        first = END.replace(year=END.year - years)
        within = [made for made in world.made if made.on >= first]
        for procedure in ("", "kind_0", "kind_1", "kind_2"):
            try:
                found = report(clinic, manager, By.PHYSICIAN, years, procedure)
            except NotShown:
                continue
            shown = {one.code: one.figures.sessions for one in found.groups}
            truth: dict[str, int] = defaultdict(int)
            for made in within:
                if procedure in {"", made.procedure}:
                    truth[made.physician] += 1
            assert all(count >= 11 and truth[name] == count for name, count in shown.items())
            gone = {name: count for name, count in truth.items() if name not in shown}
            assert found.total is not None
            assert not gone or (len(gone) > 1 and sum(gone.values()) >= 11)


def test_a_small_cell_is_protected_along_its_procedure_and_its_physician(
    world: World, clinic: SmallClinic, manager: User
) -> None:
    """Of all procedures less the other procedures nothing comes out: what is hidden of one physician is hidden twice."""
    third = "Dr. Cole"
    world.add(4, physician=third, procedure=world.procedures[0])
    world.add(40, physician=third, procedure=world.procedures[1])
    world.add(40, physician=third, procedure=world.procedures[2])
    whole = {one.code for one in report(clinic, manager, By.PHYSICIAN).groups}
    parts = [{one.code for one in report(clinic, manager, By.PHYSICIAN, procedure=f"kind_{n}").groups} for n in range(3)]

    assert third in whole
    assert third not in parts[0]
    assert sum(third not in names for names in parts) >= 2
    assert all(len(whole - names) != 1 for names in parts)


def test_two_windows_do_not_give_their_difference_away(clinic: SmallClinic, manager: User) -> None:
    world = World(clinic, seed=3)
    for n in range(40):
        world.add(1, procedure=world.procedures[0], person=world.people[n], on=END - timedelta(days=10 + n))
    for n in range(4):
        world.add(1, procedure=world.procedures[0], person=world.people[50 + n], on=END - timedelta(days=500))

    assert report(clinic, manager, years=1).total is not None
    assert report(clinic, manager, years=2).total is None  # its four more would be the difference


def test_a_measure_of_few_is_hidden_where_the_group_is_shown(clinic: SmallClinic, manager: User) -> None:
    world = World(clinic, seed=4)
    world.add(60, procedure=world.procedures[0])
    Score.objects.filter(measure="peg").exclude(
        performed__in=Score.objects.filter(measure="peg").order_by("performed").values("performed").distinct()[:6]
    ).delete()
    recording.check()
    found = report(clinic, manager)

    assert found.total is not None
    assert found.total.peg is None
    assert found.total.half is not None


def test_too_little_of_everything_shows_nothing(clinic: SmallClinic, manager: User) -> None:
    world = World(clinic, seed=5)
    world.add(10)
    found = report(clinic, manager)

    assert (found.total, found.groups, found.procedures) == (None, (), ())
    assert report(clinic, manager, By.PERIOD, 5).total is None


# --- doors -------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("that_day")
def test_the_page_shows_table_curve_and_words(world: World, clinic: SmallClinic, signed_in: Enter) -> None:
    client = signed_in("manager", clinic.site)
    told = client.get(reverse("patients:outcomes"), {"by": "procedure"})

    assert told.status_code == 200
    assert "Epidural" in client.get(reverse("patients:outcomes")).content.decode()
    text = told.content.decode()
    for name in ("Kind 0", "Kind 1", "Kind 2", "still open", "Wilson", "Kaplan-Meier", "curve-line"):
        assert name in text
    assert "Person1" not in text
    assert AuditEvent.objects.filter(act="patients.read_outcomes").count() == 2


@pytest.mark.usefixtures("that_day")
def test_the_file_says_what_the_report_says(world: World, clinic: SmallClinic, manager: User, signed_in: Enter) -> None:
    client = signed_in("physician", clinic.site)
    told = client.get(reverse("patients:outcomes_csv"), {"by": "physician"})
    rows = list(csv.DictReader(io.StringIO(told.content.decode("utf-8-sig"))))
    found = report(clinic, manager, By.PHYSICIAN)

    assert told["Content-Type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(r'attachment; filename="outcomes-physician-2025-09-2026-08.csv"', told["Content-Disposition"])
    assert [row["group"] for row in rows] == [*(one.code for one in found.groups), ""]
    for row, one in zip(rows, [*(each.figures for each in found.groups), found.total], strict=True):
        assert one is not None
        assert one.half is not None
        assert one.half.value is not None
        assert (int(row["sessions"]), float(row["responders_50_value"])) == (one.sessions, round(one.half.value, 4))
    event = AuditEvent.objects.filter(act="patients.read_outcomes").order_by("pk").first()
    assert event is not None
    assert (event.details["as"], event.details["count"]) == ("csv", 2)


@pytest.mark.parametrize(
    ("role", "status"),
    [("desk", 403), ("nurse", 403), ("biller", 403), ("auditor", 403), ("admin", 403), ("physician", 200), ("manager", 200)],
)
def test_physicians_and_managers_open_it(role: str, status: int, clinic: SmallClinic, signed_in: Enter) -> None:
    client = signed_in(role, clinic.site)

    assert client.get(reverse("patients:outcomes")).status_code == status
    assert client.get(reverse("patients:outcomes_csv")).status_code == status


def test_a_colleague_of_another_site_sees_nothing_of_it(world: World, signed_in: Enter) -> None:
    text = signed_in("manager", factories.site()).get(reverse("patients:outcomes")).content.decode()

    assert "too few sessions" in text
    assert "Kind 0" not in text


@pytest.mark.parametrize("asked", [{"by": "name"}, {"years": "4"}, {"years": "x"}, {"procedure": "a b"}, {"procedure": "rare"}])
def test_what_cannot_be_asked_is_refused(asked: dict[str, str], clinic: SmallClinic, signed_in: Enter) -> None:
    client = signed_in("manager", clinic.site)

    assert client.get(reverse("patients:outcomes"), asked).status_code == 422
    assert client.get(reverse("patients:outcomes_csv"), asked).status_code == 422


def test_the_report_asks_the_database_as_often_for_few_as_for_many(clinic: SmallClinic, manager: User) -> None:
    world = World(clinic, seed=6)
    asked = []
    report(clinic, manager)
    for count in (1, 60):
        world.add(count)
        with CaptureQueriesContext(connection) as queries:
            report(clinic, manager, By.PAYER, 5)
        asked.append(len(queries))

    assert asked[0] == asked[1] <= 4


@pytest.mark.usefixtures("that_day")
def test_nothing_in_it_is_a_formula(clinic: SmallClinic, manager: User, signed_in: Enter) -> None:
    world = World(clinic, seed=8)
    world.add(60, physician="=1+1")
    text = (
        signed_in("manager", clinic.site).get(reverse("patients:outcomes_csv"), {"by": "physician"}).content.decode("utf-8-sig")
    )

    assert "\r\n'=1+1,'=1+1,2025-09-01,2026-08-31,60," in text
