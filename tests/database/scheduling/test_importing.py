"""Appointments from files: booked when to come, history when past, reported when neither."""

from __future__ import annotations

from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from pain_clinic.audit.models import AuditEvent
from patients.models import Patient, PatientSite
from patients.sheets import CellError
from procedures.models import Procedure
from scheduling import booking
from scheduling.importing.words import read_moment
from scheduling.models import Allocation, Appointment, Kind, Message
from tests import factories
from tests.factories import NEW_YORK, NOW, SmallClinic, local

HEAD = "external_id,patient_external_id,procedure,side,levels,starts_at,site,physician,status\n"


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduling.management.commands.import_appointments.now", lambda: NOW)


@pytest.fixture
def ready(clinic: SmallClinic) -> SmallClinic:
    clinic.patient.external_id = "P1"
    clinic.patient.save()
    return clinic


def take(path: Path, text: str, capsys: Any, **options: Any) -> tuple[str, str]:
    path.write_text(HEAD + text)
    call_command("import_appointments", str(path), **options)
    told = capsys.readouterr()
    assert told.out.count("\n") == 1
    return told.out.removeprefix("import_appointments: ").split(";")[0], told.err


def test_future_rows_are_booked_past_rows_become_history(ready: SmallClinic, tmp_path: Path, capsys: Any) -> None:
    code = ready.procedure.code
    Procedure.objects.update(level_scheme="foramina")
    text = f"A1,P1,{code},left,L4-5,2026-09-15 09:30,,Adler,confirmed\nA2,P1,{code},R,,2024-05-06 09:07,,Gone,completed\n"

    summary, told = take(tmp_path / "a.csv", text, capsys)

    assert summary == "2 rows: 1 booked, 1 to history, 0 changed, 0 unchanged, 0 repeated, 0 refused"
    assert "line 3: physician: is no physician known here; give it a meaning with --map FILE (field left out)" in told
    booked, past = Appointment.objects.get(external_id="A1"), Appointment.objects.get(external_id="A2")
    assert (booked.status, booked.source, booked.is_history, booked.side) == ("confirmed", "import", False, "left")
    assert booked.starts_at == local(booked.local_date, "9:30")
    assert Allocation.objects.filter(appointment=booked, released_at=None).count() >= 5
    assert (past.status, past.is_history, past.local_time, past.allocations.count()) == ("discharged", True, time(9, 5), 0)
    assert PatientSite.objects.filter(because="appointment").count() == 1
    acts = set(AuditEvent.objects.values_list("act", flat=True))
    assert {"scheduling.book", "scheduling.import_history"} <= acts


@pytest.mark.parametrize(("email", "state"), [("vera@example.org", "due"), ("", "skipped")])
def test_patients_are_not_written_to_unless_told(ready: SmallClinic, tmp_path: Path, capsys: Any, email: str, state: str) -> None:
    code = ready.procedure.code
    Patient.objects.update(email=email)
    take(tmp_path / "a.csv", f"A1,P1,{code},left,,2026-09-15 09:30,,,\n", capsys)
    take(tmp_path / "b.csv", f"A2,P1,{code},left,,2026-09-16 09:30,,,\n", capsys, tell_patients=True)

    assert list(Message.objects.order_by("pk").values_list("state", flat=True)) == ["withdrawn", state]


def test_run_twice_nothing_doubles_and_changes_are_followed(ready: SmallClinic, tmp_path: Path, capsys: Any) -> None:
    path, code = tmp_path / "a.csv", ready.procedure.code
    text = f"A1,P1,{code},left,,2026-09-15 09:30,,,booked\nA2,P1,{code},left,,2024-05-06 09:00,,,booked\n"
    take(path, text, capsys)

    again, _ = take(path, text, capsys)
    moved, _ = take(path, text.replace("09:30", "11:00").replace("09:00,,,booked", "09:00,,,no-show"), capsys)
    confirmed, _ = take(
        path, text.replace("09:30,,,booked", "11:00,,,confirmed").replace("09:00,,,booked", "09:00,,,no-show"), capsys
    )
    cancelled, _ = take(
        path, text.replace("09:30,,,booked", "11:00,,,cancelled").replace("09:00,,,booked", "09:00,,,no-show"), capsys
    )
    back, told = take(path, text.replace("09:00,,,booked", "09:00,,,no-show"), capsys)

    assert again.startswith("2 rows: 0 booked, 0 to history, 0 changed, 2 unchanged")
    assert moved.startswith("2 rows: 0 booked, 0 to history, 2 changed, 0 unchanged")
    assert confirmed.startswith("2 rows: 0 booked, 0 to history, 1 changed, 1 unchanged")
    assert cancelled.startswith("2 rows: 0 booked, 0 to history, 1 changed, 1 unchanged")
    assert back.endswith("1 refused")
    assert "cancelled here; reinstate it by hand" in told
    assert sorted(Appointment.objects.values_list("external_id", "status")) == [("A1", "cancelled"), ("A2", "no_show")]
    assert not Allocation.objects.filter(released_at=None).exists()


