"""The pathways in force: the clinic's own rows as the planner reads them, kept by each process until a row changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from django.db import connection

from procedures.models import ClinicPathway
from procedures.pathways import Pathway, pathways_of
from procedures.tables.courses import shipped_pathways

Stamp: TypeAlias = tuple[int, int]

# How many rows there are, and who wrote each and where it lies: whatever changes, this does, past every verb too.
# An expression, so that who asks something else at the same moment can ask for it there.
STAMP = (
    "(SELECT json_build_array(count(*), coalesce(sum(hashtextextended(xmin::text || ctid::text, 0)), 0))"
    " FROM procedures_clinicpathway)"
)


@dataclass(slots=True)
class _Kept:
    """What this process last compiled, and of which rows."""

    stamp: Stamp | None = None
    found: Mapping[str, Pathway] = field(default_factory=dict)


_kept = _Kept()


def read_stamp() -> Stamp:
    """Return what tells one state of the clinic's rows from another, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {STAMP}")
        count, sum_ = cursor.fetchone()[0]
    return count, sum_


def pathways(stamp: Stamp | None = None) -> Mapping[str, Pathway]:
    """Return the clinic's pathways by id, those switched off too, as of a stamp (left out: of now).

    Before any table was loaded they are as shipped.
    """
    stamp = read_stamp() if stamp is None else stamp
    if not stamp[0]:
        return shipped_pathways()
    if _kept.stamp != stamp:
        _kept.found = compiled(list(ClinicPathway.objects.in_order()))
        _kept.stamp = stamp
    return _kept.found


def compiled(rows: list[ClinicPathway]) -> Mapping[str, Pathway]:
    """Return these rows as the planner reads them.

    Raises:
        MalformedRows: one of them cannot be used.
    """
    return pathways_of(
        [row.data for row in rows], names={row.code: row.name for row in rows},
        off=[row.code for row in rows if not row.is_enabled],
    )  # fmt: skip
