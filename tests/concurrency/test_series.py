"""A series and a worklist are booked by two at once: each session once. The controls show that the tests would see a fault."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.errors import DomainError
from procedures.models import Procedure
from scheduling import booking, bulk, courses, openings, series, worklist
from scheduling.booking import judging
from scheduling.bulk import Result, Wanted
from scheduling.courses import Terms, fulfilling
from scheduling.models import Appointment, PlannedSession, Series, SeriesSession
from scheduling.series import Item
from scheduling.series import fulfilling as booking_series
from tests import factories
from tests.concurrency.test_one_slot import overlaps
from tests.factories import NEW_YORK, NOW, TODAY, SmallClinic, together, transactional

pytestmark = transactional
ROWS = 4


def actor(clinic: SmallClinic, role: str) -> Actor:
    return Actor.of_user(factories.user(role=role, sites=(clinic.site,)))


def ordered(clinic: SmallClinic) -> Series:
    given = [Item(clinic.procedure, "left", count=3, least_days=7)]
    return series.order(patient=clinic.patient, site=clinic.site, given=given, by=actor(clinic, "physician"), at=NOW)


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_series_booked_by_two_at_once_is_booked_once(clinic: SmallClinic, is_whole: bool) -> None:
    made = ordered(clinic)
    one, other = actor(clinic, "desk"), actor(clinic, "desk")
    answers = together(*[lambda by=by: series.book(series=made, by=by, at=NOW, is_whole=is_whole) for by in (one, other)])
    won = [answer for answer in answers if isinstance(answer, tuple)]
    lost = [answer for answer in answers if isinstance(answer, DomainError)]
    assert (len(won), [error.code for error in lost]) in ((1, ["nothing_to_book"]), (1, ["busy"]))
    assert (Appointment.objects.count(), overlaps()) == (3, 0)
    assert SeriesSession.objects.exclude(appointment=None).count() == 3


def test_control_without_the_lock_both_go_on_to_book(clinic: SmallClinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both see the sessions as not booked, then hold one another's place: only the database's last word is left."""
    made = ordered(clinic)
    both_read = threading.Barrier(2)

    def unlocked(row: Series, version: int | None) -> Series:
        both_read.wait(30)
        return Series.objects.select_related("patient", "site", "physician").get(pk=row.pk)

    read = booking_series.read

    def read_and_wait(row: Series) -> list[SeriesSession]:
        found = read(row)
        both_read.wait(30)
        return found

    monkeypatch.setattr(booking_series, "locked", unlocked)
    monkeypatch.setattr(booking_series, "read", read_and_wait)
    by = actor(clinic, "desk")
    answers = together(*[lambda: series.book(series=made, by=by, at=NOW, is_whole=False)] * 2)
    # Nobody was told that there is nothing left to book: the second one tried every session again.
    assert [getattr(answer, "code", "") for answer in answers].count("nothing_to_book") == 0
    tried = [len(answer) for answer in answers if isinstance(answer, tuple)]
    assert tried == [3] * len(tried)
    assert tried


@pytest.mark.parametrize("is_whole", [True, False])
def test_six_sessions_of_which_one_place_is_taken_are_booked_all_or_a_stated_part(clinic: SmallClinic, is_whole: bool) -> None:
    given = [Item(clinic.procedure, "left", count=6, least_days=7)]
    made = series.order(patient=clinic.patient, site=clinic.site, given=given, by=actor(clinic, "physician"), at=NOW)
    place: dict[str, Any] = series.read(made)[2].opening or {}
    desk, other, rival = actor(clinic, "desk"), actor(clinic, "desk"), factories.patient(home=clinic.site)
    begins = datetime.fromisoformat(place["starts_at"])
    fit = openings.fit(procedure=clinic.procedure, starts_at=begins, site=clinic.site, at=NOW)
    assert fit.opening is not None
    answer, taken = together(
        lambda: series.book(series=made, by=desk, at=NOW, is_whole=is_whole),
        lambda: booking.book(
            patient=rival, procedure=clinic.procedure, target=booking.Target(side="left"), opening=fit.opening, by=other, at=NOW
        ),
    )
    held = SeriesSession.objects.exclude(appointment=None).count()
    assert overlaps() == 0
    if isinstance(taken, Appointment) and is_whole:  # the other was first
        assert (getattr(answer, "code", ""), held) in (("slot_taken", 0), ("busy", 0))
    elif isinstance(taken, Appointment) and isinstance(answer, tuple):
        assert [one.session.number for one in answer if one.refusal is not None] == [3]
        assert held == 5
    elif isinstance(answer, tuple):
        assert (len(answer), held) == (6, 6)
        assert getattr(taken, "code", "") in ("slot_taken", "busy")
    else:
        assert (getattr(answer, "code", ""), held) == ("busy", 0)


