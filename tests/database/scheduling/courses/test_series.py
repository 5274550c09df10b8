"""Several sessions ordered together: dates that fit jointly under every rule, skipped, moved, and booked all or none."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import Forbidden
from patients.models import Authorization, AuthorizationUse, Coverage
from procedures.levels import levels_offered
from procedures.models import Procedure
from scheduling import booking, courses, openings, series
from scheduling.booking import Target
from scheduling.models import Appointment, Series, SeriesSession
from scheduling.series import (
    DayRefused,
    FromCourse,
    Item,
    NothingToBook,
    NotWhole,
    OrderRefused,
    SeriesClosed,
    SeriesStale,
)
from tests import factories
from tests.database.scheduling.courses.conftest import FACET, Ward, current
from tests.factories import NOW, TODAY

DAY = timedelta(days=1)
LEVELS = ("L4-L5", "L5-S1")


def item(code: str, side: str = "right", **values: object) -> Item:
    return Item(Procedure.objects.get(code=code), side, **{"levels": LEVELS, **values})  # type: ignore[arg-type]


def ordered(ward: Ward, *given: FromCourse | Item, **values: object) -> Series:
    return series.order(
        patient=ward.patient, site=ward.clinic.site, given=given, by=ward.doctor, at=NOW, **values,  # type: ignore[arg-type]
    )  # fmt: skip


def sessions(of: Series) -> list[SeriesSession]:
    return series.read(of)


def days(of: Series) -> list[date | None]:
    return [datetime.fromisoformat(one.opening["local"]).date() if one.opening else None for one in sessions(of)]


def take(ward: Ward, session: SeriesSession) -> Appointment:
    """Let somebody else take the opening of a session."""
    opening = session.opening
    fit = openings.fit(
        procedure=ward.clinic.procedure, starts_at=datetime.fromisoformat(opening["starts_at"]), site=ward.clinic.site, at=NOW,
    ).opening  # fmt: skip
    assert fit is not None
    return booking.book(
        patient=factories.patient(home=ward.clinic.site, last_name="Rival"), procedure=ward.clinic.procedure,
        target=Target("left"), opening=fit, by=ward.desk, at=NOW,
    )  # fmt: skip


# --- ordering and proposing ------------------------------------------------------------------------------------------


def test_the_next_steps_of_a_course_get_dates_at_their_intervals(ward: Ward) -> None:
    course = ward.start(since=TODAY)
    made = ordered(ward, FromCourse(course, 3))
    found = sessions(made)
    assert [(one.step, one.procedure, one.after, one.role) for one in found] == [
        ("block_1", "mbb_lumbar", None, ""), ("block_2", "mbb_lumbar", 1, ""),
        ("ablation", "rfa_facet_lumbar", 2, ""),
    ]  # fmt: skip
    first, second, third = days(made)
    assert first == current(course).ideal
    assert second is not None
    assert third is not None
    assert second - first >= 14 * DAY
    assert second < third
    assert made.is_best
    assert all(not one.why_none for one in found)
    assert Appointment.objects.count() == 0
    assert AuditEvent.objects.filter(act="scheduling.order_series").count() == 1


def test_both_sides_of_a_staged_course_come_one_after_the_other(ward: Ward) -> None:
    course = ward.start(replace(FACET, side="bilateral", is_staged=True), since=TODAY)
    found = sessions(ordered(ward, FromCourse(course, 6)))
    assert [(one.step, one.side) for one in found][:4] == [
        ("block_1", "bilateral"), ("block_2", "bilateral"), ("ablation", "left"), ("ablation", "right"),
    ]  # fmt: skip
    assert found[3].least_days == 14


def test_what_is_booked_already_is_followed_and_not_ordered_again(ward: Ward) -> None:
    course = ward.start(since=TODAY)
    courses.refresh(at=NOW)
    first = ordered(ward, FromCourse(course, 1))
    series.book(series=first, by=ward.desk, at=NOW)
    case = Appointment.objects.get()
    made = ordered(ward, FromCourse(course, 1))
    one = sessions(made)[0]
    assert (one.step, one.earliest) == ("block_2", case.local_date + 14 * DAY)
    assert days(made)[0] >= case.local_date + 14 * DAY  # type: ignore[operator]


def test_a_list_of_procedures_keeps_its_own_distances_and_shares_days_where_it_may(ward: Ward) -> None:
    made = ordered(
        ward, item("mbb_lumbar", count=2, least_days=14), item("rfa_facet_lumbar", least_days=21),
        item("esi_il_lumbar", "midline", levels=("L3-L4",), is_after=False),
    )  # fmt: skip
    first, second, third, alone = days(made)
    assert None not in (first, second, third, alone)
    assert second - first >= 14 * DAY  # type: ignore[operator]
    assert third - second >= 21 * DAY  # type: ignore[operator]
    assert alone in (first, second, third)  # one journey less
    starts = {one.opening["arrives_at"]: one.opening["leaves_at"] for one in sessions(made) if one.opening}
    assert len(starts) == 4
    spans = sorted(starts.items())
    assert all(leaves <= arrives for (_, leaves), (arrives, _) in pairwise(spans))


def test_the_same_weekday_is_kept_where_it_is_wished(ward: Ward) -> None:
    course = ward.start(since=TODAY)
    found = days(ordered(ward, FromCourse(course, 3), is_one_weekday=True))
    assert len({day.weekday() for day in found if day is not None}) == 1
    assert None not in found


def test_one_c_arm_that_is_out_of_use_gives_the_reason_and_no_date(ward: Ward) -> None:
    ward.clinic.c_arm.is_active = False
    ward.clinic.c_arm.save(update_fields=["is_active"])
    found = sessions(ordered(ward, FromCourse(ward.start(since=TODAY), 2)))
    assert found[0].opening is None
    assert "C-arm" in found[0].why_none
    assert found[1].why_none == "It follows session 1, which has no date."


def test_caps_count_what_the_proposal_itself_uses(ward: Ward) -> None:
    """Four epidurals of a region within a year are the most that Medicare's rules allow: the fifth comes a year later."""
    Coverage.objects.create(
        patient=ward.patient, recorded_at=NOW, payer="Medicare", payer_rules="medicare_multi_mac_2026",
        plan_type="original_medicare",
    )  # fmt: skip
    for ago in (300, 200, 100):
        done = ward.done("esi_tf_lumbar", TODAY - ago * DAY, levels=["L4-L5"], pct=70)
        ward.told(done, TODAY - (ago - 93) * DAY, 3, "follow_up")
    made = ordered(ward, item("esi_tf_lumbar", levels=("L4-L5",), count=2))
    first, second = sessions(made)
    assert first.opening is not None, first.why_none
    later = days(made)[1]
    assert later is None or later >= TODAY - 300 * DAY + 365 * DAY, later
    if later is None:
        assert second.why_none


