"""The worklist and the pages of a course: who sees them, what they say, what their buttons do."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from patients.models import Patient
from scheduling import courses, worklist
from scheduling.models import Appointment, Course, CourseCall, FoundOpenings, PlannedSession
from tests import factories
from tests.database.scheduling.courses.conftest import FACET, Ward, current
from tests.factories import NOW, TODAY

DAY = timedelta(days=1)
Enter = Callable[..., Client]


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pain_clinic.web.now", lambda: NOW)


def text(client: Client, address: str, status: int = 200) -> str:
    """Return a page's words, tags left out."""
    response = client.get(address)
    assert response.status_code == status, response.content[:400]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def plan_url(name: str, course: Course) -> str:
    return reverse(f"scheduling:{name}", args=[current(course).public_id])


def other(ward: Ward, name: str) -> Patient:
    return factories.patient(home=ward.clinic.site, last_name=name)


# --- the list --------------------------------------------------------------------------------------------------------


def test_the_worklist_sorts_courses_by_what_is_to_be_done(ward: Ward, signed_in: Enter) -> None:
    ward.start(since=TODAY)
    ward.start(patient=other(ward, "Late"), since=TODAY - 100 * DAY)
    ward.done("mbb_lumbar", TODAY - 3 * DAY, patient=(asked := other(ward, "Asked")))
    ward.start(patient=asked)
    off = ward.start(patient=other(ward, "Away"), since=TODAY)
    courses.snooze(course=off, until=TODAY + 9 * DAY, reason="On holiday", by=ward.desk, at=NOW)
    ward.done("mbb_lumbar", TODAY - 3 * DAY, patient=(poor := other(ward, "Poor")), pct=10)
    ward.start(patient=poor)
    client = signed_in("desk", ward.clinic.site)
    shown = {tab: text(client, f"/worklist/?tab={tab}") for tab in worklist.TABS}
    names = ("Marlow", "Late", "Asked", "Away", "Poor")
    found = {tab: [name for name in names if f"Vera {name}" in page] for tab, page in shown.items()}
    assert found == {
        "book": ["Marlow"], "overdue": ["Late"], "waiting": ["Asked"], "ending": [], "later": [], "off": ["Away"],
        "stopped": ["Poor"],
    }  # fmt: skip
    assert "To book (1)" in shown["book"]
    assert "waits for the patient's answer" in shown["waiting"]
    assert "Put off until Wed 23 Sep: On holiday" in shown["off"]
    assert "10 % is the best on record" in shown["stopped"]
    assert "No authorisation of an unbooked session ends within a month." in shown["ending"]


def test_the_worklist_shows_only_courses_of_ones_own_sites(ward: Ward, signed_in: Enter) -> None:
    course = ward.start(since=TODAY)
    stranger = signed_in("desk", factories.site())
    assert "Vera Marlow" not in text(stranger, "/worklist/")
    assert stranger.get(reverse("scheduling:course", args=[course.public_id])).status_code == 404
    assert stranger.post(plan_url("plan_book", course)).status_code == 404
    assert signed_in("biller", ward.clinic.site).get("/worklist/").status_code == 403


def test_the_worklist_asks_as_many_statements_for_one_row_as_for_three(ward: Ward, signed_in: Enter) -> None:
    client = signed_in("desk", ward.clinic.site)
    ward.start(since=TODAY)
    text(client, "/worklist/")
    with CaptureQueriesContext(connection) as one:
        text(client, "/worklist/")
    for name in ("Two", "Three"):
        ward.start(patient=other(ward, name), since=TODAY)
    with CaptureQueriesContext(connection) as three:
        text(client, "/worklist/")
    assert len(three) == len(one)


def test_one_click_books_an_opening_that_was_found(ward: Ward, signed_in: Enter) -> None:
    course = ward.start(since=TODAY)
    courses.refresh(at=NOW)
    client = signed_in("desk", ward.clinic.site)
    page = text(client, "/worklist/")
    assert "Book Mon 21 Sep 8:15 Dr. Adler, Room 1" in page
    packed = FoundOpenings.objects.get().openings[0]
    body = {"starts_at": packed["starts_at"], "request_key": "a-key-of-this-form"}
    first = client.post(plan_url("plan_book", course), body)
    case = Appointment.objects.get()
    assert (first.status_code, first["Location"]) == (303, reverse("scheduling:appointment", args=[case.public_id]))
    again = client.post(plan_url("plan_book", course), body)
    assert (again.status_code, Appointment.objects.count()) == (303, 1)
    assert "Vera Marlow" not in text(client, "/worklist/")
    assert "booked" in text(client, reverse("scheduling:course", args=[course.public_id]))


