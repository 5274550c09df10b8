"""The page of one date's hours: who may, what it starts with, what it asks about, and what the board shows then."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from pain_clinic.accounts.models import User
from scheduling import free_time
from scheduling.models import Appointment, DatedHours
from tests import factories
from tests.database.scheduling.views.conftest import People
from tests.factories import NOW, SmallClinic


@pytest.fixture
def manager(clinic: SmallClinic, signed_in: Callable[..., Client]) -> Client:
    return signed_in("manager", clinic.site)


def address(clinic: SmallClinic, on: str = "2026-09-15", what: str = "room") -> str:
    return f"/settings/resources/{getattr(clinic, what).public_id}/date/?on={on}"


def key() -> str:
    return uuid.uuid4().hex


def drawn(page: Any) -> dict[str, str]:
    """Return what the form of a page stands at."""
    form = page.context["page"].form
    return {name: form[name].value() or "" for name in form.fields if name != "accept"}


def test_a_date_is_for_managers_of_the_site(
    clinic: SmallClinic, manager: Client, people: People, signed_in: Callable[..., Client]
) -> None:
    elsewhere = signed_in("manager", factories.site())
    answers = [who.get(address(clinic)).status_code for who in (manager, people.owner, elsewhere)]
    assert answers == [200, 403, 404]
    assert elsewhere.post(address(clinic), {}).status_code == 404


def test_a_date_begins_with_the_week_is_saved_listed_changed_and_let_go(clinic: SmallClinic, manager: Client) -> None:
    hours = f"/settings/resources/{clinic.room.public_id}/hours/"
    name = f"hours_{clinic.site.slug}"
    first = manager.get(address(clinic))
    typed = drawn(first)
    assert typed[name] == "08:00-17:00"
    assert first.context["page"].danger is None

    saved = manager.post(address(clinic), {**typed, name: "8-12", "reason": "Half day", "request_key": key()})

    assert (saved.status_code, saved["Location"]) == (303, hours)
    listed = manager.get(hours)
    assert [(one.on, one.told, one.reason) for one in listed.context["page"].dates] == [
        ("Tue 15 Sep 2026", f"{clinic.site.name} 08:00–12:00", "Half day")
    ]
    assert "Half day" in listed.content.decode()
    again = manager.get(address(clinic))
    assert drawn(again) | {"version": ""} == {"version": "", name: "08:00-12:00", "reason": "Half day"}
    told = {field.name: field.value for field in again.context["page"].danger.fields}
    assert manager.post(address(clinic), told).status_code == 303
    assert not DatedHours.objects.exists()
    assert "None ahead" in manager.get(hours).content.decode()
    assert free_time.check(at=NOW) == ()


def test_the_board_shows_a_date_at_the_hours_it_has(clinic: SmallClinic, manager: Client) -> None:
    guest = factories.resource(kind="physician", at_site=factories.site(), name="Dr. Guest")
    DatedHours.objects.create(resource=guest, site=clinic.site, date="2026-09-15", starts="08:00", ends="12:00")
    names = [
        "Dr. Guest" in manager.get(f"/board/?site={clinic.site.slug}&day={day}").content.decode()
        for day in ("2026-09-15", "2026-09-16")
    ]
    assert names == [True, False]


@pytest.mark.parametrize("text", ["nine", "9-8", "8:03-9", "8-12, 11-13", "25-26"])
def test_hours_that_cannot_be_read_are_told_at_the_field_and_kept(clinic: SmallClinic, manager: Client, text: str) -> None:
    name = f"hours_{clinic.site.slug}"
    page = manager.post(address(clinic), {name: text, "reason": "Half day", "request_key": key()})
    form = page.context["page"].form
    assert page.status_code == 422
    assert list(form.errors) == [name]
    assert (form[name].value(), form["reason"].value()) == (text, "Half day")


@pytest.mark.parametrize("on", ["", "yesterday", "2026-02-30", "1999-12-31"])
def test_a_date_that_is_none_is_asked_for_again(clinic: SmallClinic, manager: Client, on: str) -> None:
    for page in (manager.get(address(clinic, on)), manager.post(address(clinic, on), {})):
        assert page.status_code == 422
        assert list(page.context["page"].day_form.errors) == ["on"]
    bare = manager.get(address(clinic).partition("?")[0])
    assert (bare.status_code, bare.context["page"].day_form.is_bound) == (200, False)


def test_cases_left_out_are_shown_before_the_date_is_saved(case: Appointment, clinic: SmallClinic, manager: Client) -> None:
    typed = {f"hours_{clinic.site.slug}": "13-17", "reason": ""}
    asked = manager.post(address(clinic), {**typed, "request_key": key()})
    saved = manager.post(address(clinic), {**typed, "accept": "on", "request_key": key()})
    assert (asked.status_code, asked.context["page"].refusal.code) == (422, "cases_in_the_way")
    assert [line.public_id for line in asked.context["page"].affected] == [case.public_id]
    assert saved.status_code == 303


def test_letting_go_of_a_date_asks_about_its_cases_first(case: Appointment, clinic: SmallClinic, manager: Client) -> None:
    name = f"hours_{clinic.site.slug}"
    manager.post(address(clinic), {name: "8-17", "reason": "", "request_key": key()})
    manager.post(
        f"/settings/resources/{clinic.room.public_id}/hours/", {"valid_from": "2026-09-15", "work_1": "13-17", "work_3": "8-17"}
    )

    def press(page: Any) -> Any:
        return manager.post(address(clinic), {field.name: field.value for field in page.context["page"].danger.fields})

    asked = press(manager.get(address(clinic)))
    assert (asked.status_code, [line.public_id for line in asked.context["page"].affected]) == (422, [case.public_id])
    assert asked.context["page"].refusal.next_act == "Press the last button to go on anyway."
    assert press(asked).status_code == 303
    assert not DatedHours.objects.exists()


def test_a_date_that_somebody_else_changed_or_that_is_over_is_refused_in_words(clinic: SmallClinic, manager: Client) -> None:
    name = f"hours_{clinic.site.slug}"
    typed = drawn(manager.get(address(clinic)))
    manager.post(address(clinic), {**typed, name: "8-12", "request_key": key()})
    stale = manager.post(address(clinic), {**typed, name: "8-13", "request_key": key()})
    gone = manager.post(address(clinic), {"act": "remove", "version": "other", "request_key": key()})
    over = manager.post(address(clinic, "2026-09-13"), {name: "8-12", "reason": "", "request_key": key()})
    found = [(page.status_code, page.context["page"].refusal.code) for page in (stale, gone, over)]
    assert found == [(409, "stale"), (409, "stale"), (422, "date_over")]
    assert stale.context["page"].form[name].value() == "8-13"


def test_a_manager_of_one_site_neither_sees_nor_changes_the_hours_at_another(clinic: SmallClinic, manager: Client) -> None:
    other = factories.site()
    factories.weekly_hours(of=clinic.physician, at_site=other, starts="18:00", ends="20:00")
    page = manager.get(address(clinic, what="physician"))
    assert other.name not in page.content.decode()
    manager.post(address(clinic, what="physician"), {**drawn(page), "request_key": key()})
    assert other.name not in manager.get(f"/settings/resources/{clinic.physician.public_id}/hours/").content.decode()
    assert DatedHours.objects.filter(site=other, starts="18:00").exists()


def test_hours_of_somebody_who_only_visits_open_at_ones_own_site(
    clinic: SmallClinic, signed_in: Callable[..., Client], desk: User
) -> None:
    here = factories.site()
    factories.weekly_hours(of=clinic.physician, at_site=here)
    page = signed_in("manager", here).get(f"/settings/resources/{clinic.physician.public_id}/hours/")
    assert (page.status_code, page.context["page"].title) == (200, f"Hours at {here.name}")
