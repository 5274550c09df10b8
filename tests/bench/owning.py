"""A line to the database as the owner of the schema, for what the product's own role may not do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
from django.db import connection

from pain_clinic.settings import database


@contextmanager
def owned(name: str = "") -> Iterator[Any]:
    """Give a cursor of the owner on the clinic's database or another; every statement is its own transaction."""
    known = database(os.environ["DATABASE_OWNER_URL"])
    with closing(
        psycopg2.connect(
            host=known["HOST"], port=known["PORT"] or None, user=known["USER"], password=known["PASSWORD"] or None,
            dbname=name or known["NAME"],
        )
    ) as link:  # fmt: skip
        link.autocommit = True
        with link.cursor() as cursor:
            yield cursor


def analyze() -> None:
    """Count the rows of every table, as autovacuum does after a while. The product's own role may not: it would pass over them."""
    with owned(connection.settings_dict["NAME"]) as owner:
        owner.execute("SET statement_timeout = '120s'")
        owner.execute("ANALYZE")
