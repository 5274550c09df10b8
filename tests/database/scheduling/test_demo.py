"""The demo clinic: whole, true to its hours, the same for the same seed, and never made over somebody's data."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.db.models import F
from django.test import override_settings

from pain_clinic.accounts.models import Site, User
from patients.models import (
    Asked,
    Authorization,
    AuthorizationUse,
    Complication,
    Consent,
    Coverage,
    GivenDrug,
    LabResult,
    Patient,
    PerformedProcedure,
    Score,
)
from procedures.models import Procedure
from procedures.tables import read
from scheduling import demo, free_time, openings, rechecking, visits
from scheduling.models import Allocation, Appointment, AppointmentFinding, Course, Link, Message, Privilege, Resource, Status
from tests import factories

NOON = datetime(2026, 9, 15, 16, 0, tzinfo=UTC)  # Tuesday noon in New York
SUNDAY = datetime(2026, 9, 20, 16, 0, tzinfo=UTC)
COUNT = 60


def build(*, seed: int = 1, at: datetime = NOON, patients: int = COUNT, **options: Any) -> demo.Report:
    return demo.build(patients=patients, seed=seed, at=at, **options)


def fingerprint() -> list[tuple[Any, ...]]:
    return list(
        Appointment.objects.order_by("pk").values_list(
            "public_id", "patient__last_name", "procedure__code", "starts_at", "status", "side", "levels", "details__drug",
            "details__driver_name",
        )
    )  # fmt: skip


def test_the_clinic_is_whole() -> None:
    report = build()

    assert (report.sites, report.resources, report.patients) == (2, 40, COUNT)
    assert Counter(Resource.objects.values_list("kind", flat=True)) == {
        "physician": 6, "nurse": 8, "room": 7, "bay": 10, "c_arm": 3, "ultrasound": 2, "rf_generator": 2, "cooling_pump": 1,
        "device_representative": 1,
    }  # fmt: skip
    assert {site.time_zone for site in Site.objects.all()} == {"America/New_York", "America/Chicago"}
    assert not Procedure.objects.filter(is_offered=False).exists()
    privileged = set(Privilege.objects.values_list("procedure", flat=True))
    assert set(Procedure.objects.values_list("pk", flat=True)) == privileged
    assert {user.username for user in User.objects.filter(groups__isnull=False)} == {
        "desk", "desk-north", "nurse", "physician", "biller", "manager", "admin", "auditor",
    }  # fmt: skip
    assert User.objects.get(username="desk").check_password("pain-clinic-demo")
    assert [site.slug for site in User.objects.get(username="desk-north").sites.all()] == ["northside"]
    assert {"O'Brien-d'Arc", "الحسن", "לוי", "Ng"} <= set(Patient.objects.values_list("last_name", flat=True))
    assert Patient.objects.filter(search_name="marlow vera").count() == 2


def test_nobody_and_nothing_is_in_two_places() -> None:
    build()

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM scheduling_allocation a JOIN scheduling_allocation b ON a.resource_id = b.resource_id"
            " AND a.id < b.id AND a.starts_at < b.ends_at AND b.starts_at < a.ends_at"
            " WHERE a.released_at IS NULL AND b.released_at IS NULL"
        )
        assert cursor.fetchone() == (0,)
        cursor.execute(
            "SELECT count(*) FROM scheduling_appointment a JOIN scheduling_appointment b ON a.patient_id = b.patient_id"
            " AND a.id < b.id AND a.arrives_at < b.leaves_at AND b.arrives_at < a.leaves_at"
            " WHERE a.status NOT IN ('cancelled', 'no_show', 'left_before_seen')"
            " AND b.status NOT IN ('cancelled', 'no_show', 'left_before_seen')"
        )
        assert cursor.fetchone() == (0,)


def test_every_case_to_come_fits_the_hours_and_could_be_booked_again() -> None:
    """Take a case's allocations away, and the search finds exactly its place free: hours, privileges, needs and blocks hold."""
    build(patients=30)
    standing = Appointment.objects.standing().filter(arrives_at__gt=NOON).select_related("procedure", "site", "patient")
    for case in standing.order_by("starts_at", "pk")[:40]:
        units = list(case.allocations.filter(released_at=None).values_list("resource_id", flat=True))
        fit = openings.fit(
            procedure=case.procedure,
            starts_at=case.starts_at,
            site=case.site,
            at=NOON,
            units=units,
            patient=case.patient,
            moving=case,
        )
        assert fit.opening is not None, (case.procedure.code, case.starts_at, [finding.message for finding in fit.findings])
        assert (fit.opening.arrives_at, fit.opening.ends_at, fit.opening.leaves_at) == (
            case.arrives_at,
            case.ends_at,
            case.leaves_at,
        )
        assert sorted({unit for chosen in fit.opening.units.values() for unit in chosen}) == sorted(set(units))


