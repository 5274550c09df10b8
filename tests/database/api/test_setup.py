"""Set-up through the API: the same verbs and checks as the pages."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.test import Client

from procedures.models import Procedure
from scheduling import free_time
from scheduling.models import DatedHours
from tests import factories
from tests.database.api.test_rest import send
from tests.factories import NOW, SmallClinic


@pytest.fixture(autouse=True)
def _now() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def manager(clinic: SmallClinic, signed_in: Callable[..., Client]) -> Client:
    return signed_in("manager", clinic.site)


def date_of(clinic: SmallClinic, on: str = "2026-09-15") -> str:
    return f"/resources/{clinic.room.public_id}/dates/{on}/"


def hours(clinic: SmallClinic, *spans: tuple[str, str], **more: Any) -> dict[str, Any]:
    told = [{"starts": starts, "ends": ends} for starts, ends in spans]
    return {"sites": [{"site": str(clinic.site.public_id), "hours": told}], **more}


def test_a_date_is_read_set_listed_and_let_go(clinic: SmallClinic, manager: Client) -> None:
    read = send(manager, date_of(clinic), method="get")
    body = hours(clinic, ("12:00", "16:00"), ("08:00", "11:00"), reason="Half day")
    unseen = send(manager, date_of(clinic), body, method="put")
    saved = send(manager, date_of(clinic), body, method="put", If_Match=read["ETag"])
    stale = send(manager, date_of(clinic), body, method="put", If_Match=read["ETag"])
    listed = send(manager, f"/resources/{clinic.room.public_id}/dates/", method="get")
    removed = send(manager, date_of(clinic), method="delete", If_Match=saved["ETag"])

    week = [{"site": str(clinic.site.public_id), "hours": [{"starts": "08:00:00", "ends": "17:00:00"}]}]
    assert read.json() == {"on": "2026-09-15", "is_own": False, "reason": "", "sites": week}
    assert [one.status_code for one in (unseen, saved, stale, listed, removed)] == [428, 200, 412, 200, 200]
    assert saved.json()["sites"][0]["hours"] == [
        {"starts": "08:00:00", "ends": "11:00:00"}, {"starts": "12:00:00", "ends": "16:00:00"},
    ]  # fmt: skip
    assert listed.json() == {"results": [saved.json()]}
    assert removed.json() == read.json()
    assert removed["ETag"] == read["ETag"]
    assert free_time.check(at=NOW) == ()


def test_cases_that_a_date_leaves_out_are_named_and_stay_booked(clinic: SmallClinic, manager: Client) -> None:
    case = factories.appointment(of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, resources=(clinic.room,))
    asked = send(manager, date_of(clinic), hours(clinic), method="put", If_Match="*")
    saved = send(manager, date_of(clinic), hours(clinic, accept=True), method="put", If_Match="*")
    DatedHours.objects.update(starts="08:00", ends="17:00")
    clinic.room.weekly_hours.all().delete()
    kept = send(manager, date_of(clinic), method="delete", If_Match="*")
    gone = send(manager, date_of(clinic) + "?accept=true", method="delete", If_Match="*")

    assert (asked.status_code, asked.json()["details"]) == (422, {"count": 1, "cases": [str(case.public_id)]})
    assert (saved.status_code, saved.json()["sites"][0]["hours"]) == (200, [])
    assert [(one.status_code, one.json().get("code")) for one in (kept, gone)] == [(422, "cases_in_the_way"), (200, None)]


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        ([("08:00", "08:00")], "It ends before it begins."),
        ([("08:03", "09:00")], "Times are on five-minute marks, such as 09:15."),
        ([("08:00", "12:00"), ("11:00", "13:00")], "Two of these overlap."),
    ],
)
def test_hours_that_cannot_be_are_refused_at_their_field(
    clinic: SmallClinic, manager: Client, spans: list[tuple[str, str]], said: str
) -> None:
    answer = send(manager, date_of(clinic), hours(clinic, *spans), method="put", If_Match="*")
    assert answer.status_code == 400
    assert said in str(answer.json()["errors"]["sites"])


def test_another_sites_people_and_hours_are_not_there(
    clinic: SmallClinic, manager: Client, signed_in: Callable[..., Client]
) -> None:
    other = factories.site()
    stranger = signed_in("manager", other)
    factories.weekly_hours(of=clinic.room, at_site=other, starts="18:00", ends="20:00")
    mine = send(manager, date_of(clinic), method="get").json()
    assert [one["site"] for one in mine["sites"]] == [str(clinic.site.public_id)]
    for site in (other.public_id, uuid.uuid4()):
        body = {"sites": [{"site": str(site), "hours": []}]}
        answer = send(manager, date_of(clinic), body, method="put", If_Match="*")
        assert (answer.status_code, answer.json()["errors"]) == (
            400, {"sites": ["There is nothing of this id that you may see."]},
        )  # fmt: skip
    clinic.room.weekly_hours.filter(site=other).delete()
    for path, method in (
        (date_of(clinic), "get"),
        (date_of(clinic), "put"),
        (f"/resources/{clinic.room.public_id}/dates/", "get"),
    ):
        assert send(stranger, path, {}, method=method).status_code == 404


@pytest.mark.parametrize("on", ["yesterday", "2026-02-30", "1999-12-31"])
def test_a_date_that_is_none_is_not_there(clinic: SmallClinic, manager: Client, on: str) -> None:
    assert send(manager, date_of(clinic, on), method="get").status_code == 404


def test_dates_are_for_managers(clinic: SmallClinic, signed_in: Callable[..., Client]) -> None:
    desk = signed_in("desk", clinic.site)
    found = [send(desk, date_of(clinic), hours(clinic), method=method).status_code for method in ("get", "put", "delete")]
    assert found == [403, 403, 403]


# --- privileges ------------------------------------------------------------------------------------------------------


def privilege_of(clinic: SmallClinic, procedure: Procedure | None = None) -> str:
    return f"/resources/{clinic.physician.public_id}/privileges/{(procedure or clinic.procedure).public_id}/"


def test_a_privilege_is_read_changed_given_and_taken_away(clinic: SmallClinic, manager: Client) -> None:
    second = factories.procedure(code="zz_second")
    read = send(manager, privilege_of(clinic), method="get")
    body = {"modalities": ["fluoroscopy"], "procedure_minutes": 45, "valid_from": "2026-10-01", "valid_until": None}
    unseen = send(manager, privilege_of(clinic), body, method="put")
    saved = send(manager, privilege_of(clinic), body, method="put", If_Match=read["ETag"])
    stale = send(manager, privilege_of(clinic), body, method="put", If_Match=read["ETag"])
    unheld = send(manager, privilege_of(clinic, second), method="get")
    new = send(manager, privilege_of(clinic, second), {}, method="put")
    listed = send(manager, f"/resources/{clinic.physician.public_id}/privileges/", method="get")
    gone = send(manager, privilege_of(clinic, second), method="delete", If_Match=new["ETag"])
    twice = send(manager, privilege_of(clinic, second), method="delete")

    told = {"procedure": str(clinic.procedure.public_id), "code": clinic.procedure.code}
    assert read.json() == {
        **told, "modalities": [], "procedure_minutes": None, "valid_from": None, "valid_until": None,
    }  # fmt: skip
    found = [one.status_code for one in (unseen, saved, stale, unheld, new, listed, gone, twice)]
    assert found == [428, 200, 412, 404, 200, 200, 200, 200]
    assert saved.json() == {**told, **body}
    assert listed.json()["results"] == [saved.json(), new.json()]
    assert gone.json() == twice.json() == {"procedure": str(second.public_id)}


def test_a_privilege_whose_cases_would_lose_it_is_refused_until_that_is_accepted(clinic: SmallClinic, manager: Client) -> None:
    case = factories.appointment(
        of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, resources=(clinic.physician,)
    )
    body = {"valid_until": "2026-09-14"}
    asked = send(manager, privilege_of(clinic), body, method="put", If_Match="*")
    kept = send(manager, privilege_of(clinic), method="delete", If_Match="*")
    gone = send(manager, privilege_of(clinic) + "?accept=true", method="delete", If_Match="*")
    assert [(one.status_code, one.json()["details"]["cases"]) for one in (asked, kept)] == [(422, [str(case.public_id)])] * 2
    assert gone.status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"procedure_minutes": 7}, "procedure_minutes"),
        ({"modalities": ["mri"]}, "modalities"),
        ({"valid_from": "9999-12-31"}, "valid_from"),
        ({"valid_from": "2026-10-01", "valid_until": "2026-09-30"}, "valid_until"),
    ],
)
def test_terms_that_cannot_be_are_refused_at_their_field(
    clinic: SmallClinic, manager: Client, body: dict[str, Any], field: str
) -> None:
    answer = send(manager, privilege_of(clinic), body, method="put", If_Match="*")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_a_nurse_is_given_no_privilege(clinic: SmallClinic, manager: Client) -> None:
    path = f"/resources/{clinic.nurse.public_id}/privileges/{clinic.procedure.public_id}/"
    answer = send(manager, path, {}, method="put")
    assert (answer.status_code, answer.json()["code"]) == (422, "not_a_physician")


def test_privileges_of_another_site_are_not_there_and_are_for_managers(
    clinic: SmallClinic, signed_in: Callable[..., Client]
) -> None:
    stranger, desk = signed_in("manager", factories.site()), signed_in("desk", clinic.site)
    for method in ("get", "put", "delete"):
        found = [send(who, privilege_of(clinic), {}, method=method).status_code for who in (stranger, desk)]
        assert found == [404, 403]


# --- travel ----------------------------------------------------------------------------------------------------------


def test_ways_are_read_and_set_each_direction_by_itself(clinic: SmallClinic, signed_in: Callable[..., Client]) -> None:
    branch = factories.site(name="Zz branch")
    manager = signed_in("manager", clinic.site, branch)
    there = {"origin": str(clinic.site.public_id), "destination": str(branch.public_id)}
    back = {"origin": there["destination"], "destination": there["origin"]}
    read = send(manager, "/travel/", method="get")
    body = {"ways": [{**there, "minutes": 45}]}
    unseen = send(manager, "/travel/", body, method="put")
    saved = send(manager, "/travel/", body, method="put", If_Match=read["ETag"])
    stale = send(manager, "/travel/", body, method="put", If_Match=read["ETag"])
    unsaid = send(manager, "/travel/", {"ways": [{**there, "minutes": None}]}, method="put", If_Match=saved["ETag"])

    assert [one.status_code for one in (read, unseen, saved, stale, unsaid)] == [200, 428, 200, 412, 200]
    assert saved.json() == {"ways": [{**there, "minutes": 45}, {**back, "minutes": None}]}
    assert read.json() == unsaid.json() == {"ways": [{**there, "minutes": None}, {**back, "minutes": None}]}


@pytest.mark.parametrize("minutes", [7, -5, 725, "soon"])
def test_minutes_of_a_way_are_in_fives(clinic: SmallClinic, signed_in: Callable[..., Client], minutes: object) -> None:
    branch = factories.site()
    manager = signed_in("manager", clinic.site, branch)
    way = {"origin": str(clinic.site.public_id), "destination": str(branch.public_id), "minutes": minutes}
    answer = send(manager, "/travel/", {"ways": [way]}, method="put", If_Match="*")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["ways"])


def test_a_way_leads_between_two_of_ones_own_sites_and_is_for_managers(
    clinic: SmallClinic, manager: Client, signed_in: Callable[..., Client]
) -> None:
    mine, other = str(clinic.site.public_id), str(factories.site().public_id)
    for origin, destination in ((mine, other), (other, mine), (mine, mine), (mine, str(uuid.uuid4()))):
        way = {"origin": origin, "destination": destination, "minutes": 30}
        assert send(manager, "/travel/", {"ways": [way]}, method="put", If_Match="*").status_code == 400
    assert send(manager, "/travel/", method="get").json() == {"ways": []}
    desk = signed_in("desk", clinic.site)
    assert [send(desk, "/travel/", {}, method=method).status_code for method in ("get", "put")] == [403, 403]
