"""A day's worklist booked at once: the dry run shows what would be booked where, then each row stands for itself."""

# ruff: noqa: F401, F811  a fixture of another file is imported, and asked for by its name
from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from pain_clinic.accounts.models import User
from pain_clinic.errors import Forbidden
from patients.models import Medication
from procedures.models import Procedure
from scheduling import booking, bulk, courses, worklist
from scheduling.bulk import Tried, Wanted
from scheduling.models import Appointment, Course, PlannedSession
from tests import factories
from tests.database.scheduling.courses.conftest import Ward, current
from tests.database.scheduling.courses.test_fulfilling import Trial, trial
from tests.factories import NOW, TODAY

Enter = Callable[..., Client]
KEY = "a-key-of-this-form"


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pain_clinic.web.now", lambda: NOW)


def begun(ward: Ward, count: int) -> list[Course]:
    return [
        ward.start(since=TODAY, patient=factories.patient(home=ward.clinic.site, last_name=f"Person{number}"))
        for number in range(count)
    ]


def listed(ward: Ward) -> list[PlannedSession]:
    user = User.objects.get(pk=ward.desk.user_id)
    return worklist.bookable(user=user, at=NOW, zone=ZoneInfo("America/New_York"), tab="book")


def tried(ward: Ward) -> tuple[Tried, ...]:
    return bulk.rehearse(planned=listed(ward), by=ward.desk, at=NOW)


def wanted(found: tuple[Tried, ...]) -> list[Wanted]:
    return [Wanted(one.planned, one.opening) for one in found if one.opening is not None]


def test_the_dry_run_gives_no_two_rows_one_place_and_books_nothing(ward: Ward) -> None:
    begun(ward, 5)
    courses.refresh(at=NOW)
    found = tried(ward)
    assert [one.why_not for one in found] == [""] * 5
    places = [(one.opening["starts_at"], str(one.opening["units"])) for one in found if one.opening is not None]
    assert len(set(places)) == 5
    assert Appointment.objects.count() == 0
    results = bulk.book(wanted=wanted(found), key=KEY, by=ward.desk, at=NOW)
    assert [one.refusal for one in results] == [None] * 5
    assert Appointment.objects.count() == 5
    booked = {case.starts_at.isoformat() for case in Appointment.objects.all()}
    assert booked == {datetime.fromisoformat(start).astimezone(ZoneInfo("UTC")).isoformat() for start, _ in places}


def test_a_second_press_books_nothing_and_gives_the_same_answers(ward: Ward) -> None:
    begun(ward, 3)
    rows = wanted(tried(ward))
    first = bulk.book(wanted=rows, key=KEY, by=ward.desk, at=NOW)
    second = bulk.book(wanted=rows, key=KEY, by=ward.desk, at=NOW)
    assert [one.case for one in second] == [one.case for one in first]
    other = bulk.book(wanted=rows, key="another-key-of-it", by=ward.desk, at=NOW)
    assert [one.refusal.code if one.refusal else "" for one in other] == ["nothing_planned"] * 3
    assert Appointment.objects.count() == 3


def test_one_row_that_somebody_else_booked_is_refused_and_the_others_stand(ward: Ward) -> None:
    begun(ward, 3)
    rows = wanted(tried(ward))
    bulk.book(wanted=rows[1:2], key="another-key-of-it", by=ward.doctor, at=NOW)
    results = bulk.book(wanted=rows, key=KEY, by=ward.desk, at=NOW)
    assert [one.refusal.code if one.refusal else "" for one in results] == ["", "nothing_planned", ""]
    assert Appointment.objects.count() == 3


def test_why_a_row_is_not_booked_is_said(ward: Ward) -> None:
    ward.clinic.c_arm.is_active = False
    ward.clinic.c_arm.save(update_fields=["is_active"])
    (course,) = begun(ward, 1)
    assert tried(ward)[0].why_not == "No opening within its window is left beside the rows above."
    courses.stop(course=course, reason="No", by=ward.doctor, at=NOW)
    row = PlannedSession.objects.select_related("course__patient", "course__site", "course__physician").get(pk=current(course).pk)
    assert "no longer what comes next" in bulk.rehearse(planned=[row], by=ward.desk, at=NOW)[0].why_not


def test_who_may_not_book_tries_and_books_nothing(ward: Ward) -> None:
    begun(ward, 1)
    less = replace(ward.desk, permissions=ward.desk.permissions - {"scheduling.book_appointment"})
    with pytest.raises(Forbidden):
        bulk.rehearse(planned=listed(ward), by=less, at=NOW)
    with pytest.raises(Forbidden):
        bulk.book(wanted=wanted(tried(ward)), key=KEY, by=less, at=NOW)


def test_what_was_found_ahead_and_is_out_of_use_by_now_is_passed_over(ward: Ward) -> None:
    begun(ward, 1)
    courses.refresh(at=NOW)
    ward.clinic.c_arm.is_active = False
    ward.clinic.c_arm.save(update_fields=["is_active"])
    (one,) = tried(ward)
    assert (one.opening, one.why_not) == (None, "No opening within its window is left beside the rows above.")


