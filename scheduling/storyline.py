"""Read: what the history of a patient shows of cases, messages and courses, in four statements whatever there is.

`settings.HISTORY_TELLER` names `tell`; the floor below asks for it there.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection
from django.urls import reverse

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from patients.history import Beyond, Letter, Plan, Visit
from patients.models import Patient
from procedures import levels as spine
from scheduling import worklist
from scheduling.agenda import words
from scheduling.messages import reason_in_words
from scheduling.models import (
    BEFORE_ARRIVAL,
    PRESENT,
    AskedBy,
    CancelReason,
    LinkAnswer,
    MessageKind,
    MessageState,
    Status,
)

# Who and where are looked up only for what is still to come: a patient of many years has hundreds of cases.
_VISITS = """
    SELECT a.public_id, a.starts_at, a.zone, a.local_date, a.status, a.cancel_reason, a.asked_by, a.is_late, a.side, a.levels,
        a.regions, p.short_name, p.level_scheme, p.category, p.family, p.regions, s.name,
        CASE WHEN a.status = ANY(%(standing)s) THEN (
            SELECT string_agg(DISTINCT r.short_name, ', ' ORDER BY r.short_name)
            FROM scheduling_allocation l JOIN scheduling_resource r ON r.id = l.resource_id
            WHERE l.appointment_id = a.id AND l.kind = 'physician' AND l.released_at IS NULL) END
    FROM scheduling_appointment a
    JOIN procedures_procedure p ON p.id = a.procedure_id JOIN accounts_site s ON s.id = a.site_id
    WHERE a.patient_id = %(patient)s AND (%(sites)s::bigint[] IS NULL OR a.site_id = ANY(%(sites)s::bigint[]))
        AND NOT EXISTS (SELECT 1 FROM patients_performedprocedure d
            WHERE d.patient_id = a.patient_id AND d.appointment = a.public_id AND NOT d.is_in_error)
    ORDER BY a.starts_at DESC, a.id DESC
"""
_LETTERS = """
    SELECT m.kind, m.state, m.reason, COALESCE(m.done_at, m.due_at), a.zone, a.public_id, a.local_date, l.answer
    FROM scheduling_message m JOIN scheduling_appointment a ON a.id = m.appointment_id
    LEFT JOIN (
        SELECT DISTINCT ON (message_id) message_id, answer FROM scheduling_link
        WHERE patient_id = %(patient)s AND answer <> '' ORDER BY message_id, answered_at DESC) l ON l.message_id = m.id
    WHERE m.patient_id = %(patient)s AND m.state = ANY(%(told)s)
        AND (%(sites)s::bigint[] IS NULL OR a.site_id = ANY(%(sites)s::bigint[]))
    ORDER BY COALESCE(m.done_at, m.due_at) DESC, m.id DESC
"""
STANDING = (*BEFORE_ARRIVAL, *PRESENT)
TOLD = (MessageState.SENT, MessageState.FAILED, MessageState.SKIPPED)


def tell(*, patient: Patient, user: User, by: Actor, today: date) -> Beyond:
    """Return a patient's cases without a record of what was done, messages and courses, as far as this reader may see them."""
    sees_cases, sees_courses = by.may("scheduling.view_appointment"), by.may("scheduling.view_course")
    asked = {
        "patient": patient.pk,
        "sites": sorted(by.site_ids) if by.site_ids is not None else None,
        "standing": [str(status) for status in STANDING],
        "told": [str(state) for state in TOLD],
    }
    url = words.case_urls()
    return Beyond(
        visits=tuple(_visit(row, today, url) for row in _rows(_VISITS, asked)) if sees_cases else None,
        letters=tuple(_letter(row) for row in _rows(_LETTERS, asked)) if by.may("scheduling.read_patient_messages") else None,
        plans=_plans(patient, user, today) if sees_courses else None,
        visits_url=reverse("scheduling:patient_upcoming", args=[patient.public_id]) if sees_cases else "",
        start_url=reverse("scheduling:course_start", args=[patient.public_id]) if by.may("scheduling.order_course") else "",
    )


def _rows(statement: str, asked: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, asked)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _visit(row: tuple[Any, ...], today: date, url: Callable[[UUID], str]) -> Visit:
    (key, starts_at, zone, on, status, reason, asked_by, is_late, side, levels, regions,
     name, scheme, category, family, own_regions, site, who) = row  # fmt: skip
    told = spine.shown(levels, side, scheme=scheme, regions=words.regions_told(regions, own_regions))
    return Visit(
        url=url(key),
        starts_at=starts_at.astimezone(ZoneInfo(zone)),
        on=on,
        procedure=f"{name} {told}".strip(),
        where=", ".join(part for part in (who, site) if part),
        status=status,
        is_coming=status in STANDING and on >= today,
        why=_why(status, reason, asked_by, is_late),
        category=category,
        family=family,
        levels=levels,
        regions=regions,
        own_regions=own_regions,
        side=side,
    )


def _why(status: str, reason: str, asked_by: str, is_late: bool) -> str:
    if status == Status.DISCHARGED:
        return "nothing recorded of what was done"
    if status != Status.CANCELLED:
        return ""
    who = f"by the {AskedBy(asked_by).label.lower()}" if asked_by in AskedBy.values else ""
    told = CancelReason(reason).label if reason in CancelReason.values else ""
    return ", ".join(part for part in (who, "late" if is_late else "", told) if part)


def _letter(row: tuple[Any, ...]) -> Letter:
    kind, state, reason, moment, zone, case, case_on, answer = row
    at: datetime = moment
    return Letter(
        on=at.astimezone(ZoneInfo(zone)).date(),
        what=str(MessageKind(kind).label),
        state=state,
        why=reason_in_words(reason) if reason and state != MessageState.SENT else "",
        answer=str(LinkAnswer(answer).label) if answer else "",
        case=str(case),
        case_on=case_on,
    )


def _plans(patient: Patient, user: User, today: date) -> tuple[Plan, ...]:
    return tuple(
        Plan(one.name, one.what, one.told, one.why, one.url, one.is_running)
        for one in worklist.of_patient(patient=patient, user=user, today=today)
    )
