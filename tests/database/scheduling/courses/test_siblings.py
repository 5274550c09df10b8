"""Several courses of one patient know of each other before anything is booked: in what is planned and what is offered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from pain_clinic.accounts.models import User
from procedures import pathwaybook
from procedures.models import Procedure
from scheduling import booking, bulk, courses
from scheduling.assessing import Details
from scheduling.courses import Terms, planning, previewing
from scheduling.courses.choosing import chosen
from scheduling.courses.judging import read_world
from scheduling.courses.siblings import sibling_of
from scheduling.models import Course, FoundOpenings, PlannedSession, PlanRun
from scheduling.openings import find_openings
from scheduling.worklist import rows_of
from scheduling.worklist.rows import joined
from tests import factories
from tests.database.scheduling.courses.conftest import Ward, current
from tests.database.scheduling.courses.test_planning import changes
from tests.factories import NOW, TODAY, local

DAY = timedelta(days=1)
GAP = 14 * DAY
EPIDURAL = Terms(pathway="esi_as_needed", works={"epidural": "esi_tf_lumbar"}, side="right", levels=("L5-S1",))
JOINT = Terms(
    pathway="si_pathway", works={"diagnostic": "si_joint_ia", "therapeutic": "si_joint_ia"}, side="left",
    drug="triamcinolone_acetonide",
)  # fmt: skip
NECK = replace(EPIDURAL, works={"epidural": "esi_il_cervical"}, side="midline", levels=("C7-T1",))


@pytest.fixture
def both(ward: Ward) -> Callable[..., tuple[Course, Course]]:
    """Return a patient's epidural and, ordered later, the joint with a steroid."""
    for code in ("si_joint_ia", "esi_il_cervical"):
        factories.privilege(of=ward.clinic.physician, for_procedure=Procedure.objects.get(code=code))
    factories.build_free_time(at=NOW)

    def started(other: Terms = JOINT) -> tuple[Course, Course]:
        return ward.start(EPIDURAL, since=TODAY), ward.start(other, since=TODAY)

    return started


def days_of(course: Course) -> list[date]:
    zone = ZoneInfo(course.site.time_zone)
    found = FoundOpenings.objects.get(planned=current(course)).openings
    return [datetime.fromisoformat(one["starts_at"]).astimezone(zone).date() for one in found]


def test_the_later_course_is_kept_apart_by_the_interval_and_says_from_what(ward: Ward, both: Any) -> None:
    first, other = both()
    lead, row = current(first), current(other)
    assert row.earliest == lead.ideal + GAP
    told = f"Kept apart from the proposed session of Epidural steroid, one at a time, right on {lead.ideal}, not booked yet"
    assert row.blocked_by == [f"{told}: 14 days must lie between."]
    assert lead.blocked_by == []


