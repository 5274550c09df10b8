"""Is it alive, is it ready: two questions with different answers, for supervisors and load balancers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from kombu import Connection
from kombu.exceptions import OperationalError as BrokerError

from pain_clinic import clock

LIVE_PATH = "/health/live"
FRESH = timedelta(seconds=45)
log = structlog.get_logger("pain_clinic.health")


def live_first(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Wrap a WSGI application so that liveness is answered even while the database hangs."""

    def outer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") == LIVE_PATH and environ.get("REQUEST_METHOD") in {"GET", "HEAD"}:
            body = json.dumps({"status": "alive"}).encode()
            headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Cache-Control", "no-store"),
                       ("X-Content-Type-Options", "nosniff")]  # fmt: skip
            start_response("200 OK", headers)
            return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]
        return application(environ, start_response)

    return outer


class LivenessMiddleware:
    """Answer liveness outermost where no WSGI wrapper stands: the development server and the test client."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path == LIVE_PATH and request.method in {"GET", "HEAD"}:
            return JsonResponse({"status": "alive"}, headers={"Cache-Control": "no-store"})
        return self.get_response(request)


def beat(name: str) -> None:
    """Note that a background process has just done something. A database that is away costs nothing but the note."""
    try:
        with connection.cursor() as cursor:  # by the database's clock: those of web and worker may be apart
            clock.apply_clock(cursor)
            cursor.execute(
                "INSERT INTO audit_heartbeat (name, at) VALUES (%s, clinic_now())"
                " ON CONFLICT (name) DO UPDATE SET at = excluded.at",
                [name],
            )
    except (DatabaseError, InterfaceError):
        log.warning("heartbeat not written", name_of=name)
        connection.close()


def ages() -> dict[str, timedelta]:
    """Return how long ago each background process was last seen, by the database's clock: beat, worker, finished sweep."""
    with connection.cursor() as cursor:
        clock.apply_clock(cursor)
        cursor.execute("SELECT name, clinic_now() - at FROM audit_heartbeat WHERE name IN ('worker', 'beat', 'sweep')")
        return dict(cursor.fetchall())


def readiness() -> dict[str, str]:
    """Return one word for each thing that must work: `ok`, or what is wrong."""
    found = {"database": "ok", "migrations": "ok", "broker": "ok", "worker": "ok", "beat": "ok"}
    try:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            found["migrations"] = "pending"
        pulses = ages()
        for name in ("worker", "beat"):
            if name not in pulses:
                found[name] = "never seen"
            elif pulses[name] > FRESH:
                found[name] = "stale"
        # A worker that takes heartbeats but finishes no sweep sends nothing: what counts is the last one finished.
        if found["worker"] == "ok" and pulses.get("sweep", timedelta()) > FRESH:
            found["worker"] = "stale"
    except (DatabaseError, InterfaceError):
        found.update(database="unreachable", migrations="unknown", worker="unknown", beat="unknown")
    found["broker"] = _broker()
    return found


def _broker() -> str:
    try:
        # By address: in a web process no Celery app of ours is loaded, and Celery's own default speaks to another broker.
        # A broker that takes the connection and says nothing would hold this process, without a limit of its own.
        limits = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, "socket_timeout": 1, "socket_connect_timeout": 1}
        with Connection(settings.CELERY_BROKER_URL, connect_timeout=1, transport_options=limits) as link:
            link.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=1)
            return "ok"
    except (BrokerError, OSError, ConnectionError):
        return "unreachable"
