"""What one event of the trail costs: inside the transaction of the act that it records, alone and with twenty writers."""

from __future__ import annotations

import threading
import time
from typing import Any

from django.db import connection, connections, transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from pain_clinic.audit.models import AuditEvent
from tests.bench.clinic import BenchClinic
from tests.bench.measuring import Line, line, paired

MOST = 5.0  # milliseconds, TRUST U5
WRITERS, EACH = 20, 50


def lines(clinic: BenchClinic) -> list[Line]:
    """Return the cost of an event beside the bare insert of the same row, and of one of a thousand by twenty at once."""
    by = Actor.of_user(clinic.desk)

    def ours() -> object:
        return trail.record(by=by, act="bench.event", site_id=clinic.site.pk, details={"version": 1})

    with transaction.atomic():
        ours()
        alone, bare = paired(ours, _bare(), rounds=9, times=100)
        transaction.set_rollback(True)
    company = _at_once(by)
    return [
        line("audit event, in the act's transaction", alone, "ms", bare, is_right=alone <= MOST),
        Line("audit event, 20 writers at once", company, "ms", target=f"<= {MOST:g} ms", ok=company <= MOST),
    ]


def _bare() -> Any:
    """Return a function that inserts the newest event once more, by the driver alone."""
    table = AuditEvent._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} ORDER BY id DESC LIMIT 1")
        names = [each.name for each in cursor.description if each.name != "id"]
    statement = f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(names)} FROM {table} WHERE id = %s"
    newest = AuditEvent.objects.latest("pk").pk
    driver = connection.connection.cursor()
    return lambda: driver.execute(statement, [newest])


def _at_once(by: Actor) -> float:
    """Return the milliseconds for one event while twenty write, each event a transaction of its own."""
    ready = threading.Barrier(WRITERS + 1)

    def write() -> None:
        try:
            connection.ensure_connection()
            ready.wait(60)
            for _ in range(EACH):
                with transaction.atomic():
                    trail.record(by=by, act="bench.event", details={"version": 1})
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write, daemon=True) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    ready.wait(60)
    begun = time.perf_counter()
    for thread in threads:
        thread.join(120)
    return (time.perf_counter() - begun) * 1000 / (WRITERS * EACH)