def test_an_opening_that_is_gone_is_said_and_nothing_is_booked(ward: Ward, signed_in: Enter) -> None:
    course = ward.start(since=TODAY)
    client = signed_in("desk", ward.clinic.site)
    response = client.post(plan_url("plan_book", course), {"starts_at": NOW.isoformat(), "request_key": "a-key-of-this-form"})
    assert response.status_code == 409
    assert "This time is no longer free" in response.content.decode()
    assert Appointment.objects.count() == 0


def test_calls_and_putting_off_are_written_from_the_list(ward: Ward, signed_in: Enter) -> None:
    course = ward.start(since=TODAY)
    client = signed_in("desk", ward.clinic.site)
    assert client.post(plan_url("plan_call", course), {"outcome": "left_word", "note": "Machine"}).status_code == 303
    assert client.post(plan_url("plan_call", course), {"outcome": "no such"}).status_code == 422
    assert CourseCall.objects.get().note == "Machine"
    assert "called 1 time, last Mon 14 Sep 7:00: Left word: Machine" in text(client, "/worklist/")
    for half in ({"until": "2026-09-30"}, {"reason": "Away"}):
        assert client.post(plan_url("plan_snooze", course), half).status_code == 422
    put_off = client.post(plan_url("plan_snooze", course), {"until": "2026-09-30", "reason": "Away", "from": "course"})
    assert put_off["Location"] == reverse("scheduling:course", args=[course.public_id])
    assert client.post(plan_url("plan_snooze", course), {"until": "", "reason": ""}).status_code == 303
    course.refresh_from_db()
    assert course.snoozed_until is None


def test_other_times_leads_to_the_booking_page_filled_in(ward: Ward, signed_in: Enter) -> None:
    ward.start(since=TODAY)
    client = signed_in("desk", ward.clinic.site)
    courses.refresh(at=NOW)
    address = re.search(r'href="(/book/[^"]+)">Other times', client.get("/worklist/").content.decode())
    assert address is not None
    page = client.get(address[1].replace("&amp;", "&")).content.decode()
    assert "Vera Marlow" in page
    assert "Diagnostic medial branch block, lumbar" in page
    assert page.count('name="levels" value="L4-L5" id="id_level_L4-L5" checked') == 1


# --- a course --------------------------------------------------------------------------------------------------------


def test_a_course_is_drawn_from_what_was_done_to_what_may_follow(ward: Ward, signed_in: Enter) -> None:
    ward.done("mbb_lumbar", TODAY - 20 * DAY, pct=90)
    course = ward.start()
    page = text(signed_in("physician", ward.clinic.site), reverse("scheduling:course", args=[course.public_id]))
    assert "Block 1 done Tue 25 Aug, 90 % better at best" in page
    assert "Block 2 best" in page
    assert "at least 14 days after Block 1" in page
    assert "Ablation may follow ablation after two blocks that helped" in page
    assert "Stop the course" in page
    desk = text(signed_in("desk", ward.clinic.site), reverse("scheduling:course", args=[course.public_id]))
    assert "Stop the course" not in desk


def test_a_physician_starts_a_course_by_form(ward: Ward, signed_in: Enter) -> None:
    client = signed_in("physician", ward.clinic.site)
    start = reverse("scheduling:course_start", args=[ward.patient.public_id])
    assert "Start a course for Vera Marlow" in text(client, start)
    address = f"{start}?pathway=facet_dual_block_to_rfa"
    assert "Block 1" in text(client, address)
    body = {
        "work_block_1": "mbb_lumbar", "work_block_2": "mbb_lumbar", "work_ablation": "rfa_facet_lumbar", "side": "right",
        "levels": "L4-S1", "since": "2026-09-01", "goal": "Walk the dog", "request_key": "a-key-of-this-form",
        "drug": "dexamethasone",
    }  # fmt: skip
    made = client.post(address, body)
    course = Course.objects.get()
    assert (made.status_code, made["Location"]) == (303, reverse("scheduling:course", args=[course.public_id]))
    assert (course.levels, course.goal, course.since.isoformat()) == (["L4-L5", "L5-S1"], "Walk the dog", "2026-09-01")
    assert "Dexamethasone" in text(client, made["Location"]).replace("dexamethasone", "Dexamethasone")
    assert client.post(address, body).status_code == 303
    assert Course.objects.count() == 1
    wrong = client.post(address, {**body, "levels": "", "request_key": "another-key-of-it"})
    assert wrong.status_code == 422
    assert "No level is chosen" in wrong.content.decode()
    assert client.post(address, {**body, "levels": "knee"}).status_code == 422
    assert signed_in("desk", ward.clinic.site).get(address).status_code == 403


