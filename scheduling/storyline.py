"""Read: what the history of a patient shows of cases, messages and courses, in two statements whatever there is.

`settings.HISTORY_TELLER` names `tell`; the floor below asks for it there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection
from django.urls import reverse

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.clock import days_in_words
from patients.history import Beyond, Letter, Plan, Visit
from patients.models import Patient
from procedures import levels as spine
from procedures import pathwaybook
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
        a.regions, p.short_name, p.level_scheme, p.category, p.family, p.regions AS own_regions, s.name AS site,
        CASE WHEN a.status = ANY(%(standing)s) THEN (
            SELECT string_agg(DISTINCT r.short_name, ', ' ORDER BY r.short_name)
            FROM scheduling_allocation l JOIN scheduling_resource r ON r.id = l.resource_id
            WHERE l.appointment_id = a.id AND l.kind = 'physician' AND l.released_at IS NULL) END AS who
    FROM scheduling_appointment a
    JOIN procedures_procedure p ON p.id = a.procedure_id JOIN accounts_site s ON s.id = a.site_id
    WHERE a.patient_id = %(patient)s AND (%(sites)s::bigint[] IS NULL OR a.site_id = ANY(%(sites)s::bigint[]))
        AND NOT EXISTS (SELECT 1 FROM patients_performedprocedure d
            WHERE d.patient_id = a.patient_id AND d.appointment = a.public_id AND NOT d.is_in_error)
    ORDER BY a.starts_at DESC, a.id DESC
"""
_LETTERS = """
    SELECT m.kind, m.state, m.reason, COALESCE(m.done_at, m.due_at) AS moment, a.zone, a.public_id, a.local_date, l.answer
    FROM scheduling_message m JOIN scheduling_appointment a ON a.id = m.appointment_id
    LEFT JOIN (
        SELECT DISTINCT ON (message_id) message_id, answer FROM scheduling_link
        WHERE patient_id = %(patient)s AND answer <> '' ORDER BY message_id, answered_at DESC) l ON l.message_id = m.id
    WHERE m.patient_id = %(patient)s AND m.state = ANY(%(told)s)
        AND (%(sites)s::bigint[] IS NULL OR a.site_id = ANY(%(sites)s::bigint[]))
    ORDER BY COALESCE(m.done_at, m.due_at) DESC, m.id DESC
"""
# Rows as JSON, so that all of it is one statement; what the reader may not see is not read.
_TOLD = f"""
    SELECT CASE WHEN %(sees_cases)s THEN (SELECT coalesce(json_agg(v), '[]') FROM ({_VISITS}) v) END,
        CASE WHEN %(sees_letters)s THEN (SELECT coalesce(json_agg(m), '[]') FROM ({_LETTERS}) m) END, {pathwaybook.STAMP}
"""  # nosec B608  # noqa: S608  texts of ours
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
        "sees_cases": sees_cases,
        "sees_letters": by.may("scheduling.read_patient_messages"),
    }
    with connection.cursor() as cursor:
        cursor.execute(_TOLD, asked)
        visits, letters, stamp = cursor.fetchone()
    url = words.case_urls()
    return Beyond(
        visits=None if visits is None else tuple(_visit(row, today, url) for row in visits),
        letters=None if letters is None else tuple(_letter(row) for row in letters),
        plans=_plans(patient, user, today, (stamp[0], stamp[1])) if sees_courses else None,
        visits_url=reverse("scheduling:patient_upcoming", args=[patient.public_id]) if sees_cases else "",
        start_url=reverse("scheduling:course_start", args=[patient.public_id]) if by.may("scheduling.order_course") else "",
    )


def _visit(row: Mapping[str, Any], today: date, url: Callable[[UUID], str]) -> Visit:
    on, levels, regions, own_regions = date.fromisoformat(row["local_date"]), row["levels"], row["regions"], row["own_regions"]
    told = spine.shown(levels, row["side"], scheme=row["level_scheme"], regions=words.regions_told(regions, own_regions))
    return Visit(
        url=url(UUID(row["public_id"])),
        case=row["public_id"],
        starts_at=datetime.fromisoformat(row["starts_at"]).astimezone(ZoneInfo(row["zone"])),
        on=on,
        procedure=f"{row['short_name']} {told}".strip(),
        where=", ".join(part for part in (row["who"], row["site"]) if part),
        status=row["status"],
        is_coming=row["status"] in STANDING and on >= today,
        why=_why(row["status"], row["cancel_reason"], row["asked_by"], row["is_late"]),
        category=row["category"],
        family=row["family"],
        levels=levels,
        regions=regions,
        own_regions=own_regions,
        side=row["side"],
    )


def _why(status: str, reason: str, asked_by: str, is_late: bool) -> str:
    if status == Status.DISCHARGED:
        return "nothing recorded of what was done"
    if status != Status.CANCELLED:
        return ""
    who = f"by the {AskedBy(asked_by).label.lower()}" if asked_by in AskedBy.values else ""
    told = CancelReason(reason).label if reason in CancelReason.values else ""
    return ", ".join(part for part in (who, "late" if is_late else "", told) if part)


def _letter(row: Mapping[str, Any]) -> Letter:
    reason, answer, state = row["reason"], row["answer"], row["state"]
    return Letter(
        on=datetime.fromisoformat(row["moment"]).astimezone(ZoneInfo(row["zone"])).date(),
        what=str(MessageKind(row["kind"]).label),
        state=state,
        why=reason_in_words(reason) if reason and state != MessageState.SENT else "",
        answer=str(LinkAnswer(answer).label) if answer else "",
        case=row["public_id"],
        case_on=date.fromisoformat(row["local_date"]),
    )


def _plans(patient: Patient, user: User, today: date, stamp: pathwaybook.Stamp) -> tuple[Plan, ...]:
    return tuple(
        Plan(one.name, one.what, days_in_words(one.told), tuple(map(days_in_words, one.why)), one.url, one.is_running, one.key)
        for one in worklist.of_patient(patient=patient, user=user, today=today, stamp=stamp)
    )