def test_what_cannot_be_booked_is_refused_with_the_reason(ready: SmallClinic, tmp_path: Path, capsys: Any) -> None:
    code = ready.procedure.code
    other = factories.patient(home=ready.site, last_name="Roe", external_id="P2")
    rows = (
        f"B1,P1,{code},left,,2026-09-15 09:00,,,\n"  # goes in
        f"B2,P2,{code},left,,2026-09-15 09:10,,,\n"  # taken
        f"B3,P1,{code},left,,2026-09-20 09:00,,,\n"  # Sunday
        f"B4,P1,{code},midline,,2026-09-16 09:00,,,\n"  # side not offered
        f"B5,P1,{code},left,L9-9,2026-09-16 09:00,,,\n"  # no such level
        "B6,P1,massage,left,,2026-09-16 09:00,,,\n"
        f"B7,P9,{code},left,,2026-09-16 09:00,,,\n"
        f"B8,P1,{code},left,,2026-09-16,,,\n"  # no time
        f"B9,P1,{code},left,,09/10/2026 09:00,,,\n"  # ambiguous
        f"B10,P1,{code},left,,2026-09-16 09:00,moon,,\n"
        f"B11,P1,{code},left,,2026-09-16 09:00,,Nobody,\n"
        f"B12,P1,{code},left,,2026-09-16 09:00,,,dancing\n"
        f"B13,P1,{code},left,,2026-09-16 09:00,,,completed\n"  # not yet
        f",P1,{code},left,,2026-09-16 09:00,,,\n"
    )

    summary, told = take(tmp_path / "a.csv", rows, capsys)

    assert summary == "14 rows: 1 booked, 0 to history, 0 changed, 0 unchanged, 0 repeated, 13 refused"
    fields = [line.split(": ")[1] for line in told.splitlines() if line.startswith("line ")]
    assert fields == [
        "starts_at", "starts_at", "side", "levels", "procedure", "patient_external_id", "starts_at", "starts_at", "site",
        "physician", "status", "status", "external_id",
    ]  # fmt: skip
    assert Appointment.objects.get().external_id == "B1"
    assert not other.appointments.exists()


def test_nobody_else_does_what_a_physician_without_the_privilege_is_named_for(
    ready: SmallClinic, tmp_path: Path, capsys: Any
) -> None:
    other = factories.resource(kind=Kind.PHYSICIAN, at_site=ready.site, name="Dr. Wren")
    factories.weekly_hours(of=other)
    factories.build_free_time(at=NOW)
    row = f"A1,P1,{ready.procedure.code},left,,2026-09-15 09:30,,{{}},booked\n"

    refused, told = take(tmp_path / "a.csv", row.format("Dr. Wren"), capsys)
    booked, _ = take(tmp_path / "a.csv", row.format("Dr. Adler"), capsys)

    assert refused == "1 rows: 0 booked, 0 to history, 0 changed, 0 unchanged, 0 repeated, 1 refused"
    assert f"line 2: physician: does not hold the privilege for {ready.procedure.name} (row refused)" in told
    assert booked.startswith("1 rows: 1 booked")


def test_a_code_that_two_procedures_share_is_refused_by_their_names(ready: SmallClinic, tmp_path: Path, capsys: Any) -> None:
    twin = factories.procedure()
    Procedure.objects.update(cpt_primary=["64493"])

    _, told = take(tmp_path / "a.csv", "A1,P1,64493,left,,2026-09-15 09:30,,,booked\n", capsys)

    names = ", ".join(sorted((ready.procedure.code, twin.code)))
    assert f"line 2: procedure: fits {names}; name one of them, or give it a meaning with --map FILE (row refused)" in told


def test_two_rows_for_one_place_leave_the_second_out_and_a_dry_run_says_so_too(
    ready: SmallClinic, tmp_path: Path, capsys: Any
) -> None:
    factories.patient(home=ready.site, last_name="Roe", external_id="P2")
    code = ready.procedure.code
    text = "".join(f"{one},{code},left,,2026-09-15 09:00,,,\n" for one in ("A1,P1", "A2,P2", "A1,P1"))

    dry, _ = take(tmp_path / "a.csv", text, capsys, dry_run=True)
    assert Appointment.objects.count() == 0
    wet, _ = take(tmp_path / "a.csv", text, capsys)

    assert dry == wet == "3 rows: 1 booked, 0 to history, 0 changed, 0 unchanged, 1 repeated, 1 refused"


