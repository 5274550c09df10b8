"""A clinic with its tables loaded, a physician who orders, and what happens to a patient along a course."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from patients import outcomes
from patients.models import Coverage, Patient, PerformedProcedure, Presentation, Score
from procedures.models import Procedure
from scheduling import courses
from scheduling.courses import Terms
from scheduling.models import Course, Kind, PlannedSession
from tests import factories
from tests.factories import NOW, TODAY, SmallClinic
from tests.loaded import load_tables

FACET = Terms(
    pathway="facet_dual_block_to_rfa",
    works={"block_1": "mbb_lumbar", "block_2": "mbb_lumbar", "ablation": "rfa_facet_lumbar"},
    side="right",
    levels=("L4-L5", "L5-S1"),
)


@dataclass(frozen=True)
class Ward:
    """A small clinic with the shipped tables, in which the facet pathway can be booked."""

    clinic: SmallClinic
    doctor: Actor
    desk: Actor

    @property
    def patient(self) -> Patient:
        return self.clinic.patient

    def start(self, terms: Terms = FACET, *, at: datetime = NOW, patient: Patient | None = None, **values: Any) -> Course:
        return courses.start(
            patient=patient or self.patient, site=self.clinic.site, terms=terms, by=self.doctor, at=at,
            since=values.pop("since", TODAY - timedelta(days=60)), **values,
        )  # fmt: skip

    def done(
        self, code: str, on: date, *, patient: Patient | None = None, pct: int | None = None, **values: Any
    ) -> PerformedProcedure:
        """Let something have been done, and how much it helped be known by the same evening."""
        who = patient or self.patient
        made = PerformedProcedure.objects.create(
            patient=who, recorded_at=NOW, procedure=Procedure.objects.get(code=code), done_on=on, site=self.clinic.site,
            **{"side": "right", "levels": ["L4-L5", "L5-S1"], "role": "diagnostic" if code.startswith("mbb") else "therapeutic",
               **values},
        )  # fmt: skip
        if pct is not None:
            self.told(made, on, 10, "before")
            self.told(made, on, 10 - pct // 10, "after")
        return made

    def told(self, performed: PerformedProcedure, on: date, value: int, phase: str) -> Score:
        """Let a pain score be told."""
        values = {
            "measure": "nrs", "aspect": "index", "value": Decimal(value), "scored_on": on, "phase": phase, "performed": performed,
        }  # fmt: skip
        return outcomes.record_score(patient=performed.patient, values=values, by=self.doctor, at=NOW)


def current(course: Course) -> PlannedSession:
    """Return what the planner says now."""
    return PlannedSession.objects.get(course=course, is_current=True)


@pytest.fixture
def ward(clinic: SmallClinic) -> Ward:
    load_tables()
    generator = factories.resource(kind=Kind.RF_GENERATOR, at_site=clinic.site, name="RF 1")
    factories.weekly_hours(of=generator)
    for code in ("mbb_lumbar", "rfa_facet_lumbar", "esi_tf_lumbar", "esi_il_lumbar"):
        factories.privilege(of=clinic.physician, for_procedure=Procedure.objects.get(code=code))
    factories.build_free_time(at=NOW)
    doctor = Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))
    return Ward(clinic, doctor, Actor.of_user(factories.user(role="desk", sites=(clinic.site,))))


@pytest.fixture
def payer(ward: Ward) -> Coverage:
    return Coverage.objects.create(
        patient=ward.patient, recorded_at=NOW, payer="Medicare", payer_rules="medicare_multi_mac_2026",
        plan_type="original_medicare",
    )  # fmt: skip


def problem_of(ward: Ward, name: str, since: timedelta, **values: Any) -> Presentation:
    kept = {"patient": ward.patient, "recorded_at": NOW, "name": name, "pain_since": TODAY - since, **values}
    return Presentation.objects.create(**kept)


@pytest.fixture
def near(ward: Ward, payer: Coverage) -> Presentation:
    """Return the problem that rules choose by level and side: a week old."""
    return problem_of(ward, "Right leg", timedelta(days=7), side="right", levels=["L4-L5"])


@pytest.fixture
def meant(ward: Ward, payer: Coverage) -> Presentation:
    """Return another problem: long enough for the payer, and nowhere near."""
    return problem_of(ward, "Whole spine", timedelta(days=300), side="left", levels=["L1-L2"])
