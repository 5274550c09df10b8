"""Whole rows by plain statements, put together once for each table.

For the few paths where building an ORM query costs more than running it: the booking transaction first of all. Rows
are ordinary model instances, values pass through their fields, and the database's own defaults, triggers and
constraints work as ever. No signal is sent (`CONVENTIONS` knows none).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Generic, TypeVar

from django.db import connection, connections, models

M = TypeVar("M", bound=models.Model)


class Columns(Generic[M]):
    """A model's columns under an alias, to select in a plain statement, and the way back to instances."""

    def __init__(self, model: type[M], alias: str, *, only: Sequence[str] = ()) -> None:
        fields = [field for field in model._meta.concrete_fields if not only or field.attname in only]
        self.model = model
        self.names = [field.attname for field in fields]
        self.text = ", ".join(f'{alias}."{field.column}"' for field in fields)
        self.converters = [
            (place, convert) for place, field in enumerate(fields) for convert in field.get_db_converters(connection)
        ]

    def row(self, values: Sequence[Any], first: int = 0) -> M:
        """Return the instance whose columns begin at place `first` of a fetched row."""
        own = list(values[first : first + len(self.names)])
        for place, convert in self.converters:
            own[place] = convert(own[place], None, connection)
        return self.model.from_db(connection.alias, self.names, own)

    def __len__(self) -> int:
        return len(self.names)


def insert(row: models.Model, *, unless: str = "", **marks: str) -> bool:
    """Insert a new row and note its key, as `save(force_insert=True)` does; say whether it was written.

    `unless` names a unique constraint: a row that breaks it is not written. `marks` are the expressions of single
    fields, each around one `%s`; what the database made of them comes back into the row.
    """
    statement, fields = _inserting(type(row), unless, tuple(marks.items()))
    with connection.cursor() as cursor:
        cursor.execute(statement, _values([row], fields))
        made = cursor.fetchone()
    if made is None:
        return False
    row.pk = made[0]
    for name, value in zip(marks, made[1:], strict=True):
        setattr(row, name, value)
    row._state.adding, row._state.db = False, connection.alias
    return True


def insert_all(rows: Sequence[models.Model]) -> None:
    """Insert new rows of one table by one statement; their keys are not noted."""
    if not rows:
        return
    statement, fields = _inserting(type(rows[0]), "", (), len(rows))
    with connection.cursor() as cursor:
        cursor.execute(statement, _values(rows, fields))


def _values(rows: Sequence[models.Model], fields: Sequence[models.Field[Any, Any]]) -> list[Any]:
    """Return what the fields make of these rows' values, in order."""
    own = connections[connection.alias]  # not by the proxy, which looks for the thread's connection at every touch
    return [field.get_db_prep_save(field.pre_save(row, True), own) for row in rows for field in fields]


@cache
def _inserting(
    model: type[models.Model], unless: str, marks: tuple[tuple[str, str], ...], count: int = 1
) -> tuple[str, tuple[models.Field[Any, Any], ...]]:
    """Return the statement and the fields whose values it takes, in order."""
    fields = tuple(field for field in model._meta.concrete_fields if not field.primary_key)
    expressions = dict(marks)
    columns = ", ".join(f'"{field.column}"' for field in fields)
    values = ", ".join(["(" + ", ".join(expressions.get(field.attname, "%s") for field in fields) + ")"] * count)
    conflict = f" ON CONFLICT ON CONSTRAINT {unless} DO NOTHING" if unless else ""
    returned = ", ".join([f'"{model._meta.pk.column}"', *expressions])
    statement = f'INSERT INTO "{model._meta.db_table}" ({columns}) VALUES {values}{conflict} RETURNING {returned}'  # nosec B608  # noqa: S608  names of ours
    return statement, fields
