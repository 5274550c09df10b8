"""The pages of the pathways: drawn and in words, changed after a look at the running courses, planned anew by causes."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pain_clinic.clock import wall
from procedures.models import ClinicPathway
from scheduling import courses
from scheduling.courses import planning
from scheduling.models import Course, PlanCause
from tests import factories
from tests.database.scheduling.courses.conftest import FACET, Ward, current
from tests.factories import NOW, TODAY

DAY = timedelta(days=1)
Enter = Callable[..., Client]


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pain_clinic.web.now", lambda: NOW)


@pytest.fixture
def row(ward: Ward) -> ClinicPathway:
    return ClinicPathway.objects.get(code=FACET.pathway)


def words(response: Any) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def typed(page: Any, **changes: Any) -> dict[str, Any]:
    """Return what a browser would send of the form on a page."""
    form = page.context["form"]
    return {name: form[name].value() for name in form.fields if form[name].value() is not None} | changes


def test_the_list_says_how_many_courses_run_on_each(ward: Ward, signed_in: Enter) -> None:
    ward.start()
    page = words(signed_in("desk", ward.clinic.site).get("/pathways/"))
    assert "Medial branch block 1, block 2, ablation Block 1 → Block 2 → Ablation 1 1" in page
    with CaptureQueriesContext(connection) as one:
        signed_in("desk", ward.clinic.site).get("/pathways/")
    for name in ("Two", "Three"):
        ward.start(patient=factories.patient(home=ward.clinic.site, last_name=name))
    with CaptureQueriesContext(connection) as three:
        signed_in("desk", ward.clinic.site).get("/pathways/")
    assert len(one) == len(three)
    assert signed_in("biller", ward.clinic.site).get("/pathways/").status_code == 403


def test_a_pathway_is_drawn_and_told_in_words(ward: Ward, row: ClinicPathway, signed_in: Enter) -> None:
    response = signed_in("nurse", ward.clinic.site).get(f"/pathways/{row.public_id}/")
    page = words(response)
    for text in (
        "Then Block 2 : second block at the same levels not before 14 days, best a week after that",
        "at least 80 % better",
        "lapses after 12 months",
        "2 sessions in 12 months for one level and side",
        "Ablation Radiofrequency ablation of facet joint nerves, cooled ablation of facet joint nerves",
        "at least 80 % better after Block 1 and Block 2",
        "Two sides on two dates at least 14 days apart",
        f"{wall(row.changed_at.astimezone(ZoneInfo(ward.clinic.site.time_zone)))} Version 1 by the tables: From the table.",
        "Seen in a document.",
    ):
        assert text in page, text
    picture = response.content.decode()
    assert '<svg class="pathway-map" role="img" aria-label="Medial branch block 1, block 2, ablation, drawn.' in picture
    assert "style=" not in picture
    assert "Change" not in page


def test_looking_says_which_courses_would_change_and_changes_nothing(ward: Ward, row: ClinicPathway, signed_in: Enter) -> None:
    ward.done("mbb_lumbar", TODAY - 3 * DAY, pct=90)
    course = ward.start()
    client = signed_in("physician", ward.clinic.site)
    address = f"/pathways/{row.public_id}/change/"
    body = typed(client.get(address), **{"block_1.0.earliest": "28 days", "act": "look"})
    page = words(client.post(address, body))
    assert "1 running course would be planned otherwise, 0 of them stopped" in page
    assert "All 1 on this pathway were asked." in page
    assert "Block 2: from Fri 25 Sep, best Fri 2 Oct, until Fri 6 Nov" in page
    assert "Block 2: from Fri 9 Oct, best Fri 16 Oct, until Fri 20 Nov" in page
    row.refresh_from_db()
    assert (row.version, current(course).earliest) == (1, TODAY + 11 * DAY)


def test_saving_makes_a_version_and_plans_the_running_courses_once(ward: Ward, row: ClinicPathway, signed_in: Enter) -> None:
    ward.done("mbb_lumbar", TODAY - 3 * DAY, pct=90)
    course = ward.start()
    stopped = ward.start(patient=factories.patient(home=ward.clinic.site, last_name="Stopped"))
    courses.stop(course=stopped, reason="No", by=ward.doctor, at=NOW)
    courses.sweep(at=NOW)
    client = signed_in("physician", ward.clinic.site)
    address = f"/pathways/{row.public_id}/change/"
    body = typed(client.get(address), **{"block_1.0.earliest": "28 days", "act": "save"})
    assert client.post(address, body).status_code == 422  # no reason
    assert client.post(address, {**body, "reason": "Two weeks are too short here"}).status_code == 303
    assert client.post(address, {**body, "reason": "Again"}).status_code == 409
    row.refresh_from_db()
    assert (row.version, row.reason) == (2, "Two weeks are too short here")
    causes = PlanCause.objects.filter(kind="pathway", done_at=None)
    assert [cause.patient_id for cause in causes] == [ward.patient.pk]
    assert courses.sweep(at=NOW).changed == 1
    assert current(course).earliest == TODAY + 25 * DAY
    assert courses.sweep(at=NOW) == planning.Tally()
    page = words(client.get(f"/pathways/{row.public_id}/"))
    assert "Two weeks are too short here Block 1, then Block 2, not before: 14 days → 28 days" in page
    assert "The clinic's own values" in page


def test_a_pathway_that_is_off_stops_its_courses_until_it_is_on_again(ward: Ward, row: ClinicPathway, signed_in: Enter) -> None:
    course = ward.start(since=TODAY)
    client = signed_in("physician", ward.clinic.site)
    address = f"/pathways/{row.public_id}/change/"
    for switch, status in (("no", "stopped"), ("yes", "active")):
        body = typed(client.get(address), is_enabled=switch, act="save", reason="We pause it")
        looked = words(client.post(address, {**body, "act": "look"}))
        assert ("1 of them stopped" if switch == "no" else "1 taken up again") in looked
        assert client.post(address, body).status_code == 303
        courses.sweep(at=NOW)
        course.refresh_from_db()
        assert course.status == status
        start = client.get(f"/patients/{ward.patient.public_id}/courses/new/").content.decode()
        assert (f'value="{row.code}"' in start) is (switch == "yes")


def test_what_cannot_be_is_said_at_its_field(ward: Ward, row: ClinicPathway, signed_in: Enter) -> None:
    client = signed_in("physician", ward.clinic.site)
    address = f"/pathways/{row.public_id}/change/"
    body = typed(client.get(address), act="look")
    bad = client.post(address, {**body, "block_1.0.earliest": "soon"})
    assert (bad.status_code, "Write a number and a unit" in words(bad)) == (422, True)
    early = client.post(address, {**body, "block_2.0.ideal": "0 days"})
    assert (early.status_code, "ideal comes before earliest" in words(early)) == (422, True)
    half = client.post(address, {**body, "most": ""})
    assert (half.status_code, "or neither" in words(half)) == (422, True)
    assert signed_in("manager", ward.clinic.site).get(address).status_code == 403


def test_a_running_course_may_be_changed_while_its_pathway_is_off_but_none_begins(ward: Ward, row: ClinicPathway) -> None:
    course = ward.start(since=TODAY)
    ClinicPathway.objects.filter(pk=row.pk).update(is_enabled=False)
    with pytest.raises(courses.TermsRefused):
        ward.start(patient=factories.patient(home=ward.clinic.site, last_name="Late"))
    changed = courses.change(course=course, terms=FACET, by=ward.doctor, at=NOW)
    assert (changed.status, changed.stop_code, Course.objects.count()) == ("stopped", "pathway_off", 1)
