"""A case in a week of a patient with an address, and the phone that opens its link."""

from __future__ import annotations

import pytest

from pain_clinic.accounts.actors import Actor
from scheduling import booking, openings
from scheduling.models import Appointment
from tests.database.scheduling.views.answers.phones import IN_A_WEEK, Phone, phone_for
from tests.factories import NOW, SmallClinic, local


@pytest.fixture
def visit(clinic: SmallClinic, by: Actor) -> Appointment:
    """Return a case in a week, at 9:00 in New York, of a patient with an address."""
    clinic.site.phone, clinic.site.address = "+1 518 555 0100", "1 Elm Street, Albany"
    clinic.site.save()
    clinic.patient.email = "vera@example.org"
    clinic.patient.save()
    place = openings.fit(
        procedure=clinic.procedure, starts_at=local(IN_A_WEEK, "9:00"), site=clinic.site, at=NOW, patient=clinic.patient
    ).opening
    assert place is not None
    return booking.book(
        patient=clinic.patient, procedure=clinic.procedure, target=booking.Target(side="left"), opening=place, by=by, at=NOW
    )


@pytest.fixture
def phone(visit: Appointment) -> Phone:
    return phone_for(visit)
