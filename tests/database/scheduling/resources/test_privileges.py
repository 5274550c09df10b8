"""Within what a physician may perform a procedure: search and booking obey at once, and cases that lose it are named first."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from scheduling import booking, openings, resources
from scheduling.models import Appointment, Privilege
from scheduling.resources import Terms
from tests import factories
from tests.factories import NOW, TODAY, TOMORROW, SmallClinic, local

DAY = timedelta(days=1)


@pytest.fixture
def given(clinic: SmallClinic) -> dict[str, Any]:
    """Return what every act on the clinic's one privilege names."""
    by = Actor.of_user(factories.user(role="manager", sites=(clinic.site,)))
    return {"resource": clinic.physician, "procedure": clinic.procedure, "by": by, "at": NOW}


@pytest.fixture
def case(clinic: SmallClinic, by: Actor) -> Appointment:
    """Return a case of tomorrow at 9:00, under fluoroscopy."""
    found = openings.fit(procedure=clinic.procedure, starts_at=local(TOMORROW, "9:00"), site=clinic.site, at=NOW).opening
    assert found is not None
    return booking.book(
        patient=clinic.patient, procedure=clinic.procedure, target=booking.Target(side="left"), opening=found, by=by, at=NOW
    )


def found_on(clinic: SmallClinic) -> list[tuple[date, int]]:
    """Return the days of the next week on which the procedure is offered, each with its minutes."""
    found = openings.find_openings(procedure=clinic.procedure, at=NOW, latest=NOW + 7 * DAY, site=clinic.site, per_day=1)
    return [(one.starts_at.date(), (one.ends_at - one.starts_at) // timedelta(minutes=1)) for one in found.openings]


def test_search_obeys_minutes_days_and_guidance_at_once(clinic: SmallClinic, given: dict[str, Any]) -> None:
    assert found_on(clinic)[:2] == [(TODAY, 30), (TOMORROW, 30)]
    resources.save_privilege(**given, terms=Terms(("fluoroscopy",), 45, TOMORROW, TOMORROW + DAY))
    assert found_on(clinic) == [(TOMORROW, 45), (TOMORROW + DAY, 45)]
    resources.save_privilege(**given, terms=Terms(("ultrasound",)))
    assert found_on(clinic) == []
    resources.save_privilege(**given, terms=Terms())
    assert found_on(clinic)[:2] == [(TODAY, 30), (TOMORROW, 30)]
    told = [(one.subject_id, one.reason_code, one.details) for one in AuditEvent.objects.filter(act="scheduling.save_privilege")]
    details = {"procedure": str(clinic.procedure.public_id), "cases_in_the_way": 0}
    assert told == [(clinic.physician.public_id, "", details)] * 3


def test_booking_obeys_the_last_day(clinic: SmallClinic, given: dict[str, Any], by: Actor) -> None:
    resources.save_privilege(**given, terms=Terms(valid_until=TOMORROW))
    fits = [
        openings.fit(procedure=clinic.procedure, starts_at=local(day, "9:00"), site=clinic.site, at=NOW)
        for day in (TOMORROW, TOMORROW + DAY)
    ]
    assert [fit.opening is not None for fit in fits] == [True, False]


@pytest.mark.parametrize(
    ("terms", "is_left"),
    [
        (Terms(valid_until=TOMORROW), False),
        (Terms(valid_until=TODAY), True),
        (Terms(valid_from=TOMORROW), False),
        (Terms(valid_from=TOMORROW + DAY), True),
        (Terms(("ultrasound", "fluoroscopy")), False),
        (Terms(("ultrasound",)), True),
        (Terms(procedure_minutes=5), False),
    ],
)
def test_cases_that_would_no_longer_be_allowed_are_named_before_it_is_saved(
    case: Appointment, given: dict[str, Any], terms: Terms, is_left: bool
) -> None:
    if is_left:
        with pytest.raises(resources.CasesInTheWay) as refusal:
            resources.save_privilege(**given, terms=terms)
        assert refusal.value.cases == (case,)
        assert refusal.value.message.startswith("1 booked case would no longer be allowed.")
        assert resources.terms_of(Privilege.objects.get()) == Terms()
    resources.save_privilege(**given, terms=terms, is_accepted=is_left)
    assert resources.terms_of(Privilege.objects.get()) == terms
    case.refresh_from_db()
    assert case.status == "booked"


def test_a_case_that_was_not_allowed_before_is_not_told_again(case: Appointment, given: dict[str, Any]) -> None:
    resources.save_privilege(**given, terms=Terms(("ultrasound",)), is_accepted=True)
    resources.save_privilege(**given, terms=Terms(("ultrasound",), 45))
    resources.remove_privilege(**given)
    assert not Privilege.objects.exists()


def test_a_privilege_is_given_by_its_terms_and_taken_away_once(clinic: SmallClinic, given: dict[str, Any]) -> None:
    second = factories.procedure()
    for_second = {**given, "procedure": second}
    before = clinic.physician.version
    resources.save_privilege(**for_second, terms=Terms(procedure_minutes=20), version=resources.NOT_HELD)
    with pytest.raises(resources.Changed):
        resources.save_privilege(**for_second, terms=Terms(), version=resources.NOT_HELD)
    clinic.physician.refresh_from_db()
    assert (clinic.physician.version, clinic.physician.privileges.get(procedure=second).procedure_minutes) == (before + 1, 20)

    resources.remove_privilege(**for_second, version=Terms(procedure_minutes=20).version)
    resources.remove_privilege(**for_second)

    clinic.physician.refresh_from_db()
    assert clinic.physician.version == before + 2  # the form that ticks them all is stale
    acts = AuditEvent.objects.order_by("pk").values_list("act", "reason_code")
    assert list(acts) == [("scheduling.save_privilege", "new"), ("scheduling.remove_privilege", "")]


def test_a_privilege_with_a_case_is_taken_away_only_when_that_is_accepted(case: Appointment, given: dict[str, Any]) -> None:
    with pytest.raises(resources.CasesInTheWay) as refusal:
        resources.remove_privilege(**given)
    assert refusal.value.cases == (case,)
    resources.remove_privilege(**given, is_accepted=True)
    assert not Privilege.objects.exists()


def test_only_the_terms_that_were_seen_are_changed(given: dict[str, Any]) -> None:
    seen = resources.terms_of(Privilege.objects.get()).version
    resources.save_privilege(**given, terms=Terms(procedure_minutes=40), version=seen)
    with pytest.raises(resources.Changed):
        resources.save_privilege(**given, terms=Terms(procedure_minutes=50), version=seen)
    with pytest.raises(resources.Changed):
        resources.remove_privilege(**given, version=seen)


def test_only_physicians_hold_privileges(clinic: SmallClinic, given: dict[str, Any]) -> None:
    with pytest.raises(resources.NotAPhysician):
        resources.save_privilege(**{**given, "resource": clinic.nurse}, terms=Terms())


def test_ticking_anew_keeps_the_terms_and_what_was_retired(clinic: SmallClinic, given: dict[str, Any]) -> None:
    terms = Terms(("fluoroscopy",), 45, TODAY, TOMORROW)
    resources.save_privilege(**given, terms=terms)
    retired = factories.privilege(of=clinic.physician, for_procedure=factories.procedure(is_offered=False, is_retired=True))
    ticked, unticked = factories.procedure(), factories.privilege(of=clinic.physician, for_procedure=factories.procedure())
    resources.save_resource(resource=clinic.physician, values={}, may_perform=(clinic.procedure, ticked), by=given["by"], at=NOW)
    held = {row.procedure: resources.terms_of(row) for row in clinic.physician.privileges.select_related("procedure")}
    assert held == {clinic.procedure: terms, ticked: Terms(), retired.procedure: Terms()}
    assert unticked.procedure not in held