def test_a_row_whose_procedure_has_left_the_catalogue_has_no_further_openings(ward: Ward) -> None:
    (course,) = begun(ward, 1)
    PlannedSession.objects.filter(pk=current(course).pk).update(procedure="gone")
    (one,) = tried(ward)
    assert (one.opening, one.why_not) == (None, "No opening within its window is left beside the rows above.")


@pytest.mark.parametrize("tries", [2, 99])
def test_what_a_rule_refuses_is_told_as_why_after_so_many_openings(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, tries: int
) -> None:
    ward.start(since=TODAY)
    courses.refresh(at=NOW)
    # Told of after openings were found: every day of the window is too early.
    Medication.objects.create(
        patient=ward.patient, recorded_at=NOW, kind="antithrombotic", drug="apixaban", name="Apixaban",
        last_dose_at=NOW + timedelta(days=90),
    )  # fmt: skip
    Procedure.objects.filter(code="mbb_lumbar").update(bleeding_class="high")
    monkeypatch.setattr(bulk, "TRIES", tries)
    looked = []
    preview = booking.preview

    def counted(**values: Any) -> Any:
        looked.append(values["opening"])
        return preview(**values)

    monkeypatch.setattr(booking, "preview", counted)
    (one,) = tried(ward)
    assert one.opening is None
    assert "apixaban" in one.why_not.lower()
    assert len(looked) == min(tries, 3)


def test_a_trial_is_tried_and_booked_together_with_its_removal(ward: Ward, trial: Trial) -> None:
    (one,) = found = tried(ward)
    assert one.opening is not None, one.why_not
    assert one.opening["removal"]
    assert [result.refusal for result in bulk.book(wanted=wanted(found), key=KEY, by=ward.desk, at=NOW)] == [None]
    codes = Appointment.objects.order_by("starts_at").values_list("procedure__code", flat=True)
    assert list(codes) == ["scs_trial", "scs_trial_lead_pull"]


# --- the pages -------------------------------------------------------------------------------------------------------


def test_the_desk_tries_the_list_and_books_the_ticked_rows(ward: Ward, signed_in: Enter) -> None:
    begun(ward, 3)
    courses.refresh(at=NOW)
    client = signed_in("desk", ward.clinic.site)
    page = client.get("/worklist/").content.decode()
    assert page.count('form="bulk" name="row"') == 3
    shown = client.post("/worklist/try/", {"all": "1", "tab": "book"}).content.decode()
    assert "3 of 3 could be booked" in shown
    offers = dict(re.findall(r'name="(opening_[^"]+)" value="([^"]+)"', shown))
    keys = [name.removeprefix("opening_") for name in offers]
    body = {"row": keys[:2], "request_key": KEY, **offers}
    done = client.post("/worklist/book/", body)
    assert (done.status_code, Appointment.objects.count()) == (200, 2)
    assert "2 booked" in done.content.decode()
    again = client.post("/worklist/book/", body)
    assert (again.status_code, Appointment.objects.count()) == (200, 2)


def test_only_chosen_rows_of_ones_own_sites_are_tried(ward: Ward, signed_in: Enter) -> None:
    one, two = begun(ward, 2)
    client = signed_in("desk", ward.clinic.site)
    shown = client.post("/worklist/try/", {"row": [str(current(one).public_id), "nonsense"]}).content.decode()
    assert ("Person0" in shown, "Person1" in shown) == (True, False)
    stranger = signed_in("desk", factories.site())
    assert "Person" not in stranger.post("/worklist/try/", {"row": [str(current(two).public_id)]}).content.decode()
    assert "No row was chosen" in client.post("/worklist/try/", {}).content.decode()
    assert signed_in("nurse", ward.clinic.site).post("/worklist/try/", {"all": "1"}).status_code == 403


def test_an_offer_that_is_anothers_or_was_changed_books_nothing(ward: Ward, signed_in: Enter) -> None:
    begun(ward, 2)
    client = signed_in("desk", ward.clinic.site)
    shown = client.post("/worklist/try/", {"all": "1", "tab": "book"}).content.decode()
    (first, offer), (second, _) = re.findall(r'name="opening_([^"]+)" value="([^"]+)"', shown)
    body = {"row": [first, second], f"opening_{second}": offer, f"opening_{first}": offer[:-2], "request_key": KEY}
    assert "2 left out" in client.post("/worklist/book/", body).content.decode()
    assert Appointment.objects.count() == 0


def test_the_window_of_a_row_is_kept_by_further_openings_too(ward: Ward) -> None:
    begun(ward, 6)
    rows = listed(ward)
    found = bulk.rehearse(planned=rows, by=ward.desk, at=NOW + timedelta(seconds=1))
    for row, one in zip(rows, found, strict=True):
        assert one.opening is not None
        assert row.earliest is not None
        assert row.latest is not None
        day = datetime.fromisoformat(one.opening["local"]).date()
        assert row.earliest <= day <= row.latest
