"""The questions that a course's gates need: laid down with the course, never twice, asked again once, then a call."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from patients.models import PerformedProcedure
from procedures.models import Procedure
from scheduling import asking, asks, cadence, courses, links, visits
from scheduling.courses import Terms
from scheduling.models import Appointment, Ask, Course, DeskTask, LinkPurpose, Message, Status
from tests import factories
from tests.database.scheduling.courses.conftest import FACET, Ward, current
from tests.factories import EVENING, NOW, TODAY, TOMORROW, local

DAY = timedelta(days=1)
STELLATE = Terms(
    "sympathetic_series", {"block_1": "stellate_block", "block_2": "stellate_block", "block_3": "stellate_block"}, side="left"
)
TPI = Terms("tpi_series", {"trigger_points": "tpi"}, side="left", regions=("lumbar",))


@pytest.fixture(autouse=True)
def _cadence(ward: Ward) -> None:
    cadence.load_defaults(by=Actor.system("tests"), at=NOW)


def done(ward: Ward, code: str, *, side: str = "right", levels: Any = FACET.levels, regions: Any = ()) -> Appointment:
    """Let a case of today have been done and discharged."""
    case = factories.appointment(
        of=ward.patient, at_site=ward.clinic.site, for_procedure=Procedure.objects.get(code=code),
        resources=ward.clinic.resources,
        starts_at=local(TODAY, "9:00"), status=Status.DISCHARGED, side=side,
    )  # fmt: skip
    Appointment.objects.filter(pk=case.pk).update(levels=list(levels), regions=list(regions))
    case.refresh_from_db()
    visits.complete(appointment=case, done=visits.as_booked(case), by=ward.doctor, at=case.leaves_at, reason="On paper")
    return case


def followed(case: Appointment) -> int:
    courses.sweep(at=case.leaves_at)
    return asking.follow(at=case.leaves_at)


def mails(case: Appointment) -> dict[str, datetime]:
    rows = Message.objects.filter(appointment=case, kind="follow_up", state="due").order_by("planned_at", "step")
    return {row.step: row.planned_at for row in rows if row.planned_at is not None}


def test_what_the_cadence_asks_anyway_is_not_asked_twice_only_again_once(ward: Ward) -> None:
    course = ward.start(since=TODAY)
    case = done(ward, "mbb_lumbar")
    before = Ask.objects.count()
    assert followed(case) == 1
    assert current(course).owner == "patient"
    assert Ask.objects.count() == before > 0
    again = Message.objects.get(step__endswith=asks.AGAIN)
    assert again.step == f"score-0d{asks.AGAIN}"
    assert again.due_at == Ask.objects.filter(step="score-0d").latest("meant_at").closes_at - DAY
    assert asking.follow(at=case.leaves_at + timedelta(minutes=5)) == 0
    assert Message.objects.filter(step__endswith=asks.AGAIN).count() == 1


def test_a_block_that_the_cadence_does_not_ask_about_gets_a_diary(ward: Ward) -> None:
    ward.start(STELLATE, since=TODAY)
    case = done(ward, "stellate_block", side="left", levels=())
    assert Ask.objects.count() == 0
    assert followed(case) == 1
    assert {ask.step for ask in Ask.objects.all()} == {"course-diary"}
    assert Ask.objects.count() > 8
    assert list(mails(case)) == ["course-diary", f"course-diary{asks.AGAIN}"]


def test_a_date_that_the_cadence_leaves_out_is_asked_on_the_day_from_which_it_counts(ward: Ward) -> None:
    for step in ("score-42d",):
        row = cadence.CadenceStep.objects.get(code=step, family="tpi", site=None)
        cadence.change(step=row, values={"is_on": False}, by=Actor.system("tests"), at=NOW)
    course = ward.start(TPI, since=TODAY)
    case = done(ward, "tpi", side="left", levels=(), regions=["lumbar"])
    assert followed(case) == 1
    assert current(course).due_on == TODAY + 42 * DAY
    made = Ask.objects.get(step="course-42d")
    assert made.meant_at == local(TODAY + 42 * DAY, "10:00")
    assert made.questions == ["nrs.index", "percent_relief.total"]
    assert mails(case)["course-42d"] == made.meant_at
    assert mails(case)[f"course-42d{asks.AGAIN}"] == made.closes_at - DAY


def test_an_epidural_is_asked_about_and_chased_before_another_may_be(ward: Ward) -> None:
    terms = Terms("esi_as_needed", {"epidural": "esi_tf_lumbar"}, side="right", levels=("L5-S1",))
    ward.start(terms, since=TODAY)
    case = done(ward, "esi_tf_lumbar", levels=["L5-S1"])
    assert followed(case) == 1
    made = Ask.objects.get(step="course-10d")
    gate = local(TODAY + 14 * DAY, "0:00")
    assert (made.meant_at, made.closes_at) == (local(TODAY + 10 * DAY, "10:00"), local(TODAY + 13 * DAY, "10:00"))
    assert Ask.objects.get(step="score-14d").closes_at > gate  # what is asked anyway ends too late for it
    Ask.objects.filter(meant_at__lt=made.meant_at).update(answered_at=case.leaves_at + DAY)
    asks.chase(at=made.closes_at - timedelta(minutes=1))
    assert not DeskTask.objects.filter(kind="no_answer", reason="course-10d").exists()
    asks.chase(at=made.closes_at)
    assert DeskTask.objects.get(kind="no_answer", reason="course-10d").opened_at < gate


def test_an_epidural_of_which_it_is_heard_late_is_asked_about_for_as_long_as_there_is(ward: Ward) -> None:
    terms = Terms("esi_as_needed", {"epidural": "esi_tf_lumbar"}, side="right", levels=("L5-S1",))
    ward.start(terms, since=TODAY)
    case = done(ward, "esi_tf_lumbar", levels=["L5-S1"])
    courses.sweep(at=case.leaves_at)
    assert asking.follow(at=local(TODAY + 11 * DAY, "15:00")) == 1
    made = Ask.objects.get(step="course-12d")
    assert (made.meant_at, made.closes_at) == (local(TODAY + 12 * DAY, "10:00"), local(TODAY + 13 * DAY, "10:00"))


def test_an_answer_takes_the_second_mail_back_and_is_good_from_either(ward: Ward) -> None:
    ward.start(STELLATE, since=TODAY)
    case = done(ward, "stellate_block", side="left", levels=())
    followed(case)
    again = Message.objects.get(step=f"course-diary{asks.AGAIN}")
    address = links.issue(message=again, purpose=LinkPurpose.SCORE, at=case.leaves_at)
    link = links.read(secret=address.rstrip("/").rpartition("/")[2], at=case.leaves_at)
    first = asks.shown(link=link, at=case.leaves_at)[0].ask
    asks.answer(link=link, ask=first, question="nrs.index", value=2, by=Actor.system("tests"), at=first.meant_at)
    again.refresh_from_db()
    assert (again.state, again.reason) == ("withdrawn", "answered")


def test_no_answer_becomes_a_call_before_the_next_session_could_be(ward: Ward) -> None:
    course = ward.start(TPI, since=TODAY)
    case = done(ward, "tpi", side="left", levels=(), regions=["lumbar"])
    followed(case)
    Ask.objects.filter(step="score-14d").update(answered_at=case.leaves_at + 14 * DAY)
    closes = Ask.objects.filter(step="score-42d").latest("closes_at").closes_at
    asks.chase(at=closes)
    task = DeskTask.objects.get(kind="no_answer", reason="score-42d")
    planned = current(course)
    assert planned.due_on is not None
    assert task.opened_at.date() < planned.due_on + 7 * DAY  # the ideal day of the next session


def test_without_a_case_the_desk_calls_on_the_day_and_not_before(ward: Ward) -> None:
    ward.done("tpi", TODAY - 41 * DAY, side="left", levels=[], regions=["lumbar"], role="therapeutic")
    course = ward.start(TPI, since=TODAY - 60 * DAY)
    assert current(course).due_on == TODAY + DAY
    assert asking.follow(at=NOW) == 0
    assert asking.follow(at=NOW + timedelta(minutes=1)) == 0
    assert asking.follow(at=NOW + DAY) == 1
    assert DeskTask.objects.get(kind="no_answer").reason == "course"
    assert asking.follow(at=NOW + 2 * DAY) == 0


def test_in_the_evening_before_the_day_the_desk_is_not_told_to_call(ward: Ward) -> None:
    ward.done("tpi", TODAY - 41 * DAY, side="left", levels=[], regions=["lumbar"], role="therapeutic")
    course = ward.start(TPI, since=TODAY - 60 * DAY)
    assert current(course).due_on == TOMORROW
    assert [asking.follow(at=EVENING + n * timedelta(minutes=1)) for n in range(2)] == [0, 0]
    assert current(course).asked_for == TODAY
    assert asking.follow(at=local(TOMORROW, "0:00")) == 1
    assert DeskTask.objects.get(kind="no_answer").reason == "course"


def test_a_course_started_after_the_session_asks_too(ward: Ward) -> None:
    case = done(ward, "stellate_block", side="left", levels=())
    performed = PerformedProcedure.objects.get(appointment=case.public_id)
    course: Course = ward.start(STELLATE, since=TODAY, started_from=performed)
    assert asking.follow(at=case.leaves_at + 3 * DAY) == 1
    made = Ask.objects.get()
    assert (made.step, made.slot) == ("course-4d", "")
    assert current(course).asked_for == TODAY


def test_courses_that_wait_for_nobody_ask_nothing(ward: Ward) -> None:
    ward.start(since=TODAY)
    stopped = ward.start(replace(FACET, side="left"), since=TODAY)
    courses.stop(course=stopped, reason="No", by=ward.doctor, at=NOW)
    assert asking.follow(at=NOW) == 0


def test_an_answer_that_the_planner_has_not_read_yet_is_not_asked_for_again(ward: Ward) -> None:
    course = ward.start(since=TODAY)
    case = done(ward, "mbb_lumbar")
    courses.sweep(at=case.leaves_at)
    performed = PerformedProcedure.objects.get(appointment=case.public_id)
    ward.told(performed, TODAY, 10, "before")
    ward.told(performed, TODAY, 1, "after")
    assert asking.follow(at=case.leaves_at) == 0
    planned = current(course)
    assert (planned.state, planned.owner, planned.asked_for) == ("waiting", "patient", planned.due_on)
    assert not Message.objects.filter(step__endswith=asks.AGAIN).exists()


@pytest.mark.parametrize(("before", "is_mailed"), [(DAY + timedelta(minutes=1), True), (DAY, False), (DAY / 2, False)])
def test_a_question_that_closes_within_a_day_is_not_mailed_again(ward: Ward, before: timedelta, is_mailed: bool) -> None:
    ward.start(since=TODAY)
    case = done(ward, "mbb_lumbar")
    courses.sweep(at=case.leaves_at)
    closes = Ask.objects.filter(step="score-0d").latest("closes_at").closes_at
    assert asking.follow(at=closes - before) == 1
    assert Message.objects.filter(step__endswith=asks.AGAIN).exists() is is_mailed
