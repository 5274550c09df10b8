"""The acts behind a link where two presses cross, or the page that was shown is old: what the second one is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from pain_clinic.accounts.actors import Actor
from pain_clinic.errors import Forbidden
from scheduling import answers, booking, links, messages
from scheduling.answers import Shown
from scheduling.answers.acting import TooLate, UndoOver
from scheduling.models import Appointment, InvalidMove, Link, LinkPurpose, MessageKind, Status
from tests.database.scheduling.test_booking import booked, opening
from tests.factories import NOW, TOMORROW, SmallClinic, local

PATIENT = Actor.system("a patient")
NOW_SHOWN = Shown(version=1, sequence=0)


@pytest.fixture
def case(clinic: SmallClinic, by: Actor) -> Appointment:
    clinic.patient.email = "vera@example.org"
    clinic.patient.save(update_fields=["email"])
    return booked(clinic, by, local(TOMORROW + timedelta(days=7), "9:00"))


@pytest.fixture
def link_of(case: Appointment) -> Callable[..., Link]:
    """Return a function that issues a link of a purpose and reads it as the page does: with the case as it is now."""

    def make(purpose: str = LinkPurpose.VISIT) -> Link:
        message = messages.lay_down(appointment=Appointment.objects.get(pk=case.pk), kind=MessageKind.CONFIRMATION, at=NOW)
        secret = links.issue(message=message, purpose=purpose, at=NOW).rstrip("/").rpartition("/")[2]
        return links.read(secret=secret, at=NOW)

    return make


def test_confirming_what_a_twin_has_just_confirmed_is_fine(case: Appointment, link_of: Callable[..., Link], by: Actor) -> None:
    link = link_of()
    booking.confirm(appointment=case, by=by, at=NOW)  # between reading the link and the press

    done = answers.confirm(link=link, shown=NOW_SHOWN, by=PATIENT, at=NOW)

    assert (done.appointment.status, done.is_new) == (Status.CONFIRMED, False)


def test_confirming_what_has_just_been_moved_does_nothing(
    case: Appointment, link_of: Callable[..., Link], by: Actor, clinic: SmallClinic
) -> None:
    link = link_of()
    booking.reschedule(
        appointment=case, opening=opening(clinic, local(TOMORROW + timedelta(days=7), "11:00")), by=by, at=NOW
    )  # fmt: skip
    moved = Appointment.objects.get(pk=case.pk)
    booking.confirm(appointment=moved, by=by, at=NOW)  # at the new time, which the page never showed

    with pytest.raises(booking.Stale):
        answers.confirm(link=link, shown=NOW_SHOWN, by=PATIENT, at=NOW)


def test_cancelling_what_a_twin_has_just_cancelled_is_fine(case: Appointment, link_of: Callable[..., Link], by: Actor) -> None:
    link = link_of()
    booking.cancel(appointment=case, reason="other", asked_by="clinic", by=by, at=NOW)

    done = answers.cancel(link=link, shown=NOW_SHOWN, by=PATIENT, at=NOW)

    assert (done.appointment.status, done.is_new) == (Status.CANCELLED, False)


def test_cancelling_what_has_just_been_confirmed_asks_again(case: Appointment, link_of: Callable[..., Link], by: Actor) -> None:
    link = link_of()
    booking.confirm(appointment=case, by=by, at=NOW)

    with pytest.raises(booking.Stale):
        answers.cancel(link=link, shown=NOW_SHOWN, by=PATIENT, at=NOW)
    assert Appointment.objects.get(pk=case.pk).status == Status.CONFIRMED


def test_taking_back_what_stands_again_is_fine_and_what_changed_since_is_not(
    case: Appointment, link_of: Callable[..., Link], by: Actor
) -> None:
    answers.cancel(link=link_of(), shown=NOW_SHOWN, by=PATIENT, at=NOW)
    link = link_of()
    with pytest.raises(booking.Stale):
        answers.take_back(link=link, shown=NOW_SHOWN, by=PATIENT, at=NOW)  # the page from before the cancellation
    shown = Shown(version=2, sequence=1)
    with pytest.raises(UndoOver):
        answers.take_back(link=link, shown=shown, by=PATIENT, at=NOW + answers.UNDO_WITHIN)
    assert answers.take_back(link=link, shown=shown, by=PATIENT, at=NOW + answers.UNDO_WITHIN - timedelta(seconds=1)).is_new
    assert not answers.take_back(link=link_of(), shown=shown, by=PATIENT, at=NOW).is_new


def test_a_link_does_only_what_its_purpose_allows(link_of: Callable[..., Link]) -> None:
    link = link_of(LinkPurpose.UNSUBSCRIBE)
    with pytest.raises(Forbidden):
        answers.confirm(link=link, shown=NOW_SHOWN, by=PATIENT, at=NOW)
    assert not answers.unsubscribe(link=link, by=PATIENT, at=NOW).accepts_email


def test_a_visit_is_answered_until_its_arrival_and_not_once_it_is_under_way(
    case: Appointment, link_of: Callable[..., Link]
) -> None:
    with pytest.raises(TooLate):
        answers.confirm(link=link_of(), shown=NOW_SHOWN, by=PATIENT, at=case.arrives_at)
    Appointment.objects.filter(pk=case.pk).update(status=Status.ARRIVED)
    with pytest.raises(InvalidMove):
        answers.confirm(link=link_of(), shown=NOW_SHOWN, by=PATIENT, at=NOW)
    Appointment.objects.filter(pk=case.pk).update(status=Status.BOOKED)
    just_before = case.arrives_at - timedelta(seconds=1)
    assert answers.confirm(link=link_of(), shown=NOW_SHOWN, by=PATIENT, at=just_before).is_new
