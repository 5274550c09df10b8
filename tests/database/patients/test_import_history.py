"""Past procedures and scores come in from a file, once; what cannot be read is said by line, and a dry run keeps nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from patients.models import GivenDrug, Patient, PerformedProcedure, Score, SessionOutcome
from tests import factories
from tests.factories import EVENING, SmallClinic

PROCEDURES = """id;mrn;procedure;date;laterality;levels;site;steroid;dose
P1;M1;{code};2024-03-05;L;L4-5;{site};dexamethasone;10
P2;M1;Something done abroad;2024-06-01;;;Old clinic;;
P3;M9;{code};2024-03-05;L;;;;
P4;M1;{code};2199-01-01;L;;;;
P5;M1;{code};2024-03-05;sideways;;;;
"""
ODD = """Encounter ID,Patient ID,Work,DOS,Laterality,Level,Facility
A1,M1,{code},05/03/2024,L,L4-5,
A2,M1,Horoscope,2024-03-06,L,,{site}
A3,M1,Horoscope,2024-03-07,L,,Old clinic
A4,M1,99999,2024-03-08,L,,{site}
A1,M1,{code},05/03/2024,L,L4-5,
"""
SCORES = """mrn,measure,aspect,score,date,procedure id
M1,nrs,index,8,2024-03-05,P1
M1,nrs,index,2,2024-03-19,P1
M1,odi,,40,2024-04-01,
M1,nrs,index,11,2024-03-20,P1
M1,nrs,index,3,2024-03-20,P9
M1,unheard_of,,3,2024-03-20,
"""


@pytest.fixture
def person(clinic: SmallClinic) -> Patient:
    return factories.patient(home=clinic.site, external_id="M1")


def run(path: Path, what: str, *options: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("import_history", str(path), "--what", what, *options, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def written(tmp_path: Path, clinic: SmallClinic, text: str) -> Path:
    path = tmp_path / "file.csv"
    path.write_text(text.format(code=clinic.procedure.code, site=clinic.site.slug), encoding="utf-8")
    return path


def test_procedures_come_in_once_and_the_rest_is_told(clinic: SmallClinic, person: Patient, tmp_path: Path) -> None:
    path = written(tmp_path, clinic, PROCEDURES)
    out, err = run(path, "procedures")

    assert out == "import_history: 5 rows: 2 new, 0 unchanged, 3 refused\n"
    assert all(word in err for word in ("patient_external_id", "done_on", "side"))
    first, second = PerformedProcedure.objects.order_by("done_on")
    assert (first.procedure_id, first.side, first.levels, first.site_id) == (
        clinic.procedure.pk,
        "left",
        ["L4-L5"],
        clinic.site.pk,
    )
    assert (first.done_on, first.origin, first.is_elsewhere) == (date(2024, 3, 5), "import", False)
    assert (second.other_name, second.where_elsewhere, second.is_elsewhere) == ("Something done abroad", "Old clinic", True)
    assert GivenDrug.objects.values_list("drug", "dose_mg").get() == ("dexamethasone", 10)
    assert run(path, "procedures")[0] == "import_history: 5 rows: 0 new, 2 unchanged, 3 refused\n"


def test_scores_come_in_about_their_procedure(clinic: SmallClinic, person: Patient, tmp_path: Path) -> None:
    run(written(tmp_path, clinic, PROCEDURES), "procedures")
    path = written(tmp_path, clinic, SCORES)

    assert run(path, "scores")[0] == "import_history: 6 rows: 3 new, 0 unchanged, 3 refused\n"
    assert list(Score.objects.order_by("scored_on").values_list("measure", "value", "phase")) == [
        ("nrs", Decimal(8), "before"), ("nrs", Decimal(2), "follow_up"), ("odi", Decimal(40), "routine"),
    ]  # fmt: skip
    assert SessionOutcome.objects.get(performed__external_id="P1").last_pct == 75
    assert run(path, "scores")[0] == "import_history: 6 rows: 0 new, 3 unchanged, 3 refused\n"


def test_what_says_something_else_is_refused_and_stays(clinic: SmallClinic, person: Patient, tmp_path: Path) -> None:
    run(written(tmp_path, clinic, PROCEDURES), "procedures")
    out, err = run(
        written(tmp_path, clinic, PROCEDURES.replace("P1;M1;{code};2024-03-05", "P1;M1;{code};2024-03-06")), "procedures"
    )

    assert out == "import_history: 5 rows: 0 new, 1 unchanged, 4 refused\n"
    assert "amend it there" in err
    assert PerformedProcedure.objects.get(external_id="P1").done_on == date(2024, 3, 5)


def test_the_site_of_rows_that_name_none_and_the_procedure_are_told_or_refused_with_a_remedy(
    clinic: SmallClinic, person: Patient, tmp_path: Path
) -> None:
    for number in (1, 2):
        factories.procedure(code=f"twin_{number}", name=f"Twin {number}", cpt_primary=["99999"], needs=())
    path, names = written(tmp_path, clinic, ODD), tmp_path / "names.yaml"
    names.write_text("procedure: Work\n", encoding="utf-8")
    options = ("--map", str(names), "--site", clinic.site.slug)

    assert run(path, "procedures", *options)[0] == "import_history: 5 rows: 1 new, 0 unchanged, 4 refused\n"
    out, err = run(path, "procedures", *options, "--date-order", "dmy")

    assert out == "import_history: 5 rows: 1 new, 2 unchanged, 2 refused\n"
    assert "is none of the catalogue" in err
    assert "may be any of twin_1, twin_2" in err
    first = PerformedProcedure.objects.get(external_id="A1")
    assert (first.site_id, first.is_elsewhere, first.done_on) == (clinic.site.pk, False, date(2024, 3, 5))
    assert PerformedProcedure.objects.get(external_id="A3").other_name == "Horoscope"
    with pytest.raises(CommandError, match="No such site"):
        run(path, "procedures", "--map", str(names), "--site", "moon")


ROLES = """id;mrn;procedure;date;purpose
R1;M1;si_joint_ia;2024-03-05;diagnostic
R2;M1;si_joint_ia;2024-04-05;Treatment
R3;M1;si_joint_ia;2024-05-05;{unknown}
R4;M1;snrb;2024-06-05;
R5;M1;snrb;2024-07-05;therapeutic
R6;M1;snrb;2024-08-05;sideways
R7;M1;Something done abroad;2024-09-05;Diag
"""


@pytest.mark.parametrize("unknown", ["", "unknown", "N/A", "?"])
def test_the_role_is_what_the_file_says_and_unknown_stays_unsaid(
    clinic: SmallClinic, person: Patient, tmp_path: Path, unknown: str
) -> None:
    factories.procedure(code="si_joint_ia", family="si_injection", needs=())
    factories.procedure(code="snrb", family="esi", needs=())
    path = tmp_path / "file.csv"
    path.write_text(ROLES.format(unknown=unknown), encoding="utf-8")

    dry, _ = run(path, "procedures", "--dry-run")
    assert (dry, PerformedProcedure.objects.count()) == (
        "import_history: 7 rows: 6 new, 0 unchanged, 1 refused (dry run, nothing kept)\n", 0,
    )  # fmt: skip
    out, err = run(path, "procedures")

    assert out == "import_history: 7 rows: 6 new, 0 unchanged, 1 refused\n"
    assert dict(PerformedProcedure.objects.values_list("external_id", "role")) == {
        "R1": "diagnostic", "R2": "therapeutic", "R3": "therapeutic", "R4": "diagnostic", "R5": "therapeutic", "R7": "diagnostic",
    }  # fmt: skip
    told = [line for line in err.splitlines() if line.startswith("line ")]
    assert told == [
        "line 4: role: is not said, and this may be either; it counts as therapeutic until somebody amends it (field left out)",
        "line 7: role: is none of diagnostic, therapeutic, unknown; give it a meaning with --map FILE (row refused)",
    ]
    assert run(path, "procedures")[0] == "import_history: 7 rows: 0 new, 6 unchanged, 1 refused\n"


def test_another_role_than_on_file_is_refused_by_its_field(clinic: SmallClinic, person: Patient, tmp_path: Path) -> None:
    text = "id;mrn;procedure;date;role\nR1;M1;{code};2024-03-05;{role}\n"
    path = tmp_path / "file.csv"
    for role in ("therapeutic", "unknown", "diagnostic"):
        path.write_text(text.format(code=clinic.procedure.code, role=role), encoding="utf-8")
        out, err = run(path, "procedures")

    assert out == "import_history: 1 rows: 0 new, 0 unchanged, 1 refused\n"
    assert "line 2: role: is therapeutic on file; amend it there (row refused)" in err


def test_a_dry_run_keeps_nothing(clinic: SmallClinic, person: Patient, tmp_path: Path) -> None:
    out, _ = run(written(tmp_path, clinic, PROCEDURES), "procedures", "--dry-run")

    assert out == "import_history: 5 rows: 2 new, 0 unchanged, 3 refused (dry run, nothing kept)\n"
    assert not PerformedProcedure.objects.exists()


def test_a_file_without_its_columns_or_by_somebody_who_may_not_is_refused(clinic: SmallClinic, tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        run(written(tmp_path, clinic, "a,b\n1,2\n"), "scores")
    factories.user(role="nurse", username="kim", sites=(clinic.site,))
    with pytest.raises(CommandError, match="may not import"):
        run(written(tmp_path, clinic, PROCEDURES), "procedures", "--user", "kim")


def test_in_the_evening_what_is_dated_tomorrow_stays_out_and_today_comes_in(
    clinic: SmallClinic, person: Patient, tmp_path: Path, stand_at: Callable[..., None]
) -> None:
    stand_at(EVENING)
    text = "id;mrn;procedure;date;laterality\nE1;M1;{code};2026-09-14;L\nE2;M1;{code};2026-09-15;L\n"
    _, told = run(written(tmp_path, clinic, text), "procedures")
    assert "is in the future" in told
    assert list(PerformedProcedure.objects.values_list("external_id", flat=True)) == ["E1"]
