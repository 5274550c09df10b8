"""Openings are read from the rows: what is found can be taken, what is hidden is not offered."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from scheduling import free_time
from scheduling.models import Absence, Block, FreeTime, Kind, Travel
from scheduling.openings import Options, find_openings, fit
from tests import factories
from tests.database.scheduling.openings.asking import book, found, starts
from tests.factories import FALL_BACK, NOW, TODAY, TOMORROW, SmallClinic, local

DAY = timedelta(days=1)


def test_find_openings_names_the_first_start_its_legs_and_its_units(clinic: SmallClinic) -> None:
    answer = found(clinic, limit=2)

    first = answer.openings[0]
    assert (first.arrives_at, first.starts_at, first.ends_at, first.leaves_at) == tuple(
        local(TODAY, clock) for clock in ("8:00", "8:15", "8:45", "9:15")
    )
    assert first.units == {
        "physician": (clinic.physician.pk,),
        "nurse": (clinic.nurse.pk,),
        "room": (clinic.room.pk,),
        "bay": (clinic.bay.pk,),
        "c_arm": (clinic.c_arm.pk,),
    }
    assert answer.openings[1].starts_at == local(TODAY, "8:20")
    assert answer.explanation is None
    assert answer.units[clinic.room.pk].public_id == clinic.room.public_id
    assert answer.sites[clinic.site.pk].time_zone == "America/New_York"


def test_find_openings_ends_the_last_case_of_the_day_by_closing_time(clinic: SmallClinic) -> None:
    all_day = starts(clinic, earliest=local(TOMORROW, "0:00"), latest=local(TOMORROW + DAY, "0:00"), limit=500)

    assert all_day[-1] == local(TOMORROW, "16:00")
    assert len(all_day) == (16 * 60 - (8 * 60 + 15)) // 5 + 1


def test_find_openings_skips_what_is_taken_for_any_leg_of_any_need(clinic: SmallClinic) -> None:
    book(clinic, "8:40", clinic.bay)  # 8:40 to 9:10, meets the recovery of every earlier start

    assert starts(clinic, earliest=local(TOMORROW, "0:00"), limit=1) == [local(TOMORROW, "8:40")]


def test_find_openings_never_offers_an_arrival_before_now(clinic: SmallClinic) -> None:
    assert starts(clinic, at=local(TODAY, "9:01"), limit=1) == [local(TODAY, "9:20")]


def test_find_openings_asks_at_most_four_queries_whatever_the_horizon_and_the_result(clinic: SmallClinic) -> None:
    for _ in range(5):
        factories.weekly_hours(of=factories.resource(kind=Kind.ROOM, at_site=clinic.site))
    free_time.rebuild(at=NOW)
    counts = set()
    for days in (7, 90, 365):
        with CaptureQueriesContext(connection) as queries:
            assert found(clinic, latest=NOW + days * DAY, patient=clinic.patient, per_day=3).openings
        counts.add(len(queries))
    Absence.objects.create(resource=clinic.c_arm, starts_at=NOW - DAY, ends_at=NOW + 500 * DAY)
    free_time.rebuild(at=NOW)
    with CaptureQueriesContext(connection) as queries:
        assert found(clinic, patient=clinic.patient, site=clinic.site, physician=clinic.physician).openings == ()

    assert counts == {3}
    assert len(queries) == 4


def test_find_openings_filters_weekday_part_of_day_and_latest(clinic: SmallClinic) -> None:
    part = (time(13), time(14))

    when = starts(clinic, weekdays=[2, 4], part_of_day=part, latest=NOW + 14 * DAY, limit=500)

    walls = [moment.astimezone(factories.NEW_YORK) for moment in when]
    assert {wall.weekday() for wall in walls} == {2, 4}
    assert {wall.hour for wall in walls} == {13}
    assert len(when) == 4 * 12


def test_find_openings_keeps_the_patient_in_one_place(clinic: SmallClinic) -> None:
    own = book(clinic, "9:00", of=clinic.patient)
    day = {"earliest": local(TOMORROW, "0:00"), "limit": 1}

    assert starts(clinic, **day) == [local(TOMORROW, "8:15")]
    assert starts(clinic, **day, patient=clinic.patient) == [local(TOMORROW, "10:15")]
    assert starts(clinic, **day, patient=clinic.patient, moving=own) == [local(TOMORROW, "8:15")]


def test_find_openings_gives_the_moving_case_its_own_people_and_things(clinic: SmallClinic) -> None:
    own = book(clinic, "9:00", *clinic.resources, of=clinic.patient)
    day = {"earliest": local(TOMORROW, "8:40"), "limit": 1}

    assert starts(clinic, **day, patient=clinic.patient) == [local(TOMORROW, "10:15")]
    assert starts(clinic, **day, patient=clinic.patient, moving=own) == [local(TOMORROW, "8:40")]


def test_find_openings_agrees_with_fit_on_every_start_of_a_moving_case(clinic: SmallClinic) -> None:
    own = book(clinic, "9:00", *clinic.resources, of=clinic.patient)
    book(clinic, "11:00", *clinic.resources)
    Absence.objects.create(resource=clinic.c_arm, starts_at=local(TOMORROW, "9:10"), ends_at=local(TOMORROW, "9:20"))
    free_time.rebuild(at=NOW)
    asked: dict[str, Any] = {"procedure": clinic.procedure, "at": NOW, "patient": clinic.patient, "moving": own}

    found = starts(clinic, earliest=local(TOMORROW, "0:00"), latest=local(TOMORROW, "13:00"), limit=500, **asked)

    marks = [local(TOMORROW, "8:00") + timedelta(minutes=5 * slot) for slot in range(60)]
    fitting = [mark for mark in marks if fit(starts_at=mark, site=clinic.site, **asked).opening is not None]
    assert found == fitting
    assert local(TOMORROW, "9:00") not in found  # the C-arm broke down in the middle of the case's own time


def test_a_moving_case_is_free_of_its_way_to_another_site(clinic: SmallClinic) -> None:
    there = factories.site()
    Travel.objects.create(origin=clinic.site, destination=there, minutes=60)
    Travel.objects.create(origin=there, destination=clinic.site, minutes=60)
    factories.weekly_hours(of=clinic.physician, at_site=there)
    needs = (("physician", "", ("procedure",)),)
    procedure = factories.procedure(needs=needs, prep_minutes=0)
    factories.privilege(of=clinic.physician, for_procedure=procedure)
    free_time.rebuild(at=NOW)
    own = book(clinic, "9:00", clinic.physician, of=clinic.patient)
    asked: dict[str, Any] = {"procedure": procedure, "at": NOW, "site": there, "earliest": local(TOMORROW, "9:00"), "limit": 1}

    assert [each.starts_at for each in find_openings(**asked).openings] == [local(TOMORROW, "10:30")]
    assert [each.starts_at for each in find_openings(**asked, moving=own).openings] == [local(TOMORROW, "9:00")]


def test_find_openings_takes_privileged_physicians_only_within_their_dates_and_modalities(clinic: SmallClinic) -> None:
    stranger = factories.resource(kind=Kind.PHYSICIAN, at_site=clinic.site)
    late = factories.resource(kind=Kind.PHYSICIAN, at_site=clinic.site)
    probe = factories.resource(kind=Kind.ULTRASOUND, at_site=clinic.site)
    for each in (stranger, late, probe):
        factories.weekly_hours(of=each)
    factories.privilege(of=late, for_procedure=clinic.procedure, valid_from=TOMORROW + DAY, valid_until=TOMORROW + DAY,
                        modalities=["ultrasound"])  # fmt: skip
    free_time.rebuild(at=NOW)
    asked = {"per_physician": True, "limit": 2000, "latest": NOW + 4 * DAY}
    everyone = found(clinic, options=Options(guidance="ultrasound"), **asked)
    days = {opening.starts_at.date() for opening in everyone.openings if opening.units["physician"] == (late.pk,)}
    by_x_ray = found(clinic, options=Options(guidance="fluoroscopy"), **asked)
    as_usual = found(clinic, **asked)

    assert days == {TOMORROW + DAY}
    assert {opening.units["physician"] for opening in everyone.openings} == {(clinic.physician.pk,), (late.pk,)}
    assert {opening.units["ultrasound"] for opening in everyone.openings} == {(probe.pk,)}
    assert all("c_arm" not in opening.units for opening in everyone.openings)
    assert {opening.units["physician"] for opening in by_x_ray.openings} == {(clinic.physician.pk,)}
    assert as_usual.openings == by_x_ray.openings


def test_find_openings_uses_the_physicians_own_length(clinic: SmallClinic) -> None:
    quick = factories.resource(kind=Kind.PHYSICIAN, at_site=clinic.site)
    factories.weekly_hours(of=quick)
    factories.privilege(of=quick, for_procedure=clinic.procedure, procedure_minutes=20)
    free_time.rebuild(at=NOW)

    lengths = {
        opening.units["physician"][0]: opening.ends_at - opening.starts_at
        for opening in found(clinic, per_physician=True, limit=2).openings
    }

    assert lengths == {clinic.physician.pk: timedelta(minutes=30), quick.pk: timedelta(minutes=20)}


def test_find_openings_takes_rooms_with_the_attribute_and_their_extra_turnover(clinic: SmallClinic) -> None:
    needs = (("physician", "", ("procedure",)), ("room", "or_room", ("procedure", "turnover")))
    procedure = factories.procedure(needs=needs)
    factories.privilege(of=clinic.physician, for_procedure=procedure)
    theatre = factories.resource(
        kind=Kind.ROOM, at_site=clinic.site, attributes=["or_room"], extra_turnover_minutes=20
    )  # fmt: skip
    factories.weekly_hours(of=theatre)
    free_time.rebuild(at=NOW)

    answer = find_openings(procedure=procedure, at=NOW, latest=NOW + DAY, limit=500)

    assert {opening.units["room:or_room"] for opening in answer.openings} == {(theatre.pk,)}
    assert answer.openings[-1].starts_at == local(TODAY, "16:00")  # 30 min, 10 turnover, 20 more, closing at 17:00


def test_find_openings_keeps_the_nurse_for_the_procedure_only_under_sedation(clinic: SmallClinic) -> None:
    book(clinic, "9:00", clinic.nurse)  # between the preparation and the recovery of a case at nine
    at_nine = {"earliest": local(TOMORROW, "9:00"), "latest": local(TOMORROW, "9:05")}

    assert starts(clinic, **at_nine) == [local(TOMORROW, "9:00")]
    assert starts(clinic, **at_nine, options=Options(sedation="minimal")) == [local(TOMORROW, "9:00")]
    assert starts(clinic, **at_nine, options=Options(sedation="moderate")) == []


def test_find_openings_hides_blocks_from_others_until_they_are_released(clinic: SmallClinic) -> None:
    Block.objects.create(resource=clinic.room, site=clinic.site, name="Ablations", weekday=1, starts=time(8), ends=time(12),
                         family="rfa", valid_from=TODAY, release_days=3)  # fmt: skip
    free_time.expand_blocks(at=NOW)
    next_week = {"earliest": local(TOMORROW + 7 * DAY, "0:00"), "limit": 1}

    assert starts(clinic, earliest=local(TOMORROW, "0:00"), limit=1) == [local(TOMORROW, "8:15")]  # released
    assert starts(clinic, **next_week) == [local(TOMORROW + 7 * DAY, "12:00")]
    clinic.procedure.family = "rfa"
    assert starts(clinic, **next_week) == [local(TOMORROW + 7 * DAY, "8:15")]


def test_find_openings_keeps_a_physicians_block_for_that_physician(clinic: SmallClinic) -> None:
    owner = factories.resource(kind=Kind.PHYSICIAN, at_site=clinic.site, position=9)
    factories.weekly_hours(of=owner)
    factories.privilege(of=owner, for_procedure=clinic.procedure)
    Block.objects.create(resource=clinic.room, site=clinic.site, name="Owner's day", weekday=2, starts=time(8), ends=time(17),
                         physician=owner, valid_from=TODAY, release_days=0)  # fmt: skip
    free_time.rebuild(at=NOW)
    free_time.expand_blocks(at=NOW)

    answer = found(clinic, weekdays=[2], per_physician=True, limit=500, latest=NOW + 14 * DAY)

    assert {opening.units["physician"] for opening in answer.openings} == {(owner.pk,)}
    assert len(answer.openings) == 2 * 94
    assert starts(clinic, weekdays=[2], physician=clinic.physician) == []


def test_find_openings_stays_within_the_sites_that_may_be_seen(clinic: SmallClinic) -> None:
    other = factories.small_clinic(time_zone="America/Chicago")
    factories.privilege(of=other.physician, for_procedure=clinic.procedure)

    assert {opening.site for opening in found(clinic, limit=300).openings} == {clinic.site.pk, other.site.pk}
    assert {opening.site for opening in found(clinic, limit=300, sites=[other.site.pk]).openings} == {other.site.pk}
    assert found(clinic, site=clinic.site, sites=[other.site.pk], with_reasons=False).openings == ()
    assert starts(clinic, site=other.site, limit=1) == [local(TODAY, "8:15", factories.CHICAGO)]


def test_find_openings_holds_wall_time_over_the_clock_change(clinic: SmallClinic) -> None:
    for on in (FALL_BACK - 2 * DAY, FALL_BACK + DAY):
        assert starts(clinic, earliest=local(on, "0:00"), limit=1) == [local(on, "8:15")]


def test_find_openings_reads_rows_with_holes(clinic: SmallClinic) -> None:
    FreeTime.objects.filter(resource=clinic.room, day__in=[TOMORROW, TOMORROW + 2 * DAY]).delete()

    when = starts(clinic, earliest=local(TOMORROW, "0:00"), limit=500, latest=NOW + 4 * DAY)

    assert {moment.date() for moment in when} == {TOMORROW + DAY}
    FreeTime.objects.filter(resource=clinic.room, day__lt=TOMORROW + DAY).delete()
    assert starts(clinic, limit=1) == [local(TOMORROW + DAY, "8:15")]


def test_find_openings_serves_a_procedure_that_needs_no_physician(clinic: SmallClinic) -> None:
    procedure = factories.procedure(needs=(("nurse", "", ("procedure",)),))

    answer = find_openings(procedure=procedure, at=NOW, limit=1, per_day=1)

    assert answer.openings[0].units == {"nurse": (clinic.nurse.pk,)}


def test_find_openings_takes_nobody_for_a_leg_without_length(clinic: SmallClinic) -> None:
    type(clinic.procedure).objects.filter(pk=clinic.procedure.pk).update(recovery_minutes=0)
    clinic.procedure.refresh_from_db()

    opening = found(clinic, limit=1).openings[0]

    assert set(opening.units) == {"physician", "nurse", "room", "c_arm"}
    assert opening.leaves_at == opening.ends_at
