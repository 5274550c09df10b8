"""Sites, people, rooms and absences: what is refused in words, what is kept, and that free time follows in the same act."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import Refused
from scheduling import free_time, openings, resources
from scheduling.models import Absence, Closure
from tests import factories
from tests.factories import NOW, TODAY, TOMORROW, SmallClinic, local


def is_free(clinic: SmallClinic, hour: str) -> bool:
    starts_at = local(TOMORROW, hour)
    return openings.fit(procedure=clinic.procedure, starts_at=starts_at, site=clinic.site, at=NOW).opening is not None


def true_again() -> bool:
    return free_time.check(at=NOW) == ()


@pytest.fixture
def in_charge(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="manager", sites=(clinic.site,)))


def saved(clinic: SmallClinic, by: Actor, closures: dict[date, str]) -> None:
    resources.save_site(site=clinic.site, values={"address": "1 Elm Street"}, closures=closures, by=by, at=NOW)


def test_two_of_one_name_at_a_site_are_refused_in_words(clinic: SmallClinic, in_charge: Actor) -> None:
    values = {"kind": "room", "name": clinic.room.name, "short_name": "R", "site": clinic.site}
    with pytest.raises(resources.NameTaken):
        resources.save_resource(resource=None, values=values, may_perform=(), by=in_charge, at=NOW)
    with pytest.raises(resources.NameTaken):
        resources.save_site(
            site=None, values={"name": clinic.site.name, "slug": "other", "time_zone": "UTC"}, closures={}, by=in_charge, at=NOW
        )
    other = values | {"site": factories.site()}
    assert resources.save_resource(resource=None, values=other, may_perform=(), by=in_charge, at=NOW).name == clinic.room.name


def test_only_the_version_that_was_read_is_changed(clinic: SmallClinic, in_charge: Actor) -> None:
    given = {"resource": clinic.room, "values": {"position": 3}, "may_perform": (), "by": in_charge, "at": NOW}
    with pytest.raises(resources.Changed):
        resources.save_resource(**given, version=clinic.room.version + 1)  # type: ignore[arg-type]
    assert resources.save_resource(**given, version=clinic.room.version).position == 3  # type: ignore[arg-type]


def test_a_closed_day_is_made_renamed_kept_and_opened_again(clinic: SmallClinic, in_charge: Actor) -> None:
    saved(clinic, in_charge, {TOMORROW: "Inventory"})
    first = Closure.objects.get()
    saved(clinic, in_charge, {TOMORROW: "Training"})
    assert (Closure.objects.get().pk, Closure.objects.get().name) == (first.pk, "Training")
    assert not is_free(clinic, "9:00")
    saved(clinic, in_charge, {TOMORROW: "Training"})
    assert Closure.objects.get().name == "Training"
    saved(clinic, in_charge, {})
    assert is_free(clinic, "9:00")
    assert true_again()


def test_a_privilege_that_is_given_opens_the_time_and_one_that_stays_keeps_its_length(
    clinic: SmallClinic, in_charge: Actor
) -> None:
    clinic.physician.privileges.update(procedure_minutes=45)
    second = factories.procedure()
    resources.save_resource(
        resource=clinic.physician, values={}, may_perform=(clinic.procedure, second), by=in_charge, at=NOW
    )  # fmt: skip
    lengths = dict(clinic.physician.privileges.values_list("procedure", "procedure_minutes"))
    assert lengths == {clinic.procedure.pk: 45, second.pk: None}


def absence(clinic: SmallClinic, starts: datetime, ends: datetime) -> Absence:
    made = Absence.objects.create(resource=clinic.room, kind="out_of_service", starts_at=starts, ends_at=ends)
    free_time.rebuild(at=NOW, resources=[clinic.room.pk])
    return made


def test_an_absence_that_has_begun_ends_at_the_next_mark(clinic: SmallClinic, in_charge: Actor) -> None:
    starts, now = local(TODAY, "7:00"), local(TODAY, "8:02")
    ended = resources.end_absence(absence=absence(clinic, starts, local(TOMORROW, "12:00")), by=in_charge, at=now)
    assert (ended.starts_at, ended.ends_at, ended.withdrawn_at) == (starts, local(TODAY, "8:05"), None)
    assert is_free(clinic, "9:00")


def test_an_absence_is_withdrawn_once_and_one_that_is_over_is_left(clinic: SmallClinic, in_charge: Actor) -> None:
    row = absence(clinic, local(TOMORROW, "8:00"), local(TOMORROW, "12:00"))
    first = resources.end_absence(absence=row, by=in_charge, at=NOW)
    again = resources.end_absence(absence=row, by=in_charge, at=NOW + timedelta(minutes=5))
    assert (first.withdrawn_at, again.withdrawn_at) == (NOW, NOW)
    assert AuditEvent.objects.filter(act="scheduling.end_absence").count() == 1
    over = absence(clinic, NOW - timedelta(hours=2), NOW)
    with pytest.raises(Refused) as refusal:
        resources.end_absence(absence=over, by=in_charge, at=NOW)
    assert refusal.value.code == "absence_over"
