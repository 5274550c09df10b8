"""Eight clerks book, move, swap, cancel and reinstate at random; afterwards nothing overlaps and nothing is lost."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from django.db import connection, connections

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import DomainError, retried
from scheduling import booking, free_time
from scheduling.availability import Opening
from scheduling.booking import Target
from scheduling.models import Allocation, Appointment, Kind
from tests import factories
from tests.concurrency.test_one_slot import overlaps
from tests.factories import NOW, TOMORROW, local, transactional

OPERATIONS = 10_000 if os.environ.get("CLINIC_FULL") else 500
CLERKS = 8
# As many people and days for each operation at either size, so that a case costs as much at the end as at the beginning.
PEOPLE = OPERATIONS // 40
DAYS = [day for day in (TOMORROW + timedelta(days=n) for n in range(OPERATIONS // 100 + 3)) if day.weekday() < 5]
PATIENT_OVERLAPS = """
SELECT count(*) FROM scheduling_appointment a JOIN scheduling_appointment b
  ON a.patient_id = b.patient_id AND a.id < b.id AND a.arrives_at < b.leaves_at AND b.arrives_at < a.leaves_at
 WHERE a.status NOT IN ('cancelled', 'no_show', 'left_before_seen')
   AND b.status NOT IN ('cancelled', 'no_show', 'left_before_seen')
"""


def apart(calls: Sequence[Callable[[], Counter[str]]], *, seconds: float) -> list[Counter[str]]:
    """Make the calls in a process each, as clients are, and return what they gave; whatever happens, all end."""
    context = multiprocessing.get_context("fork")
    connections.close_all()  # nobody shares a connection
    answers = context.Queue()

    def run(call: Callable[[], Counter[str]]) -> None:
        try:
            answers.put(call())
        except BaseException as error:  # noqa: BLE001  the parent judges every outcome
            answers.put(repr(error))
        finally:
            connections.close_all()

    processes = [context.Process(target=run, args=(call,), daemon=True) for call in calls]
    for process in processes:
        process.start()
    try:
        given = [answers.get(timeout=seconds) for _ in processes]
    finally:
        for process in processes:
            process.join(5)
            process.kill()
    assert all(isinstance(one, Counter) for one in given), given
    return given


@pytest.mark.timeout(1800)
@transactional
def test_random_operations_by_eight_clerks_leave_the_clinic_whole() -> None:
    clinic = factories.small_clinic()
    units = [[one.pk for one in clinic.resources]]
    for number in range(2, 4):
        more = [
            factories.resource(kind=kind, at_site=clinic.site, name=f"{kind} {number}")
            for kind in (Kind.PHYSICIAN, Kind.NURSE, Kind.ROOM, Kind.BAY, Kind.C_ARM)
        ]
        for one in more:
            factories.weekly_hours(of=one)
        factories.privilege(of=more[0], for_procedure=clinic.procedure)
        units.append([one.pk for one in more])
    factories.build_free_time(at=NOW)
    patients = [factories.patient(home=clinic.site, last_name=f"Person{number}") for number in range(PEOPLE)]
    actors = [Actor.of_user(factories.user(role="desk", sites=(clinic.site,))) for _ in range(CLERKS)]
    done: Counter[str] = Counter()

    def clerk(number: int) -> Callable[[], Counter[str]]:
        dice = random.Random(number)  # a test's dice
        by = actors[number]

        def opening() -> Opening:
            start = local(dice.choice(DAYS), "8:15") + timedelta(minutes=5 * dice.randrange(90))
            mixed = tuple(dice.choice(units)[place] for place in range(5))
            return Opening(start, start, start, start, clinic.site.pk, {"all": mixed})

        def some_case(*statuses: str) -> Appointment | None:
            rows = Appointment.objects.filter(status__in=statuses)
            keys = list(rows.order_by("pk").values_list("pk", flat=True))  # keys alone: reading every case would be the drill
            return rows.select_related("patient", "procedure", "site").filter(pk=dice.choice(keys)).first() if keys else None

        def act() -> str:
            kind = dice.choices(["book", "move", "swap", "cancel", "reinstate"], [5, 3, 2, 2, 1])[0]
            case = some_case("cancelled") if kind == "reinstate" else some_case("booked")
            if kind == "book" or case is None:
                booking.book(
                    patient=dice.choice(patients), procedure=clinic.procedure, target=Target(side="left"),
                    opening=opening(), by=by, at=NOW,
                )  # fmt: skip
                return "book"
            if kind == "move":
                booking.reschedule(appointment=case, opening=opening(), by=by, at=NOW, version=case.version)
            elif kind == "swap":
                other = some_case("booked")
                if other is None or other.pk == case.pk:
                    return "nothing"
                booking.swap(first=case, second=other, by=by, at=NOW)
                return "swap"
            elif kind == "cancel":
                booking.cancel(appointment=case, reason="other", asked_by="clinic", by=by, at=NOW, version=case.version)
            else:
                booking.reinstate(appointment=case, by=by, at=NOW)
            return kind

        def work() -> Counter[str]:
            mine: Counter[str] = Counter()
            for _ in range(OPERATIONS // CLERKS):
                try:
                    mine[retried(act)] += 1
                except DomainError as refusal:
                    mine[f"refused {refusal.code}"] += 1
            return mine

        return work

    began = time.monotonic()
    for answer in apart([clerk(number) for number in range(CLERKS)], seconds=1800):
        done.update(answer)
    took = time.monotonic() - began
    print(f"{done.total()} operations in {took:.0f} s, {done.total() / took:.0f} a second: {dict(done)}")
    assert min(done["book"], done["move"], done["cancel"]) > 5, done
    assert overlaps() == 0
    with connection.cursor() as cursor:
        cursor.execute(PATIENT_OVERLAPS)
        assert cursor.fetchone()[0] == 0
    assert free_time.check(at=NOW) == ()
    for act, expected in {"book": 1, "move": 1, "swap": 2, "cancel": 1, "reinstate": 1}.items():
        assert AuditEvent.objects.filter(act=f"scheduling.{act}").count() == done[act] * expected, act
    standing = Appointment.objects.exclude(status="cancelled")
    taken = Allocation.objects.filter(released_at__isnull=True).values_list("appointment", flat=True)
    assert Counter(taken) == {case.pk: 6 for case in standing}
