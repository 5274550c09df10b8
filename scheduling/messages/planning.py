"""The cadence applied: which message of which case leaves when. One statement decides, for one case or for thousands.

A step's day is counted on the site's calendar, moved off the weekend if the step says so, and its hour is read on the
site's clocks. An hour that the clock skips is taken as if the clock had not been changed yet (2:30 becomes 3:30); of
an hour that comes twice the second is meant. Then the quiet hours of the patient's own zone: what falls into them
waits for their end, and is left out if that would be within the hour before the arrival.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction

from pain_clinic import clock
from pain_clinic.audit import trail
from scheduling.messages.words import ACTOR, MERGED_WITHIN, NEAR, PRIORITY
from scheduling.models import AFTER_VISIT, BEFORE_ARRIVAL, BEFORE_VISIT, Appointment, Dispatch, MessageKind, Status

log = structlog.get_logger("scheduling.messages")

CHUNK = 5_000  # cases a statement: far below the statement's time limit
EVERY = timedelta(hours=12)  # all cases are planned anew at least this often

_FACTS = """
    SELECT a.id, a.patient_id, a.version, a.calendar_sequence, a.local_date, a.zone, a.arrives_at, a.status, a.site_id,
           a.procedure_id, COALESCE(NULLIF(p.time_zone, ''), home.time_zone) AS patient_zone
    FROM scheduling_appointment a JOIN patients_patient p ON p.id = a.patient_id
    JOIN accounts_site home ON home.id = p.home_site_id
    WHERE NOT a.is_history AND p.deceased_on IS NULL AND {which}
"""
_SUPPOSED = """
    SELECT 0::bigint AS id, p.id AS patient_id, 0 AS version, 0 AS calendar_sequence,
           (%(starts_at)s::timestamptz AT TIME ZONE site.time_zone)::date AS local_date, site.time_zone AS zone,
           %(arrives_at)s::timestamptz AS arrives_at, 'booked' AS status, site.id AS site_id,
           %(procedure)s::bigint AS procedure_id,
           COALESCE(NULLIF(p.time_zone, ''), home.time_zone) AS patient_zone
    FROM accounts_site site JOIN patients_patient p ON p.id = %(patient)s JOIN accounts_site home ON home.id = p.home_site_id
    WHERE site.id = %(site)s
