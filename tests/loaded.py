"""The shipped tables in the test's database: loaded once for each process, afterwards written back as they were."""

from __future__ import annotations

from copy import copy
from typing import Any

from pain_clinic.accounts.actors import Actor
from procedures import tables
from procedures.models import ClinicalTable, ClinicPathway, Procedure, ProcedureNeed, RuleRow
from tests.factories import NOW

_kept: list[tuple[Any, list[Any]]] = []


def load_tables() -> None:
    """Load the shipped tables into a database that has none; rolled back with the test."""
    if not _kept:
        own = set(Procedure.objects.values_list("pk", flat=True))  # of the test that comes first; not of the tables
        tables.load(by=Actor.system("tests"), at=NOW)
        loaded = (
            ClinicalTable.objects.all(),
            Procedure.objects.exclude(pk__in=own),
            ProcedureNeed.objects.exclude(procedure__in=own),
            RuleRow.objects.all(),
            ClinicPathway.objects.all(),
        )
        _kept.extend((rows.model, list(rows.order_by("pk"))) for rows in loaded)
        return
    for model, rows in _kept:
        model.objects.bulk_create([copy(row) for row in rows])
