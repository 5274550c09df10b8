"""A press acts on what was shown and on nothing else: confirming, cancelling, after a move, on the wrong link. TRUST L3-L6."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from scheduling import booking, openings
from scheduling.models import Allocation, Appointment, DeskTask, LinkPurpose, Message
from tests import factories
from tests.database.scheduling.views.answers.phones import IN_A_WEEK, Phone, moved, phone_for, state, turn_clock
from tests.factories import NOW, SmallClinic, local


def test_confirming_takes_one_press_and_a_second_says_it_is_known(visit: Appointment, phone: Phone) -> None:
    phone.get()
    answer = phone.press("confirm")
    assert answer.status_code == 200
    assert "Thank you. We expect you." in phone.page
    assert state(visit) == ("confirmed", 2)
    told = AuditEvent.objects.get(act="scheduling.confirm")
    assert (told.actor_kind, told.patient_id) == ("patient", visit.patient.public_id)


def test_second_press_of_the_same_page_changes_nothing_and_is_fine(visit: Appointment, phone: Phone) -> None:
    phone.get()
    first = phone.page
    phone.press("confirm")
    phone.page = first
    answer = phone.press("confirm")
    assert (answer.status_code, state(visit)) == (200, ("confirmed", 2))
    assert "already told us" in phone.page
    assert AuditEvent.objects.filter(act="scheduling.confirm").count() == 1


def test_other_device_with_another_link_to_the_same_visit_is_told_too(visit: Appointment, phone: Phone) -> None:
    other = phone_for(visit)
    phone.get()
    other.get()
    phone.press("confirm")
    assert other.press("confirm").status_code == 200
    assert "already told us" in other.page
    assert state(visit) == ("confirmed", 2)


def test_press_on_a_page_from_before_a_move_does_nothing_and_shows_the_new_time(
    visit: Appointment, phone: Phone, by: Actor
) -> None:
    phone.get()
    moved(visit, by)
    answer = phone.press("confirm")
    assert answer.status_code == 409
    assert state(visit) == ("booked", 2)
    for said in ("10:45 a.m.", "Your visit has changed in the meantime", "Yes, I will come"):
        assert said in phone.page
    assert phone.press("confirm").status_code == 200  # asked again, at the time that is shown now
    assert state(visit) == ("confirmed", 3)


def test_old_link_opened_after_a_move_says_that_the_time_changed(visit: Appointment, phone: Phone, by: Actor) -> None:
    moved(visit, by)
    assert phone.get().status_code == 200
    assert "The time has changed since we wrote you" in phone.page
    assert "10:45 a.m." in phone.page
    assert "8:45 a.m." not in phone.page


def test_confirmed_elsewhere_at_another_time_is_not_taken_for_the_shown_one(visit: Appointment, phone: Phone, by: Actor) -> None:
    phone.get()
    booking.confirm(appointment=moved(visit, by), by=by, at=NOW)
    assert phone.press("confirm").status_code == 409
    assert "10:45 a.m." in phone.page
    assert state(visit) == ("confirmed", 3)


def test_cancelling_asks_once_more_and_can_be_taken_back(visit: Appointment, phone: Phone) -> None:
    phone.get()
    assert "act=cancel" not in phone.page
    assert 'value="cancel"' not in phone.page
    phone.get("cancel/")
    assert phone.press("cancel").status_code == 200
    case = Appointment.objects.get()
    assert (case.status, case.cancel_reason, case.asked_by, case.is_late) == ("cancelled", "patient_wish", "patient", False)
    assert not Allocation.objects.filter(appointment=case, released_at=None).exists()
    assert "Take the cancellation back" in phone.page
    assert phone.press("take_back").status_code == 200
    assert "Your visit stands again" in phone.page
    assert state(visit) == ("booked", 3)
    assert Allocation.objects.filter(appointment=case, released_at=None).exists()


def test_cancelling_twice_is_fine(visit: Appointment, phone: Phone) -> None:
    phone.get("cancel/")
    page = phone.page
    phone.press("cancel")
    phone.page = page
    assert phone.press("cancel").status_code == 200
    assert state(visit) == ("cancelled", 2)


def test_cancellation_by_the_desk_cannot_be_taken_back_by_link(visit: Appointment, phone: Phone, by: Actor) -> None:
    booking.cancel(appointment=visit, reason="patient_wish", asked_by="patient", by=by, at=NOW)
    phone.get()
    assert "Take the cancellation back" not in phone.page
    assert phone.press("take_back").status_code == 409
    assert state(visit) == ("cancelled", 2)


@pytest.mark.parametrize(("minutes", "offered"), [(9, True), (10, False)])
def test_taking_back_ends_after_ten_minutes(
    visit: Appointment, phone: Phone, settings: Any, tmp_path: Path, minutes: int, offered: bool
) -> None:
    phone.get("cancel/")
    phone.press("cancel")
    page = phone.page
    turn_clock(settings, tmp_path, Appointment.objects.get().cancelled_at + timedelta(minutes=minutes))  # type: ignore[operator]
    phone.get()
    assert ("Take the cancellation back" in phone.page) is offered
    phone.page = page
    answer = phone.press("take_back")
    assert (answer.status_code, state(visit)[0]) == ((200, "booked") if offered else (409, "cancelled"))
    if not offered:
        assert "+1 518 555 0100" in phone.page


def test_taken_place_cannot_be_taken_back(visit: Appointment, phone: Phone, clinic: SmallClinic, by: Actor) -> None:
    phone.get("cancel/")
    phone.press("cancel")
    other = factories.patient(home=clinic.site, last_name="Other")
    booking.book(
        patient=other, procedure=clinic.procedure, target=booking.Target(side="left"), by=by, at=NOW,
        opening=openings.fit(procedure=clinic.procedure, starts_at=visit.starts_at, site=clinic.site, at=NOW).opening,  # type: ignore[arg-type]
    )  # fmt: skip
    assert phone.press("take_back").status_code == 409
    assert "We cannot take this back here any more" in phone.page
    assert "Please call us" in phone.page
    assert state(visit) == ("cancelled", 2)


def test_confirm_in_an_older_mail_of_a_cancelled_visit_is_told_so(visit: Appointment, phone: Phone, by: Actor) -> None:
    phone.get()
    booking.cancel(appointment=visit, reason="clinic_staff", asked_by="clinic", by=by, at=NOW)
    assert phone.press("confirm").status_code == 409
    for said in ("is cancelled", "+1 518 555 0100", "please call us"):
        assert said in phone.page
    assert phone.get().status_code == 200
    assert "Yes, I will come" not in phone.page
    assert state(visit) == ("cancelled", 2)


def test_link_opens_only_the_visit_of_its_own_patient(visit: Appointment, phone: Phone, clinic: SmallClinic, by: Actor) -> None:
    other = factories.appointment(
        of=factories.patient(home=clinic.site), at_site=clinic.site, starts_at=local(IN_A_WEEK, "14:00")
    )
    Message.objects.create(appointment=other, patient=other.patient, kind="confirmation", version=1, due_at=NOW, created_at=NOW)
    stranger = phone_for(other)
    stranger.get()
    phone.page = stranger.page  # the mark of another visit's page
    assert phone.press("confirm").status_code == 409
    assert [case.status for case in Appointment.objects.order_by("pk")] == ["booked", "booked"]


@pytest.mark.parametrize("path", ["cancel/", "another-time/", "visit.ics", "plan/"])
@pytest.mark.parametrize("purpose", [LinkPurpose.UNSUBSCRIBE, LinkPurpose.SCORE])
def test_link_of_one_purpose_opens_no_page_of_another(visit: Appointment, purpose: str, path: str) -> None:
    assert phone_for(visit, purpose).get(path).status_code == 404


@pytest.mark.parametrize("act", ["confirm", "cancel", "take_back", "move", "call"])
@pytest.mark.parametrize("purpose", [LinkPurpose.UNSUBSCRIBE, LinkPurpose.SCORE])
def test_link_of_one_purpose_does_nothing_else(visit: Appointment, purpose: str, act: str) -> None:
    asker, reader = phone_for(visit, purpose), phone_for(visit)
    reader.get()
    asker.page = reader.page
    asker.press(act)
    assert state(visit) == ("booked", 1)
    assert DeskTask.objects.count() == 0


def test_press_without_the_pages_mark_does_nothing(visit: Appointment, phone: Phone) -> None:
    for shown in ("", "1", "AAAA:BBBB:CCCC"):
        assert phone.client.post(f"/l/{phone.secret}/", {"act": "confirm", "shown": shown}).status_code == 409
    assert state(visit) == ("booked", 1)


def test_unknown_act_is_refused(visit: Appointment, phone: Phone) -> None:
    phone.get()
    assert phone.press("discharge").status_code == 422
    assert state(visit) == ("booked", 1)


def test_presses_on_one_link_are_limited(visit: Appointment, phone: Phone) -> None:
    phone.get()
    told = [phone.press("discharge").status_code for _ in range(41)]
    assert (told[39], told[40]) == (422, 429)
