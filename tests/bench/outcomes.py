"""Lines of the outcome report: five years of performed procedures, five of each patient, and what came of them."""

from __future__ import annotations

import random
import statistics
import uuid
from datetime import date, timedelta
from functools import partial

from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from pain_clinic.accounts.models import User
from patients.models import Complication, Medication, PerformedProcedure, SessionOutcome
from procedures.models import Procedure
from scheduling.demo.writing import copy, reserve
from tests.bench.clinic import FIVE, BenchClinic, _procedure
from tests.bench.measuring import Line, counted, line, milliseconds, percentile
from tests.bench.owning import analyze

YEARS = 5
SESSIONS = 5  # of each patient in those years
KINDS = 24  # procedures among which the sessions are spread
MOST_MS = 1_000
RECORDED = ("public_id", "patient", "origin", "note", "recorded_at", "recorded_by", "is_in_error", "error_reason", "version")


def lines(clinic: BenchClinic, *, rounds: int = 5) -> list[Line]:
    """Measure each grouping over five years."""
    count = fill(clinic)
    manager = User.objects.create(username="bench-manager", display_name="Bench manager", date_joined=clinic.at)
    manager.groups.set([Group.objects.get(name="manager")])
    manager.sites.set([clinic.site])
    browser = Client(HTTP_HOST="localhost")
    browser.force_login(manager)
    address = reverse("patients:outcomes")
    first = milliseconds(partial(browser.get, f"{address}?years=1"))
    found = [line("outcome report, the first of a process", first, "ms")]
    for by in ("category", "procedure", "target", "physician", "payer", "period"):
        look = partial(browser.get, f"{address}?by={by}&years={YEARS}")
        look()
        times = [milliseconds(look) for _ in range(rounds)]
        with counted() as statements:
            answer = look()
        middle, slow = statistics.median(times), percentile(times, 0.95)
        is_right = answer.status_code == 200 and slow < MOST_MS
        name = f"outcome report by {by}, {count:,} sessions (p95 <= {MOST_MS:,} ms)"
        found.append(line(name, middle, "ms", queries=len(statements), most_queries=6, is_right=is_right))
    return found


def fill(clinic: BenchClinic) -> int:
    """Write sessions of five years, their outcomes, complications and the patients' opioids."""
    rng = random.Random(f"{clinic.seed} outcomes")  # identifiers of its own
    count = clinic.size.patients * SESSIONS
    today = clinic.site.day_at(clinic.at)
    kinds = [_procedure(f"bench_kind_{n}", FIVE) for n in range(KINDS)]
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0")
            # Checks put off to the end make each row's history trigger walk all that wait: 10 ms a row at 100,000.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        keys = reserve(PerformedProcedure, count)
        days = sorted(today - timedelta(days=rng.randrange(1, 365 * YEARS)) for _ in keys)
        sessions = list(zip(keys, days, rng.choices(clinic.patients, k=count), strict=True))
        copy(
            PerformedProcedure,
            (*RECORDED, "id", "procedure", "done_on", "site", "is_elsewhere", "where_elsewhere", "other_name", "side", "levels",
             "regions", "body_site", "role", "guidance", "sedation", "operator_name", "indication"),
            (_performed(key, on, patient, clinic, kinds, rng) for key, on, patient in sessions),
        )  # fmt: skip
        copy(
            SessionOutcome,
            ("performed", "measure", "baseline", "score_count", "first_pct", "best_pct", "last_pct", "last_on", "peg_before",
             "peg_last", "later_count", "later_best_pct", "later_50_until", "later_50_lost_on"),
            (_outcome(key, on, rng) for key, on, _ in sessions),
        )  # fmt: skip
        copy(
            Complication,
            (*RECORDED, "performed", "kind", "severity", "noticed_on", "outcome"),
            (
                (*_recorded(patient, clinic, rng), key, "vasovagal", "minor", on, "")
                for key, on, patient in sessions
                if rng.random() < 0.02
            ),
        )
        copy(
            Medication,
            (*RECORDED, "kind", "drug", "name", "dose", "daily_amount", "indication", "prescriber", "prescriber_contact",
             "started_on", "stopped_on"),
            (
                (*_recorded(patient, clinic, rng), "opioid", "oxycodone", "Oxycodone", "", rng.choice((10, 20, 40)), "", "", "",
                 today - timedelta(days=rng.randrange(1, 2500)), today - timedelta(days=rng.randrange(0, 1)) if rng.random() < 0.4 else None)
                for patient in rng.sample(clinic.patients, len(clinic.patients) // 3)
            ),
        )  # fmt: skip
    analyze()
    return count


def _recorded(patient: int, clinic: BenchClinic, rng: random.Random) -> tuple[object, ...]:
    return (uuid.UUID(int=rng.getrandbits(128)), patient, "clinic", "", clinic.at, None, False, "", 1)


def _performed(
    key: int, on: date, patient: int, clinic: BenchClinic, kinds: list[Procedure], rng: random.Random
) -> tuple[object, ...]:
    level = rng.choice((["L3-L4"], ["L4-L5"], ["L5-S1"], ["L4-L5", "L5-S1"], ["C5-C6"], []))
    return (
        *_recorded(patient, clinic, rng), key, rng.choices(kinds, range(KINDS, 0, -1))[0].pk, on, clinic.site.pk, False, "", "",
        rng.choice(("left", "right")), level, [] if level else ["lumbar"], "", "therapeutic", "fluoroscopy", "none",
        f"Physician {rng.randrange(20) + 1}", "",
    )  # fmt: skip


def _outcome(key: int, on: date, rng: random.Random) -> tuple[object, ...]:
    if rng.random() < 0.2:  # nobody answered
        return (key, "", None, 0, None, None, None, None, None, None, 0, None, None, None)
    baseline, best = rng.randrange(4, 11), rng.randrange(-2, 11) * 10
    until = on + timedelta(days=rng.randrange(14, 300)) if best >= 50 else None
    lost = until + timedelta(days=rng.randrange(14, 90)) if until and rng.random() < 0.6 else None
    last = best - rng.randrange(0, 4) * 10
    peg = rng.randrange(3, 10)
    return (
        key, "nrs", baseline, 3, best, best, last, lost or until or on + timedelta(days=42), peg, max(0, peg - rng.randrange(-1, 4)), 3,
        best, until, lost,
    )  # fmt: skip
