"""The checklist and completion pages: prefilled, once, for the physician; the nurse checks, the desk does neither."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from patients.models import ClinicalNote, GivenDrug, PerformedProcedure, Score
from scheduling.models import Appointment, Check, Completion, Discharge, Status
from tests import factories
from tests.factories import SmallClinic

Enter = Callable[..., Client]


@pytest.fixture
def case(clinic: SmallClinic) -> Appointment:
    return factories.appointment(
        of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, resources=clinic.resources,
        starts_at=factories.local(factories.TODAY, "9:00"), status=Status.RECOVERY, side="left",
    )  # fmt: skip


def url(case: Appointment, what: str) -> str:
    return f"{reverse('scheduling:appointment', args=[case.public_id])}{what}/"


def typed(case: Appointment, client: Client) -> dict[str, Any]:
    """Return what the page posts when nothing is changed."""
    form = client.get(url(case, "complete")).context["form"]
    values = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in values.items() if value not in (None, False)} | {"request_key": "k" * 16}


def test_completing_unchanged_records_the_booking_and_signs_the_note(
    clinic: SmallClinic, case: Appointment, signed_in: Enter
) -> None:
    nurse, doctor = signed_in("nurse", clinic.site), signed_in("physician", clinic.site)
    assert nurse.post(url(case, "checklist/before"), {"act": "all"}).status_code == 303
    assert Check.objects.filter(appointment=case, answer="yes").count() == 6
    values = typed(case, doctor)

    assert doctor.post(url(case, "complete"), values).status_code == 303
    assert doctor.post(url(case, "complete"), values).status_code == 303  # a double click
    performed = PerformedProcedure.objects.get()
    assert (performed.procedure_id, performed.side, performed.operator_name) == (clinic.procedure.pk, "left", "Dr. Adler")
    assert ClinicalNote.objects.get(performed=performed).signed_at is not None
    assert Completion.objects.get().differs == []
    note = reverse("patients:note", args=[ClinicalNote.objects.get().public_id])
    assert doctor.get(url(case, "complete"))["Location"] == note


def test_what_the_physician_adds_is_recorded(clinic: SmallClinic, case: Appointment, signed_in: Enter) -> None:
    doctor = signed_in("physician", clinic.site)
    values = typed(case, doctor) | {
        "drug_0": "steroid:dexamethasone", "dose_0": "10", "nrs_before": "8", "nrs_after": "2", "reason": "On paper",
        "fluoroscopy_seconds": "31",
    }  # fmt: skip
    assert doctor.post(url(case, "complete"), values).status_code == 303

    assert GivenDrug.objects.values_list("kind", "drug", "dose_mg").get() == ("steroid", "dexamethasone", 10)
    assert list(Score.objects.order_by("pk").values_list("phase", "value")) == [("before", 8), ("after", 2)]
    assert Completion.objects.get().reason == "On paper"


def test_gaps_in_the_checklist_are_refused_in_words(clinic: SmallClinic, case: Appointment, signed_in: Enter) -> None:
    doctor = signed_in("physician", clinic.site)
    answer = doctor.post(url(case, "complete"), typed(case, doctor))

    assert (answer.status_code, PerformedProcedure.objects.count()) == (422, 0)
    assert "correct patient" in answer.content.decode()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"levels": "X9"}, "levels"),
        ({"dose_1": "10"}, "drug_1"),
        ({"nrs_before": "11"}, "nrs_before"),
        ({"dose_0": "-1"}, "dose_0"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named_at_its_field(
    clinic: SmallClinic, case: Appointment, signed_in: Enter, change: dict[str, str], field: str
) -> None:
    doctor = signed_in("physician", clinic.site)
    answer = doctor.post(url(case, "complete"), typed(case, doctor) | change)

    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field]


def test_nobody_but_the_physician_completes(clinic: SmallClinic, case: Appointment, signed_in: Enter) -> None:
    for role in ("desk", "nurse", "biller", "manager", "admin", "auditor"):
        assert signed_in(role, clinic.site).get(url(case, "complete")).status_code == 403
    assert signed_in("desk", clinic.site).get(url(case, "checklist/before")).status_code == 403
    assert signed_in("physician", factories.site()).get(url(case, "complete")).status_code == 404
    assert signed_in("nurse", clinic.site).get(url(case, "checklist/other")).status_code == 404


def test_leaving_needs_every_answer_or_a_reason(clinic: SmallClinic, case: Appointment, signed_in: Enter) -> None:
    nurse = signed_in("nurse", clinic.site)
    some = {"answer_vitals": "yes", "answer_walks": "no", "note_walks": "weak left leg", "act": "save", "escort": "Son"}

    assert nurse.post(url(case, "checklist/leaving"), some).status_code == 422
    assert not Discharge.objects.exists()
    assert nurse.post(url(case, "checklist/leaving"), some | {"reason": "Wheelchair; daughter called"}).status_code == 303
    assert Discharge.objects.values_list("escort", "reason").get() == ("Son", "Wheelchair; daughter called")
    assert Check.objects.get(item="walks").note == "weak left leg"