def test_free_time_is_true_at_the_end() -> None:
    build()

    assert free_time.check(at=NOON) == ()


def test_today_is_lively_and_the_past_is_over() -> None:
    build(patients=200)

    today = Counter(Appointment.objects.filter(local_date=NOON.date()).values_list("status", flat=True))
    assert {Status.DISCHARGED, Status.IN_ROOM, Status.CONFIRMED} <= set(today)
    assert not Appointment.objects.filter(leaves_at__lte=NOON, status__in=["booked", "confirmed", "in_room"]).exists()
    assert not Appointment.objects.filter(arrives_at__gt=NOON + timedelta(minutes=10), status="discharged").exists()
    assert Appointment.objects.filter(starts_at__lt=NOON - timedelta(days=730)).exists()
    assert Appointment.objects.filter(starts_at__gt=NOON + timedelta(days=35)).exists()
    released = Allocation.objects.filter(appointment__status__in=["cancelled", "no_show"])
    assert not released.filter(released_at=None).exists()
    assert list(visits.other_roles()) == []  # what was done says the role in which it was booked


def test_people_are_covered_and_have_consented_as_rules_and_pages_read_it() -> None:
    build(patients=150)
    sets = {row["id"] for row in read(only=("payer_rules",))["payer_rules"].content["payer_rule_sets"]}

    rules = Counter(Coverage.objects.filter(rank=1).values_list("payer_rules", flat=True))
    assert set(rules) == {"none", "evicore_msk", "medicare_multi_mac_2026"}
    assert set(rules) - {"none"} <= sets
    assert 120 < sum(rules.values()) < Patient.objects.count()  # some are not on file
    assert set(Authorization.objects.values_list("status", flat=True)) == {"approved", "pending", "refused"}
    over = PerformedProcedure.objects.filter(authorization_uses__isnull=False)
    assert over.exists()
    assert not over.exclude(authorization_uses__authorization__patient=F("patient")).exists()
    case = Appointment.objects.filter(status=Status.DISCHARGED).order_by("-starts_at", "pk").first()
    assert case is not None
    assert Consent.objects.filter(appointment=case.public_id, patient=case.patient, procedure=case.procedure).count() == 1
    for kind in (Coverage, Authorization, AuthorizationUse, Consent):
        for row in kind.objects.all()[:40]:
            row.full_clean(exclude={"recorded_by"})


def test_most_of_what_comes_this_week_is_ready_some_waits_and_a_few_have_a_rule_against_them() -> None:
    build(patients=150)
    week = Appointment.objects.upcoming(NOON).filter(starts_at__lt=NOON + timedelta(days=7))
    coming = week.exclude(patient__last_name="Storyline")
    rechecking.recheck(coming.values_list("patient_id", flat=True), at=NOON)  # what the worker does at once

    said = AppointmentFinding.objects.filter(appointment__in=coming, gone_at=None)
    waits = set(said.filter(severity="pending").values_list("appointment", flat=True))
    stands = set(said.filter(stands=True).values_list("appointment", flat=True))
    share = {
        name: len(cases) / coming.count() for name, cases in (("waits", waits), ("stands", stands), ("both", waits | stands))
    }

    assert 0 < share["waits"] <= 0.2, share
    assert 0 < share["stands"] <= 0.1, share
    assert share["both"] < 0.3, share


def test_nobody_is_treated_at_levels_that_hardly_anybody_has_treated() -> None:
    build(patients=150)

    levels = {level for row in Appointment.objects.values_list("levels", flat=True) for level in row}

    assert not levels & {"S2", "S3", "S4"}
    lumbar = Appointment.objects.filter(procedure__code="esi_tf_lumbar").values_list("levels", flat=True)
    assert {level for row in lumbar for level in row} <= {"L3-L4", "L4-L5", "L5-S1", "S1"}