def told(session: SeriesSession) -> list[str]:
    """Return what the rules say of the date proposed."""
    return [str(finding["message"]) for finding in session.findings]


def test_the_units_of_an_authorisation_count_what_the_proposal_itself_uses(ward: Ward) -> None:
    plan = Coverage.objects.create(
        patient=ward.patient, recorded_at=NOW, payer="Medicare", payer_rules="medicare_multi_mac_2026",
        plan_type="original_medicare", place_of_service="22",
    )  # fmt: skip
    approved = Authorization.objects.create(
        patient=ward.patient, recorded_at=NOW, coverage=plan, covers="mbb_lumbar", status="approved", decided_on=TODAY,
        valid_from=TODAY, valid_until=TODAY + 110 * DAY, units=1,
    )  # fmt: skip
    course = ward.start(since=TODAY)
    first, second = sessions(ordered(ward, FromCourse(course, 2)))
    assert None not in (first.opening, second.opening)  # what another authorisation can cure waits for it, and says so
    assert not any("left" in said for said in told(first))
    assert any("0 left" in said for said in told(second))
    Authorization.objects.filter(pk=approved.pk).update(units=2)
    assert not any("left" in said for one in sessions(ordered(ward, FromCourse(course, 2))) for said in told(one))
    assert AuthorizationUse.objects.count() == 0


def test_a_trial_gets_dates_only_with_the_removal_of_its_leads_and_is_booked_with_it(ward: Ward) -> None:
    trial = Procedure.objects.filter(family="scs_trial").order_by("pk").first()
    removal = Procedure.objects.filter(family="scs_trial_followup").order_by("pk").first()
    assert trial is not None
    assert removal is not None
    Procedure.objects.filter(pk__in=[trial.pk, removal.pk]).update(is_offered=True, is_retired=False)
    for one in (trial, removal):
        one.refresh_from_db()
    with_room(ward, trial, removal)
    target = _target_of(trial)
    made = ordered(ward, Item(trial, **target))
    one, two = sessions(made)
    assert (two.procedure, two.is_bound, two.least_days, two.most_days) == (removal.code, True, 3, 7)
    first, second = days(made)
    assert first is not None, one.why_none
    assert second is not None
    assert 3 * DAY <= second - first <= 7 * DAY
    results = series.book(series=made, by=ward.doctor, at=NOW, reason_code="clinical_judgement", reason="Agreed")
    assert [result.refusal for result in results] == [None, None]
    made = ordered(ward, Item(trial, **target))
    series.skip(series=made, number=2, by=ward.desk, at=NOW)
    assert [one.is_skipped for one in sessions(made)] == [True, True]


