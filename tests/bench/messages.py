"""Lines of messages: planning and claiming against bare SQL, sending against a bare SMTP conversation."""

from __future__ import annotations

import asyncio
import multiprocessing
import smtplib
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

from django.conf import settings
from django.db import connection, connections, transaction
from django.test import override_settings

from pain_clinic import clock
from scheduling import channels, messages
from scheduling.models import Appointment, CadenceStep, Message
from tests.bench.clinic import BenchClinic
from tests.bench.measuring import Line, line, milliseconds
from tests.bench.owning import owned

FORK = multiprocessing.get_context("fork")
COUNTS = {"full": (100_000, 500, 200), "small": (5_000, 100, 60)}  # bookings planned, rows claimed, mails sent
TAKES = 0.02  # seconds that the sink needs for a mail

# Each new case is a copy of one that is there, on another day and for another patient: columns may come and go.
OWN = {
    "public_id": "gen_random_uuid()", "external_id": "NULL", "patient_id": "(%(patients)s::bigint[])[1 + n %% %(people)s]", "status": "'booked'",
    "arrives_at": "day - interval '5 min'", "starts_at": "day", "ends_at": "day + interval '15 min'", "leaves_at": "day + interval '30 min'",
    "local_date": "(day AT TIME ZONE 'America/New_York')::date", "local_time": "(day AT TIME ZONE 'America/New_York')::time",
    "is_history": "false", "version": "1", "calendar_sequence": "0",
}  # fmt: skip
COLUMNS = [field.column for field in Appointment._meta.concrete_fields if not field.primary_key]
CASES = f"""
    INSERT INTO scheduling_appointment ({", ".join(COLUMNS)})
    SELECT {", ".join(OWN.get(column, f"one.{column}") for column in COLUMNS)}
    FROM (SELECT * FROM scheduling_appointment WHERE status = 'booked' LIMIT 1) one, generate_series(0, %(count)s - 1) n,
         LATERAL (SELECT date_trunc('day', %(at)s::timestamptz) + make_interval(days => 30 + n / %(people)s, hours => 6) AS day) d
"""
BARE_PLAN = """
    INSERT INTO scheduling_message (public_id, appointment_id, patient_id, kind, step, version, state, planned_at, due_at, priority,
                                    attempts, calendar_sequence, reason, subject, text, created_at, done_at)
    SELECT gen_random_uuid(), a.id, a.patient_id, 'reminder', 'reminder-' || days, a.version, 'due', a.starts_at - make_interval(days => days),
           a.starts_at - make_interval(days => days), 5, 0, a.calendar_sequence, '', '', '', %(at)s, NULL
    FROM scheduling_appointment a CROSS JOIN (VALUES (3), (1)) steps (days)
    WHERE a.starts_at > %(at)s AND a.status IN ('booked', 'confirmed') AND NOT a.is_history
"""
BARE_CLAIM = """
    WITH due AS (SELECT id FROM scheduling_message WHERE state = 'due' AND due_at <= now() ORDER BY priority, due_at, id
                 LIMIT %s FOR UPDATE SKIP LOCKED)
    UPDATE scheduling_message m SET lease_until = now() + interval '25 s', lease_token = gen_random_uuid() FROM due WHERE m.id = due.id
    RETURNING m.id
"""


class _Undone(Exception):
    """Leaves a transaction so that nothing of it stays."""


def _undone(act: Any) -> float:
    """Return the milliseconds that an act takes of which nothing stays."""
    taken = 0.0
    with suppress(_Undone), transaction.atomic():
        taken = milliseconds(act)
        raise _Undone
    return taken


def lines(clinic: BenchClinic, *, rounds: int = 3) -> list[Line]:
    """Measure planning, claiming and sending."""
    size = "full" if clinic.size.patients > 5_000 else "small"
    planned, claimed, sent = COUNTS[size]
    with _copied():
        found = [*_planning(clinic, planned, rounds), _claiming(clinic, claimed, rounds)]
    return [*found, _sending(clinic, sent, rounds)]