def test_three_people_have_a_story_to_read() -> None:
    build(patients=20)

    nell, theo, mabel = Patient.objects.filter(last_name="Storyline", is_demo=True).order_by("pk")
    assert [one.first_name for one in (nell, theo, mabel)] == ["Nell", "Theo", "Mabel"]
    assert [PerformedProcedure.objects.filter(patient=one).count() for one in (nell, theo)] == [0, 30]
    done = PerformedProcedure.objects.filter(patient=theo)
    assert NOON.date() - min(done.values_list("done_on", flat=True)) > timedelta(days=1750)
    assert not done.filter(outcome__baseline=None).exists()
    assert Counter(Complication.objects.filter(patient=theo).values_list("kind", flat=True)) == {
        "vasovagal": 1, "headache": 1, "steroid_effect": 1,
    }  # fmt: skip
    assert GivenDrug.objects.filter(patient=theo, kind="steroid").count() == 12  # one of each epidural
    assert Course.objects.filter(patient=theo).exists()
    sent = Counter(Message.objects.filter(patient=mabel).values_list("state", flat=True))
    assert sum(sent.values()) >= 200
    assert set(sent) == {"sent", "failed"}
    assert Link.objects.filter(patient=mabel, answer="confirmed").count() > 20
    for one in (nell, theo, mabel):
        assert Appointment.objects.filter(patient=one, starts_at__gt=NOON, status__in=["booked", "confirmed"]).count() == 1


def test_a_sunday_has_an_extra_list() -> None:
    assert build(at=SUNDAY).today > 0


# Tuesday 20:30 in New York and 19:30 in Chicago, by UTC Wednesday; then half past midnight in New York alone.
@pytest.mark.parametrize("at", [datetime(2026, 9, 16, 0, 30, tzinfo=UTC), datetime(2026, 9, 16, 4, 30, tzinfo=UTC)])
def test_in_the_evening_today_is_the_clinics_and_nothing_that_was_done_lies_ahead(at: datetime) -> None:
    report = build(at=at, patients=150)

    days = {site.pk: site.day_at(at) for site in Site.objects.filter(is_active=True)}
    cases = Appointment.objects.values_list("site", "local_date", "status")
    assert sum(day == days[site] for site, day, _ in cases) == report.today > 0
    waiting = {Status.BOOKED, Status.CONFIRMED}
    assert {day >= days[site] for site, day, status in cases if status in waiting} == {True}
    first = min(days.values())
    told = [
        (PerformedProcedure, "done_on"), (GivenDrug, "given_on"), (Complication, "noticed_on"), (Score, "scored_on"),
        (Consent, "given_on"), (Authorization, "asked_on"), (Authorization, "decided_on"), (AuthorizationUse, "used_on"),
        (Asked, "asked_on"), (LabResult, "taken_on"), (Patient, "deceased_on"), (Course, "since"),
    ]  # fmt: skip
    late = {(kind.__name__, name): kind.objects.filter(**{f"{name}__gt": first}).count() for kind, name in told}
    assert {where: count for where, count in late.items() if count} == {}
    assert not Message.objects.filter(done_at__gt=at).exists()


def test_the_same_seed_gives_the_same_clinic() -> None:
    build(patients=20)
    first = fingerprint()
    build(patients=20)
    second = fingerprint()
    build(patients=20, seed=2)

    assert first == second
    assert len(first) > 40
    assert fingerprint() != first


@pytest.mark.parametrize("what", ["patient", "site"])
def test_other_than_demo_data_are_never_touched_unasked(what: str) -> None:
    other = factories.patient() if what == "patient" else factories.site()

    with pytest.raises(demo.DemoRefused) as refusal:
        build()

    assert refusal.value.code == "not_only_demo"
    assert type(other).objects.filter(pk=other.pk).exists()
    assert Resource.objects.count() == 0
    build(patients=10, may_erase=True)
    assert not Patient.objects.filter(is_demo=False).exists()


@override_settings(CLINIC_MODE="production")
def test_production_refuses_a_demo() -> None:
    with pytest.raises(demo.DemoRefused, match="demo_in_production"):
        build(may_erase=True)


def test_the_command_says_one_line_and_lists_the_accounts(capsys: Any) -> None:
    with pytest.raises(CommandError, match="no demo clinic"):
        call_command("demo", accounts=True)
    with pytest.raises(CommandError, match="--patients takes"):
        call_command("demo", patients=0)
    call_command("demo", patients=12, verbosity=0)
    told = capsys.readouterr()
    assert told.out.startswith("Harbour Pain Clinic (demo): 2 sites, 40 resources, 12 patients, ")
    assert (told.out.count("\n"), told.err) == (1, "")

    call_command("demo", accounts=True)
    assert capsys.readouterr().out.splitlines()[0].split() == [
        "desk", "pain-clinic-demo", "Front", "desk,", "Northside", "(demo)", "and", "Lakeside", "(demo)",
    ]  # fmt: skip


def test_the_command_refuses_with_a_plain_sentence() -> None:
    factories.patient()

    with pytest.raises(CommandError, match="1 patients who are not the demo's"):
        call_command("demo", patients=12)
