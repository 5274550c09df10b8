"""Patients from files as they really are."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from pain_clinic.audit.models import AuditEvent
from patients.models import Patient, PatientSite
from tests import factories

PLAIN = "external_id,last_name,first_name,birth_date,sex,email,phone\n"


def take(path: Path, content: str | bytes, capsys: Any, **options: Any) -> tuple[str, str]:
    """Import a file with this content; return the summary line and standard error."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    call_command("import_patients", str(path), **options)
    told = capsys.readouterr()
    assert told.out.count("\n") == 1
    return told.out.removeprefix("import_patients: ").strip(), told.err


@pytest.fixture
def file(tmp_path: Path) -> Path:
    factories.site(slug="north")
    return tmp_path / "patients.csv"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_every_usual_encoding_and_delimiter_is_read(file: Path, capsys: Any, encoding: str, delimiter: str) -> None:
    text = (PLAIN + "1,Nuñez,José,1958-03-02,M,j@example.org,+12125550123\r\n").replace(",", delimiter)

    summary, _ = take(file, text.encode(encoding), capsys)

    patient = Patient.objects.get()
    assert summary == "1 rows: 1 new, 0 changed, 0 unchanged, 0 repeated, 0 refused; 0 fields left out"
    assert (patient.last_name, patient.first_name, patient.sex, patient.external_id) == ("Nuñez", "José", "male", "1")
    assert PatientSite.objects.get().patient == patient


def test_the_simulators_own_columns_are_known(file: Path, capsys: Any) -> None:
    text = (
        "Id,BIRTHDATE,DEATHDATE,SSN,PREFIX,FIRST,LAST,SUFFIX,MAIDEN,GENDER,ADDRESS\n"
        '7c1df48e,1941-05-13,1973-12-01,999,Mr.,Damien170,Schinner682,,,M,"1, Road"\n'
    )

    take(file, text, capsys)

    patient = Patient.objects.get()
    assert (str(patient), patient.deceased_on, patient.sex) == ("Schinner682, Damien170", date(1973, 12, 1), "male")


def test_an_ambiguous_date_is_refused_until_the_order_is_told(file: Path, capsys: Any) -> None:
    dates = ("03/04/1958", "25/12/1958", "12/25/1958", "2 Mar 1958", "03/04/58")
    text = PLAIN + "".join(f"{n},Roe,N{n},{day},,,\n" for n, day in enumerate(dates, start=1))

    summary, told = take(file, text, capsys)
    assert summary.startswith("5 rows: 3 new, 0 changed, 0 unchanged, 0 repeated, 2 refused")
    assert "line 2: birth_date: day and month could be exchanged; say --date-order dmy or mdy (row refused)" in told
    assert "line 6: birth_date: the year has two digits only (row refused)" in told
    assert "1958" not in told

    summary, _ = take(file, text, capsys, date_order="dmy")
    assert summary.startswith("5 rows: 1 new, 0 changed, 3 unchanged, 0 repeated, 1 refused")
    assert Patient.objects.get(external_id="1").birth_date == date(1958, 4, 3)
    assert set(Patient.objects.exclude(external_id="1").values_list("birth_date", flat=True)) == {
        date(1958, 12, 25),
        date(1958, 3, 2),
    }


def test_run_twice_nothing_doubles_and_changes_are_amended(file: Path, capsys: Any) -> None:
    text = PLAIN + "1,Roe,Al,1958-03-04,M,al@example.org,212-555-0101\n2,Roe,Bo,1959-03-04,F,,\n"
    take(file, text, capsys)

    again, _ = take(file, text, capsys)
    changed, _ = take(file, text.replace("Roe,Bo", "Roe-Day,Bo").replace("212-555-0101", ""), capsys)

    assert again.startswith("2 rows: 0 new, 0 changed, 2 unchanged")
    assert changed.startswith("2 rows: 0 new, 1 changed, 1 unchanged")
    assert [(p.last_name, str(p.phone), p.version) for p in Patient.objects.order_by("pk")] == [
        ("Roe", "+12125550101", 1),
        ("Roe-Day", "", 2),
    ]
    assert list(AuditEvent.objects.order_by("pk").values_list("act", "actor_name")) == [
        ("patients.register", "import_patients"),
        ("patients.register", "import_patients"),
        ("patients.amend", "import_patients"),
    ]


def test_duplicates_inside_the_file_are_told_apart(file: Path, capsys: Any) -> None:
    row = "1,Roe,Al,1958-03-04,M,,\n"
    text = PLAIN + row + row + "1,Roe,Alan,1958-03-04,M,,\n" + "2,ROE,al,1958-03-04,M,,\n"

    summary, told = take(file, text, capsys)

    assert summary.startswith("4 rows: 1 new, 0 changed, 0 unchanged, 1 repeated, 2 refused")
    assert "line 4: external_id: is the one of line 2, which says something else" in told
    assert "line 5: row: has the name and birth date of line 2, under another id" in told
    take(file, text, capsys, same_person="new")
    assert Patient.objects.count() == 2