"""
# The steps in force at a place: of the rows of one code the narrowest. Day, hour and quiet hours are worked out once for
# all cases of a day and place (without MATERIALIZED the planner would work out every zone several times over).
_WANTED = """
    cases AS MATERIALIZED ({cases}),
    places AS (
        SELECT DISTINCT cases.site_id, cases.procedure_id, pr.family
        FROM cases JOIN procedures_procedure pr ON pr.id = cases.procedure_id
    ),
    steps AS MATERIALIZED (
        SELECT DISTINCT ON (places.site_id, places.procedure_id, s.code)
               places.site_id AS at_site, places.procedure_id AS of_procedure, s.code, s.kind, s.offset_months, s.offset_days,
               s.at_time, s.weekend, s.asks_to_confirm, s.is_on, s.position,
               (%(priorities)s::jsonb ->> s.kind)::smallint AS priority
        FROM places JOIN scheduling_cadencestep s
          ON (s.site_id IS NULL OR s.site_id = places.site_id)
         AND (s.procedure_id IS NULL OR s.procedure_id = places.procedure_id)
         AND (s.family = '' OR s.family = places.family)
        ORDER BY places.site_id, places.procedure_id, s.code,
                 s.procedure_id NULLS LAST, s.family DESC, s.site_id NULLS LAST, s.id
    ),
    dates AS (SELECT DISTINCT site_id, procedure_id, local_date, zone, patient_zone FROM cases),
    days AS MATERIALIZED (
        SELECT dates.*, steps.code, steps.kind, steps.at_time, steps.weekend, steps.asks_to_confirm, steps.position,
               steps.priority,
               (dates.local_date + make_interval(months => steps.offset_months, days => steps.offset_days))::date AS day
        FROM dates JOIN steps ON steps.at_site = dates.site_id AND steps.of_procedure = dates.procedure_id AND steps.is_on
    ),
    moments AS MATERIALIZED (
        SELECT days.*, (day + at_time + make_interval(days => CASE
                   WHEN extract(isodow FROM day) < 6 THEN 0
                   WHEN weekend = 'earlier' THEN 5 - extract(isodow FROM day)::int
                   WHEN weekend = 'later' THEN 8 - extract(isodow FROM day)::int
                   ELSE 0 END)) AT TIME ZONE zone AS meant
        FROM days
    ),
    there AS MATERIALIZED (
        SELECT moments.*, meant AT TIME ZONE patient_zone AS wall FROM moments
    ),
    quieted AS MATERIALIZED (
        SELECT there.*, CASE WHEN CASE WHEN %(begins)s > %(ends)s
                    THEN extract(hour FROM wall) >= %(begins)s OR extract(hour FROM wall) < %(ends)s
                    ELSE extract(hour FROM wall) >= %(begins)s AND extract(hour FROM wall) < %(ends)s END
               THEN (wall::date + CASE WHEN extract(hour FROM wall) >= %(ends)s THEN 1 ELSE 0 END
                     + make_time(%(ends)s, 0, 0)) AT TIME ZONE patient_zone
               ELSE meant END AS quieted
        FROM there
    ),
    dated AS (
        SELECT cases.id, cases.patient_id, cases.version, cases.calendar_sequence, cases.arrives_at, quieted.code, quieted.kind,
               quieted.position, quieted.priority,
               quieted.kind = %(no_show)s OR (quieted.kind = %(follow_up)s AND day = cases.local_date) AS at_once,
               CASE WHEN quieted.kind = %(no_show)s OR (quieted.kind = %(follow_up)s AND day = cases.local_date)
                    THEN GREATEST(quieted, %(at)s) ELSE quieted END AS due
        FROM cases JOIN quieted
          ON quieted.site_id = cases.site_id AND quieted.procedure_id = cases.procedure_id
         AND quieted.local_date = cases.local_date AND quieted.zone = cases.zone AND quieted.patient_zone = cases.patient_zone
         AND ((cases.status = ANY(%(expected)s) AND quieted.kind = ANY(%(before)s)
               AND NOT (quieted.asks_to_confirm AND cases.status = %(confirmed)s))
              OR (cases.status = %(discharged)s AND quieted.kind = ANY(%(after)s))
              OR (cases.status = %(missed)s AND quieted.kind = %(no_show)s))
    ),
    wanted AS MATERIALIZED (
        SELECT dated.*, CASE
                 WHEN at_once THEN ''
                 WHEN due <= %(soon)s THEN %(said)s
                 WHEN kind = ANY(%(before)s) AND due > arrives_at - %(near)s THEN 'too_late'
                 ELSE '' END AS why_not
        FROM dated
    )
"""
_INSERT = """
    INSERT INTO scheduling_message (public_id, appointment_id, patient_id, kind, step, version, state, planned_at, due_at,
                                    priority, attempts, calendar_sequence, reason, subject, text, created_at, done_at)
    SELECT gen_random_uuid(), id, patient_id, kind, code, version,
           CASE WHEN why_not = '' THEN 'due' ELSE 'skipped' END, due, due,
           priority, 0, calendar_sequence, why_not, '', '', %(at)s,
           CASE WHEN why_not = '' THEN NULL ELSE %(at)s END
    FROM {source}
    ON CONFLICT (appointment_id, kind, step, calendar_sequence) DO NOTHING
