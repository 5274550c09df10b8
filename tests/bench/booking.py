"""Lines of booking: the verb against psycopg2 writing the same rows under the same locks, alone and in company."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, timedelta
from typing import Any

import psycopg2
from django.db import connection, connections
from psycopg2.extras import Json, execute_values

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import DomainError, retried
from patients.models import Patient
from procedures.models import Procedure
from scheduling import booking
from scheduling.availability import Opening
from scheduling.booking import Target
from scheduling.intervals import midnight
from scheduling.models import Allocation, Appointment, Message
from tests.bench.clinic import FIVE, FOUR, PREP, RECOVERY, ROOM, ZONE, BenchClinic, Place
from tests.bench.measuring import Line, line, percentile

FORK = multiprocessing.get_context("fork")
OVERLAPS = """
SELECT count(*) FROM (
    SELECT starts_at < lag(ends_at) OVER (PARTITION BY resource_id ORDER BY starts_at) AS clashes
    FROM scheduling_allocation WHERE released_at IS NULL) t WHERE clashes
"""
Book = Callable[[int, Place], bool]


def overlaps() -> int:
    """Count double bookings without asking any code of ours."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '120s'")
        cursor.execute(OVERLAPS)
        count = int(cursor.fetchone()[0])
        cursor.execute("RESET statement_timeout")
    return count


class Verb:
    """The product's own function, as a door calls it."""

    def __init__(self, clinic: BenchClinic, procedure: Procedure) -> None:
        self.clinic, self.by = clinic, Actor.of_user(clinic.desk)
        self.procedure = Procedure.objects.prefetch_related("needs").get(pk=procedure.pk)
        self.is_four = procedure == clinic.four

    def __call__(self, patient: int, place: Place) -> bool:
        units = tuple(row[0] for row in place.runs(FOUR if self.is_four else FIVE))
        starts = place.starts_at
        opening = Opening(starts, starts, starts, starts, self.clinic.site.pk, {"all": units})
        try:
            retried(
                lambda: booking.book(
                    patient=Patient(pk=patient),
                    procedure=self.procedure,
                    target=Target(side="left"),
                    opening=opening,
                    by=self.by,
                    at=self.clinic.at,
                )  # fmt: skip
            )
        except DomainError:
            return False
        return True