def test_somebody_registered_by_hand_is_refused_or_linked(file: Path, capsys: Any) -> None:
    by_hand = factories.patient(last_name="Roe", first_name="Al", birth_date=date(1958, 3, 4))
    text = PLAIN + "1,Roe,Al,1958-03-04,M,,\n"

    refused, told = take(file, text, capsys)
    linked, _ = take(file, text, capsys, same_person="link")

    assert refused.startswith("1 rows: 0 new, 0 changed, 0 unchanged, 0 repeated, 1 refused")
    assert f"record {by_hand.record_number}" in told
    assert linked.startswith("1 rows: 0 new, 1 changed")
    assert Patient.objects.get().external_id == "1"


def test_bad_optional_fields_are_left_out_and_told(file: Path, capsys: Any) -> None:
    text = PLAIN + "1,Roe,Al,1958-03-04,wolf,not-mail,12\n2,Roe,Bo,1958-03-05,,,\n"

    summary, told = take(file, text, capsys)

    assert summary == "2 rows: 2 new, 0 changed, 0 unchanged, 0 repeated, 0 refused; 3 fields left out"
    for field in ("sex", "email", "phone"):
        assert f"line 2: {field}: " in told
    assert Patient.objects.get(external_id="1").sex == "unknown"


def test_broken_rows_are_refused_with_line_and_reason_and_the_rest_goes_in(file: Path, capsys: Any, tmp_path: Path) -> None:
    text = (
        PLAIN
        + "1,,Al,1958-03-04,,,\n=2,Roe,Bo,1958-02-30,,,\n,Roe,Cy,1958-03-04,,,\n4,Roe,Di,1958-03-04,,,,extra\n"
        + '5,"Roe\nDay",Ed,1958-03-04,,,\n\n6,Roe\0,Fi,1958-03-04,,,\n7,Roe,Gil,2058-03-04,,,\n8,Roe,Hal,1958-03-04,,,\n'
    )
    report = tmp_path / "report.csv"

    summary, told = take(file, text, capsys, report=str(report))

    assert summary.startswith("8 rows: 2 new, 0 changed, 0 unchanged, 0 repeated, 6 refused")
    assert "line 2: last_name: is missing (row refused)" in told
    with report.open(encoding="utf-8-sig", newline="") as rows:
        table = list(csv.reader(rows))
    assert [(row[0], row[1], row[2]) for row in table[1:]] == [
        ("2", "1", "last_name"),
        ("3", "'=2", "birth_date"),
        ("4", "", "external_id"),
        ("5", "4", "row"),
        ("9", "6", "last_name"),
        ("10", "7", "birth_date"),
    ]
    assert Patient.objects.get(external_id="5").last_name == "Roe Day"


def test_a_dry_run_keeps_nothing_and_says_the_same(file: Path, capsys: Any) -> None:
    text = PLAIN + "1,Roe,Al,1958-03-04,,,\n2,Roe,Al,1958-03-04,,,\n"

    dry, _ = take(file, text, capsys, dry_run=True)

    assert (Patient.objects.count(), AuditEvent.objects.count()) == (0, 0)
    wet, _ = take(file, text, capsys)
    assert dry == f"{wet} (dry run, nothing kept)"


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_a_map_names_other_columns_and_values(file: Path, capsys: Any, tmp_path: Path, suffix: str) -> None:
    names = tmp_path / f"map.{suffix}"
    names.write_text('{"columns": {"external_id": "Akte", "Rufname": "first_name"}, "values": {"sex": {"Dame": "female"}}}')
    text = "Akte;Nachname;Rufname;Vorname;Geburtsdatum;Geschlecht\n1;Roe;Al;Alfons;04.03.1958;Dame\n"

    take(file, text, capsys, map=str(names), date_order="dmy")

    patient = Patient.objects.get()
    assert (patient.first_name, patient.birth_date, patient.sex) == ("Al", date(1958, 3, 4), "female")


def test_batches_stream_and_progress_is_told(file: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patients.importing.BATCH", 5)
    monkeypatch.setattr("patients.management.commands.import_patients.Command.every", 10)
    rows = "".join(f"{n},Roe,N{n},1958-03-04,,,\n" for n in range(25))

    summary, told = take(file, PLAIN + rows, capsys)

    assert summary.startswith("25 rows: 25 new")
    assert "10 rows …" in told
    assert "20 rows …" in told


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        ("", {}, "no header line"),
        ("a,b\n1,2\n", {}, "no column for external_id"),
        (PLAIN, {"site": "nowhere"}, "No such site. Sites: north."),
        (PLAIN, {"user": "nobody"}, "no active member of staff"),
        (PLAIN, {"map": "/nowhere.yaml"}, "cannot be read as a map"),
        (PLAIN, {"encoding": "klingon"}, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_whole(file: Path, content: str, options: dict[str, Any], reason: str) -> None:
    file.write_text(content)

    with pytest.raises(CommandError, match=reason):
        call_command("import_patients", str(file), **options)


def test_staff_who_may_not_import_are_refused(file: Path, capsys: Any) -> None:
    nurse, desk = factories.user(role="nurse"), factories.user(role="desk")
    home = Patient.objects.none()
    file.write_text(PLAIN)

    with pytest.raises(CommandError, match="may not import"):
        call_command("import_patients", str(file), user=nurse.username)
    summary, told = take(file, PLAIN + "1,Roe,Al,1958-03-04,,,\n", capsys, user=desk.username)

    assert summary.startswith("1 rows: 0 new, 0 changed, 0 unchanged, 0 repeated, 1 refused")  # not a site of this desk
    assert "a site where you work" in told
    assert not home.exists()