def _target_of(procedure: Procedure) -> dict[str, object]:
    side = procedure.laterality[0] if procedure.laterality else ""
    offered = levels_offered(procedure)
    return {"side": side, "levels": offered[-1].levels[:1] if offered else ()}


def with_room(ward: Ward, *offered: Procedure) -> None:
    """Give the clinic everything that these procedures need."""
    for procedure in offered:
        factories.privilege(of=ward.clinic.physician, for_procedure=procedure)
        for need in procedure.needs.all():
            there = [one for one in ward.clinic.resources if one.kind == need.kind]
            if need.attribute:
                for one in there:
                    one.attributes = sorted({*one.attributes, need.attribute})
                    one.save(update_fields=["attributes"])
            if not there:
                made = factories.resource(
                    kind=need.kind, at_site=ward.clinic.site, attributes=[need.attribute] if need.attribute else []
                )
                factories.weekly_hours(of=made)
    factories.build_free_time(at=NOW)


def test_as_many_statements_are_asked_for_six_sessions_as_for_two(ward: Ward) -> None:
    counts = []
    ordered(ward, item("esi_tf_lumbar", levels=("L4-L5",)))  # reads the book of rules
    for count in (2, 6):
        with CaptureQueriesContext(connection) as asked:
            ordered(ward, item("esi_tf_lumbar", levels=("L4-L5",), count=count))
        counts.append(len(asked))
    assert counts[0] == counts[1]


def test_what_cannot_be_ordered_is_refused_and_leaves_nothing(ward: Ward) -> None:
    course = ward.start(since=TODAY)
    stranger = factories.patient(home=ward.clinic.site, last_name="Stranger")
    theirs = ward.start(since=TODAY, patient=stranger)
    stopped = ward.start(replace(FACET, side="left"), since=TODAY)
    courses.stop(course=stopped, reason="No", by=ward.doctor, at=NOW)
    refused = (
        (),
        (FromCourse(theirs, 1),),
        (FromCourse(stopped, 1),),
        (item("mbb_lumbar", count=13),),
        (item("mbb_lumbar", ""),),
    )
    for given in refused:
        with pytest.raises(OrderRefused):
            ordered(ward, *given)
    with pytest.raises(Forbidden):
        series.order(patient=ward.patient, site=ward.clinic.site, given=[FromCourse(course, 1)], by=ward.desk, at=NOW)
    assert Series.objects.count() == 0


# --- skip, move, replan, withdraw ------------------------------------------------------------------------------------


def test_a_skipped_session_lets_the_rest_follow_what_was_before_it(ward: Ward) -> None:
    made = ordered(ward, item("esi_tf_lumbar", levels=("L4-L5",), count=3, least_days=14))
    before = days(made)
    made = series.skip(series=made, number=2, by=ward.desk, at=NOW, version=made.version)
    first, skipped, third = days(made)
    assert (first, skipped) == (before[0], None)
    assert third < before[2]  # type: ignore[operator]
    assert third - first >= 14 * DAY  # type: ignore[operator]
    made = series.skip(series=made, number=2, is_skipped=False, by=ward.desk, at=NOW, version=made.version)
    assert days(made) == before


def test_a_moved_session_stays_where_it_was_put_and_the_rest_follows(ward: Ward) -> None:
    made = ordered(ward, item("esi_tf_lumbar", levels=("L4-L5",), count=2, least_days=14))
    first, _ = days(made)
    assert first is not None
    there = first + 7 * DAY
    made = series.move(series=made, number=1, on=there, by=ward.desk, at=NOW, version=made.version)
    moved = days(made)
    assert moved[0] == there
    assert moved[1] - there >= 14 * DAY  # type: ignore[operator]
    made = series.replan(series=made, by=ward.desk, at=NOW)
    assert days(made) == moved
    sunday = there + timedelta(days=6 - there.weekday())
    with pytest.raises(DayRefused):
        series.move(series=made, number=2, on=sunday, by=ward.desk, at=NOW)
    made.refresh_from_db()
    assert days(made) == moved
    assert days(series.move(series=made, number=1, on=None, by=ward.desk, at=NOW))[0] == first


