"""The pages of a physician's privileges: who may, what they list, what is kept as typed, and which cases they ask about."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from scheduling.models import Appointment, Privilege
from tests import factories
from tests.database.scheduling.views.conftest import People
from tests.factories import SmallClinic


@pytest.fixture
def manager(clinic: SmallClinic, signed_in: Callable[..., Client]) -> Client:
    return signed_in("manager", clinic.site)


def listed(clinic: SmallClinic, what: str = "physician") -> str:
    return f"/settings/resources/{getattr(clinic, what).public_id}/privileges/"


def address(clinic: SmallClinic) -> str:
    return f"{listed(clinic)}{clinic.procedure.public_id}/"


def key() -> str:
    return uuid.uuid4().hex


def drawn(page: Any) -> dict[str, Any]:
    """Return what the form of a page stands at."""
    form = page.context["page"].form
    return {name: form[name].value() for name in form.fields if name != "accept" and form[name].value()}


def test_privileges_are_for_managers_of_the_site(
    clinic: SmallClinic, manager: Client, people: People, signed_in: Callable[..., Client]
) -> None:
    elsewhere = signed_in("manager", factories.site())
    for url in (listed(clinic), address(clinic)):
        assert [who.get(url).status_code for who in (manager, people.owner, elsewhere)] == [200, 403, 404]
    assert elsewhere.post(address(clinic), {}).status_code == 404


def test_a_privilege_is_changed_and_listed_in_words(clinic: SmallClinic, manager: Client) -> None:
    first = manager.get(listed(clinic)).context["page"]
    name = clinic.procedure.name
    assert [row.cells for row in first.rows] == [(name, "any guidance", "30, as the catalogue has it", "always")]
    page = manager.get(address(clinic))
    assert [choice for choice, _ in page.context["page"].form.fields["modalities"].choices] == ["fluoroscopy"]
    typed = {
        **drawn(page), "modalities": ["fluoroscopy"], "procedure_minutes": "45", "valid_from": "2026-10-01",
        "valid_until": "2027-01-31", "request_key": key(),
    }  # fmt: skip

    saved = manager.post(address(clinic), typed)

    assert (saved.status_code, saved["Location"]) == (303, listed(clinic))
    rows = manager.get(listed(clinic)).context["page"].rows
    assert [(row.cells, row.note) for row in rows] == [
        ((name, "Fluoroscopy", "45", "from Thu 1 Oct 2026 until Sun 31 Jan 2027"), "still to come")
    ]
    assert drawn(manager.get(address(clinic)))["procedure_minutes"] == 45


def test_what_is_over_or_retired_is_marked(clinic: SmallClinic, manager: Client) -> None:
    clinic.physician.privileges.update(valid_until=date(2026, 9, 13))
    gone = factories.procedure(name="Zz retired", is_offered=False, is_retired=True)
    factories.privilege(of=clinic.physician, for_procedure=gone)
    rows = manager.get(listed(clinic)).context["page"].rows
    assert [(row.is_off, row.note) for row in rows] == [(True, "over"), (True, "retired from the catalogue")]


def test_who_is_no_physician_holds_none(clinic: SmallClinic, manager: Client) -> None:
    assert "Only physicians hold privileges." in manager.get(listed(clinic, "nurse")).content.decode()
    links = [
        [link.label for link in manager.get(f"/settings/resources/{row.public_id}/").context["page"].links]
        for row in (clinic.physician, clinic.nurse)
    ]
    assert links == [["Hours", "Leave or breakdown", "Privileges in detail"], ["Hours", "Leave or breakdown"]]
    unheld = f"{listed(clinic)}{factories.procedure().public_id}/"
    assert manager.get(unheld).status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("procedure_minutes", "7"), ("procedure_minutes", "0"), ("procedure_minutes", "725"), ("modalities", "mri"),
        ("valid_from", "soon"), ("valid_until", "2026-09-30"),
    ],
)  # fmt: skip
def test_bad_terms_are_told_at_the_field_and_kept_as_typed(clinic: SmallClinic, manager: Client, field: str, value: str) -> None:
    typed = {"valid_from": "2026-10-01", "procedure_minutes": "40", "request_key": key(), field: value}
    page = manager.post(address(clinic), typed)
    form = page.context["page"].form
    assert page.status_code == 422
    assert list(form.errors) == [field]
    assert form["procedure_minutes"].value() == typed["procedure_minutes"]
    assert clinic.physician.privileges.get().procedure_minutes is None


def test_cases_that_would_lose_it_are_shown_first(case: Appointment, clinic: SmallClinic, manager: Client) -> None:
    typed = {**drawn(manager.get(address(clinic))), "valid_until": "2026-09-14"}
    asked = manager.post(address(clinic), {**typed, "request_key": key()})
    saved = manager.post(address(clinic), {**typed, "accept": "on", "request_key": key()})
    assert (asked.status_code, asked.context["page"].refusal.code) == (422, "cases_in_the_way")
    assert [line.public_id for line in asked.context["page"].affected] == [case.public_id]
    assert saved.status_code == 303


def test_terms_that_somebody_else_changed_are_409(clinic: SmallClinic, manager: Client) -> None:
    typed = drawn(manager.get(address(clinic)))
    Privilege.objects.update(procedure_minutes=60)
    page = manager.post(address(clinic), {**typed, "procedure_minutes": "45", "request_key": key()})
    assert (page.status_code, page.context["page"].refusal.code) == (409, "stale")
    assert page.context["page"].form["procedure_minutes"].value() == "45"


def test_the_list_asks_as_much_for_three_as_for_one(clinic: SmallClinic, manager: Client) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as captured:
            manager.get(listed(clinic))
            return len(captured)

    asked()
    one = asked()
    for _ in range(2):
        factories.privilege(of=clinic.physician, for_procedure=factories.procedure())
    assert 5 < one == asked()