"""
# What is wanted beside what is there, found once for all that follows.
_COMPARED = """
    , compared AS MATERIALIZED (
        SELECT wanted.*, m.id AS there, m.state AS its_state, m.reason AS its_reason, m.planned_at AS its_instant
        FROM wanted LEFT JOIN scheduling_message m
          ON m.appointment_id = wanted.id AND m.kind = wanted.kind AND m.step = wanted.code
         AND m.calendar_sequence = wanted.calendar_sequence
    )
"""
# A change of the cadence or of a zone moves what still waits, except into the past: nobody gets a burst of old mails. The state
# is asked in a way that no index answers, so that rows are looked up by their keys even where statistics are old.
_RETIME = """
    UPDATE scheduling_message m SET planned_at = compared.due, due_at = compared.due
    FROM compared
    WHERE m.id = compared.there AND its_state = 'due' AND COALESCE(m.state, '') = 'due' AND its_instant <> compared.due
      AND compared.why_not = '' AND (m.lease_until IS NULL OR m.lease_until <= clinic_now())
"""
_REVIVE = """
    UPDATE scheduling_message m SET state = 'due', reason = '', done_at = NULL, planned_at = compared.due, due_at = compared.due
    FROM compared
    WHERE m.id = compared.there AND its_state = 'withdrawn' AND its_reason IN ('cadence', 'deceased') AND m.state = 'withdrawn'
      AND m.reason = its_reason AND compared.why_not = ''
"""
_WITHDRAW = """
    UPDATE scheduling_message m SET state = 'withdrawn', reason = 'cadence', done_at = %(at)s
    FROM cases
    WHERE m.appointment_id = cases.id AND COALESCE(m.state, '') = 'due' AND m.planned_at IS NOT NULL AND m.kind = ANY(%(before)s)
      AND m.id NOT IN (SELECT there FROM compared WHERE there IS NOT NULL)
"""


# All four look at what was there before, so that what one writes is nothing to the others.
_ACTS = """
    , new AS ({insert} RETURNING 1), moved AS ({retime} RETURNING 1), revived AS ({revive} RETURNING 1),
    withdrawn AS ({withdraw} RETURNING 1)
    SELECT (SELECT count(*) FROM new), (SELECT count(*) FROM moved), (SELECT count(*) FROM revived),
           (SELECT count(*) FROM withdrawn)