def test_an_external_id_never_changes_hands(ready: SmallClinic, tmp_path: Path, capsys: Any) -> None:
    factories.patient(home=ready.site, last_name="Roe", external_id="P2")
    code = ready.procedure.code
    take(tmp_path / "a.csv", f"A1,P1,{code},left,,2026-09-15 09:00,,,\n", capsys)

    _, told = take(tmp_path / "a.csv", f"A1,P2,{code},left,,2026-09-15 09:00,,,\n", capsys)
    _, procedure = take(tmp_path / "a.csv", f"A1,P1,{code},right,,2026-09-15 09:00,,,\n", capsys)

    assert "line 2: patient_external_id: is not the patient this appointment was imported for" in told
    assert "line 2: procedure: procedure, side or levels differ" in procedure


def test_a_case_that_the_desk_moved_on_is_left_alone(
    ready: SmallClinic, tmp_path: Path, capsys: Any, by: Any, at: datetime
) -> None:
    code = ready.procedure.code
    text = f"A1,P1,{code},left,,2026-09-15 09:00,,,\n"
    take(tmp_path / "a.csv", text, capsys)
    booking.cancel(appointment=Appointment.objects.get(), reason="patient_ill", asked_by="patient", by=by, at=at)

    cancelled, _ = take(tmp_path / "a.csv", text.replace(",,,\n", ",,,cancelled\n"), capsys)

    assert cancelled.startswith("1 rows: 0 booked, 0 to history, 0 changed, 1 unchanged")


@pytest.mark.parametrize(
    ("cell", "clock", "order", "expected"),
    [
        ("2026-09-15T13:30:00Z", "", "", datetime(2026, 9, 15, 13, 30, tzinfo=UTC)),
        ("2026-09-15T09:30:00-04:00", "", "", datetime(2026, 9, 15, 13, 30, tzinfo=UTC)),
        ("2026-09-15 09:30", "", "", datetime(2026, 9, 15, 13, 30, tzinfo=UTC)),
        ("2026-09-15T09:30:00", "", "", datetime(2026, 9, 15, 13, 30, tzinfo=UTC)),
        ("9/15/2026 9:30 AM", "", "", datetime(2026, 9, 15, 13, 30, tzinfo=UTC)),
        ("15.09.2026 21.30", "", "", datetime(2026, 9, 16, 1, 30, tzinfo=UTC)),
        ("15 Sep 2026", "9:30 p.m.", "", datetime(2026, 9, 16, 1, 30, tzinfo=UTC)),
        ("09/10/2026", "0930", "mdy", datetime(2026, 9, 10, 13, 30, tzinfo=UTC)),
        ("2026-09-15 00:00:00", "09:30", "", datetime(2026, 9, 15, 13, 30, tzinfo=UTC)),
        ("2026-12-15 09:30", "", "", datetime(2026, 12, 15, 14, 30, tzinfo=UTC)),
    ],
)
def test_starts_are_read_as_people_write_them(cell: str, clock: str, order: str, expected: datetime) -> None:
    assert read_moment(cell, clock, NEW_YORK, order) == expected


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("2027-03-14 02:30", "clocks at this site skip this time"),
        ("2026-09-15", "time of day is missing"),
        ("2026-09-31 09:00", "no such day"),
        ("2026-09-15 25:00", "not a time"),
        ("2026-09-15 13:00 PM", "not a time"),
        ("9999-09-15 09:00", "year is out of range"),
        ("tomorrow", "time of day is missing"),
        ("0001-01-01T00:00:00+14:00", "no such day"),
    ],
)
def test_starts_that_mean_nothing_are_refused(cell: str, reason: str) -> None:
    with pytest.raises(CellError, match=reason):
        read_moment(cell, "", ZoneInfo("America/New_York"))


def test_the_command_refuses_what_it_cannot_use(ready: SmallClinic, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEAD)
    nurse = factories.user(role="nurse")

    for options, reason in (
        ({"site": "moon"}, "No such site"),
        ({"user": "nobody"}, "no active member of staff"),
        ({"user": nurse.username}, "may not import"),
    ):
        with pytest.raises(CommandError, match=reason):
            call_command("import_appointments", str(path), **options)
    path.write_text("a,b\n")
    with pytest.raises(CommandError, match="no column for external_id, patient_external_id, procedure, starts_at"):
        call_command("import_appointments", str(path))
