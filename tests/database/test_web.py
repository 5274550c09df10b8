"""What every page and every answer share: headers, errors, health, the cache. TRUST A2, A15, I4, I13, D1, D3, O10."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.core.cache.backends.locmem import LocMemCache
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import include, path
from redis.exceptions import ConnectionError as RedisConnectionError

from pain_clinic import clock, health, web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import open_to_public, requires
from pain_clinic.accounts.models import User
from pain_clinic.audit import trail
from pain_clinic.audit.models import AuditEvent, Heartbeat
from pain_clinic.cache import ForgivingRedisCache
from pain_clinic.errors import Conflict
from tests import factories
from tests.costs import least_seconds

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


@open_to_public(because="this test's own page fails on purpose")
def fails(request: HttpRequest) -> HttpResponse:
    if request.GET.get("how") == "database":
        raise OperationalError("server closed the connection: canary-name")
    raise ValueError("canary-name")


@requires("scheduling.book_appointment")
def form(request: HttpRequest) -> HttpResponse:
    def produce() -> HttpResponse:
        if request.POST.get("text") == "refuse":
            raise Conflict("taken_here", "Taken.")
        trail.record(by=Actor.of(request), act="test.form")
        return web.redirect_to(request, "/account/")

    try:
        return web.once(request, "test.form", produce)
    except Conflict as refusal:
        web.refused(request, refusal, act="test.form")
        return HttpResponse("taken", status=web.status_of(refusal))


urlpatterns = [
    path("fails/", fails),
    path("api/v1/fails/", fails),
    path("form/", form),
    path("", include("pain_clinic.accounts.urls")),
    path("", include("pain_clinic.audit.urls")),
]
handler400 = "pain_clinic.web.bad_request"
handler403 = "pain_clinic.web.forbidden"
handler404 = "pain_clinic.web.not_found"
handler500 = "pain_clinic.web.server_error"


@pytest.fixture
def desk() -> User:
    return factories.user(role="desk", username="ana")


@pytest.fixture
def inside(desk: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(desk)
    return client


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/sign-in/", 200),
        ("/account/", 200),
        ("/nothing/", 404),
        ("/staff/", 403),
        ("/fails/", 500),
        ("/fails/?how=database", 503),
        ("/account/?x=%00", 400),
        ("/api/v1/nothing/", 404),
        ("/health/live", 200),
    ],
)
def test_every_answer_carries_the_headers(address: str, status: int, inside: Client) -> None:
    if address == "/sign-in/":
        inside.logout()
    response = inside.get(address)
    assert response.status_code == status
    if address == "/health/live":
        return
    policy = response["Content-Security-Policy"]
    for said in (
        "default-src 'none'",
        "frame-ancestors 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
    ):
        assert said in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in response["Permissions-Policy"]
    assert response["Cache-Control"] == "no-store, private"
    assert len(response["X-Request-ID"]) == 32


@pytest.mark.parametrize("address", ["/sign-in/", "/account/", "/account/tokens/", "/account/password/", "/nothing/", "/fails/"])
def test_pages_hold_no_inline_script_style_or_handler(address: str, inside: Client) -> None:
    body = inside.get(address, follow=True).content.decode()
    assert "<script>" not in body
    assert "<style" not in body
    assert " style=" not in body
    assert " onclick=" not in body
    assert "javascript:" not in body


@pytest.mark.parametrize(("address", "status"), [("/fails/", 500), ("/fails/?how=database", 503)])
@pytest.mark.parametrize("prefix", ["", "/api/v1"])
def test_failures_tell_nothing_of_their_cause(prefix: str, address: str, status: int, inside: Client) -> None:
    response = inside.get(prefix + address)
    assert response.status_code == status
    assert "canary" not in response.content.decode()
    assert response.get("Retry-After") == ("5" if status == 503 else None)
    if prefix:
        assert response["Content-Type"] == "application/problem+json"
        assert response.json()["status"] == status


@pytest.mark.parametrize(("proxies", "status"), [(["127.0.0.1"], 200), ([], 301)])
def test_only_a_trusted_proxy_says_that_the_line_is_encrypted(proxies: list[str], status: int, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT, settings.SECURE_HSTS_SECONDS, settings.TRUSTED_PROXIES = True, 63_072_000, proxies
    response = Client().get("/sign-in/", headers={"X-Forwarded-Proto": "https"})
    assert response.status_code == status
    assert ("Strict-Transport-Security" in response) is (status == 200)


def test_foreign_host_is_refused(inside: Client) -> None:
    assert inside.get("/account/", headers={"Host": "evil.example"}).status_code == 400


@pytest.mark.parametrize(
    "address",
    [
        "/account/?q=%00",
        "/account/%00/",
        "/account/?q=%ff",
        "/account/?q=%ed%a0%80",
        "/" + "x" * 6000 + "/",
        "/%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_odd_addresses_are_refused_cleanly(address: str, inside: Client) -> None:
    assert inside.get(address).status_code in {400, 404}


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_text_that_cannot_be_kept_is_refused(text: str, inside: Client) -> None:
    body = b"label=" + ("a%00b" if "\x00" in text else "%ed%a0%80").encode()
    response = inside.post("/account/tokens/", body, content_type="application/x-www-form-urlencoded")
    assert response.status_code in {400, 422} or "\ufffd" in response.content.decode()
    assert response.status_code < 500


def test_large_bodies_and_many_fields_are_refused_within_a_second(inside: Client) -> None:
    def send() -> None:
        for body, status in (
            (b"label=" + b"a" * 10_000_000, 413),
            (b"label=" + b"a" * 2_000_000, 413),
            (b"&".join(b"f%d=1" % n for n in range(10_000)), 400),
        ):
            answer = inside.post("/account/tokens/", body, content_type="application/x-www-form-urlencoded")
            assert answer.status_code == status
        assert inside.post("/account/tokens/", {"label": "a" * 400_000}).status_code == 422

    assert least_seconds(send) < 1


def test_denied_page_is_said_and_recorded(inside: Client, desk: User) -> None:
    response = inside.get("/staff/")
    assert response.status_code == 403
    event = AuditEvent.objects.get(act="accounts.permission_denied")
    assert (event.user, event.outcome, event.reason_code) == (desk, "refused", "accounts.manage_staff")


# --- forms sent twice ------------------------------------------------------------------------------------------------
def test_form_sent_twice_acts_once(inside: Client) -> None:
    answers = [inside.post("/form/", {"request_key": "k" * 32, "text": "a"}) for _ in range(2)]
    assert [(answer.status_code, answer["Location"]) for answer in answers] == [(303, "/account/")] * 2
    assert AuditEvent.objects.filter(act="test.form").count() == 1
    hx = inside.post("/form/", {"request_key": "k" * 32, "text": "a"}, headers={"HX-Request": "true"})
    assert (hx.status_code, hx["HX-Redirect"]) == (200, "/account/")


def test_form_refused_can_be_sent_again_and_is_recorded(inside: Client) -> None:
    assert inside.post("/form/", {"request_key": "k" * 32, "text": "refuse"}).status_code == 409
    assert inside.post("/form/", {"request_key": "k" * 32, "text": "a"}).status_code == 303
    found = AuditEvent.objects.filter(act="test.form").order_by("pk").values_list("outcome", "reason_code")
    assert list(found) == [("refused", "taken_here"), ("done", "")]


# --- health ----------------------------------------------------------------------------------------------------------
def test_liveness_asks_nothing_of_the_database(client: Client, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert client.get("/health/live").json() == {"status": "alive"}


def test_liveness_is_answered_before_django() -> None:
    def never(_environ: Any, _start: Any) -> Any:
        raise AssertionError("reached Django")

    said = []
    body = health.live_first(never)({"PATH_INFO": "/health/live", "REQUEST_METHOD": "GET"}, lambda *args: said.append(args[0]))
    assert (said, list(body)) == (["200 OK"], [b'{"status": "alive"}'])


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_broker", lambda: "ok")


@pytest.mark.usefixtures("broker")
def test_readiness_wants_both_pulses_fresh(client: Client) -> None:
    assert client.get("/health/ready").json()["checks"]["worker"] == "never seen"
    health.beat("worker")
    health.beat("beat")
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    Heartbeat.objects.filter(name="beat").update(at=clock.now() - health.FRESH - timedelta(seconds=1))
    stale = client.get("/health/ready")
    assert (stale.status_code, stale.json()["checks"]["beat"], stale["Retry-After"]) == (503, "stale", "5")


@pytest.mark.usefixtures("broker")
def test_readiness_says_when_the_database_is_away(client: Client) -> None:
    def away(*_args: Any) -> Any:
        raise OperationalError("away")

    with connection.execute_wrapper(away):
        answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["checks"]["database"]) == (503, "unreachable")


def test_readiness_says_when_the_broker_is_away(settings: Any) -> None:
    settings.CELERY_BROKER_URL = "redis+socket:///nowhere/redis.sock?virtual_host=0"
    began = time.perf_counter()
    assert health._broker() == "unreachable"
    assert time.perf_counter() - began < 4


# --- the cache -------------------------------------------------------------------------------------------------------
def test_cache_goes_on_in_memory_when_redis_is_away() -> None:
    cache = ForgivingRedisCache("unix:///nowhere/redis.sock?db=1", {})
    assert cache.add("a", 1)
    assert cache.incr("a") == 2
    assert cache.get("a") == 2
    assert cache.get_many(["a", "b"]) == {"a": 2}
    cache.delete("a")
    assert cache.get("a", "none") == "none"


def test_stalled_redis_costs_one_wait_and_not_one_each_call() -> None:
    cache = ForgivingRedisCache("unix:///nowhere/redis.sock?db=1", {})
    calls = []

    class Stalled(LocMemCache):
        def get(self, *args: Any, **kwargs: Any) -> Any:
            calls.append(1)
            raise RedisConnectionError("stalled")

    cache._redis = Stalled("stalled", {})
    for _ in range(50):
        cache.get("a")
    assert len(calls) == 1


# --- the auditor's page ----------------------------------------------------------------------------------------------
@pytest.fixture
def auditor() -> Client:
    client = Client()
    client.force_login(factories.user(role="auditor", username="aud"))
    return client


def test_audit_page_filters_by_person_and_patient_and_is_recorded(auditor: Client, desk: User) -> None:
    one, other = factories.patient(), factories.patient()
    by = Actor.of_user(desk)
    for patient in (one, one, other):
        trail.record(by=by, act="patients.view", patient=patient.public_id)
    day = clock.now().astimezone(factories.NEW_YORK).date().isoformat()
    page = auditor.get("/audit/", {"first_on": day, "last_on": day, "patient": str(one.public_id)}).context["page"]
    assert [(event.actor, event.act) for event in page.events] == [("ana", "patients.view")] * 2
    answer = auditor.get("/audit/", {"first_on": day, "last_on": day, "user": "ana"})
    assert len(answer.context["page"].events) == 3
    assert f'href="?patient={other.public_id}&amp;first_on={day}&amp;last_on={day}"' in answer.content.decode()
    views = AuditEvent.objects.filter(act="audit.view").order_by("pk")
    assert [(event.patient_id, event.details["count"]) for event in views] == [(one.public_id, 2), (None, 3)]


@pytest.mark.parametrize("sites", [True, False], ids=["auditor of a site", "auditor of none"])
def test_audit_page_in_the_evening_shows_today_with_what_has_just_happened(
    desk: User, stand_at: Callable[..., None], sites: bool
) -> None:
    site = factories.site()
    client = Client()
    client.force_login(factories.user(role="auditor", sites=[site] if sites else []))
    stand_at(factories.EVENING)
    trail.record(by=Actor.of_user(desk), act="test.evening")

    def shown(**asked: str) -> tuple[int, date, date]:
        page = client.get("/audit/", {"act": "test.", **asked}).context["page"]
        return len(page.events), page.first_on, page.last_on

    today, tomorrow = factories.TODAY, factories.TOMORROW
    assert shown() == (1, today - timedelta(days=1), today)
    assert shown(first_on=f"{today}", last_on=f"{today}") == (1, today, today)
    assert shown(first_on=f"{tomorrow}", last_on=f"{tomorrow}") == (0, tomorrow, tomorrow)
    answer = client.get("/audit/", {"act": "test."}).content.decode()
    assert "2026-09-14 20:30:0" in answer
    assert "days and times of America/New_York" in answer


@pytest.mark.parametrize(
    "asked",
    [
        {"first_on": "2026-02-30"},
        {"first_on": "0001-01-01", "last_on": "9999-12-31"},
        {"patient": "abc"},
        {"first_on": "2026-05-02", "last_on": "2026-05-01"},
        {"before": str(2**63)},
        {"user": "nobody"},
    ],
)
def test_audit_page_refuses_what_makes_no_sense(asked: dict[str, str], auditor: Client) -> None:
    assert auditor.get("/audit/", asked).status_code == 422


def test_audit_page_is_for_auditors_and_managers_only(inside: Client) -> None:
    assert inside.get("/audit/").status_code == 403