"""


def _statement(which_cases: str, act: str) -> str:
    """Put a statement together; every part is a constant of this module."""
    return "WITH " + _WANTED.format(cases=which_cases) + act


_AHEAD = _FACTS.format(which="a.id BETWEEN %(first)s AND %(last)s AND a.starts_at > %(at)s AND a.status = ANY(%(expected)s)")
_PLAN_ONE = _statement(_FACTS.format(which="a.id = %(case)s"), _INSERT.format(source="wanted"))
_PLAN_MANY = _statement(
    _AHEAD,
    _COMPARED
    + _ACTS.format(
        insert=_INSERT.format(source="compared WHERE there IS NULL"), retime=_RETIME, revive=_REVIVE, withdraw=_WITHDRAW
    ),
)
_AFTER = _statement(
    _FACTS.format(which="a.id = %(case)s").replace("a.status", "'discharged'::text AS status"),
    "SELECT kind, code, due, why_not FROM wanted ORDER BY due, position, code",
)
_SUPPOSE = _statement(_SUPPOSED, "SELECT kind, code, due, why_not FROM wanted ORDER BY due, position, code")


@dataclass(frozen=True, slots=True)
class Planned:
    """One message that a case would get: when, or why not."""

    kind: str
    step: str
    at: datetime
    why_not: str


def plan_case(*, appointment: Appointment, at: datetime, is_told: bool) -> int:
    """Lay down what the cadence wants for this date of a case; return how many rows are new.

    `is_told`: a mail about this date leaves now, and says what the steps whose time has passed would have said.
    """
    params = _parameters(at=at, said="merged" if is_told else "past")
    with connection.cursor() as cursor:
        cursor.execute(_PLAN_ONE, {**params, "case": appointment.pk})
        return int(cursor.rowcount)


def plan_ahead(*, at: datetime) -> dict[str, int]:
    """Bring the plan of every case still to come to what cadence, cases and patients say now; a second run changes nothing.

    Each chunk of cases is its own transaction. What a verb changes meanwhile is looked at again when it is sent.
    """
    totals = {"new": 0, "moved": 0, "revived": 0, "withdrawn": 0}
    params = _parameters(at=at, said="past")
    with connection.cursor() as cursor:
        clock.apply_clock(cursor)
    for first, last in _chunks(at):
        given = {**params, "first": first, "last": last}
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_PLAN_MANY, given)
            for name, count in zip(totals, cursor.fetchone(), strict=True):
                totals[name] += int(count)
    if any(totals.values()):
        trail.record(by=ACTOR, act="scheduling.plan_messages", details=totals)
    return totals


def plan_if_wanted(*, at: datetime) -> dict[str, int] | None:
    """Plan all cases if something asked for it since, or if the last time is long ago; None when there was no need."""
    row = Dispatch.objects.filter(pk=Dispatch.ONLY).first()
    last = row.planned_at if row else None
    wanted = row.plan_wanted_at if row else None
    if last is not None and at - last < EVERY and (wanted is None or wanted < last):
        return None
    totals = plan_ahead(at=at)
    Dispatch.objects.update_or_create(pk=Dispatch.ONLY, defaults={"planned_at": at})
    return totals


def suppose(
    *, patient: int, procedure: int, site: int, arrives_at: datetime, starts_at: datetime, at: datetime
) -> tuple[Planned, ...]:
    """Return the messages that a case booked like this would get, in the order of time; nothing is written."""
    params = {
        **_parameters(at=at, said="merged"), "patient": patient, "procedure": procedure, "site": site,
        "arrives_at": arrives_at, "starts_at": starts_at,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_SUPPOSE, params)
        return tuple(Planned(*row) for row in cursor.fetchall())


def after_visit(*, appointment: Appointment, at: datetime) -> tuple[Planned, ...]:
    """Return what a case gets once the patient has left, in the order of time, whatever its status; nothing is written."""
    with connection.cursor() as cursor:
        cursor.execute(_AFTER, {**_parameters(at=at, said="past"), "case": appointment.pk})
        return tuple(Planned(*row) for row in cursor.fetchall())


def _chunks(at: datetime) -> Iterator[tuple[int, int]]:
    """Return stretches of primary keys that hold the cases to come."""
    coming = Appointment.objects.filter(starts_at__gt=at, status__in=BEFORE_ARRIVAL, is_history=False).order_by("pk")
    keys: Sequence[int] = list(coming.values_list("pk", flat=True))
    for place in range(0, len(keys), CHUNK):
        chunk = keys[place : place + CHUNK]
        yield chunk[0], chunk[-1]


def _parameters(*, at: datetime, said: str) -> dict[str, Any]:
    begins, ends = settings.QUIET_HOURS
    return {
        "at": at,
        "soon": at + (MERGED_WITHIN if said == "merged" else timedelta()),
        "said": said,
        "near": NEAR,
        "begins": begins,
        "ends": ends,
        "before": [str(kind) for kind in BEFORE_VISIT],
        "after": [str(kind) for kind in AFTER_VISIT if kind != MessageKind.NO_SHOW],
        "no_show": str(MessageKind.NO_SHOW),
        "follow_up": str(MessageKind.FOLLOW_UP),
        "expected": [str(status) for status in BEFORE_ARRIVAL],
        "confirmed": str(Status.CONFIRMED),
        "discharged": str(Status.DISCHARGED),
        "missed": str(Status.NO_SHOW),
        "priorities": _PRIORITIES,
    }


_PRIORITIES = "{" + ", ".join(f'"{kind.value}": {number}' for kind, number in PRIORITY.items()) + "}"