def rows(clinic: SmallClinic) -> Callable[[Actor], list[Wanted]]:
    """Return what gives a desk its dry run of a worklist; each desk is offered its own times."""
    doctor = actor(clinic, "physician")
    terms = Terms("tpi_series", {"trigger_points": _trigger(clinic).code}, side="left")
    for number in range(ROWS):
        patient = factories.patient(home=clinic.site, last_name=f"Person{number}")
        courses.start(patient=patient, site=clinic.site, terms=terms, by=doctor, at=NOW, since=TODAY)

    def tried(by: Actor) -> list[Wanted]:
        user = User.objects.get(pk=by.user_id)
        planned = worklist.bookable(user=user, at=NOW, zone=NEW_YORK, tab="book")
        found = bulk.rehearse(planned=planned, by=by, at=NOW)
        return [Wanted(one.planned, one.opening) for one in found if one.opening is not None]

    return tried


def _trigger(clinic: SmallClinic) -> Procedure:
    made = factories.procedure(family="tpi", needs=(("physician", "", ("procedure",)), ("room", "", ("procedure", "turnover"))))
    factories.privilege(of=clinic.physician, for_procedure=made)
    return made


def later(wanted: list[Wanted]) -> list[Wanted]:
    """Return the same rows in other places: each at the time of the one after it."""
    openings = [one.opening for one in wanted]
    return [Wanted(one.planned, openings[(place + 1) % len(openings)]) for place, one in enumerate(wanted)]


def book_at_once(clinic: SmallClinic) -> list[Any]:
    tried = rows(clinic)
    one, other = actor(clinic, "desk"), actor(clinic, "desk")
    first = tried(one)
    assert len(first) == ROWS
    return together(
        lambda: bulk.book(wanted=first[:2], key="a-key-of-one-desk", by=one, at=NOW),
        lambda: bulk.book(wanted=later(first)[:2], key="a-key-of-another", by=other, at=NOW),
    )


def test_two_desks_that_book_one_list_at_different_times_book_each_row_once(clinic: SmallClinic) -> None:
    answers = book_at_once(clinic)
    results: list[Result] = [result for answer in answers for result in answer]
    booked = [result for result in results if result.case is not None]
    assert Appointment.objects.count() == len(booked) <= 2
    assert Appointment.objects.values("patient").distinct().count() == Appointment.objects.count()
    assert {result.refusal.code for result in results if result.refusal is not None} <= {"nothing_planned", "slot_taken", "busy"}
    assert overlaps() == 0


def test_control_without_the_guard_a_row_is_booked_twice(clinic: SmallClinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever does not look under the lock whether a row still stands books the patient a second time."""
    monkeypatch.setattr(fulfilling, "_standing", lambda planned, course: planned)
    monkeypatch.setattr(bulk, "_still_stands", lambda row: True)
    monkeypatch.setattr(judging, "_about_same_day", lambda *_: [])  # which would ask about the second one
    tried = rows(clinic)
    one, other = actor(clinic, "desk"), actor(clinic, "desk")
    first = tried(one)
    bulk.book(wanted=first[:1], key="a-key-of-one-desk", by=one, at=NOW)
    bulk.book(wanted=later(first)[:1], key="a-key-of-another", by=other, at=NOW)
    assert Appointment.objects.filter(patient=first[0].planned.course.patient_id).count() == 2


def test_one_key_pressed_by_two_tabs_at_once_books_each_row_once(clinic: SmallClinic) -> None:
    tried = rows(clinic)
    by = actor(clinic, "desk")
    wanted = tried(by)
    together(*[lambda: bulk.book(wanted=wanted, key="a-key-of-one-desk", by=by, at=NOW)] * 3)
    assert Appointment.objects.count() == ROWS
    assert PlannedSession.objects.filter(is_current=True, appointment=None).count() == 0
    assert overlaps() == 0
