"""Small groups stay hidden, by whatever question."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

import pytest

from pain_clinic.accounts.models import User
from patients import outcomes as recording
from patients.models import Score
from patients.reports import By, NotShown
from tests import factories
from tests.database.patients.reports.making import END, World, report
from tests.factories import SmallClinic


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