def test_a_stale_page_or_a_withdrawn_order_changes_nothing(ward: Ward) -> None:
    made = ordered(ward, item("esi_tf_lumbar", levels=("L4-L5",), count=2))
    series.replan(series=made, by=ward.desk, at=NOW)
    stale = {"series": made, "by": ward.desk, "at": NOW, "version": made.version}
    for verb in (
        lambda: series.replan(**stale), lambda: series.skip(number=1, **stale), lambda: series.book(**stale),
        lambda: series.move(number=1, on=TODAY + 9 * DAY, **stale),
    ):  # fmt: skip
        with pytest.raises(SeriesStale):
            verb()
    with pytest.raises(NothingToBook):
        series.move(series=made, number=9, on=None, by=ward.desk, at=NOW)
    with pytest.raises(NothingToBook):
        series.skip(series=made, number=9, by=ward.desk, at=NOW)
    with pytest.raises(Forbidden):
        series.withdraw(series=made, by=ward.desk, at=NOW)
    series.withdraw(series=made, by=ward.doctor, at=NOW)
    with pytest.raises(SeriesClosed):
        series.book(series=made, by=ward.desk, at=NOW)
    assert Appointment.objects.count() == 0


# --- booking ---------------------------------------------------------------------------------------------------------


def test_all_are_booked_in_one_act_and_the_course_knows(ward: Ward) -> None:
    course = ward.start(since=TODAY)
    made = ordered(ward, FromCourse(course, 3))
    wanted = days(made)
    results = series.book(series=made, by=ward.desk, at=NOW)
    assert [one.refusal for one in results] == [None] * 3
    cases = list(Appointment.objects.order_by("starts_at"))
    assert [case.local_date for case in cases] == wanted
    assert [one.appointment_id for one in sessions(made)] == [case.pk for case in cases]
    assert current(course).appointment_id == cases[0].pk
    with pytest.raises(NothingToBook):
        series.book(series=made, by=ward.desk, at=NOW)
    assert Appointment.objects.count() == 3


def test_all_or_none_books_none_when_one_opening_is_taken(ward: Ward) -> None:
    made = ordered(ward, item("esi_tf_lumbar", levels=("L4-L5",), count=3))
    rival = take(ward, sessions(made)[1])
    with pytest.raises(NotWhole) as refused:
        series.book(series=made, by=ward.desk, at=NOW)
    assert (refused.value.code, refused.value.status, refused.value.details["session"]) == ("slot_taken", 409, 2)
    assert list(Appointment.objects.all()) == [rival]
    assert [one.appointment for one in sessions(made)] == [None] * 3


def test_each_for_itself_books_the_others_and_says_why_one_was_not(ward: Ward) -> None:
    made = ordered(ward, item("esi_tf_lumbar", levels=("L4-L5",), count=3))
    take(ward, sessions(made)[1])
    results = series.book(series=made, by=ward.desk, at=NOW, is_whole=False)
    assert [one.refusal.code if one.refusal else "" for one in results] == ["", "slot_taken", ""]
    assert [one.appointment is not None for one in sessions(made)] == [True, False, True]
    assert "taken this time" in sessions(made)[1].why_none
    again = series.replan(series=made, by=ward.desk, at=NOW)
    assert days(again)[1] is not None or sessions(again)[1].why_none
    assert AuditEvent.objects.get(act="scheduling.book_series").details["booked"] == 2


def test_a_cancelled_session_is_planned_and_booked_again(ward: Ward) -> None:
    made = ordered(ward, item("esi_tf_lumbar", levels=("L4-L5",), count=2))
    series.book(series=made, by=ward.desk, at=NOW)
    second = sessions(made)[1].appointment
    assert second is not None
    booking.cancel(appointment=second, reason="other", asked_by="patient", by=ward.desk, at=NOW)
    made = series.replan(series=made, by=ward.desk, at=NOW)
    assert days(made)[1] is not None
    results = series.book(series=made, by=ward.desk, at=NOW)
    assert [one.session.number for one in results] == [2]


def test_who_may_not_book_books_nothing(ward: Ward) -> None:
    made = ordered(ward, item("esi_tf_lumbar", levels=("L4-L5",), count=2))
    nurse = Actor.of_user(factories.user(role="nurse", sites=(ward.clinic.site,)))
    with pytest.raises(Forbidden):
        series.book(series=made, by=nurse, at=NOW)
    less = replace(ward.desk, permissions=ward.desk.permissions - {"scheduling.book_appointment"})
    with pytest.raises(Forbidden):
        series.book(series=made, by=less, at=NOW)
    assert Appointment.objects.count() == 0


def test_what_comes_after_the_last_day_that_can_be_booked_says_so(ward: Ward) -> None:
    made = ordered(ward, item("esi_tf_lumbar", levels=("L4-L5",), count=2, least_days=365), not_before=TODAY + 30 * DAY)
    assert days(made)[0] is not None
    assert sessions(made)[1].why_none == "It could not be before 2027-10-14, and bookings open 365 days ahead."
