"""The rules in force: the clinic's own rows of the tables as one book, kept by each process until a row changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from django.db import connection

from procedures import tables
from procedures.rules import Facts, Rule
from procedures.rules.book import Book

Stamp: TypeAlias = tuple[int, ...]

# Rules that are in no table: none. Tests put their own here.
RULES: tuple[Rule, ...] = ()

# How many rows there are, and who wrote each and where it lies: whatever changes, this does, past every verb too.
STAMP = ", ".join(
    f"(SELECT json_build_array(count(*), coalesce(sum(hashtextextended(xmin::text || ctid::text, 0)), 0)) FROM {table})"  # nosec B608  # noqa: S608  names of ours
    for table in ("procedures_rulerow", "procedures_procedure")
)


@dataclass(slots=True)
class _Kept:
    """What this process last compiled, and of which rows."""

    stamp: Stamp | None = None
    book: Book | None = None


_kept = _Kept()


def read_stamp() -> Stamp:
    """Return what tells one state of the clinic's rows from another, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {STAMP}")
        return stamp_of(*cursor.fetchone())


def stamp_of(rules: list[int], procedures: list[int]) -> Stamp:
    """Return the stamp from the two parts of `STAMP`."""
    return (*rules, *procedures)


def book(stamp: Stamp | None = None) -> Book | None:
    """Return the clinic's book of rules as of a stamp (left out: of now), or None before any table was loaded.

    Raises:
        MalformedTables: an edit made a row that cannot be used; it is named.
    """
    now = read_stamp() if stamp is None else stamp
    if not now[0]:
        return None
    if _kept.stamp != now or _kept.book is None:
        _kept.book = tables.clinic_book()
        _kept.stamp = now
    return _kept.book


def usable_book() -> Book | None:
    """Return the clinic's book of rules, or None where there is none or an edit made a row that cannot be used.

    For pages that only want names out of it; who judges says what is wrong.
    """
    try:
        return book()
    except tables.MalformedTables:
        return None


def payer_names() -> Mapping[str, str]:
    """Return what the payers' rule sets are called, by id, in the order of the table: the clinic's, else those of the files."""
    held = usable_book()
    if held is not None:
        return held.payer_names
    rows = tables.read(only=("payer_rules",))["payer_rules"].content["payer_rule_sets"]
    return {row["id"]: row["title"] for row in rows}


def payer_codes() -> frozenset[str]:
    """Return the ids of all payers' rules, as findings carry them; none where the rules cannot be read."""
    held = usable_book()
    return held.payer_codes if held is not None else frozenset()


def in_force(held: Book | None, facts: Facts, on: date) -> tuple[Rule, ...]:
    """Return every rule of a book that counts on a date of service for what is asked and who pays."""
    return (*RULES, *(held.rules(facts, on) if held is not None else ()))
