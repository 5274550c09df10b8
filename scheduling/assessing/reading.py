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
# nosec B608 and S608 below: names of columns, nothing from outside.
_OPEN_CASES = (
    f"SELECT {_CASE.text}, {_PROCEDURE.text}, {_DETAILS.text} FROM scheduling_appointment a"  # nosec B608  # noqa: S608
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
        found.append(case)
    return found
