"""What one named start would take or what stands in its way, and why there is nothing."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from scheduling import free_time
from scheduling.models import Absence, Block, Kind
from scheduling.openings import Options, find_openings, fit
from tests import factories
from tests.database.scheduling.openings.asking import book, found
from tests.factories import NOW, TODAY, TOMORROW, SmallClinic, local

DAY = timedelta(days=1)


def test_explanation_says_why_the_one_named_may_not(clinic: SmallClinic) -> None:
    stranger = factories.resource(kind=Kind.PHYSICIAN, at_site=clinic.site, name="Dr. Baer")
    factories.weekly_hours(of=stranger)
    there = factories.site(name="Lakeside")
    clinic.physician.privileges.update(modalities=["fluoroscopy"])
    free_time.rebuild(at=NOW)

    def told(**asked: Any) -> str:
        explanation = found(clinic, **asked).explanation
        assert explanation is not None
        return explanation.text

    name = clinic.procedure.name
    assert told(physician=stranger) == f"Dr. Baer does not hold the privilege for {name}."
    assert told(physician=clinic.physician, options=Options(guidance="ultrasound")) == (
        f"Dr. Adler does not hold the privilege for {name} under ultrasound."
    )
    assert told(physician=clinic.physician, site=there) == "Dr. Adler has no hours at Lakeside."
    assert told(site=there) == f"Nobody at Lakeside holds the privilege for {name}."
    assert told(weekdays=[5, 6]) == "Nothing that is needed is at work at the times asked."


def test_explanation_tells_a_thing_that_is_not_there_from_one_that_is_taken(clinic: SmallClinic) -> None:
    needs = (*factories.NEEDS[:2], ("room", "or_room", ("procedure",)))
    procedure = factories.procedure(needs=needs, recovery_minutes=0)
    factories.privilege(of=clinic.physician, for_procedure=procedure)

    explanation = find_openings(procedure=procedure, at=NOW).explanation

    assert explanation is not None
    assert explanation.text == "there is no operating room at all."


def test_fit_names_what_a_block_keeps_only_when_nothing_else_is_there(clinic: SmallClinic) -> None:
    Block.objects.create(resource=clinic.room, site=clinic.site, name="Ablations", weekday=1, starts=time(8), ends=time(12),
                         valid_from=TODAY, family="facet_rfa", release_days=0)  # fmt: skip
    free_time.expand_blocks(at=NOW)
    asked: dict[str, Any] = {"procedure": clinic.procedure, "starts_at": local(TOMORROW, "9:00"), "site": clinic.site, "at": NOW}

    alone = fit(**asked)
    other = factories.resource(kind=Kind.ROOM, at_site=clinic.site)
    factories.weekly_hours(of=other)
    free_time.rebuild(at=NOW)
    beside = fit(**asked)

    assert alone.opening is not None
    assert beside.opening is not None
    assert (alone.opening.units["room"], beside.opening.units["room"]) == ((clinic.room.pk,), (other.pk,))


def test_find_openings_says_what_is_short_and_what_would_help(clinic: SmallClinic) -> None:
    colleague = factories.resource(kind=Kind.PHYSICIAN, at_site=clinic.site)
    factories.weekly_hours(of=colleague)
    factories.privilege(of=colleague, for_procedure=clinic.procedure)
    Absence.objects.create(resource=clinic.physician, starts_at=NOW - DAY, ends_at=local(TOMORROW + 20 * DAY, "0:00"))
    free_time.rebuild(at=NOW)

    answer = found(clinic, physician=clinic.physician, weekdays=[1], latest=NOW + 7 * DAY)

    assert answer.openings == ()
    assert answer.explanation is not None
    assert answer.explanation.text == "no physician at any time asked."
    helps = [(each.kind, each.opening.starts_at) for each in answer.explanation.helps]
    assert helps == [("physician", local(TOMORROW, "8:15")), ("later", local(TOMORROW + 21 * DAY, "8:15"))]


def test_find_openings_names_the_weekday_and_part_of_day_in_which_a_device_lacks(clinic: SmallClinic) -> None:
    Absence.objects.create(resource=clinic.c_arm, starts_at=local(TOMORROW, "12:00"), ends_at=local(TOMORROW, "17:00"))
    free_time.rebuild(at=NOW)
    afternoon = {"earliest": local(TOMORROW, "12:00"), "latest": local(TOMORROW, "17:00")}

    answer = found(clinic, **afternoon, site=clinic.site, part_of_day=(time(12), time(17)))

    assert answer.explanation is not None
    assert answer.explanation.text == "no C-arm at any time asked."
    assert [each.kind for each in answer.explanation.helps] == ["later"]


def test_fit_names_what_would_be_taken(clinic: SmallClinic) -> None:
    second = factories.resource(kind=Kind.ROOM, at_site=clinic.site, position=5)
    factories.weekly_hours(of=second)
    free_time.rebuild(at=NOW)
    at_nine = {"procedure": clinic.procedure, "starts_at": local(TOMORROW, "9:00"), "site": clinic.site, "at": NOW}

    free_choice = fit(**at_nine)
    wanted = fit(**at_nine, units=[second.pk])

    assert free_choice.findings == ()
    assert free_choice.opening is not None
    assert free_choice.opening.units["room"] == (clinic.room.pk,)
    assert wanted.opening is not None
    assert wanted.opening.units["room"] == (second.pk,)


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({"starts_at": local(TOMORROW, "7:00")}, {"outside_hours"}),
        ({"starts_at": local(TODAY, "6:00")}, {"in_the_past", "outside_hours"}),
        ({"starts_at": local(TOMORROW, "9:02")}, {"not_on_mark"}),
        ({"starts_at": datetime(2027, 9, 15, 13, tzinfo=UTC)}, {"too_far_ahead"}),
    ],
)
def test_fit_says_what_stands_in_the_way(clinic: SmallClinic, change: dict[str, Any], codes: set[str]) -> None:
    asked = {"procedure": clinic.procedure, "site": clinic.site, "at": NOW, "patient": clinic.patient, **change}

    answer = fit(**asked)

    assert answer.opening is None
    assert {finding.code for finding in answer.findings} == codes
    assert all(finding.structural for finding in answer.findings)


def test_fit_tells_taken_from_elsewhere_and_from_unfit(clinic: SmallClinic) -> None:
    book(clinic, "9:00", clinic.room, of=clinic.patient)
    stranger = factories.resource(kind=Kind.PHYSICIAN, at_site=clinic.site)
    lamp = factories.resource(kind=Kind.RF_GENERATOR, at_site=clinic.site)
    asked = {"procedure": clinic.procedure, "starts_at": local(TOMORROW, "9:00"), "site": clinic.site, "at": NOW}

    answer = fit(**asked, patient=clinic.patient, units=[stranger.pk, lamp.pk])

    codes = [finding.code for finding in answer.findings]
    assert codes == ["patient_elsewhere", "not_privileged", "resource_unfit", "taken"]
    assert answer.findings[-1].message == "Room 1 is taken at that time."


def test_fit_gives_the_moving_appointment_its_own_time(clinic: SmallClinic) -> None:
    own = book(clinic, "9:00", *clinic.resources, of=clinic.patient)
    asked = {"procedure": clinic.procedure, "starts_at": local(TOMORROW, "9:10"), "site": clinic.site, "at": NOW}

    assert fit(**asked, patient=clinic.patient).opening is None
    assert fit(**asked, patient=clinic.patient, moving=own).opening is not None


def test_fit_says_when_nobody_or_nothing_there_could(clinic: SmallClinic) -> None:
    bare = factories.site()
    needs = (("physician", "", ("procedure",)), ("rf_generator", "", ("procedure",)))
    procedure = factories.procedure(needs=needs)
    asked = {"procedure": procedure, "starts_at": local(TOMORROW, "9:00"), "at": NOW}

    assert [each.code for each in fit(**asked, site=bare).findings] == ["not_privileged"]
    factories.privilege(of=clinic.physician, for_procedure=procedure)
    assert [each.code for each in fit(**asked, site=clinic.site).findings] == ["resource_unfit"]


@pytest.mark.parametrize(("has_colleague", "helps"), [(False, ["later"]), (True, ["physician", "later"])])
def test_another_physician_helps_only_at_the_site_that_was_asked_for(
    clinic: SmallClinic, has_colleague: bool, helps: list[str]
) -> None:
    second = factories.small_clinic()
    factories.privilege(of=second.physician, for_procedure=clinic.procedure)
    if has_colleague:
        colleague = factories.resource(kind=Kind.PHYSICIAN, at_site=clinic.site)
        factories.weekly_hours(of=colleague)
        factories.privilege(of=colleague, for_procedure=clinic.procedure)
    Absence.objects.create(resource=clinic.physician, starts_at=local(TODAY, "0:00"), ends_at=local(TOMORROW + DAY, "0:00"))
    free_time.rebuild(at=NOW)

    answer = found(clinic, site=clinic.site, physician=clinic.physician, latest=local(TOMORROW + DAY, "0:00"))

    assert answer.explanation is not None
    assert [each.kind for each in answer.explanation.helps] == helps


def test_fit_says_nothing_of_another_case_of_the_day_that_is_not_in_the_way(clinic: SmallClinic) -> None:
    book(clinic, "13:00", of=clinic.patient)
    asked = {"procedure": clinic.procedure, "site": clinic.site, "at": NOW, "patient": clinic.patient}

    assert {one.code for one in fit(**asked, starts_at=local(TOMORROW, "7:00")).findings} == {"outside_hours"}
    assert {one.code for one in fit(**asked, starts_at=local(TOMORROW, "13:00")).findings} == {"patient_elsewhere"}