class Bare:
    """The same rows under the same locks, by psycopg2 alone: no judgement, no objects, ready-made values."""

    def __init__(self, clinic: BenchClinic, procedure: Procedure) -> None:
        params = {key: value for key, value in connection.get_connection_params().items() if key != "cursor_factory"}
        self.connection = psycopg2.connect(**params)
        self.clinic, self.procedure = clinic, procedure
        self.needs = FOUR if procedure == clinic.four else FIVE
        sample = Appointment.objects.filter(procedure=procedure, source="desk").latest("pk")
        self.case = self._row(Appointment, "id", sample.pk)
        # All its messages: what is told at once, and what the cadence planned.
        self.messages = [self._row(Message, "id", pk) for pk in sample.messages.order_by("pk").values_list("pk", flat=True)]
        self.event = self._row(AuditEvent, "subject_id", sample.public_id)

    def _row(self, model: Any, column: str, value: object) -> dict[str, Any]:
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {model._meta.db_table} WHERE {column} = %s LIMIT 1", [value])
            names = [each.name for each in cursor.description]
            row = dict(zip(names, cursor.fetchone(), strict=True))
        del row["id"]
        return {name: Json(cell) if isinstance(cell, dict) else cell for name, cell in row.items()}

    @staticmethod
    def _insert(cursor: Any, model: Any, row: dict[str, Any]) -> int:
        marks = ", ".join(["%s"] * len(row))
        cursor.execute(f"INSERT INTO {model._meta.db_table} ({', '.join(row)}) VALUES ({marks}) RETURNING id", list(row.values()))
        return int(cursor.fetchone()[0])

    def __call__(self, patient: int, place: Place) -> bool:
        try:
            with self.connection, self.connection.cursor() as cursor:
                return self._book(cursor, patient, place)
        except (_Taken, psycopg2.errors.ExclusionViolation, psycopg2.errors.LockNotAvailable):
            return False  # taken, or nothing to be had within two seconds: on our side that is `Busy`

    def _book(self, cursor: Any, patient: int, place: Place) -> bool:
        at, site, runs = self.clinic.at, self.clinic.site.pk, place.runs(self.needs)
        ids, day = sorted(row[0] for row in runs), place.starts_at.astimezone(UTC).date()
        cursor.execute("SELECT id FROM patients_patient WHERE id = %s FOR NO KEY UPDATE", [patient])
        cursor.execute("SELECT id FROM scheduling_resource WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [ids])
        cursor.execute(
            "SELECT resource_id, id, bits FROM scheduling_freetime WHERE resource_id = ANY(%s) AND site_id = %s AND day = %s",
            [ids, site, day],
        )
        stored = {resource: (pk, int.from_bytes(bits, "little")) for resource, pk, bits in cursor.fetchall()}
        changed = []
        for resource, _, _, starts_at, ends_at in runs:
            first, stop = ((moment - midnight(day)) // timedelta(minutes=5) for moment in (starts_at, ends_at))
            mask = (1 << stop) - (1 << first)
            pk, bits = stored[resource]
            if bits & mask != mask:
                raise _Taken
            changed.append((pk, (bits & ~mask).to_bytes(36, "little")))
        starts, out = place.starts_at, place.starts_at + timedelta(minutes=ROOM)
        wall = starts.astimezone(ZONE)
        public_id = uuid.uuid4()
        key = self._insert(
            cursor, Appointment,
            self.case | {
                "public_id": public_id, "patient_id": patient, "arrives_at": starts - timedelta(minutes=PREP), "starts_at": starts,
                "ends_at": out, "leaves_at": out + timedelta(minutes=RECOVERY), "local_date": wall.date(), "local_time": wall.time(),
            },
        )  # fmt: skip
        execute_values(
            cursor,
            "INSERT INTO scheduling_allocation (resource_id, site_id, appointment_id, kind, legs, starts_at, ends_at, created_at) VALUES %s",
            [(unit, site, key, kind, legs, starts_at, ends_at, at) for unit, kind, legs, starts_at, ends_at in runs],
        )
        cursor.execute(
            "UPDATE scheduling_freetime AS old SET bits = new.bits FROM unnest(%s::bigint[], %s::bytea[]) AS new (id, bits) WHERE old.id = new.id",
            [[pk for pk, _ in changed], [bits for _, bits in changed]],
        )
        cursor.execute(
            "INSERT INTO patients_patientsite (patient_id, site_id, because, since) VALUES (%s, %s, 'appointment', %s) ON CONFLICT DO NOTHING",
            [patient, site, at],
        )
        for message in self.messages:
            self._insert(cursor, Message, message | {"public_id": uuid.uuid4(), "appointment_id": key, "patient_id": patient})
        self._insert(cursor, AuditEvent, self.event | {"subject_id": public_id})
        return True


class _Taken(Exception):
    """The bits say that somebody has it."""


class Unprotected:
    """Look, think for five milliseconds, write: no lock and no constraint, in a table of the bench's own."""

    def __init__(self, clinic: BenchClinic) -> None:
        self.connection = owner_connection()

    def __call__(self, patient: int, place: Place) -> bool:
        resource, _, _, starts_at, ends_at = place.runs()[0]
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM bench_unprotected WHERE resource = %s AND starts_at < %s AND ends_at > %s",
                [resource, ends_at, starts_at],
            )
            if cursor.fetchone():
                return False
            time.sleep(0.005)
            cursor.execute("INSERT INTO bench_unprotected VALUES (%s, %s, %s)", [resource, starts_at, ends_at])
        return True


def owner_connection() -> Any:
    """Return a connection that may make a table; in the tests the ordinary role is the owner."""
    params = {key: value for key, value in connection.get_connection_params().items() if key != "cursor_factory"}
    url = os.environ.get("DATABASE_OWNER_URL")
    return psycopg2.connect(url, dbname=params["dbname"]) if url else psycopg2.connect(**params)


def timed(book: Book, jobs: Sequence[tuple[int, Place]]) -> tuple[list[float], int]:
    """Return the milliseconds of each booking, and how many were booked."""
    taken, count = [], 0
    for patient, place in jobs:
        begun = time.perf_counter()
        count += book(patient, place)
        taken.append((time.perf_counter() - begun) * 1000)
    return taken, count


def in_company(
    make: Callable[[], Book], shares: Sequence[Sequence[tuple[int, Place]]], *, step_by_step: bool = False
) -> tuple[float, list[list[tuple[float, int]]]]:
    """Let processes book their shares at once; return the seconds taken and, by process, each booking's time and outcome.

    `step_by_step`: all meet before each booking, so that they are rivals for it.
    """
    connections.close_all()
    barrier, answers = FORK.Barrier(len(shares) + 1), FORK.Queue()

    def work(number: int) -> None:
        book = make()
        found = []
        barrier.wait(60)
        for job in shares[number]:
            if step_by_step:
                rivals.wait(60)
            taken, count = timed(book, [job])
            found.append((taken[0], count))
        answers.put((number, time.perf_counter(), found))

    rivals = FORK.Barrier(len(shares))
    processes = [FORK.Process(target=work, args=[number], daemon=True) for number in range(len(shares))]
    for process in processes:
        process.start()
    barrier.wait(60)
    begun = time.perf_counter()
    got = sorted(answers.get(timeout=120) for _ in shares)
    for process in processes:
        process.join(30)
    return max(ended for _, ended, _ in got) - begun, [found for _, _, found in got]


def jobs_of(clinic: BenchClinic) -> Callable[[int], list[tuple[int, Place]]]:
    """Return what hands out so many bookings, each of another patient at a place of its own."""
    dice = iter(range(1, 10**9))

    def jobs(number: int) -> list[tuple[int, Place]]:
        return [(clinic.patients[1 + next(dice) * 7919 % (len(clinic.patients) - 1)], place) for place in clinic.take(number)]

    return jobs


def lines(clinic: BenchClinic, *, rounds: int = 5, count: int = 60, turns: int = 3) -> list[Line]:
    """Measure booking alone, in company and among rivals."""
    jobs = jobs_of(clinic)
    found: list[Line] = []
    measured: list[tuple[str, float, float, list[float], list[float]]] = []
    for procedure, units in ((clinic.four, 4), (clinic.five, 5)):
        verb = Verb(clinic, procedure)
        timed(verb, jobs(5))
        bare = Bare(clinic, procedure)
        timed(bare, jobs(5))
        rates: list[tuple[float, float]] = []
        ours_ms: list[float] = []
        bare_ms: list[float] = []
        for _ in range(rounds):
            pair = []
            for book, kept in ((verb, ours_ms), (bare, bare_ms)):
                taken, booked = timed(book, jobs(count))
                kept += taken
                pair.append(booked / (sum(taken) / 1000))
            rates.append((pair[0], pair[1]))
        bare.connection.close()
        measured.append(
            (
                f"booking, function, {units} resources",
                *(statistics.median(side) for side in zip(*rates, strict=True)),
                ours_ms,
                bare_ms,
            )
        )
    for clients in (2, 8):
        pairs: list[tuple[float, float]] = []
        both: tuple[list[float], list[float]] = ([], [])
        for _ in range(turns):
            pair = []
            for make, kept in ((lambda: Verb(clinic, clinic.five), both[0]), (lambda: Bare(clinic, clinic.five), both[1])):
                shares = [jobs(max(count // clients, 10)) for _ in range(clients)]
                seconds, got = in_company(make, shares)
                kept += [taken for one in got for taken, _ in one]
                pair.append(sum(booked for one in got for _, booked in one) / seconds)
            pairs.append((pair[0], pair[1]))
        measured.append(
            (f"booking, function, {clients} clients", *(statistics.median(side) for side in zip(*pairs, strict=True)), *both)
        )
    is_whole = overlaps() == 0
    for name, ours, bare_rate, ours_ms, bare_ms in measured:
        found.append(line(name, ours, "/s", bare_rate, least=0.3, is_right=is_whole))
        for share in (0.5, 0.95):
            found.append(
                line(
                    f"{name}, p{share * 100:.0f}", percentile(ours_ms, share), "ms", percentile(bare_ms, share), is_right=is_whole
                )
            )
    found += _rivals(clinic, jobs, rounds=max(rounds * 3, 6), turns=turns)
    return found


def _rivals(clinic: BenchClinic, jobs: Callable[[int], list[tuple[int, Place]]], *, rounds: int, turns: int) -> list[Line]:
    """Let eight want one place, again and again; the control without protection has to fail, or nothing is proven."""
    owner = owner_connection()
    with owner, owner.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bench_unprotected")
        cursor.execute("CREATE TABLE bench_unprotected (resource bigint, starts_at timestamptz, ends_at timestamptz)")

    def one_place_each(make: Callable[[], Book], count: int) -> tuple[list[float], list[int]]:
        places = clinic.take(count)
        shares = [
            [(patient, place) for (patient, _), place in zip(_people(number, count), places, strict=True)] for number in range(8)
        ]
        _, got = in_company(make, shares, step_by_step=True)
        return [taken for one in got for taken, _ in one], [sum(row[n][1] for row in got) for n in range(count)]

    def _people(number: int, count: int) -> list[tuple[int, None]]:
        return [(clinic.patients[1 + (number * 101 + n * 8 + number) % (len(clinic.patients) - 1)], None) for n in range(count)]

    ours: list[float] = []
    bare: list[float] = []
    winners: list[int] = []
    bare_winners: list[int] = []
    p95: list[tuple[float, float]] = []
    for _ in range(turns):
        mine, won = one_place_each(lambda: Verb(clinic, clinic.five), rounds)
        theirs, bare_won = one_place_each(lambda: Bare(clinic, clinic.five), rounds)
        ours, bare, winners, bare_winners = ours + mine, bare + theirs, winners + won, bare_winners + bare_won
        p95.append((percentile(mine, 0.95), percentile(theirs, 0.95)))
    _, control = one_place_each(lambda: Unprotected(clinic), rounds)
    with owner, owner.cursor() as cursor:
        cursor.execute("DROP TABLE bench_unprotected")
    owner.close()
    double = sum(won > 1 for won in control)
    is_right = double > 0 and max(winners) == 1 and overlaps() == 0 and max(ours) < 1000
    value, reference = (statistics.median(side) for side in zip(*p95, strict=True))
    return [
        line("8 rivals on one slot, p95", value, "ms", reference, most=3, is_right=is_right),
        line("8 rivals on one slot, slowest", max(ours), "ms", max(bare), is_right=max(ours) < 1000),
        line(f"control without protection: double-booked of {len(control)} rounds", double, "rounds", is_right=double > 0),
        line("overlaps afterwards", overlaps(), "rows", is_right=overlaps() == 0),
        line("allocations standing at the end", Allocation.objects.filter(released_at=None).count(), "rows"),
    ]
