"""What booking reads, by plain statements: the locks first, then in one statement what is true under them.

A statement that waits for a lock sees the other tables as they were before it waited. So nothing that the locks guard
is read together with them: free time, privileges, blocks and holds come in a statement of their own afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

from django.db import connection

from pain_clinic.accounts.models import Site
from pain_clinic.statements import Columns
from patients.models import Patient
from procedures.models import Procedure
from scheduling.free_time import LONGEST_WAY
from scheduling.intervals import unpack
from scheduling.models import Allocation, BlockTime, Hold, Privilege, Resource

Key: TypeAlias = tuple[int, int, date]  # resource, site, UTC day

# Against other writers, not against those that only refer to the row. The tests' control takes it away.
LOCK = "FOR NO KEY UPDATE OF"
LONGEST_PROCEDURE = timedelta(hours=12)  # of the catalogue or a physician's own
LONGEST_EXTRA = 120  # minutes of a unit's own turnover

_PATIENT = Columns(Patient, "p")
_RESOURCE = Columns(Resource, "r")
_SITE = Columns(Site, "s")
# nosec B608 and S608 below: names of columns and constants of ours, nothing from outside.
_PATIENTS = f"SELECT {_PATIENT.text} FROM patients_patient p WHERE p.id = ANY(%s) ORDER BY p.id"  # nosec B608  # noqa: S608
_RESOURCES = (
    f"SELECT {_RESOURCE.text}, {_SITE.text} FROM scheduling_resource r LEFT JOIN accounts_site s ON s.id = %s"  # nosec B608  # noqa: S608
    " WHERE r.id = ANY(%s) ORDER BY r.id"
)


def lock_patients(ids: Iterable[int]) -> dict[int, Patient]:
    """Lock patients in key order and return them."""
    return {row[0]: _PATIENT.row(row) for row in _rows(f"{_PATIENTS} {LOCK} p", [sorted(set(ids))])}


def lock_resources(ids: Iterable[int], *, site: int | None = None) -> tuple[dict[int, Resource], Site | None]:
    """Lock resources in key order and return them, with the site that is named beside them."""
    rows = _rows(f"{_RESOURCES} {LOCK} r", [site, sorted(set(ids))])
    there = rows[0] if rows and rows[0][len(_RESOURCE)] is not None else None
    return {row[0]: _RESOURCE.row(row) for row in rows}, _SITE.row(there, len(_RESOURCE)) if there else None


def lock_hold(hold: Hold) -> Hold:
    """Lock a hold and return it as it is now."""
    return Hold.objects.select_for_update(no_key=True).get(pk=hold.pk)


@dataclass(slots=True)
class Truth:
    """What is true under the locks, around one time."""

    free: dict[Key, tuple[int, int]] = field(default_factory=dict)  # -> row id and bits as stored
    privileges: dict[int, list[Privilege]] = field(default_factory=dict)  # resource -> those for the procedure
    blocks: list[tuple[int, int, datetime, datetime]] = field(default_factory=list)  # id, resource, start and end
    ended: list[int] = field(default_factory=list)  # allocations that ended holds still have
    is_known: bool = False  # whether the site knows the patient by an appointment


_TRUTH = """
SELECT 'free' AS what, id, resource_id, site_id::int AS number, day AS first, NULL::date AS last,
       NULL::timestamptz AS starts_at, NULL::timestamptz AS ends_at, bits, NULL::varchar[] AS words
FROM scheduling_freetime WHERE resource_id = ANY(%(units)s) AND day BETWEEN %(first)s AND %(last)s
UNION ALL
SELECT 'may', id, resource_id, procedure_minutes, valid_from, valid_until, NULL, NULL, NULL, modalities
FROM scheduling_privilege WHERE procedure_id = %(procedure)s AND resource_id = ANY(%(units)s)
UNION ALL
SELECT 'block', id, resource_id, NULL, NULL, NULL, starts_at, ends_at, NULL, NULL
FROM scheduling_blocktime
WHERE resource_id = ANY(%(units)s) AND site_id = %(site)s AND starts_at < %(until)s AND ends_at > %(from)s
  AND releases_at > %(at)s
UNION ALL
SELECT 'ended', a.id, a.resource_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM scheduling_allocation a JOIN scheduling_hold h ON h.id = a.hold_id
WHERE a.resource_id = ANY(%(locked)s) AND a.released_at IS NULL AND a.appointment_id IS NULL
  AND (h.ends_at <= %(at)s OR h.released_at IS NOT NULL)
UNION ALL
SELECT 'known', id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM patients_patientsite WHERE patient_id = %(patient)s AND site_id = %(site)s AND because = 'appointment'
"""


def read_truth(
    *,
    units: Sequence[int],
    locked: Sequence[int],
    site: int,
    patient: int | None,
    procedure: Procedure,
    starts_at: datetime,
    at: datetime,
) -> Truth:
    """Read, under the locks of these units, everything around this start that speaks of them, in one statement."""
    begins = starts_at - timedelta(minutes=procedure.prep_minutes)
    afterwards = max(procedure.recovery_minutes, procedure.turnover_minutes + LONGEST_EXTRA)
    ends = starts_at + LONGEST_PROCEDURE + timedelta(minutes=afterwards)
    truth = Truth()
    asked = {
        "units": list(units),
        "locked": list(locked),
        "site": site,
        "patient": patient or 0,
        "procedure": procedure.pk,
        "first": (begins - LONGEST_WAY).astimezone(UTC).date(),
        "last": (ends + LONGEST_WAY).astimezone(UTC).date(),
        "from": begins,
        "until": ends,
        "at": at,
    }
    for what, pk, resource, number, first, last, from_at, until_at, bits, words in _rows(_TRUTH, asked):
        if what == "free":
            truth.free[resource, number, first] = (pk, unpack(bits))
        elif what == "may":
            held = Privilege(
                pk=pk,
                resource_id=resource,
                procedure_id=procedure.pk,
                modalities=words,
                procedure_minutes=number,
                valid_from=first,
                valid_until=last,
            )
            truth.privileges.setdefault(resource, []).append(held)
        elif what == "block":
            truth.blocks.append((pk, resource, from_at, until_at))
        elif what == "ended":
            truth.ended.append(pk)
        else:
            truth.is_known = True
    return truth


def allocations(ids: Sequence[int]) -> list[Allocation]:
    """Return these allocations in key order."""
    return list(Allocation.objects.filter(pk__in=ids).order_by("pk"))


def block_times(ids: Sequence[int]) -> list[BlockTime]:
    """Return these dates of blocks with their blocks; asks nothing when there are none."""
    return list(BlockTime.objects.filter(pk__in=ids).select_related("block").order_by("pk")) if ids else []


def _rows(statement: str, values: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
