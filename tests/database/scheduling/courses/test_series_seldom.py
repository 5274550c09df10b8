"""Series at the end of a pathway, within a physician's bounds, of the dead, and sessions for which no day is left."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from patients.models import Authorization, Coverage, Patient, Presentation
from procedures.models import Procedure
from scheduling import series
from scheduling.courses import Terms
from scheduling.series import DayRefused, FromCourse, Item, OrderRefused, proposing
from scheduling.series.proposing import scene
from tests.database.scheduling.courses.conftest import FACET, Ward
from tests.database.scheduling.courses.test_asking import TPI
from tests.database.scheduling.courses.test_seldom import IMPLANT
from tests.database.scheduling.courses.test_series import days, item, ordered, sessions, with_room
from tests.factories import NOW, TODAY

DAY = timedelta(days=1)
EPIDURAL = ("L4-L5",)
EPIDURALS = Terms("esi_as_needed", {"epidural": "esi_tf_lumbar"}, side="right", levels=EPIDURAL)


def offered(code: str) -> Procedure:
    Procedure.objects.filter(code=code).update(is_offered=True, is_retired=False)
    return Procedure.objects.get(code=code)


def trial() -> Item:
    return Item(offered("scs_trial"), "midline", ("T12-L1",))


# --- ordering --------------------------------------------------------------------------------------------------------


def test_more_steps_than_a_pathway_has_are_as_many_as_it_has(ward: Ward) -> None:
    for code in IMPLANT.works.values():
        offered(code)
    evaluated = ["multidisciplinary_evaluation_including_psychological"]
    Presentation.objects.create(patient=ward.patient, recorded_at=NOW, name="Failed back surgery", on_file=evaluated)
    Coverage.objects.create(patient=ward.patient, recorded_at=NOW, payer="Own", payer_rules="none", plan_type="self_pay")
    made = ordered(ward, FromCourse(ward.start(IMPLANT, since=TODAY), 9))
    assert [one.step for one in sessions(made)] == ["trial", "lead_removal", "implant"]


def test_no_more_sessions_are_ordered_than_the_physicians_limit_leaves(ward: Ward) -> None:
    course = ward.start(replace(FACET, most_sessions=2), since=TODAY)
    assert [one.step for one in sessions(ordered(ward, FromCourse(course, 3)))] == ["block_1", "block_2"]


def test_two_trials_are_not_ordered_together_and_none_without_a_removal_that_is_offered(ward: Ward) -> None:
    one = trial()
    Procedure.objects.filter(family="scs_trial_followup").update(is_offered=False)
    with pytest.raises(OrderRefused, match="offers no removal"):
        ordered(ward, one)
    offered("scs_trial_lead_pull")
    with pytest.raises(OrderRefused, match="One trial is ordered at a time"):
        ordered(ward, replace(one, count=2))


def test_a_trial_says_by_its_levels_where_the_leads_come_out(ward: Ward) -> None:
    """Seen in use: without a level the removal was proposed, and refused only when all of it was to be booked."""
    offered("scs_trial_lead_pull")
    with pytest.raises(
        OrderRefused, match=r"leads: Where on the body is not chosen\. .* The levels of the trial, as T8-T9, say it"
    ):
        ordered(ward, replace(trial(), levels=()))
    _, removal = sessions(ordered(ward, replace(trial(), levels=("T8-T9",))))
    assert removal.regions == ["thoracic"]


def test_nothing_is_ordered_for_a_patient_who_has_died(ward: Ward) -> None:
    Patient.objects.filter(pk=ward.patient.pk).update(deceased_on=TODAY)
    ward.patient.refresh_from_db()
    with pytest.raises(OrderRefused, match="has died"):
        ordered(ward, item("esi_tf_lumbar", levels=EPIDURAL))


# --- no day is left --------------------------------------------------------------------------------------------------


def test_what_would_come_after_the_orders_last_day_has_no_date_and_says_so(ward: Ward) -> None:
    last = TODAY + 10 * DAY
    first, second, third = sessions(ordered(ward, FromCourse(ward.start(replace(FACET, not_after=last), since=TODAY), 3)))
    assert first.opening is not None, first.why_none
    assert second.why_none.startswith("It could not be before ")
    assert second.why_none.endswith(f"and the order says not after {last}.")
    assert third.why_none == "It follows session 2, which has no date."


def test_when_the_first_session_is_skipped_the_next_one_takes_its_window(ward: Ward) -> None:
    made = ordered(ward, item("esi_tf_lumbar", levels=EPIDURAL, count=2))
    first, _ = days(made)
    assert days(series.skip(series=made, number=1, by=ward.desk, at=NOW)) == [None, first]


def test_a_day_of_another_weekday_is_refused_where_the_same_one_is_wished(ward: Ward) -> None:
    made = ordered(ward, item("esi_tf_lumbar", levels=EPIDURAL, count=2), is_one_weekday=True)
    first, second = days(made)
    assert first is not None
    assert second is not None
    series.move(series=made, number=1, on=first, by=ward.desk, at=NOW)
    other = second + DAY if second.weekday() < 4 else second + 3 * DAY
    with pytest.raises(DayRefused, match="falls on the same weekday"):
        series.move(series=made, number=2, on=other, by=ward.desk, at=NOW)
    assert days(made) == [first, second]


def test_a_trial_whose_leads_cannot_come_out_in_time_has_no_date_whatever_else_is_ordered(ward: Ward) -> None:
    first = trial()
    offered("scs_trial_lead_pull")
    with_room(ward, first.procedure)
    course = ward.start(EPIDURALS, since=TODAY)
    alone, put_in, taken_out = sessions(ordered(ward, FromCourse(course, 1), replace(first, is_after=False)))
    assert alone.opening is not None, alone.why_none
    assert put_in.why_none == "No free day keeps the intervals and limits of this series beside its other sessions."
    assert taken_out.why_none == "It follows session 2, which has no date."


def test_days_further_on_are_looked_for_so_often_and_then_the_rule_is_told(ward: Ward) -> None:
    """Four epidurals a year: each session waits for another one to be a year ago, beyond the days looked at before."""
    Coverage.objects.create(
        patient=ward.patient, recorded_at=NOW, payer="Medicare", payer_rules="medicare_multi_mac_2026",
        plan_type="original_medicare",
    )  # fmt: skip
    done = [TODAY - ago * DAY for ago in (330, 222, 114, 6)]
    for on in done:
        ward.done("esi_tf_lumbar", on, levels=["L4-L5"], pct=70)
    made = ordered(ward, item("esi_tf_lumbar", levels=EPIDURAL, count=4))
    *placed, last = zip(days(made), done, sessions(made), strict=True)
    assert all(day is not None and day >= on + 365 * DAY for day, on, _ in placed), [one.why_none for _, _, one in placed]
    assert last[0] is None
    assert "the limit is 4. It fits from 2027-09-08" in last[2].why_none


# --- what is known of it ---------------------------------------------------------------------------------------------


def test_an_authorisation_is_used_up_by_nothing_that_it_does_not_cover(ward: Ward) -> None:
    plan = Coverage.objects.create(
        patient=ward.patient, recorded_at=NOW, payer="Medicare", payer_rules="medicare_multi_mac_2026",
        plan_type="original_medicare", place_of_service="22",
    )  # fmt: skip
    for covers, units in (("rfa_facet_lumbar", 1), ("mbb_lumbar", 2)):
        Authorization.objects.create(
            patient=ward.patient, recorded_at=NOW, coverage=plan, covers=covers, status="approved", decided_on=TODAY,
            valid_from=TODAY, valid_until=TODAY + 200 * DAY, units=units,
        )  # fmt: skip
    made = ordered(ward, item("esi_tf_lumbar", levels=EPIDURAL), FromCourse(ward.start(since=TODAY), 3))
    assert None not in days(made), [one.why_none for one in sessions(made)]


def test_a_pathways_limit_for_a_patient_counts_what_was_done_elsewhere(ward: Ward) -> None:
    with_room(ward, offered("tpi"))
    done = TODAY - 200 * DAY
    for on in (done, TODAY - 100 * DAY):
        ward.done("tpi", on, side="left", levels=[], regions=["cervical"], pct=80)
    first, second = days(ordered(ward, FromCourse(ward.start(TPI, since=TODAY), 2)))
    assert first is not None
    assert first < done + 365 * DAY
    assert second is None or second >= done + 365 * DAY


@pytest.mark.parametrize(("drug", "known"), [("dexamethasone", "dexamethasone"), ("none", "")])
def test_a_proposed_session_counts_with_the_drug_that_was_ordered(ward: Ward, drug: str, known: str) -> None:
    made = ordered(ward, FromCourse(ward.start(replace(EPIDURALS, drug=drug), since=TODAY), 1))
    scene = proposing.Scene.read(made, sessions(made), NOW)
    (row,) = scene.rows({})
    assert scene.as_session(row, TODAY).drug == known


def test_the_dates_are_the_same_however_far_is_looked_at_first(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    for ago in (300, 200, 100):  # a fourth epidural within the year may be, a fifth has to wait
        done = ward.done("esi_tf_lumbar", TODAY - ago * DAY, levels=["L4-L5"], pct=70)
        ward.told(done, TODAY - (ago - 93) * DAY, 3, "follow_up")
    Coverage.objects.create(
        patient=ward.patient, recorded_at=NOW, payer="Medicare", payer_rules="medicare_multi_mac_2026",
        plan_type="original_medicare",
    )  # fmt: skip
    orders = [
        ordered(ward, item("esi_tf_lumbar", levels=EPIDURAL, count=3)),
        ordered(ward, item("esi_tf_lumbar", levels=EPIDURAL, count=2, least_days=365), is_one_weekday=True),
        ordered(ward, item("mbb_lumbar", count=3, least_days=20)),
    ]
    on = days(orders[2])[1]
    assert on is not None
    series.move(series=orders[2], number=2, on=on + 70 * DAY, by=ward.desk, at=NOW)
    found = []
    for near in (0, 400):
        monkeypatch.setattr(scene, "NEAR", near * DAY)
        answers = [proposing.propose(series=one, sessions=series.read(one), at=NOW) for one in orders]
        found.append([(one.sessions, one.is_best) for one in answers])
    assert found[0] == found[1]
    assert any(one.why_none for one in found[0][1][0].values())