def test_a_course_at_another_site_is_told_of_by_its_days_and_not_by_its_name(
    ward: Ward, both: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pain_clinic.web.now", lambda: NOW)
    elsewhere = factories.site(name="Elsewhere", slug="elsewhere")
    first, other = both()
    Course.objects.filter(pk=first.pk).update(site=elsewhere)
    courses.plan([first.pk], at=NOW)
    told = f"the proposed session of another course on {current(first).ideal}"
    assert current(other).blocked_by == [f"Kept apart from {told}, not booked yet: 14 days must lie between."]
    (row,) = rows_of(listed(other), by=ward.desk, today=TODAY)
    assert row.told == tuple(current(other).blocked_by)
    client = Client()
    client.force_login(factories.user(role="physician", sites=(ward.clinic.site,)))
    for address in (
        reverse("scheduling:course", args=[other.public_id]),
        reverse("scheduling:worklist") + "?tab=later",
        f"/api/v1/courses/{other.public_id}/",
    ):
        text = client.get(address).content.decode()
        assert "Kept apart from the proposed session of another course on" in text, address
        assert "Epidural" not in text, address
    world = read_world([first, other], at=NOW)
    found = sibling_of(current(first), None, world)
    assert found is not None
    assert [one.told for one in found.beside(other.site_id, world)] == [told]


def test_without_the_other_course_the_day_is_the_earlier_one(ward: Ward, both: Any) -> None:
    alone = ward.start(JOINT, since=TODAY)
    assert (current(alone).earliest, current(alone).blocked_by) == (TODAY, [])


def test_a_course_of_somebody_else_keeps_nothing_apart(ward: Ward, both: Any) -> None:
    ward.start(EPIDURAL, since=TODAY, patient=factories.patient(home=ward.clinic.site, last_name="Another"))
    assert current(ward.start(JOINT, since=TODAY)).earliest == TODAY


def test_what_is_offered_for_the_later_course_is_bookable_beside_what_is_offered_first(ward: Ward, both: Any) -> None:
    first, other = both()
    courses.refresh(at=NOW)
    lead = days_of(first)[0]
    assert min(days_of(other)) >= lead + GAP
    for course in (first, other):
        row = current(course)
        opening, _ = chosen(row, None, NOW)
        courses.book_next(planned=row, opening=opening, by=ward.desk, at=NOW)  # nothing is refused, nothing waived
    assert current(other).booked_on == days_of(other)[0]


def test_what_is_offered_moves_with_what_is_offered_first_not_with_its_ideal_day(ward: Ward, both: Any) -> None:
    first, other = both()
    ideal = current(first).ideal
    assert ideal is not None
    ward.clinic.room.absences.create(starts_at=local(ideal - 3 * DAY, "0:00"), ends_at=local(ideal + 5 * DAY, "0:00"))
    factories.build_free_time(at=NOW)
    courses.refresh(at=NOW)
    lead = days_of(first)[0]
    assert lead != ideal
    assert all(abs(day - lead) >= GAP for day in days_of(other))


def test_booking_the_first_course_elsewhere_plans_the_other_once(ward: Ward, both: Any) -> None:
    first, other = both()
    courses.refresh(at=NOW)
    row = current(first)
    last = FoundOpenings.objects.get(planned=row).openings[-1]["starts_at"]
    opening, _ = chosen(row, datetime.fromisoformat(last), NOW)
    case = courses.book_next(planned=row, opening=opening, by=ward.desk, at=NOW)
    # It is a case by now: its own date is one session with it, and for the days around it a reason could be given.
    assert (current(other).ideal, current(other).blocked_by) == (case.local_date, [])
    before = changes(other)
    courses.sweep(at=NOW)
    assert courses.sweep(at=NOW) == planning.Tally()
    assert changes(other) == before


def test_beside_a_case_that_is_booked_days_without_a_reason_are_offered_first(ward: Ward, both: Any) -> None:
    first, other = both()
    courses.refresh(at=NOW)
    row = current(first)
    opening, _ = chosen(row, None, NOW)
    case = courses.book_next(planned=row, opening=opening, by=ward.desk, at=NOW)
    courses.refresh(at=NOW + timedelta(minutes=1))
    days = days_of(other)
    assert len(days) == 3
    assert all(day == case.local_date or abs(day - case.local_date) >= GAP for day in days)
    # Each of them is bookable by one press.
    opening, _ = chosen(current(other), None, NOW)
    courses.book_next(planned=current(other), opening=opening, by=ward.desk, at=NOW)


def test_planning_again_in_any_order_writes_nothing(ward: Ward, both: Any) -> None:
    first, other = both()
    before = changes(first), changes(other)
    for keys in ([first.pk], [other.pk], [other.pk, first.pk]):
        assert courses.plan(keys, at=NOW) == planning.Tally(planned=2)
    assert (changes(first), changes(other)) == before


@pytest.mark.parametrize("how", ["stopped", "put off"])
def test_a_course_that_is_stopped_or_put_off_holds_the_other_no_longer(ward: Ward, both: Any, how: str) -> None:
    first, other = both()
    if how == "stopped":
        courses.stop(course=first, reason="Surgery instead", by=ward.doctor, at=NOW)
    else:
        courses.snooze(course=first, until=TODAY + 90 * DAY, reason="After the holidays", by=ward.desk, at=NOW)
    assert (current(other).earliest, current(other).blocked_by) == (TODAY, [])
    if how == "stopped":
        courses.restart(course=first, by=ward.doctor, at=NOW, on=TODAY)
    else:
        courses.snooze(course=first, until=None, reason="", by=ward.desk, at=NOW)
    assert current(other).earliest == current(first).ideal + GAP


def test_the_night_plans_a_patients_courses_together_and_each_once(ward: Ward, both: Any, monkeypatch: Any) -> None:
    first, other = both()
    ward.start(patient=factories.patient(home=ward.clinic.site, last_name="Between"))
    third = ward.start(NECK, since=TODAY)
    monkeypatch.setattr(planning, "BATCH", 1)
    run = PlanRun.objects.create(site=ward.clinic.site, day=TODAY, started_at=NOW, moved_at=NOW)
    tally = courses.plan_nights(at=NOW)
    run.refresh_from_db()
    assert (tally.planned, tally.changed, run.planned) == (4, 0, 4)
    assert [row.earliest for row in map(current, (other, third))] == [current(one).ideal + GAP for one in (first, other)]
    assert list(courses.rehearse(at=NOW)) == []


@pytest.mark.parametrize(("zone", "planned"), [("America/Los_Angeles", 2), ("America/New_York", 0)])
def test_each_course_is_planned_in_the_night_of_its_own_sites_time_zone(ward: Ward, both: Any, zone: str, planned: int) -> None:
    """At one in New York it is still the evening before further west: what ends with that day ends in that site's night."""
    _, other = both()
    there = factories.site(name="Elsewhere", slug="elsewhere", time_zone=zone)
    Course.objects.filter(pk=other.pk).update(site=there, not_after=TODAY)
    courses.plan([other.pk], at=NOW)
    east = datetime.combine(TODAY + DAY, time(1, 30), tzinfo=ZoneInfo("America/New_York"))
    courses.plan_nights(at=east)
    is_over = zone == "America/New_York"
    assert current(other).code == ("expired" if is_over else "")
    west = datetime.combine(TODAY + DAY, time(1, 30), tzinfo=ZoneInfo("America/Los_Angeles"))
    courses.plan_nights(at=west)
    assert current(other).code == "expired"
    run = PlanRun.objects.get(site=there, day=TODAY + DAY)
    assert (run.planned, run.finished_at is not None) == (planned, True)


def test_a_look_at_a_pathways_change_plans_each_course_beside_the_patients_others(ward: Ward, both: Any) -> None:
    first, other = both()
    user, joint = User.objects.get(pk=ward.doctor.user_id), pathwaybook.pathways()[JOINT.pathway]
    assert previewing.effect_of(pathway=joint, user=user, at=NOW).changed == 0
    (found,) = previewing.effect_of(pathway=replace(joint, is_on=False), user=user, at=NOW).touched
    assert (found.course, found.before["earliest"], found.after["code"]) == (other, current(first).ideal + GAP, "pathway_off")


def test_a_patient_with_several_courses_takes_no_more_statements(ward: Ward, both: Any) -> None:
    key = ward.start(EPIDURAL, since=TODAY).pk
    with CaptureQueriesContext(connection) as one:
        courses.plan([key], at=NOW)
    ward.start(JOINT, since=TODAY)
    ward.start(NECK, since=TODAY)
    with CaptureQueriesContext(connection) as three:
        courses.plan([key], at=NOW)
    assert len(three) == len(one)


def test_the_worklist_says_it(ward: Ward, both: Any) -> None:
    _, other = both()
    (row,) = rows_of(listed(other), by=ward.desk, today=TODAY)
    assert row.told[0].startswith("Kept apart from the proposed session of Epidural steroid")


def test_the_worklist_says_it_too_where_only_the_best_day_is_moved(ward: Ward, both: Any) -> None:
    later = replace(EPIDURAL, not_before=TODAY + 30 * DAY, not_after=TODAY + 32 * DAY)
    first, other = ward.start(later, since=TODAY), ward.start(replace(JOINT, not_before=TODAY), since=TODAY)
    assert current(first).ideal >= TODAY + 30 * DAY
    (row,) = rows_of(listed(other), by=ward.desk, today=TODAY)
    assert (current(other).earliest, current(other).blocked_by) == (TODAY, [])
    assert row.told[0].startswith("Kept apart from the proposed session of Epidural steroid")


def test_a_bulk_books_no_two_rows_of_a_patient_too_close(ward: Ward, both: Any) -> None:
    first, other = both()
    courses.refresh(at=NOW)
    # Of the first course nothing that was found ahead is left but the last: the other has to keep apart from that.
    found = FoundOpenings.objects.get(planned=current(first))
    found.openings = found.openings[-1:]
    found.save()
    tried = bulk.rehearse(planned=listed(first, other), by=ward.desk, at=NOW)
    days = [datetime.fromisoformat(one.opening["starts_at"]).date() for one in tried if one.opening is not None]
    assert len(days) == 2
    assert days[1] - days[0] >= GAP
    wanted = [bulk.Wanted(one.planned, one.opening) for one in tried if one.opening is not None]
    assert [one.refusal for one in bulk.book(wanted=wanted, key="k" * 20, by=ward.desk, at=NOW)] == [None, None]


def listed(*several: Course) -> list[PlannedSession]:
    rows = joined(PlannedSession.objects.filter(is_current=True))
    return [next(row for row in rows if row.course_id == course.pk) for course in several]


def test_who_books_the_later_course_first_turns_it_round(ward: Ward, both: Any) -> None:
    first, other = both()
    procedure = Procedure.objects.get(code="si_joint_ia")
    opening = find_openings(procedure=procedure, at=NOW, patient=ward.patient, limit=1).openings[0]
    details = Details(drug="triamcinolone_acetonide", dose_mg=Fraction(40))
    case = booking.book(
        patient=ward.patient, procedure=procedure, target=booking.Target("left", details=details), opening=opening,
        by=ward.desk, at=NOW,
    )  # fmt: skip
    assert case.local_date < (current(other).earliest or TODAY)
    courses.sweep(at=NOW)
    assert current(other).booked_on == case.local_date
    assert current(first).ideal == case.local_date + GAP
