"""A date that is closed while somebody books on it: one of the two is told of the other, whoever comes first. TRUST C8."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from pain_clinic.errors import Busy
from scheduling import free_time, resources
from scheduling.booking import RulesRefused, SlotTaken
from scheduling.models import Appointment, DatedHours, Resource
from scheduling.resources import CasesInTheWay
from tests import factories
from tests.concurrency.test_pairs import book, desk_of
from tests.factories import NOW, TOMORROW, local, together, transactional

pytestmark = transactional
ROUNDS = 8


def test_a_date_that_is_closed_while_somebody_books_on_it_leaves_no_case_untold() -> None:
    clinic = factories.small_clinic()
    by, manager = desk_of(clinic), desk_of(clinic, "manager")
    day, seen = TOMORROW, Counter[str]()
    for number in range(ROUNDS):
        while day.weekday() > 4:
            day += timedelta(days=1)
        patient = factories.patient(home=clinic.site, last_name=f"Date{number}")
        booked, closed = together(
            lambda day=day, patient=patient: book(clinic, by, "9:00", patient=patient, day=day),
            lambda day=day: resources.save_date_hours(
                resource=clinic.physician, on=day, spans={clinic.site: ()}, reason="", by=manager, at=NOW
            ),
        )
        inside = resources.cases_during(clinic.physician, local(day, "8:00"), local(day, "17:00"))
        is_closed = DatedHours.objects.filter(resource=clinic.physician, date=day).exists()
        if isinstance(booked, Appointment):
            assert isinstance(closed, CasesInTheWay | Busy), closed
            assert (inside, is_closed) == ([booked], False)
            seen["closing refused"] += 1
        else:
            assert isinstance(booked, RulesRefused | SlotTaken | Busy), booked
            assert isinstance(closed, Resource), closed
            assert (inside, is_closed) == ([], True)
            seen["booking refused"] += 1
        day += timedelta(days=1)
    print(dict(seen))
    assert free_time.check(at=NOW) == ()
