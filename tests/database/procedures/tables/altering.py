"""What the tests of loading share: a load, the clinic's own edit, and changes of a copy of the tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from pain_clinic.accounts.actors import Actor
from procedures import catalogue, tables
from procedures.models import Procedure
from tests import factories

BY = Actor.system("tests", "procedures.change_catalogue")
Folder = Callable[..., Path]
PLAIN = "1 physician (procedure), 1 nurse (prep+recovery), 1 room (procedure+turnover), 1 bay (recovery)"


def load(folder: Path = tables.DATA, *, is_dry_run: bool = False, at: datetime = factories.NOW) -> tables.Report:
    return tables.load(by=BY, at=at, folder=folder, is_dry_run=is_dry_run)


def amend(code: str, *, needs: list[dict[str, Any]] | None = None, **changes: Any) -> None:
    row = Procedure.objects.get(code=code)
    catalogue.amend(procedure=row, changes=changes, needs=needs, version=row.version, by=BY, at=factories.NOW)


def row_of(content: dict[str, Any], code: str) -> dict[str, Any]:
    return next(row for row in content["procedures"] if row["id"] == code)


def set_in(code: str, **values: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        row_of(content, code).update(values)

    return change


def drop(code: str) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        content["procedures"] = [row for row in content["procedures"] if row["id"] != code]

    return change
