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
        tables.load(by=Actor.system("tests"), at=NOW)
        models = (ClinicalTable, Procedure, ProcedureNeed, RuleRow, ClinicPathway)
        _kept.extend((model, list(model.objects.order_by("pk"))) for model in models)
        return
    for model, rows in _kept:
        model.objects.bulk_create([copy(row) for row in rows])
