"""`manage.py import_facts`: facts, coverage and authorisations come in once; what cannot be kept is told by line and field."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from pain_clinic.accounts.actors import Actor
from patients.models import (
    Allergy,
    Asked,
    Authorization,
    Condition,
    Coverage,
    FactChange,
    Implant,
    LabResult,
    Medication,
    Patient,
    PlannedSurgery,
    Presentation,
    Recorded,
    Vaccination,
)
from procedures import tables
from tests import factories
from tests.factories import NOW, SmallClinic

COVERAGE = """patient_id,insurance,rules,plan,member id,state,pos,effective date,expires,rank
M1,Medicare,medicare_multi_mac_2026,original medicare,A1,ca,11,2026-01-01,2027-12-31,1
M1,Blue,no_such_rules,commercial,,,,,,
M1,Blue,none,gold,,,,,,
M1,Blue,none,commercial,,Calif,,,,
M1,Blue,none,commercial,,,office,,,
M1,Blue,none,commercial,,,,2026-05-01,2026-04-01,
M9,Blue,none,commercial,,,,,,
M1,Blue,none,commercial,,,,,,zero
M1,Blue,none,commercial,,,,,,0
"""
AUTHORIZATIONS = """patient_id,payer,auth number,procedure,cpt,side,levels,status,decided,valid_from,valid_until,units
M1,medicare,N1,{code},"64483, 64484",left,"L4-L5",Approved,2026-03-01,2026-03-01,2027-06-30,2
M1,Medicare,,esi,,,,asked for,,,,
M1,Nobody,N2,esi,,,,pending,,,,
M1,Medicare,N3,massage,,,,pending,,,,
M1,Medicare,N4,esi,644,,,pending,,,,
M1,Medicare,N5,esi,,,,approved,,,,
M1,Medicare,N6,esi,,upside,,pending,,,,
"""
LINES = {
    "medicines": (
        "patient_id;kind;drug;name;dose;since;last dose;until\n"
        "M1;antithrombotic;apixaban;Apixaban;5 mg;2026-01-02;2027-02-01 09:30;\n"
        "M1;Other;;Ibuprofen;;;;\n"
        "M1;antithrombotic;sugar;Sugar;;;;\n"
        "M1;glp1;weekly;Semaglutide;;;2027-02-01;\n"
        "M1;antithrombotic;apixaban;Apixaban;;soon;;\n"
        "M1;antithrombotic;clopidogrel;Clopidogrel;;;2027-02-01 25:00;\n",
        (3, 3),
    ),
    "allergies": ("patient_id,substance,severity\nM1,Latex,severe\nM1,latex,\nM1,moonlight,severe\n", (1, 1)),
    "conditions": (
        "patient_id,condition,since,until,icd\nM1,Diabetes,2020-01-01,,e11.9\nM1,infection,2026-02-01,2026-01-01,\nM1,,2020-01-01,,\n",
        (1, 2),
    ),
    "implants": (
        "patient_id,device,placed_on,after acs\nM1,pacemaker,2019-05-05,\nM1,Coronary stent,2020-01-01,\nM1,icd,,perhaps\n",
        (1, 2),
    ),
    "labs": ("patient_id,test,result,date\nM1,INR,1.4,2026-02-01\nM1,inr,much,2026-02-01\nM1,inr,1.1,2199-01-01\n", (1, 2)),
    "vaccines": ("patient_id,vaccine,date\nM1,live,2027-09-01\nM1,live,\n", (1, 1)),
    "surgery": ("patient_id,kind,where,date\nM1,arthroplasty,right_knee,2027-09-01\n", (1, 0)),
    "presentations": (
        "patient_id,problem,for the payer,icd,side,levels,pain since,conservative care,provocation,imaging,on file,not met\n"
        "M1,Sciatica,Post laminectomy syndrome,m54.16,l,L4-5,2026-01-02,2026-02-03,0,2026-02-01,"
        "Baseline scale named; severe_functional_impact,\n"
        "M1,Neck,made up,,,,,,,,,\n"
        "M1,Neck,,,,,2199-01-01,,,,,\n"
        "M1,Neck,,,,,,,some,,,\n"
        "M1,Neck,,,,,,,,,a dragon,\n"
        "M1,Neck,,,,,,,,,baseline scale named,baseline_scale_named\n",
        (1, 5),
    ),
    "asked": ("patient_id,topic,date\nM1,Blood thinners,2026-02-01\nM1,weather,2026-02-01\n", (1, 1)),
}  # fmt: skip
MODELS: dict[str, type[Recorded]] = {
    "medicines": Medication, "allergies": Allergy, "conditions": Condition, "implants": Implant, "labs": LabResult,
    "vaccines": Vaccination, "surgery": PlannedSurgery, "presentations": Presentation, "asked": Asked,
}  # fmt: skip


@pytest.fixture
def person(clinic: SmallClinic) -> Patient:
    tables.load(by=Actor.system("tests"), at=NOW)
    return factories.patient(home=clinic.site, external_id="M1")


def run(tmp_path: Path, what: str, text: str, *options: str) -> tuple[str, list[str]]:
    path, out, err = tmp_path / "file.csv", StringIO(), StringIO()
    path.write_text(text, encoding="utf-8")
    call_command("import_facts", str(path), "--what", what, *options, stdout=out, stderr=err)
    return out.getvalue().strip(), [line for line in err.getvalue().splitlines() if line.startswith("line ")]


def test_coverage_comes_in_once_and_every_refusal_names_its_line_and_field(person: Patient, tmp_path: Path) -> None:
    out, told = run(tmp_path, "coverage", COVERAGE)

    assert out == "import_facts: 9 rows: 1 new, 0 unchanged, 8 refused"
    assert [line.split(": ")[:2] for line in told] == [
        ["line 3", "payer_rules"], ["line 4", "plan_type"], ["line 5", "state"], ["line 6", "place_of_service"],
        ["line 7", "row"], ["line 8", "patient_external_id"], ["line 9", "rank"], ["line 10", "rank"],
    ]  # fmt: skip
    plan = Coverage.objects.get()
    assert (plan.payer, plan.plan_type, plan.state, plan.rank, plan.valid_from, plan.origin) == (
        "Medicare", "original_medicare", "CA", 1, date(2026, 1, 1), "import",
    )  # fmt: skip
    assert FactChange.objects.filter(patient=person, kind="coverage").count() == 1
    assert run(tmp_path, "coverage", COVERAGE)[0] == "import_facts: 9 rows: 0 new, 1 unchanged, 8 refused"
    assert Coverage.objects.count() == 1


def test_authorisations_come_in_under_their_plan(person: Patient, tmp_path: Path, clinic: SmallClinic) -> None:
    run(tmp_path, "coverage", COVERAGE)
    text = AUTHORIZATIONS.replace("{code}", clinic.procedure.code)
    out, told = run(tmp_path, "authorizations", text)

    assert out == "import_facts: 7 rows: 2 new, 0 unchanged, 5 refused"
    assert [line.split(": ")[:2] for line in told] == [
        ["line 4", "coverage"], ["line 5", "covers"], ["line 6", "codes"], ["line 7", "decided_on"], ["line 8", "side"],
    ]  # fmt: skip
    held = Authorization.objects.get(number="N1")
    assert (held.coverage.payer, held.codes, held.levels, held.side, held.status, held.units, held.valid_until) == (
        "Medicare", ["64483", "64484"], ["L4-L5"], "left", "approved", 2, date(2027, 6, 30),
    )  # fmt: skip
    assert run(tmp_path, "authorizations", text)[0] == "import_facts: 7 rows: 0 new, 2 unchanged, 5 refused"
    later = text.replace("2027-06-30,2", "2027-06-30,3")
    out, told = run(tmp_path, "authorizations", later)
    assert told[0] == "line 2: units: differs from what is on file; amend it there (row refused)"
    assert Authorization.objects.get(number="N1").units == 2


@pytest.mark.parametrize("what", LINES)
def test_facts_come_in_once(what: str, person: Patient, tmp_path: Path) -> None:
    text, (good, bad) = LINES[what]
    repeated = 1 if what == "allergies" else 0

    out, told = run(tmp_path, what, text)

    assert out == f"import_facts: {good + bad + repeated} rows: {good} new, {repeated} unchanged, {bad} refused"
    assert len(told) == bad
    assert MODELS[what]._default_manager.count() == good
    again = run(tmp_path, what, text)[0]
    assert again == f"import_facts: {good + bad + repeated} rows: 0 new, {good + repeated} unchanged, {bad} refused"
    assert MODELS[what]._default_manager.count() == good


def test_cells_are_read_as_the_tables_mean_them(person: Patient, tmp_path: Path) -> None:
    for what in ("medicines", "labs", "conditions"):
        run(tmp_path, what, LINES[what][0])

    apixaban, other, weekly = Medication.objects.order_by("pk")
    assert (apixaban.last_dose_at, other.drug, other.name) == (datetime(2027, 2, 1, 14, 30, tzinfo=UTC), "", "Ibuprofen")
    assert weekly.last_dose_at == datetime(2027, 2, 2, 4, 59, tzinfo=UTC)  # a day alone is meant to its end
    assert LabResult.objects.values_list("test", "value").get() == ("inr", Decimal("1.40"))
    assert Condition.objects.values_list("kind", "icd10").get() == ("diabetes", "E11.9")


def test_a_problem_treated_comes_in_by_the_words_of_the_tables(person: Patient, tmp_path: Path) -> None:
    _, told = run(tmp_path, "presentations", LINES["presentations"][0])

    assert [line.split(": ")[:2] for line in told] == [
        ["line 3", "indication"], ["line 4", "pain_since"], ["line 5", "provocation_tests"], ["line 6", "on_file"],
        ["line 7", "missing"],
    ]  # fmt: skip
    row = Presentation.objects.get()
    assert (row.indication, row.icd10, row.side, row.levels) == ("post_laminectomy_syndrome", "M54.16", "left", ["L4-L5"])
    assert (row.pain_since, row.conservative_since, row.provocation_tests, row.imaging_on) == (
        date(2026, 1, 2), date(2026, 2, 3), 0, date(2026, 2, 1),
    )  # fmt: skip
    assert (row.on_file, row.missing) == (["baseline_scale_named", "severe_functional_impact"], [])


def test_a_dry_run_keeps_nothing(person: Patient, tmp_path: Path) -> None:
    out, told = run(tmp_path, "coverage", COVERAGE, "--dry-run")

    assert out == "import_facts: 9 rows: 1 new, 0 unchanged, 8 refused (dry run, nothing kept)"
    assert len(told) == 8
    assert not Coverage.objects.exists()
    assert not FactChange.objects.exists()


def test_who_may_not_import_is_refused(person: Patient, tmp_path: Path, clinic: SmallClinic) -> None:
    factories.user(role="nurse", username="kim", sites=(clinic.site,))
    with pytest.raises(CommandError, match="may not import"):
        run(tmp_path, "labs", LINES["labs"][0], "--user", "kim")
    with pytest.raises(CommandError, match="no column for"):
        run(tmp_path, "labs", "a,b\n1,2\n")
