"""Lines of the planner: a night's planning of every course against a bare read of the same rows, and the memory it takes."""

from __future__ import annotations

import random
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from pain_clinic.accounts.actors import Actor
from patients.facts import reading
from patients.models import Coverage, PerformedProcedure, Score
from procedures import tables
from procedures.models import Procedure
from scheduling import courses
from scheduling.demo.writing import copy, reserve
from scheduling.models import Appointment, Course, PlannedSession
from tests.bench.clinic import BenchClinic
from tests.bench.measuring import Line, line
from tests.bench.owning import analyze

SESSIONS = 4  # of each patient
MOST_SECONDS = 600  # for 20,000 courses on two cores
FLAT = 30  # MB that planning all of them again may add to what the first time took
RECORDED = ("public_id", "patient", "origin", "note", "recorded_at", "recorded_by", "is_in_error", "error_reason", "version")
WORKS = {"block_1": "mbb_lumbar", "block_2": "mbb_lumbar", "ablation": "rfa_facet_lumbar"}
LEVELS = ["L4-L5", "L5-S1"]


def lines(clinic: BenchClinic) -> list[Line]:
    """Plan every course for the first time, again the same night, and a week later."""
    count = fill(clinic)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is that of filling the tables: begin it anew
    before = peak()
    found = []
    peaks = []
    bare = read_bare()
    for name, at in (
        ("the first time", clinic.at), ("again, nothing changed", clinic.at), ("a week later", clinic.at + timedelta(days=7)),
    ):  # fmt: skip
        begun = time.perf_counter()
        tally = courses.plan_all(at=at)
        took = time.perf_counter() - begun
        peaks.append(peak())
        is_right = tally.planned == count and not tally.failed and (name != "again, nothing changed" or tally.changed == 0)
        is_right = is_right and took * 20_000 / count < MOST_SECONDS
        found.append(
            line(
                f"plan {count:,} courses, {name} ({tally.changed:,} written; 20,000 in < {MOST_SECONDS} s)", took, "s", bare,
                is_right=is_right,
            )
        )  # fmt: skip
    grown = peaks[-1] - peaks[0]
    return [
        *found,
        line("memory that planning them added", peaks[-1] - before, "MB"),
        line(f"of that, planning them twice more (flat: < {FLAT} MB)", grown, "MB", is_right=grown < FLAT),
    ]


def peak() -> float:
    """Return the most memory, in MB, that this process has had resident since its peak was last begun anew."""
    words = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()
    return int(words[0]) / 1024


def read_bare() -> float:
    """Return the seconds that reading the same rows takes with nothing made of them."""
    begun = time.perf_counter()
    last = 0
    while True:
        rows = list(Course.objects.filter(pk__gt=last).order_by("pk").values_list("pk", "patient")[:500])
        if not rows:
            return time.perf_counter() - begun
        last, patients = rows[-1][0], [patient for _, patient in rows]
        with connection.cursor() as cursor:
            cursor.execute(reading._STATEMENT, {"patients": patients})
            cursor.fetchall()
        list(Appointment.objects.filter(patient__in=patients, is_history=False).values_list())
        list(PlannedSession.objects.filter(course__in=[pk for pk, _ in rows]).values_list())


def fill(clinic: BenchClinic) -> int:
    """Give every patient a course, four sessions with scores, and a payer with rules."""
    rng = random.Random(f"{clinic.seed} courses")  # identifiers of its own
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    tables.load(by=Actor.system("bench"), at=clinic.at)
    today = clinic.site.day_at(clinic.at)
    procedures = {
        code: Procedure.objects.get(code=code).pk for code in ("mbb_lumbar", "rfa_facet_lumbar", "esi_tf_lumbar", "tpi")
    }

    def recorded(patient: int) -> tuple[Any, ...]:
        return (uuid.UUID(int=rng.getrandbits(128)), patient, "clinic", "", clinic.at, None, False, "", 1)

    sessions = [
        (patient, today - timedelta(days=rng.randrange(5, 500)), rng.choice(list(procedures)))
        for patient in clinic.patients
        for _ in range(SESSIONS)
    ]
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # see `tests.bench.outcomes.fill`
        keys = reserve(PerformedProcedure, len(sessions))
        copy(
            PerformedProcedure,
            (*RECORDED, "id", "procedure", "done_on", "site", "is_elsewhere", "where_elsewhere", "other_name", "side", "levels",
             "regions", "body_site", "role", "guidance", "sedation", "operator_name", "indication"),
            (
                (*recorded(patient), key, procedures[code], on, clinic.site.pk, False, "", "", "right",
                 [] if code == "tpi" else LEVELS, ["lumbar"] if code == "tpi" else [], "",
                 "diagnostic" if code.startswith("mbb") else "therapeutic", "fluoroscopy", "none", "Physician 1", "")
                for key, (patient, on, code) in zip(keys, sessions, strict=True)
            ),
        )  # fmt: skip
        copy(
            Score,
            (*RECORDED, "measure", "aspect", "value", "range_text", "scored_on", "phase", "performed", "side", "levels"),
            (
                (*recorded(patient), "nrs", "index", value, "", on + timedelta(days=days), phase, key, "right", LEVELS)
                for key, (patient, on, _) in zip(keys, sessions, strict=True)
                for phase, days, value in (("before", 0, 8), ("after", 0, rng.choice((1, 1, 2, 5))), ("follow_up", 4, rng.choice((1, 3, 6))))
            ),
        )  # fmt: skip
        copy(
            Coverage,
            (*RECORDED, "payer", "payer_rules", "plan_type", "member_number", "state", "place_of_service", "rank"),
            ((*recorded(patient), "Medicare", "medicare_multi_mac_2026", "original_medicare", "", "OH", "", 1) for patient in clinic.patients),
        )  # fmt: skip
        Course.objects.bulk_create(
            [
                Course(
                    patient_id=patient, site=clinic.site, pathway="facet_dual_block_to_rfa", works=WORKS, side="right", levels=LEVELS,
                    since=today - timedelta(days=200), created_at=clinic.at,
                )
                for patient in clinic.patients
            ],
            batch_size=1000,
        )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("RESET statement_timeout")
    analyze()
    return len(clinic.patients)