def test_a_course_starts_from_what_was_performed_with_its_target_filled_in(ward: Ward, signed_in: Enter) -> None:
    done = ward.done("mbb_lumbar", TODAY - 20 * DAY, pct=90)
    client = signed_in("physician", ward.clinic.site)
    start = reverse("scheduling:course_start", args=[ward.patient.public_id])
    page = client.get(f"{start}?pathway=facet_dual_block_to_rfa&performed={done.public_id}").content.decode()
    assert 'value="L4-L5 L5-S1"' in page
    assert 'value="2026-08-25"' in page
    assert client.get(f"{start}?pathway=facet_dual_block_to_rfa&performed=nonsense").status_code == 200


def test_the_record_of_what_was_performed_leads_to_a_course_that_starts_from_it(ward: Ward, signed_in: Enter) -> None:
    done = ward.done("mbb_lumbar", TODAY - 20 * DAY, pct=90)
    record = reverse("patients:performed", args=[done.public_id])
    start = f"{reverse('scheduling:course_start', args=[ward.patient.public_id])}?performed={done.public_id}"
    client = signed_in("physician", ward.clinic.site)
    assert start in client.get(record).content.decode()
    assert start not in signed_in("nurse", ward.clinic.site).get(record).content.decode()
    asked = client.get(start).content.decode()
    assert f'name="performed" value="{done.public_id}"' in asked
    assert 'value="facet_dual_block_to_rfa" selected' in asked
    assert "it is the first session of the course" in asked


def test_a_physician_changes_stops_and_restarts(ward: Ward, signed_in: Enter) -> None:
    course = ward.start(since=TODAY)
    client = signed_in("physician", ward.clinic.site)
    change = reverse("scheduling:course_change", args=[course.public_id])
    assert "mbb_lumbar" in client.get(change).content.decode()
    body = {
        "work_block_1": "mbb_lumbar", "work_block_2": "mbb_lumbar", "work_ablation": "rfa_facet_lumbar", "side": "right",
        "levels": "L4-S1", "not_before": "2026-10-05", "version": "1",
    }  # fmt: skip
    assert client.post(change, body).status_code == 303
    assert current(course).earliest.isoformat() == "2026-10-05"
    assert client.post(change, body).status_code == 409
    stop, restart = (reverse(f"scheduling:course_{name}", args=[course.public_id]) for name in ("stop", "restart"))
    assert client.post(stop, {"reason": ""}).status_code == 422
    assert client.post(stop, {"reason": "Goal reached"}).status_code == 303
    assert client.post(stop, {"reason": "Goal reached"}).status_code == 409
    assert "Stopped by a physician: Goal reached" in text(client, reverse("scheduling:course", args=[course.public_id]))
    assert client.post(restart, {"anew": "0"}).status_code == 303
    course.refresh_from_db()
    assert course.status == "active"


def test_a_patients_page_lists_the_courses(ward: Ward, signed_in: Enter) -> None:
    course = ward.start(since=TODAY)
    address = reverse("scheduling:patient_upcoming", args=[ward.patient.public_id])
    page = signed_in("physician", ward.clinic.site).get(address).content.decode()
    assert reverse("scheduling:course", args=[course.public_id]) in page
    assert "Start a course" in page
    biller = signed_in("biller", ward.clinic.site).get(address).content.decode()
    assert "/courses/" not in biller
    assert PlannedSession.objects.count() == 1
    assert FACET.pathway == course.pathway


def test_the_history_says_what_is_planned_next_and_why_in_place(ward: Ward, signed_in: Enter) -> None:
    course = ward.start(since=TODAY)
    plan = current(course)

    answer = signed_in("physician", ward.clinic.site).get(f"/patients/{ward.patient.public_id}/")

    (shown,) = answer.context["page"].beyond.plans
    assert (shown.url, shown.is_running) == (reverse("scheduling:course", args=[course.public_id]), True)
    assert shown.why == (tuple(plan.blocked_by) or tuple(plan.reasons) if plan.state == "proposed" else (plan.for_what,))
    assert shown.why
    page = html.unescape(answer.content.decode())
    for told in (shown.name, shown.when, *shown.why):
        assert told in page
