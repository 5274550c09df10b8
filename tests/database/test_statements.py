"""Plain statements of whole rows say what the ORM would say."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from pain_clinic import statements
from pain_clinic.audit.models import AuditEvent
from pain_clinic.statements import Columns
from patients.models import Patient, PatientSite
from scheduling.models import Resource
from tests.factories import NOW, SmallClinic


def everything(row: object) -> dict[str, object]:
    return {name: value for name, value in vars(row).items() if name != "_state"}


@pytest.mark.parametrize("model", [Patient, Resource])
def test_columns_give_the_rows_that_the_orm_gives(clinic: SmallClinic, model: type[Patient] | type[Resource]) -> None:
    columns = Columns(model, "t")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT 1, {columns.text} FROM {model._meta.db_table} t ORDER BY t.id")
        found = [columns.row(values, 1) for values in cursor.fetchall()]
    assert [everything(row) for row in found] == [everything(row) for row in model.objects.order_by("pk")]
    assert all(not row._state.adding and row._state.db == "default" for row in found)


def test_columns_of_some_fields_leave_the_others_to_be_read_when_asked_for(clinic: SmallClinic) -> None:
    columns = Columns(Patient, "p", only=("id", "last_name"))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns.text} FROM patients_patient p WHERE id = %s", [clinic.patient.pk])
        row = columns.row(cursor.fetchone())
    assert (len(columns), row.get_deferred_fields() >= {"first_name", "phone"}) == (2, True)
    assert row.first_name == clinic.patient.first_name


def test_insert_writes_what_the_orm_writes_and_notes_the_key(db: None) -> None:
    values = {"at": NOW, "actor_kind": "system", "actor_name": "test", "act": "test.act", "outcome": "done",
              "details": {"count": 2, "ids": ["a", "b"]}}  # fmt: skip
    ours, theirs = AuditEvent(**values), AuditEvent(**values)
    assert statements.insert(ours)
    theirs.save(force_insert=True)
    kept = {row.pk: {**everything(row), "id": 0} for row in AuditEvent.objects.all()}
    assert kept[ours.pk] == kept[theirs.pk]
    assert not ours._state.adding


def test_insert_says_when_a_constraint_kept_the_row_out(clinic: SmallClinic) -> None:
    values = {"patient": clinic.patient, "site": clinic.site, "because": "referral", "since": NOW}
    assert statements.insert(PatientSite(**values), unless="patient_site_because_once")
    again = PatientSite(**values)
    assert not statements.insert(again, unless="patient_site_because_once")
    assert again.pk is None
    with pytest.raises(IntegrityError):
        statements.insert(PatientSite(**values))


def test_insert_gives_back_what_an_expression_made(clinic: SmallClinic) -> None:
    row = PatientSite(patient=clinic.patient, site=clinic.site, because="referral", since=NOW)
    assert statements.insert(row, since="%s + interval '1 day'")
    assert row.since == PatientSite.objects.get(pk=row.pk).since == NOW + timedelta(days=1)


def test_insert_all_writes_every_row_by_one_statement(db: None) -> None:
    values = {"at": NOW, "actor_kind": "system", "actor_name": "test", "outcome": "done", "details": {"ids": ["a"]}}
    with CaptureQueriesContext(connection) as asked:
        statements.insert_all([AuditEvent(**values, act=act) for act in ("test.one", "test.two")])
        statements.insert_all([])
    assert len(asked) == 1
    assert list(AuditEvent.objects.order_by("pk").values_list("act", "details")) == [
        ("test.one", {"ids": ["a"]}), ("test.two", {"ids": ["a"]}),
    ]  # fmt: skip
