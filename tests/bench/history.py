"""Lines of the physician's page of a patient: three patients, the same statements, answers within 150 ms at p95."""

from __future__ import annotations

import statistics
from datetime import timedelta
from functools import partial

from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from pain_clinic.accounts.models import User
from patients import outcomes as scores
from patients.models import GivenDrug, Medication, Patient, PerformedProcedure, Score
from tests.bench import outcomes
from tests.bench.clinic import BenchClinic
from tests.bench.measuring import Line, counted, line, milliseconds, percentile

MOST_MS = 150
YEARS = 5


def lines(clinic: BenchClinic, *, looks: int = 60) -> list[Line]:
    """Open the page of a patient with a few sessions, with sixty and with as many as the busiest has visits; print one."""
    if not PerformedProcedure.objects.exists():
        outcomes.fill(clinic)
    doctor = User.objects.create(username="bench-doctor", display_name="Bench doctor", date_joined=clinic.at)
    doctor.groups.set([Group.objects.get(name="physician")])
    doctor.sites.set([clinic.site])
    browser = Client(HTTP_HOST="localhost")
    browser.force_login(doctor)
    found, asked_by_all = [], set()
    for key, wanted in ((clinic.patients[2], 0), (clinic.patients[1], 60), (clinic.patients[0], clinic.size.busiest)):
        sessions = _fill(clinic, key, wanted)
        told = Score.objects.filter(patient=key).count()
        address = reverse("patients:patient", args=[Patient.objects.get(pk=key).public_id])
        look = partial(browser.get, address)
        look()
        times = [milliseconds(look) for _ in range(looks)]
        with counted() as statements:
            answer = look()
        asked_by_all.add(len(statements))
        middle, slow = statistics.median(times), percentile(times, 0.95)
        name = f"history, {sessions} procedures and {told:,} scores"
        found.append(line(f"{name}, p50", middle, "ms", queries=len(statements), most_queries=12))
        is_right = answer.status_code == 200 and slow < MOST_MS
        found.append(line(f"{name}, p95 (< {MOST_MS} ms)", slow, "ms", is_right=is_right))
    found.append(line("history: different counts of statements", len(asked_by_all), "", is_right=len(asked_by_all) == 1))
    sixty = Patient.objects.get(pk=clinic.patients[1]).public_id
    paper = partial(browser.get, reverse("patients:summary", args=[sixty]))
    paper()
    found.append(line("history, printed as PDF", statistics.median(milliseconds(paper) for _ in range(7)), "ms"))
    return found


def _fill(clinic: BenchClinic, key: int, wanted: int) -> int:
    """Give a patient so many sessions over five years, each with eight scores and a steroid; return how many there are."""
    have = PerformedProcedure.objects.filter(patient=key).count()
    common = {"patient_id": key, "recorded_at": clinic.at, "recorded_by": None}
    today, days = clinic.site.day_at(clinic.at), 365 * YEARS
    made = PerformedProcedure.objects.bulk_create(
        [
            PerformedProcedure(
                procedure=clinic.five, site=clinic.site, done_on=today - timedelta(days=n * days // max(wanted, 1)),
                side=("left", "right", "bilateral")[n % 3], levels=[("L3-L4", "L4-L5", "L5-S1", "C5-C6")[n % 4]],
                guidance="fluoroscopy", fluoroscopy_seconds=30 + n % 40, operator_name="Dr. Bench", **common,
            )
            for n in range(max(wanted - have, 0))
        ],
        batch_size=200,
    )  # fmt: skip
    Score.objects.bulk_create(
        [
            Score(measure=measure, aspect=aspect, value=value, phase=phase, performed=one,
                  scored_on=one.done_on + timedelta(days=after), **common)
            for one in made
            for measure, aspect, value, phase, after in (
                ("nrs", "index", 8, "before", 0), ("peg", "total", 6, "before", 0), ("nrs", "index", 4, "after", 0),
                ("nrs", "index", 3, "follow_up", 14), ("peg", "total", 4, "follow_up", 14),
                ("percent_relief", "total", 60, "follow_up", 14), ("nrs", "index", 5, "follow_up", 60),
                ("nrs", "worst", 7, "follow_up", 60),
            )
        ],
        batch_size=500,
    )  # fmt: skip
    GivenDrug.objects.bulk_create(
        [
            GivenDrug(performed=one, kind="steroid", drug="dexamethasone", dose_mg=10, given_on=one.done_on, **common)
            for one in made
        ],
        batch_size=500,
    )
    if wanted:
        Medication.objects.create(
            kind="opioid", drug="oxycodone", name="Oxycodone", daily_amount=30, started_on=today - timedelta(days=400), **common
        )
    scores.refresh(one.pk for one in made)
    return have + len(made)
