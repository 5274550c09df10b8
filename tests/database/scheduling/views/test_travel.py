"""The page of the ways between sites: who may, what it says while nobody has said how long, what is kept as typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from pain_clinic.accounts.models import Site
from scheduling.models import Travel
from tests import factories
from tests.database.scheduling.views.conftest import People
from tests.factories import TOMORROW, SmallClinic, local

URL = "/settings/travel/"


@pytest.fixture
def branch(db: None) -> Site:
    return factories.site(name="Branch", slug="branch")


@pytest.fixture
def manager(clinic: SmallClinic, branch: Site, signed_in: Callable[..., Client]) -> Client:
    """Return a manager of both sites."""
    return signed_in("manager", clinic.site, branch)


@pytest.fixture
def names(clinic: SmallClinic) -> tuple[str, str]:
    """Return the names of the fields there and back."""
    return f"{clinic.site.slug}_to_branch", f"branch_to_{clinic.site.slug}"


def drawn(page: Any) -> dict[str, Any]:
    form = page.context["page"].form
    return {name: "" if form[name].value() is None else form[name].value() for name in form.fields if name != "accept"}


def test_ways_are_for_managers_and_asked_of_two_sites(
    clinic: SmallClinic, manager: Client, people: People, signed_in: Callable[..., Client]
) -> None:
    alone = signed_in("manager", clinic.site)
    assert [who.get(URL).status_code for who in (manager, people.owner, alone)] == [200, 403, 200]
    assert "With one site nobody travels." in alone.get(URL).content.decode()
    assert alone.post(URL, {}).status_code == 200
    assert list(alone.get("/settings/sites/").context["page"].links) == []


def test_set_up_says_that_nobody_has_said_how_long_until_somebody_does(
    clinic: SmallClinic, manager: Client, names: tuple[str, str]
) -> None:
    def told() -> list[bool]:
        return [
            "counts as no time at all" in manager.get(url).content.decode() for url in ("/settings/", "/settings/sites/", URL)
        ]

    assert told() == [True, True, True]
    typed = drawn(manager.get(URL))
    manager.post(URL, {**typed, names[0]: "45"})
    assert told() == [True, True, True]
    saved = manager.post(URL, {**drawn(manager.get(URL)), names[1]: "0"})
    assert (saved.status_code, saved["Location"]) == (303, "/settings/sites/")
    assert told() == [False, False, False]
    minutes = {(row.origin.slug, row.minutes) for row in Travel.objects.select_related("origin")}
    assert minutes == {(clinic.site.slug, 45), ("branch", 0)}
    assert drawn(manager.get(URL))[names[0]] == 45


@pytest.mark.parametrize("text", ["soon", "7", "-5", "725"])
def test_minutes_that_cannot_be_are_told_at_the_field_and_kept(
    clinic: SmallClinic, manager: Client, names: tuple[str, str], text: str
) -> None:
    page = manager.post(URL, {names[0]: text, names[1]: "30"})
    form = page.context["page"].form
    assert page.status_code == 422
    assert list(form.errors) == [names[0]]
    assert [form[name].value() for name in names] == [text, "30"]
    assert not Travel.objects.exists()


def test_ways_that_somebody_else_changed_are_409(
    clinic: SmallClinic, branch: Site, manager: Client, names: tuple[str, str]
) -> None:
    typed = drawn(manager.get(URL))
    Travel.objects.create(origin=branch, destination=clinic.site, minutes=20)
    page = manager.post(URL, {**typed, names[0]: "45"})
    assert (page.status_code, page.context["page"].refusal.code) == (409, "stale")
    assert page.context["page"].form[names[0]].value() == "45"


def test_cases_that_could_not_be_reached_are_shown_first(
    clinic: SmallClinic, branch: Site, manager: Client, names: tuple[str, str]
) -> None:
    factories.weekly_hours(of=clinic.physician, at_site=branch)
    made = [
        factories.appointment(
            of=factories.patient(home=site), at_site=site, for_procedure=clinic.procedure, resources=(clinic.physician,),
            starts_at=local(TOMORROW, clock),
        )
        for site, clock in ((clinic.site, "9:00"), (branch, "10:00"))
    ]  # fmt: skip
    asked = manager.post(URL, {names[0]: "45"})
    saved = manager.post(URL, {names[0]: "45", "accept": "on"})
    assert (asked.status_code, asked.context["page"].refusal.code) == (422, "cases_in_the_way")
    assert [line.public_id for line in asked.context["page"].affected] == [made[1].public_id]
    assert saved.status_code == 303
