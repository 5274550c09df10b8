"""Figures of the report equal those of an independent computation, group by group."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise

import pytest

from pain_clinic.accounts.models import User
from patients.models import PerformedProcedure
from patients.reports import By
from tests import factories
from tests.database.patients.reports.making import END, Made, World, check, check_all, expected, gaps, report
from tests.factories import NOW, SmallClinic


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
