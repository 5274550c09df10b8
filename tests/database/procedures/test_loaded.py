"""What the tests keep of the shipped tables, to write it back for the next one."""

from __future__ import annotations

import pytest

from procedures.models import Procedure, ProcedureNeed
from tests import factories, loaded


def test_of_what_was_there_before_the_tables_nothing_is_kept(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaded, "_kept", [])
    own = factories.procedure()
    assert ProcedureNeed.objects.filter(procedure=own).exists()
    loaded.load_tables()
    kept = dict(loaded._kept)
    assert own.pk not in {row.pk for row in kept[Procedure]}
    assert own.pk not in {row.procedure_id for row in kept[ProcedureNeed]}
    assert len(kept[Procedure]) == Procedure.objects.count() - 1
