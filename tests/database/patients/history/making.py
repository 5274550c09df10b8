"""What the tests of a history share: five years written at once, and the page as its template gets it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from patients import history, outcomes
from patients.models import (
    Authorization,
    ClinicalNote,
    Complication,
    Coverage,
    GivenDrug,
    LabResult,
    Medication,
    PerformedProcedure,
    Score,
)
from tests import factories
from tests.factories import SmallClinic

Enter = Callable[..., Client]
TODAY = date(2026, 9, 14)


def page_of(clinic: SmallClinic, signed_in: Enter, query: str = "", role: str = "physician") -> Any:
    answer = signed_in(role, clinic.site).get(f"/patients/{clinic.patient.public_id}/{query}")
    assert answer.status_code == 200
    return answer.context["page"]


def chip(page: history.HistoryPage, kind: str) -> tuple[str, str]:
    return next((one.state, one.text) for one in page.chips if one.kind == kind)


def statements(client: Client, address: str) -> int:
    client.get(address)
    with CaptureQueriesContext(connection) as asked:
        assert client.get(address).status_code == 200
    return len(asked)


def fill(clinic: SmallClinic, at: datetime) -> None:
    """Write five years with sixty procedures, five hundred scores and two hundred messages, past the verbs."""
    common = {"patient": clinic.patient, "recorded_at": at, "recorded_by": None}
    done = PerformedProcedure.objects.bulk_create(
        PerformedProcedure(
            procedure=clinic.procedure, site=clinic.site, done_on=TODAY - timedelta(days=30 * n), side="left", levels=["L4-L5"],
            guidance="fluoroscopy", fluoroscopy_seconds=40, **common,
        )
        for n in range(60)
    )  # fmt: skip
    Score.objects.bulk_create(
        Score(measure=measure, value=value, phase=phase, scored_on=one.done_on + timedelta(days=days), performed=one, **common)
        for one in done
        for measure, value, phase, days in (
            ("nrs", 8, "before", 0), ("nrs", 4, "after", 0), ("nrs", 3, "follow_up", 14), ("peg", 5, "before", 0),
            ("peg", 4, "follow_up", 14), ("percent_relief", 60, "follow_up", 14), ("nrs", 2, "diary", 0), ("nrs", 3, "diary", 0),
        )
    )  # fmt: skip
    outcomes.refresh([one.pk for one in done])
    ClinicalNote.objects.bulk_create(ClinicalNote(performed=one, template="general", **common) for one in done)
    GivenDrug.objects.bulk_create(
        GivenDrug(performed=one, kind="steroid", drug="dexamethasone", dose_mg=10, given_on=one.done_on, **common) for one in done
    )
    Complication.objects.bulk_create(
        Complication(performed=one, kind="vasovagal", severity="minor", noticed_on=one.done_on, **common) for one in done[:9]
    )
    Medication.objects.bulk_create(
        Medication(kind="opioid", drug="oxycodone", name="Oxycodone", daily_amount=n, started_on=TODAY, **common)
        for n in range(1, 30)
    )
    LabResult.objects.bulk_create(LabResult(test="inr", value=2, taken_on=TODAY, **common) for _ in range(50))
    coverage = Coverage.objects.create(payer="A", payer_rules="none", plan_type="commercial", **common)
    Authorization.objects.bulk_create(
        Authorization(coverage=coverage, covers="esi", status="approved", decided_on=TODAY, units=2, **common) for _ in range(30)
    )
    from scheduling.models import Message

    cases = [
        factories.appointment(
            of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, status="discharged",
            starts_at=at - timedelta(days=2 + n),
        )
        for n in range(20)
    ]  # fmt: skip
    Message.objects.bulk_create(
        Message(
            appointment=case,
            patient=clinic.patient,
            kind="reminder",
            step=f"s{n}",
            version=1,
            state="sent",
            due_at=at,
            created_at=at,
        )
        for case in cases
        for n in range(10)
    )
