"""The patients' cases that count beside the one that is judged, in one plain statement."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import connection

from pain_clinic.statements import Columns
from procedures.models import Procedure
from scheduling.models import AWAY, Appointment, CaseDetails

LONGEST_STAY = timedelta(days=2)  # more than preparation, procedure and recovery can come to: bounds a walk of an index

_CASE = Columns(Appointment, "a")
_PROCEDURE = Columns(Procedure, "p", only=("id", "code", "family", "name"))
_DETAILS = Columns(CaseDetails, "d")
# A session `s` of a series is fixed in advance while one before it, of the same family `p`, stands without a later score.
_FIXED = (
    "SELECT FROM scheduling_seriessession o JOIN procedures_procedure op ON op.code = o.procedure"
    " LEFT JOIN scheduling_appointment oa ON oa.id = o.appointment_id"
    " WHERE o.series_id = s.series_id AND o.number < s.number AND NOT o.is_skipped AND op.family = p.family"
    " AND (oa.status <> ALL(%(away)s) OR oa.id IS NULL AND EXISTS"
    " (SELECT FROM scheduling_series z WHERE z.id = s.series_id AND z.status = 'open'))"
    " AND NOT EXISTS (SELECT FROM patients_performedprocedure d JOIN patients_score c ON c.performed_id = d.id"
    " WHERE d.appointment = oa.public_id AND NOT d.is_in_error AND NOT c.is_in_error AND c.scored_on > d.done_on)"
)
_FIXED_OF_SERIES = (
    "SELECT s.number FROM scheduling_seriessession s JOIN procedures_procedure p ON p.code = s.procedure"  # nosec B608  # noqa: S608
    f" WHERE s.series_id = %(series)s AND EXISTS ({_FIXED})"
)
# nosec B608 and S608 below: names of columns, nothing from outside.
_OPEN_CASES = (
    f"SELECT {_CASE.text}, {_PROCEDURE.text}, {_DETAILS.text},"  # nosec B608  # noqa: S608
    f" EXISTS (SELECT FROM scheduling_seriessession s WHERE s.appointment_id = a.id AND EXISTS ({_FIXED}))"
    " FROM scheduling_appointment a"
    " JOIN procedures_procedure p ON p.id = a.procedure_id"
    " LEFT JOIN scheduling_casedetails d ON d.appointment_id = a.id"
    # What is over and not on record as performed counts all the same.
    " WHERE a.patient_id = ANY(%(patients)s) AND (NOT a.is_history AND a.leaves_at > %(at)s AND a.starts_at > %(since)s"
    " OR a.starts_at <= %(at)s AND a.status <> ALL(%(away)s) AND NOT EXISTS (SELECT FROM patients_performedprocedure o"
    " WHERE o.appointment = a.public_id)) ORDER BY a.starts_at, a.id"
)


def open_cases(patients: Iterable[int], at: datetime) -> list[Appointment]:
    """Return the patients' cases that are not over, or not on record as performed, in order of time.

    Of their procedures only the names are read; what is said about each case is joined.
    """
    found = []
    with connection.cursor() as cursor:
        cursor.execute(
            _OPEN_CASES, {"patients": list(patients), "at": at, "since": at - LONGEST_STAY, "away": list(AWAY)}
        )  # fmt: skip
        rows = cursor.fetchall()
    after = len(_CASE) + len(_PROCEDURE)
    for row in rows:
        case = _CASE.row(row)
        case.procedure = _PROCEDURE.row(row, len(_CASE))
        if row[after] is not None:
            case.details = _DETAILS.row(row, after)
        else:
            case._state.fields_cache["details"] = None  # nothing was said: not to be looked for again
        case.is_fixed_ahead = row[-1]  # type: ignore[attr-defined]
        found.append(case)
    return found


def fixed_ahead(series: int | None) -> frozenset[int]:
    """Return the numbers of the sessions of a series that are fixed before the response to one before them is known.

    None is of a series that is not saved.
    """
    if series is None:
        return frozenset()
    with connection.cursor() as cursor:
        cursor.execute(_FIXED_OF_SERIES, {"series": series, "away": list(AWAY)})
        return frozenset(number for (number,) in cursor.fetchall())


def is_fixed_ahead(case: Appointment, read: Iterable[Appointment]) -> bool:
    """Say whether a case, found among those that `open_cases` read, is such a session."""
    return any(one.pk == case.pk and one.is_fixed_ahead for one in read)  # type: ignore[attr-defined]