@contextmanager
def _copied() -> Iterator[None]:
    """Work on a copy of the clinic's database, in which rows may be committed; it is gone afterwards."""
    known = connection.settings_dict["NAME"]
    copy = f"{known}_messages"
    connections.close_all()  # nobody may look at what is being copied
    with owned() as owner:
        owner.execute(f"CREATE DATABASE {copy} TEMPLATE {known}")
    connection.settings_dict["NAME"] = copy
    try:
        yield
    finally:
        connections.close_all()
        connection.settings_dict["NAME"] = known
        with owned() as owner:
            owner.execute(f"DROP DATABASE {copy} WITH (FORCE)")


def _emptied() -> None:
    """Take every message away, with what they leave behind; statistics are those of a table nobody has filled yet."""
    with owned(connection.settings_dict["NAME"]) as owner:
        owner.execute("TRUNCATE scheduling_message CASCADE")


def _planning(clinic: BenchClinic, wanted: int, rounds: int) -> list[Line]:
    """Plan two reminders for each of so many bookings; the reference is one `INSERT .. SELECT` of the same rows.

    A clinic's rows are committed, so both sides commit here: ours a chunk of cases at a time, as the worker does, the
    reference in one go. Each side begins every turn with an empty table of messages, truncated by the owner. (Turns
    undone inside one transaction would leave their rows behind, dead but not to be vacuumed: whoever looks up what is
    there walks over the rows of every turn before, and the reference looks up nothing.) Cases, cadence and statistics
    are the same for both, written and analysed before the first turn.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")  # the reference is one statement, longer than the product allows any
        there = Appointment.objects.filter(starts_at__gt=clinic.at, status__in=("booked", "confirmed"), is_history=False).count()
        cursor.execute(CASES, {
            "patients": clinic.patients, "people": len(clinic.patients), "at": clinic.at, "count": max(wanted - there, 0),
        })  # fmt: skip
    CadenceStep.objects.all().delete()
    for days in (3, 1):
        CadenceStep.objects.create(code=f"reminder-{days}", kind="reminder", offset_days=-days, at_time="16:00")
    with owned(connection.settings_dict["NAME"]) as owner:
        owner.execute("VACUUM ANALYZE scheduling_appointment, scheduling_cadencestep")

    def ours() -> int:
        return messages.plan_ahead(at=clinic.at)["new"]

    def bare() -> int:
        with connection.cursor() as cursor:
            cursor.execute(BARE_PLAN, {"at": clinic.at})
            return int(cursor.rowcount)

    def turn(act: Callable[[], int]) -> tuple[float, int]:
        _emptied()
        begun = time.perf_counter()
        made = act()
        return (time.perf_counter() - begun) * 1000, made

    turn(ours), turn(bare)
    pairs = [(turn(ours), turn(bare)) for _ in range(rounds)]
    value, reference = (statistics.median(took for took, _ in side) for side in zip(*pairs, strict=True))
    counts = {made for pair in pairs for _, made in pair}
    turn(ours)
    begun = time.perf_counter()
    again = ours()
    second = (time.perf_counter() - begun) * 1000
    name = f"messages planned, {wanted:,} bookings x 2"
    return [
        line(name, value, "ms", reference, most=1.5, is_right=len(counts) == 1 and min(counts) >= 2 * wanted * 0.98),
        line(f"{name}, second run (adds {again} rows)", second, "ms", is_right=again == 0),
    ]


def _claiming(clinic: BenchClinic, count: int, rounds: int) -> Line:
    """Claim due messages in batches, a tenth of a planned, vacuumed table being due; the reference takes as many by plain SQL."""
    _emptied()
    with connection.cursor() as cursor:
        cursor.execute(BARE_PLAN, {"at": clinic.at})
        cursor.execute("UPDATE scheduling_message SET due_at = now() - interval '1 min' WHERE id %% 10 = 0", [])
        clock.apply_clock(cursor)
    with owned(connection.settings_dict["NAME"]) as owner:
        owner.execute("VACUUM ANALYZE scheduling_message")
    got: list[int] = []

    def ours() -> None:
        left = count
        while left > 0:
            taken = len(messages.claim_due(limit=left))
            left -= taken
            if not taken:
                break
        got.append(count - left)

    def bare() -> None:
        with connection.cursor() as cursor:
            left = count
            while left > 0:  # in batches of the same size: no claim holds more rows than one sweep can send
                cursor.execute(BARE_CLAIM, [min(left, messages.BATCH)])
                taken = len(cursor.fetchall())
                left -= taken
                if not taken:
                    break

    # Both begin every turn with the same rows to take: what was claimed before would be walked over by one side only.
    _undone(ours), _undone(bare)
    pairs = [(_undone(ours), _undone(bare)) for _ in range(rounds + 6)]
    value, reference = (statistics.median(side) for side in zip(*pairs, strict=True))
    return line(
        f"messages claimed, {count} in batches of {messages.BATCH}",
        value,
        "ms",
        reference,
        most=1.5,
        is_right=set(got) == {count},
    )


def _sending(clinic: BenchClinic, count: int, rounds: int) -> Line:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE patients_patient SET email = 'a' || id || '@example.org', accepts_email = true")
    cases = list(
        Appointment.objects.filter(starts_at__gt=clinic.at + timedelta(days=2), status="booked").order_by("pk")[
            : count * (rounds + 1)
        ]
    )
    connections.close_all()
    port = _free_port()
    sink = FORK.Process(target=_sink, args=(port,), daemon=True)
    sink.start()
    options = {"EMAIL_BACKEND": channels.SMTP_BACKEND, "EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": port, "EMAIL_USE_TLS": False,
               "EMAIL_USE_SSL": False, "EMAIL_HOST_USER": "", "MESSAGES_PER_SECOND": 1000}  # fmt: skip
    ours, bare, done = [], [], 0
    try:
        _wait_for(port)
        with override_settings(**options):
            for turn in range(rounds + 1):
                at = clock.now()
                Message.objects.bulk_create(
                    Message(
                        appointment=each,
                        patient_id=each.patient_id,
                        kind="confirmation",
                        version=1,
                        priority=1,
                        due_at=at,
                        created_at=at,
                    )
                    for each in cases[turn * count : (turn + 1) * count]
                )
                begun = time.perf_counter()
                sent = messages.sweep(limit=count)["sent"]
                took = time.perf_counter() - begun
                example = Message.objects.filter(state="sent").order_by("-pk").first()
                bare_took = _bare(port, count, example.text if example else "")
                if turn:  # the first turn warms both up
                    ours.append(sent / took)
                    bare.append(count / bare_took)
                    done += sent
    finally:
        sink.terminate()
        sink.join(5)
    return line(
        "messages sent by one worker, sink takes 20 ms", statistics.median(ours), "/s", statistics.median(bare), least=0.7,
        is_right=done == count * rounds,
    )  # fmt: skip


def _bare(port: int, count: int, text: str) -> float:
    """Send as many ready-made mails of the same shape over one connection."""
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "Your visit", settings.DEFAULT_FROM_EMAIL, "a@example.org"
    mail.set_content(text)
    mail.add_alternative(f"<p>{text}</p>" * 3, subtype="html")
    begun = time.perf_counter()
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as talk:
        for _ in range(count):
            talk.send_message(mail)
    return time.perf_counter() - begun


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_for(port: int) -> None:
    for _ in range(100):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.05)
    raise RuntimeError("the sink did not come up")


def _sink(port: int) -> None:
    """Take every mail, each in twenty milliseconds."""
    from aiosmtpd.smtp import SMTP

    class Taker:
        async def handle_DATA(self, _server: Any, _session: Any, _envelope: Any) -> str:
            await asyncio.sleep(TAKES)
            return "250 taken"

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(Taker(), enable_SMTPUTF8=True), "127.0.0.1", port)
        async with server:
            await asyncio.wait_for(server.serve_forever(), 600)

    with suppress(TimeoutError, asyncio.CancelledError):
        asyncio.run(serve())
