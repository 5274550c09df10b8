"""Many rows at once, by COPY: constraints and history triggers stay on."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from itertools import islice
from typing import Any

from django.db import connection, models

BATCH = 5_000
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def copy(model: type[models.Model], fields: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Write rows of a model in this order of fields; return how many."""
    columns = ", ".join(connection.ops.quote_name(_column(model, name)) for name in fields)
    table = connection.ops.quote_name(model._meta.db_table)
    source, count = iter(rows), 0
    with connection.cursor() as cursor:
        while batch := list(islice(source, BATCH)):
            text = "".join("\t".join(map(_cell, row)) + "\n" for row in batch)
            cursor.copy_expert(f"COPY {table} ({columns}) FROM STDIN", io.StringIO(text))
            count += len(batch)
    return count


def reserve(model: type[models.Model], count: int) -> list[int]:
    """Take this many primary keys out of a model's sequence."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)", [model._meta.db_table, count]
        )
        return [key for (key,) in cursor.fetchall()]


def empty(tables: Sequence[str]) -> None:
    """Empty these tables together and start their keys anew; a table outside that points into them refuses it."""
    names = ", ".join(connection.ops.quote_name(table) for table in tables)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a table with checks still to come cannot be emptied
        cursor.execute("SET LOCAL lock_timeout = '30s'")
        cursor.execute(f"TRUNCATE {names} RESTART IDENTITY")


def _cell(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, list):
        words = (str(word).replace("\\", "\\\\").replace('"', '\\"') for word in value)
        return ("{" + ",".join(f'"{word}"' for word in words) + "}").translate(_ESCAPES)
    return str(value).translate(_ESCAPES)


def _column(model: type[models.Model], name: str) -> str:
    found = model._meta.get_field(name)
    assert isinstance(found, models.Field)
    return str(found.column)
