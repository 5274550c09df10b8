"""Another time is offered only where it is free, allowed and covered; else the desk calls."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from patients.models import Coverage, Medication
from procedures import tables
from procedures.models import Procedure
from scheduling import answers, booking, openings
from scheduling.answers import offering
from scheduling.assessing import covering, wish_of
from scheduling.models import Appointment, DeskTask, Link, Message, TaskKind
from tests import factories
from tests.database.scheduling.views.answers.phones import (
    IN_A_WEEK,
    Phone,
    everything,
    offered,
    phone_for,
    state,
    turn_clock,
)
from tests.factories import NOW, SmallClinic, local


def test_three_other_times_are_offered_and_the_chosen_one_is_taken(visit: Appointment, phone: Phone) -> None:
    before = everything()
    phone.get("another-time/")
    assert everything() == before
    tokens = offered(phone.page)
    assert len(tokens) == len(set(tokens)) == 3
    assert phone.press("move", offer=tokens[1]).status_code == 200
    assert "Your visit has a new time" in phone.page
    case = Appointment.objects.get()
    assert (case.status, case.version, case.starts_at) == ("booked", 2, local(date(2026, 9, 16), "12:00"))
    assert Message.objects.filter(appointment=case, state="due").exclude(kind="cancellation").count() == 1
    event = AuditEvent.objects.get(act="scheduling.move")
    assert (event.actor_kind, event.reason_code) == ("patient", "patient_link")
    assert Link.objects.get(digest=Link.digest_of(phone.secret)).answer == "moved"


def test_what_lies_next_to_the_present_time_is_no_other_time(
    visit: Appointment, by: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def free(*clocks: str) -> list[Any]:
        return [replace(found, starts_at=local(IN_A_WEEK, clock)) for clock in clocks]

    [found] = openings.find_openings(procedure=visit.procedure, at=NOW, earliest=NOW + answers.NOTICE, limit=1).openings
    monkeypatch.setattr(offering, "_is_allowed", lambda *_: True)
    monkeypatch.setattr(offering, "_free", lambda *_: [free("7:05", "9:00", "10:55"), free("11:00")])
    assert [each.starts_at for each in answers.offers(appointment=visit, by=by, at=NOW)] == [local(IN_A_WEEK, "11:00")]
    monkeypatch.setattr(offering, "_free", lambda *_: [free("7:00"), free("8:55")])
    assert [each.starts_at for each in answers.offers(appointment=visit, by=by, at=NOW)] == [local(IN_A_WEEK, "7:00")]


def test_offered_time_that_was_taken_meanwhile_is_refused_with_fresh_ones(
    visit: Appointment, phone: Phone, clinic: SmallClinic, by: Actor
) -> None:
    phone.get("another-time/")
    token = offered(phone.page)[0]
    first = openings.find_openings(procedure=clinic.procedure, at=NOW, earliest=NOW + answers.NOTICE, limit=1).openings[0]
    other = factories.patient(home=clinic.site, last_name="Other")
    booking.book(patient=other, procedure=clinic.procedure, target=booking.Target(side="left"), opening=first, by=by, at=NOW)
    answer = phone.press("move", offer=token)
    assert answer.status_code == 409
    assert "Somebody has just taken that time" in phone.page
    assert len(offered(phone.page)) == 3
    assert token not in phone.page
    assert state(visit) == ("booked", 1)


def test_time_that_was_not_offered_cannot_be_asked_for(visit: Appointment, phone: Phone) -> None:
    other = phone_for(visit)
    other.get("another-time/")
    phone.get()
    for token in ("", "x", offered(other.page)[0]):  # another link's offer
        assert phone.press("move", offer=token).status_code == 409
    assert state(visit) == ("booked", 1)


def test_nothing_is_offered_that_a_rule_refuses(visit: Appointment, phone: Phone, clinic: SmallClinic) -> None:
    clinic.physician.privileges.update(valid_until=date(2026, 9, 15))
    phone.get("another-time/")
    assert len(offered(phone.page)) <= 1
    assert "Please call me" in phone.page


def test_only_covered_times_are_offered_however_far_ahead_they_begin(
    visit: Appointment, phone: Phone, clinic: SmallClinic
) -> None:
    tables.load(by=Actor.system("tests"), at=NOW)
    taken = Medication.objects.create(
        patient=clinic.patient, recorded_at=NOW, kind="antithrombotic", drug="clopidogrel", name="Clopidogrel",
        last_dose_at=NOW + timedelta(days=20),
    )  # fmt: skip
    found = answers.offers(appointment=visit, by=Actor.system("link"), at=NOW)
    assert len(found) == 3
    assert min(one.starts_at for one in found) >= NOW + timedelta(days=25)
    phone.get("another-time/")
    tokens = offered(phone.page)
    assert len(tokens) == 3
    assert phone.press("move", offer=tokens[0]).status_code == 200
    assert Appointment.objects.get().starts_at == found[0].starts_at

    taken.last_dose_at = NOW + timedelta(days=70)
    taken.save()
    visit.refresh_from_db()
    assert answers.offers(appointment=visit, by=Actor.system("link"), at=NOW) == ()


def test_nothing_is_offered_where_waiting_alone_does_not_help(visit: Appointment, phone: Phone, clinic: SmallClinic) -> None:
    tables.load(by=Actor.system("tests"), at=NOW)
    Procedure.objects.filter(pk=visit.procedure_id).update(family="si_rfa")  # which the payer never covers
    Coverage.objects.create(
        patient=clinic.patient, recorded_at=NOW, payer="Medicare", payer_rules="medicare_multi_mac_2026",
        plan_type="original_medicare",
    )  # fmt: skip
    visit = Appointment.objects.select_related("patient", "procedure", "site").get(pk=visit.pk)
    cover = covering(wish=wish_of(visit), patient=visit.patient, at=NOW, moving=visit)
    assert cover.first(IN_A_WEEK) is None
    assert answers.offers(appointment=visit, by=Actor.system("link"), at=NOW) == ()
    phone.get("another-time/")
    assert offered(phone.page) == []
    assert "Please call me" in phone.page


def test_visit_within_a_day_is_moved_by_telephone_only(visit: Appointment, phone: Phone, settings: Any, tmp_path: Path) -> None:
    turn_clock(settings, tmp_path, visit.arrives_at - timedelta(hours=23))
    phone.get("another-time/")
    assert offered(phone.page) == []
    assert "we would rather speak with you" in phone.page
    assert "+1 518 555 0100" in phone.page


def test_asking_for_a_call_leaves_the_desk_one_task_with_age_and_wish(visit: Appointment, phone: Phone) -> None:
    phone.get("another-time/")
    phone.press("call", when="morning")
    assert "We will call you" in phone.page
    phone.get("another-time/")
    phone.press("call", when="morning")
    task = DeskTask.objects.get()
    assert (task.kind, task.appointment, task.patient, task.site, task.note) == (
        TaskKind.ANOTHER_TIME, visit, visit.patient, visit.site, "Asks to be called in the morning",
    )  # fmt: skip
    assert state(visit) == ("booked", 1)


def test_choosing_a_time_settles_the_wish_to_be_called(visit: Appointment, phone: Phone) -> None:
    phone.get("another-time/")
    phone.press("call", when="any")
    phone.get("another-time/")
    phone.press("move", offer=offered(phone.page)[0])
    assert DeskTask.objects.get().outcome == "not_needed"
