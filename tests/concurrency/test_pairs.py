"""Two acts at one moment: each pair ends whole, the loser is told, nobody sees a deadlock. TRUST C1, C3, C6, C8 to C10."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from django.db import connection, transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import DEADLOCK, Busy, DomainError, retried, translated
from scheduling import booking, free_time, holds, resources, visits
from scheduling.availability import Opening
from scheduling.booking import RulesRefused, SlotTaken, Stale, Target
from scheduling.models import Absence, Allocation, Appointment, Kind, Message, MessageState, Resource, Status
from scheduling.models.appointments import InvalidMove
from scheduling.resources import CasesInTheWay
from tests import factories
from tests.concurrency.test_one_slot import overlaps
from tests.factories import NOW, TOMORROW, SmallClinic, local, together, transactional

pytestmark = transactional
FULL = bool(os.environ.get("CLINIC_FULL"))
ROUNDS = 200 if FULL else 10
DEADLOCK_ROUNDS = 1000 if FULL else 50
KINDS = (Kind.PHYSICIAN, Kind.NURSE, Kind.ROOM, Kind.BAY, Kind.C_ARM)


def desk_of(clinic: SmallClinic, role: str = "desk") -> Actor:
    return Actor.of_user(factories.user(role=role, sites=(clinic.site,)))


def another_set(clinic: SmallClinic) -> tuple[Resource, ...]:
    """Return one more of everything, its free time built."""
    more = tuple(factories.resource(kind=kind, at_site=clinic.site) for kind in KINDS)
    for one in more:
        factories.weekly_hours(of=one)
    factories.privilege(of=more[0], for_procedure=clinic.procedure)
    with transaction.atomic():
        free_time.rebuild(at=NOW, resources=[one.pk for one in more])
    return more


def place(clinic: SmallClinic, clock: str, units: tuple[Resource, ...] = (), day: date = TOMORROW) -> Opening:
    start = local(day, clock)
    return Opening(start, start, start, start, clinic.site.pk, {"all": tuple(one.pk for one in units or clinic.resources)})


def book(clinic: SmallClinic, by: Actor, clock: str, units: tuple[Resource, ...] = (), **more: object) -> Appointment:
    patient, side = more.pop("patient", None) or factories.patient(home=clinic.site), str(more.pop("side", "left"))
    return booking.book(
        patient=patient, procedure=clinic.procedure, target=Target(side=side), opening=place(clinic, clock, units, **more),
        by=by, at=NOW,
    )  # type: ignore[arg-type]  # fmt: skip


def taken(case: Appointment) -> int:
    return Allocation.objects.filter(appointment=case, released_at__isnull=True).count()


# --- C1 --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shared", ["physician", "nurse", "room", "bay", "c_arm", "patient"])
def test_twelve_desks_who_share_one_thing_book_once(shared: str) -> None:
    clinic = factories.small_clinic()
    by = desk_of(clinic)
    sets = [list(another_set(clinic)) for _ in range(11)] + [list(clinic.resources)]
    patients = [clinic.patient if shared == "patient" else factories.patient(home=clinic.site) for _ in sets]
    if shared != "patient":
        at = ["physician", "nurse", "room", "bay", "c_arm"].index(shared)
        for units in sets:
            units[at] = clinic.resources[at]

    def call(number: int) -> Callable[[], Appointment]:
        return lambda: book(clinic, by, "9:00", tuple(sets[number]), patient=patients[number])

    answers = together(*(call(number) for number in range(12)))

    won = [answer for answer in answers if isinstance(answer, Appointment)]
    lost = Counter(getattr(answer, "code", repr(answer)) for answer in answers if answer not in won)
    assert len(won) == 1
    assert set(lost) <= {"slot_taken", "busy", "rules_refused"}, lost
    assert overlaps() == 0
    assert free_time.check(at=NOW) == ()


# --- C3 --------------------------------------------------------------------------------------------------------------
def test_reschedule_against_cancel_ends_whole_and_the_loser_is_told() -> None:
    clinic = factories.small_clinic()
    by = desk_of(clinic)
    seen: Counter[str] = Counter()
    for number in range(ROUNDS):
        case = book(clinic, by, "9:00")
        moved, cancelled = together(
            lambda case=case: booking.reschedule(appointment=case, opening=place(clinic, "13:00"), by=by, at=NOW),
            lambda case=case: booking.cancel(appointment=case, reason="other", asked_by="patient", by=by, at=NOW),
        )
        case.refresh_from_db()
        acts = list(AuditEvent.objects.filter(subject_id=case.public_id).order_by("pk").values_list("act", flat=True))
        if isinstance(moved, Appointment):
            assert isinstance(cancelled, Stale), cancelled
            assert (case.status, case.starts_at, taken(case)) == (Status.BOOKED, local(TOMORROW, "13:00"), 6), number
            assert acts == ["scheduling.book", "scheduling.move"]
            booking.cancel(appointment=case, reason="other", asked_by="clinic", by=by, at=NOW)
        else:
            assert isinstance(moved, Stale | InvalidMove), moved
            assert isinstance(cancelled, Appointment), cancelled
            assert (case.status, case.starts_at, taken(case)) == (Status.CANCELLED, local(TOMORROW, "9:00"), 0), number
            assert acts == ["scheduling.book", "scheduling.cancel"]
        seen["moved" if isinstance(moved, Appointment) else "cancelled"] += 1
        standing = Message.objects.filter(appointment=case, state=MessageState.DUE)
        assert [row.kind for row in standing] in (["cancellation"], []), number
    assert overlaps() == 0
    assert free_time.check(at=NOW) == ()


# --- C6 --------------------------------------------------------------------------------------------------------------
def test_of_two_desks_who_move_one_case_the_second_is_told_and_overwrites_nothing() -> None:
    clinic = factories.small_clinic()
    by = desk_of(clinic)
    case = book(clinic, by, "9:00")
    for number in range(ROUNDS):
        case.refresh_from_db()
        version = case.version
        clocks = ("10:30", "12:00") if number % 2 else ("14:00", "15:30")
        answers = together(
            *(
                lambda clock=clock, version=version: booking.reschedule(
                    appointment=Appointment.objects.get(pk=case.pk), opening=place(clinic, clock), by=by, at=NOW, version=version
                )
                for clock in clocks
            )
        )
        won = [answer for answer in answers if isinstance(answer, Appointment)]
        lost = [answer for answer in answers if isinstance(answer, Stale)]
        assert (len(won), len(lost)) == (1, 1), answers
        assert lost[0].details == {"version": version + 1}
        case.refresh_from_db()
        assert (case.version, case.starts_at) == (version + 1, won[0].starts_at)
    assert AuditEvent.objects.filter(act="scheduling.move").count() == ROUNDS


# --- C8 --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("is_accepted", [False, True], ids=["asked", "accepted"])
def test_leave_that_meets_a_booking_is_refused_or_lists_the_case_and_no_case_is_unlisted(is_accepted: bool) -> None:
    clinic = factories.small_clinic()
    by, manager = desk_of(clinic), desk_of(clinic, "manager")
    day, seen = TOMORROW, Counter[str]()
    for number in range(ROUNDS):
        while day.weekday() > 4:
            day += timedelta(days=1)
        begins, ends = local(day, "8:00"), local(day, "12:00")
        patient = factories.patient(home=clinic.site, last_name=f"Leave{number}")
        booked, leave = together(
            lambda day=day, patient=patient: book(clinic, by, "9:00", patient=patient, day=day),
            lambda begins=begins, ends=ends: resources.add_absence(
                resource=clinic.physician, kind="leave", starts_at=begins, ends_at=ends, note="", by=manager, at=NOW,
                is_accepted=is_accepted,
            ),
        )  # fmt: skip
        inside = resources.cases_during(clinic.physician, begins, ends)
        if isinstance(booked, Appointment) and isinstance(leave, Absence):
            assert is_accepted
            assert inside == [booked]  # what the page of the leave lists for moving
            details = AuditEvent.objects.get(act="scheduling.add_absence", subject_id=leave.public_id).details
            assert details["cases_in_the_way"] == 1, "the leave came first, and the booking slipped in"
            seen["listed"] += 1
        elif isinstance(booked, Appointment):
            assert isinstance(leave, CasesInTheWay | Busy), leave
            assert [case.pk for case in getattr(leave, "cases", inside)] == [booked.pk]
            seen["leave refused"] += 1
        else:
            assert isinstance(booked, RulesRefused | SlotTaken | Busy), booked
            assert isinstance(leave, Absence), leave
            assert inside == []
            seen["booking refused"] += 1
        day += timedelta(days=1)
    print(dict(seen))
    assert free_time.check(at=NOW) == ()


def test_leave_that_waits_too_long_for_a_booking_says_try_again() -> None:
    clinic = factories.small_clinic()
    manager = desk_of(clinic, "manager")
    has_it, may_go = threading.Event(), threading.Event()

    def hold_the_physician() -> None:
        with transaction.atomic():
            Resource.objects.select_for_update(no_key=True).get(pk=clinic.physician.pk)
            has_it.set()
            may_go.wait(30)

    def take_leave() -> Absence:
        has_it.wait(30)
        try:
            return resources.add_absence(
                resource=clinic.physician, kind="leave", starts_at=local(TOMORROW, "8:00"), ends_at=local(TOMORROW, "12:00"),
                note="", by=manager, at=NOW,
            )  # fmt: skip
        finally:
            may_go.set()

    _, answer = together(hold_the_physician, take_leave)

    assert isinstance(answer, Busy), answer
    assert Absence.objects.count() == 0


# --- C9 --------------------------------------------------------------------------------------------------------------
def test_swap_trades_places_of_two_cases_on_the_same_units_and_of_one_patient() -> None:
    clinic = factories.small_clinic()
    by = desk_of(clinic)
    places = (("9:00", "left"), ("13:00", "right"))  # the same side twice on a day is asked about
    first, second = (book(clinic, by, clock, patient=clinic.patient, side=side) for clock, side in places)
    one, other = booking.swap(first=first, second=second, by=by, at=NOW)

    assert (one.starts_at, other.starts_at) == (local(TOMORROW, "13:00"), local(TOMORROW, "9:00"))
    assert (taken(one), taken(other)) == (6, 6)
    assert overlaps() == 0
    assert free_time.check(at=NOW) == ()


def test_swap_that_is_refused_for_one_of_the_two_changes_neither() -> None:
    clinic = factories.small_clinic()
    more = another_set(clinic)
    by = desk_of(clinic)
    first, second = book(clinic, by, "9:00"), book(clinic, by, "13:00", more)
    book(clinic, by, "13:00", another_set(clinic), patient=first.patient, side="right")  # the first patient is elsewhere at 13:00
    with pytest.raises((RulesRefused, SlotTaken)):
        booking.swap(first=first, second=second, by=by, at=NOW)
    for case, clock in ((first, "9:00"), (second, "13:00")):
        case.refresh_from_db()
        assert (case.starts_at, taken(case), case.version) == (local(TOMORROW, clock), 6, 1)
    assert AuditEvent.objects.filter(act="scheduling.swap").count() == 0
    assert free_time.check(at=NOW) == ()


# --- C10 -------------------------------------------------------------------------------------------------------------
def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush(), deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[1])


def test_pairs_that_cross_never_show_a_deadlock() -> None:
    """Two moves across each other, swap against move, swap against swap, booking against leave, and so on, in turn."""
    clinic = factories.small_clinic()
    more = another_set(clinic)
    sets = (clinic.resources, more)
    by, manager = desk_of(clinic), desk_of(clinic, "manager")
    cases = [book(clinic, by, "9:00"), book(clinic, by, "9:00", more)]
    patients = [case.patient for case in cases]
    seen: Counter[str] = Counter()
    before = deadlocks()
    clocks = ("9:00", "10:30", "12:00", "13:30", "15:00")

    def fresh(number: int) -> Appointment:
        return Appointment.objects.select_related("patient", "procedure", "site").get(pk=cases[number].pk)

    def move(number: int, to: int, clock: str) -> Callable[[], object]:
        return lambda: booking.reschedule(appointment=fresh(number), opening=place(clinic, clock, sets[to]), by=by, at=NOW)

    def swap(first: int, second: int) -> Callable[[], object]:
        return lambda: booking.swap(first=fresh(first), second=fresh(second), by=by, at=NOW)

    def leave(unit: Resource) -> Callable[[], object]:
        def act() -> object:
            made = resources.add_absence(
                resource=unit, kind="leave", starts_at=local(TOMORROW, "16:00"), ends_at=local(TOMORROW, "16:30"), note="",
                by=manager, at=NOW, is_accepted=True,
            )  # fmt: skip
            return resources.end_absence(absence=made, by=manager, at=NOW)

        return act

    def extra(number: int, to: int, clock: str) -> Callable[[], object]:
        def act() -> object:
            made = book(clinic, by, clock, sets[to], patient=patients[number])
            return booking.cancel(appointment=made, reason="other", asked_by="clinic", by=by, at=NOW)

        return act

    def kept(to: int, clock: str) -> Callable[[], object]:
        def act() -> object:
            made = holds.hold(
                procedure=clinic.procedure, target=Target(side="left"), opening=place(clinic, clock, sets[to]), by=by, at=NOW
            )
            return holds.release(hold=made, by=by, at=NOW)

        return act

    def confirmed(number: int) -> Callable[[], object]:
        return lambda: booking.confirm(appointment=fresh(number), by=by, at=NOW)

    def arrived_and_back(number: int) -> Callable[[], object]:
        return lambda: visits.move_on(appointment=fresh(number), to=Status.NO_SHOW, by=by, at=NOW)  # refused: not yet due

    for number in range(DEADLOCK_ROUNDS):
        here, there = clocks[number % 5], clocks[(number + 2) % 5]
        pairs = (
            (move(0, 1, here), move(1, 0, there)),
            (swap(0, 1), swap(1, 0)),
            (swap(0, 1), move(0, 1, here)),
            (swap(1, 0), move(1, 0, there)),
            (move(0, 0, here), leave(clinic.physician)),
            (swap(0, 1), leave(more[2])),
            (extra(0, 1, here), extra(1, 0, here)),
            (extra(0, 0, there), move(0, 1, here)),
            (kept(0, here), swap(1, 0)),
            (kept(1, there), kept(0, there)),
            (confirmed(0), swap(0, 1)),
            (arrived_and_back(1), move(1, 0, here)),
        )
        pair = pairs[number % len(pairs)]
        for answer in together(*(lambda act=act: retried(act) for act in pair)):
            if isinstance(answer, BaseException):
                assert isinstance(answer, DomainError), repr(answer)
                assert answer.details.get("sqlstate") not in {"40P01", "40001"}, answer
                seen[answer.code] += 1
            else:
                seen["done"] += 1
    print(f"{DEADLOCK_ROUNDS} pairs: {dict(seen)}; deadlocks inside: {deadlocks() - before}")
    assert seen["done"] >= DEADLOCK_ROUNDS / 2, seen
    assert overlaps() == 0
    assert free_time.check(at=NOW) == ()


@pytest.mark.parametrize("is_retried", [False, True], ids=["control", "retried"])
def test_a_real_deadlock_is_seen_without_the_retry_and_by_nobody_with_it(is_retried: bool) -> None:
    clinic = factories.small_clinic()
    both_have_one = threading.Barrier(2)
    tries: Counter[int] = Counter()

    def cross(number: int, order: tuple[Resource, Resource]) -> Callable[[], str]:
        def act() -> str:
            tries[number] += 1
            with translated(), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '20s'")
                for place_in_order, unit in enumerate(order):
                    Resource.objects.select_for_update(no_key=True).get(pk=unit.pk)
                    if place_in_order == 0 and tries[number] == 1:
                        both_have_one.wait(30)
            return "done"

        return (lambda: retried(act)) if is_retried else act

    units = (clinic.physician, clinic.room)
    answers = together(cross(0, units), cross(1, (units[1], units[0])))

    states = sorted(
        answer if isinstance(answer, str) else str(getattr(answer, "details", {}).get("sqlstate")) for answer in answers
    )
    assert states == (["done", "done"] if is_retried else [DEADLOCK, "done"])
    assert sum(tries.values()) == (3 if is_retried else 2)
