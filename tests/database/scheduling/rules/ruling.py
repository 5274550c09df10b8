"""What the tests of rules at booking share: facts put on file, cases booked, and what is said of them."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from typing import Any

from pain_clinic.accounts.actors import Actor
from patients.models import (
    Asked,
    Consent,
    Coverage,
    Patient,
    Recorded,
)
from procedures import tables
from scheduling import booking
from scheduling.assessing import Details
from scheduling.availability import Opening
from scheduling.booking import Target
from scheduling.models import (
    Appointment,
    AppointmentFinding,
    DeskTask,
)
from tests.factories import NOW, TODAY, SmallClinic, local

DAY = timedelta(days=1)
IN_TWO_WEEKS = TODAY + timedelta(days=14)
TOPICS = ("antithrombotics", "allergies", "conditions", "implants", "pregnancy", "infection", "vaccines", "glp1")


@cache
def files() -> Any:
    """Return the product's tables, read once for all tests."""
    return tables.read()


def put(model: type[Recorded], patient: Patient, /, **values: Any) -> Any:
    return model._default_manager.create(patient=patient, recorded_at=NOW, **values)


def ask_all(patient: Patient, on: date = TODAY) -> None:
    for topic in TOPICS:
        put(Asked, patient, topic=topic, asked_on=on)


def settle(clinic: SmallClinic, **coverage: Any) -> None:
    """Put on file everything that an ordinary case of the small clinic waits for."""
    ask_all(clinic.patient)
    put(Coverage, clinic.patient, **{"payer": "None", "payer_rules": "none", "plan_type": "self_pay", **coverage})
    put(Consent, clinic.patient, procedure=clinic.procedure, given_on=TODAY)


def booked(clinic: SmallClinic, by: Actor, on: date = IN_TWO_WEEKS, clock: str = "9:00", **values: Any) -> Appointment:
    start = local(on, clock)
    units = tuple(one.pk for one in clinic.resources)
    details = values.pop("details", Details(drug="none", has_driver=True))
    return booking.book(
        patient=clinic.patient, procedure=clinic.procedure, target=Target(side="right", details=details), by=by, at=NOW,
        opening=Opening(start, start, start, start, clinic.site.pk, {"all": units}), **values,
    )  # fmt: skip


def said(case: Appointment) -> dict[str, str]:
    return dict(AppointmentFinding.objects.filter(appointment=case, gone_at=None).values_list("code", "severity"))


def standing(case: Appointment) -> set[str]:
    return set(AppointmentFinding.objects.filter(appointment=case, gone_at=None, stands=True).values_list("code", flat=True))


def tasks(case: Appointment) -> dict[str, DeskTask]:
    return {task.kind: task for task in DeskTask.objects.filter(appointment=case, done_at=None)}
