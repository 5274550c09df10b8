"""One statement for everything on file about some patients, and the rules' stamp beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from django.db import connection

from patients.facts.knowing import Known
from patients.models import Patient
from procedures import rulebook
from procedures.rules import Facts, Request, Session
from procedures.rules.book import Book
from procedures.tables import MalformedTables

# What is read of each kind, as one list for each row. What was written down by mistake is left out everywhere.
_COLUMNS: Mapping[str, tuple[str, str]] = {
    "asked": ("patients_asked t", "t.topic, t.asked_on"),
    "medication": (
        "patients_medication t",
        "t.id, t.kind, t.drug, t.dose, t.indication, t.last_dose_at, t.stopped_on",
    ),
    "clearance": (
        "patients_clearance t",
        "t.medication_id, t.kind, t.answer, t.case, t.has_times, t.last_dose, t.restart, t.told_last_at, t.decided_for,"
        " CASE WHEN t.decided_for IS NULL THEN '' ELSE t.note END",
    ),
    "consent": (
        "patients_consent t JOIN procedures_procedure p ON p.id = t.procedure_id",
        "p.code, t.appointment, t.side, t.levels, t.given_on, t.valid_until, t.withdrawn_on",
    ),
    "allergy": ("patients_allergy t", "t.agent, t.severity"),
    "condition": ("patients_condition t", "t.kind, t.name, t.began_on, t.ended_on, t.antibiotics_until"),
    "implant": ("patients_implant t", "t.device, t.placed_on, t.removed_on, t.is_after_acs, t.has_plan"),
    "lab": ("patients_labresult t", "t.test, t.value::text, t.taken_on"),
    "vaccine": ("patients_vaccination t", "t.kind, t.given_on"),
    "surgery": ("patients_plannedsurgery t", "t.kind, t.site, t.planned_on"),
    "presentation": (
        "patients_presentation t",
        "t.id, t.indication, t.icd10, t.side, t.levels, t.pain_since, t.conservative_since, t.provocation_tests, t.imaging_on,"
        " t.episode_started_on, t.ended_on, t.missing, t.on_file",
    ),
    "coverage": (
        "patients_coverage t",
        "t.id, t.payer_rules, t.plan_type, t.state, t.place_of_service, t.valid_from, t.valid_until, t.year_anchor, t.rank",
    ),
    "authorization": (
        "patients_authorization t",
        "t.coverage_id, t.covers, t.codes, t.side, t.levels, t.status, t.decided_on, t.valid_from, t.valid_until,"
        " t.units - (SELECT coalesce(sum(u.units), 0) FROM patients_authorizationuse u"
        " WHERE u.authorization_id = t.id AND NOT u.is_in_error), t.case",
    ),
    "performed": (
        "patients_performedprocedure t LEFT JOIN procedures_procedure p ON p.id = t.procedure_id",
        "t.id, p.code, coalesce(p.family, t.other_family), p.approach, p.steroid, t.appointment, t.done_on, t.is_elsewhere,"
        " t.side, t.levels, t.regions, t.body_site, t.role, t.indication, t.has_kx, t.function_improved,"
        " t.medication_reduced, t.medication_reduction::text, t.relief_matched_agent, t.lead_removed_on, t.other_name",
    ),
    "given": ("patients_givendrug t", "t.performed_id, t.drug, t.dose_mg::text, t.given_on"),
    "score": ("patients_score t", "t.performed_id, t.measure, t.aspect, t.value::text, t.range_text, t.scored_on, t.phase"),
}
_ONLY: Mapping[str, str] = {
    "medication": " AND t.kind IN ('antithrombotic', 'glp1')",
    "given": " AND t.kind = 'steroid'",
    "score": " AND (t.performed_id IS NOT NULL OR t.measure = 'nrs')",
}
# nosec B608 and S608 below: names of tables and columns of ours, nothing from outside.
_EVERYTHING = " UNION ALL ".join(
    f"SELECT '{kind}', t.patient_id, t.id, json_build_array({columns}), NULL FROM {table}"  # nosec B608  # noqa: S608
    f" WHERE t.patient_id = ANY(%(patients)s) AND NOT t.is_in_error{_ONLY.get(kind, '')}"
    for kind, (table, columns) in _COLUMNS.items()
)
_STATEMENT = f"SELECT '', 0, 0, {rulebook.STAMP} UNION ALL {_EVERYTHING} ORDER BY 2, 3"  # nosec B608


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read at one moment: the rules in force, and each patient by key.

    `problem` says why there is no book although there are rules: an edit made a row that cannot be used.
    """

    book: Book | None
    known: Mapping[int, Known]
    problem: str = ""


def read(patients: Iterable[Patient]) -> Reading:
    """Return what is on file about these patients, and the clinic's book of rules, in one statement.

    A second and third one follow after a rule was changed. Hand in some hundreds of patients at a time.
    """
    people = {patient.pk: patient for patient in patients}
    found: dict[int, dict[str, list[Sequence[Any]]]] = {pk: defaultdict(list) for pk in people}
    stamp: rulebook.Stamp | None = None
    with connection.cursor() as cursor:
        cursor.execute(_STATEMENT, {"patients": sorted(people)})
        for kind, patient, _, values, procedures in cursor:
            if kind:
                found[patient][kind].append(values)
            else:
                stamp = rulebook.stamp_of(values, procedures)
    book, problem = None, ""
    try:
        book = rulebook.book(stamp)
    except MalformedTables as error:
        problem = str(error.problems[0])
    names = book.names_by_id if book is not None else {}
    known = {pk: Known(people[pk].birth_date, people[pk].sex, rows, names) for pk, rows in found.items()}
    return Reading(book, known, problem)


def facts_of(patient: Patient, request: Request, sessions: Iterable[Session] = (), *, at: datetime, zone: tzinfo) -> Facts:
    """Return the facts about one patient for one request; upper floors hand in the sessions that they keep."""
    reading = read([patient])
    families = reading.book.families_by_id if reading.book is not None else None
    return reading.known[patient.pk].facts(request, sessions, at=at, zone=zone, families=families)
