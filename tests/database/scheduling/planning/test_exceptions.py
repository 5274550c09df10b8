"""Exceptions to the cadence, and what a change of it does to what waits."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from scheduling import cadence, messages
from scheduling.models import CadenceStep, Message
from tests import factories
from tests.database.scheduling.planning.cadences import PLAIN, SYSTEM, case, lay, planned, reasons, wall
from tests.factories import NOW


def test_narrower_row_stands_in_the_place_of_the_wider() -> None:
    site = factories.site()
    appointment, elsewhere = case(site=site), case()
    general = CadenceStep.objects.get(code="preparation", family="", site=None)
    values = {name: getattr(general, name) for name in cadence.CHANGEABLE}

    def exception(days: int, **scope: Any) -> None:
        cadence.add_exception(of=general, values={**values, "offset_days": -days, "weekend": "as_is"}, by=SYSTEM, at=NOW, **scope)

    exception(8, site=site)
    lay(appointment)
    lay(elsewhere)
    assert planned(elsewhere)["preparation"].date() == date(2026, 9, 23)
    found = [planned(appointment)["preparation"].date()]
    for days, scope in (
        (9, {"family": "esi"}),
        (10, {"site": site, "family": "esi"}),
        (11, {"procedure": appointment.procedure}),
    ):
        exception(days, **scope)
        messages.plan_ahead(at=NOW)
        found.append(planned(appointment)["preparation"].date())

    assert found == [date(2026, 9, day) for day in (22, 21, 20, 19)]


def test_second_exception_for_the_same_place_is_refused() -> None:
    general = CadenceStep.objects.get(code="preparation", family="", site=None)
    values = {name: getattr(general, name) for name in cadence.CHANGEABLE}
    cadence.add_exception(of=general, values=values, by=SYSTEM, at=NOW, family="esi")

    with pytest.raises(cadence.StepTaken):
        cadence.add_exception(of=general, values=values, by=SYSTEM, at=NOW, family="esi")
    with pytest.raises(cadence.StepRefused):
        cadence.add_exception(of=general, values={**values, "offset_days": 1}, by=SYSTEM, at=NOW, family="facet_rfa")


@pytest.mark.parametrize(("days", "months", "is_fine"), [(-730, 0, True), (-731, 0, False), (-17, -23, True), (-18, -23, False)])
def test_message_leaves_at_most_two_years_from_the_visit(days: int, months: int, is_fine: bool) -> None:
    general = CadenceStep.objects.get(code="preparation", family="", site=None)
    values = {"offset_days": days, "offset_months": months}
    if is_fine:
        assert cadence.change(step=general, values=values, by=SYSTEM, at=NOW).offset_days == days
        return
    with pytest.raises(cadence.StepRefused) as refusal:
        cadence.change(step=general, values=values, by=SYSTEM, at=NOW)
    assert refusal.value.code == "too_far"


def test_exception_has_to_be_for_something() -> None:
    general = CadenceStep.objects.get(code="preparation", family="", site=None)
    values = {name: getattr(general, name) for name in cadence.CHANGEABLE}
    with pytest.raises(cadence.StepRefused) as refusal:
        cadence.add_exception(of=general, values=values, by=SYSTEM, at=NOW)
    assert refusal.value.code == "no_scope"


def test_step_switched_off_is_withdrawn_and_comes_back_when_switched_on() -> None:
    appointment = case()
    lay(appointment)
    general = CadenceStep.objects.get(code="preparation", family="", site=None)

    cadence.change(step=general, values={"is_on": False}, by=SYSTEM, at=NOW)
    assert messages.plan_if_wanted(at=NOW + timedelta(minutes=1)) == {"new": 0, "moved": 0, "revived": 0, "withdrawn": 1}
    assert (reasons(appointment), "preparation" in planned(appointment)) == ({"preparation": "cadence"}, False)
    assert messages.plan_if_wanted(at=NOW + timedelta(minutes=2)) is None
    cadence.change(step=CadenceStep.objects.get(pk=general.pk), values={"is_on": True}, by=SYSTEM, at=NOW + timedelta(minutes=3))
    assert messages.plan_if_wanted(at=NOW + timedelta(minutes=4)) == {"new": 0, "moved": 0, "revived": 1, "withdrawn": 0}
    assert planned(appointment)["preparation"] == wall(date(2026, 9, 23), "10:00")


def test_changed_hour_moves_what_waits_but_nothing_into_the_past() -> None:
    later, soon = case(), case(on=date(2026, 9, 18))
    lay(later)
    lay(soon)
    general = CadenceStep.objects.get(code="reminder-3")

    cadence.change(step=general, values={"offset_days": -6, "weekend": "as_is"}, by=SYSTEM, at=NOW)
    assert messages.plan_ahead(at=NOW + timedelta(minutes=1))["moved"] == 1

    assert planned(later)["reminder-3"] == wall(date(2026, 9, 24), "16:00")
    assert planned(soon)["reminder-3"] == wall(date(2026, 9, 15), "16:00")  # six days before had passed


def test_change_of_an_older_version_is_refused() -> None:
    general = CadenceStep.objects.get(code="reminder-3")
    cadence.change(step=general, values={"is_on": False}, by=SYSTEM, at=NOW, version=1)

    with pytest.raises(cadence.Stale):
        cadence.change(step=general, values={"is_on": True}, by=SYSTEM, at=NOW, version=1)


def test_cases_that_have_no_plan_get_one_without_telling_about_what_has_passed() -> None:
    ahead, near, over, away = case(), case(on=date(2026, 9, 15), at="15:00"), case(on=date(2026, 9, 1)), case(status="cancelled")

    assert messages.plan_ahead(at=NOW)["new"] == 8
    assert (sorted(planned(ahead)), sorted(planned(near))) == (sorted(PLAIN), ["arrival", "reminder-1"])
    assert reasons(near) == {"preparation": "past", "reminder-3": "past"}
    assert not Message.objects.filter(appointment__in=(over, away)).exists()
