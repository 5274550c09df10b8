"""The API's doors: tokens, sessions, strict input, problems, request keys. TRUST A14, A17, C2, I4, I10, I12, Z9."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.http import Http404
from django.test import Client
from django.urls import include, path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import rest, rest_rules, web
from pain_clinic.accounts import staff
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import ApiToken, RequestKey, Site, User
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import Refused
from pain_clinic.urls import handler400, handler403, handler404, handler500  # noqa: F401  # read by Django from this module
from tests import factories
from tests.costs import least_seconds

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]
CALLS: list[Any] = []
ANSWERED = threading.Event()  # one of those who ask at once has its answer


class Note(serializers.Serializer):
    text = serializers.CharField(max_length=50)
    size = serializers.IntegerField(required=False, min_value=0, max_value=100)


class Notes(rest.View):
    required = {"GET": "scheduling.view_board", "POST": "scheduling.book_appointment"}

    def get(self, request: Request) -> Response:
        rows = Site.objects.order_by("name", "pk")
        pages = rest_rules.Pages()
        found = pages.paginate_queryset(rows, request, self)
        return pages.get_paginated_response([site.name for site in found])

    def post(self, request: Request) -> Response:
        note = Note(data=request.data)
        note.is_valid(raise_exception=True)

        def produce() -> Response:
            text = note.validated_data["text"]
            CALLS.append(text)
            if text == "slow":
                ANSWERED.wait(60)
            if text == "refuse":
                raise Refused("refused_here", "A rule says no.", {"rule": "r1"})
            return Response({"zeta": text, "alpha": len(CALLS)}, status=201, headers={"Location": "/notes/1", "ETag": '"1"'})

        return rest.once(request, "notes.create", produce)


class Unstated(rest.View):
    def get(self, request: Request) -> Response:
        return Response({})


class Failing(rest.View):
    required = "scheduling.view_board"

    def get(self, request: Request) -> Response:
        if request.GET.get("how") == "missing":
            raise Http404
        if request.GET.get("how") == "database":
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = 10")
                cursor.execute("SELECT pg_sleep(1)")
        rest.check_version(request, 3, must=True)
        return Response({}, headers={"ETag": rest.etag(3)})


urlpatterns = [
    path("api/v1/notes/", Notes.as_view()),
    path("api/v1/unstated/", Unstated.as_view()),
    path("api/v1/failing/", Failing.as_view()),
    path("", include("pain_clinic.urls")),
]


@pytest.fixture
def desk(transactional_db: None) -> User:
    CALLS.clear()
    ANSWERED.clear()
    return factories.user(role="desk", username="ana")


@pytest.fixture
def secret(desk: User) -> str:
    return staff.make_token(user=desk, label="test", by=Actor.of_user(desk), at=web.now())[1]


def post(secret: str, body: Any, *, key: str = "", raw: bytes | None = None, kind: str = "application/json") -> Any:
    headers = {"Authorization": f"Token {secret}"}
    if key:
        headers["Idempotency-Key"] = key
    data = raw if raw is not None else json.dumps(body).encode()
    return Client(enforce_csrf_checks=True).post("/api/v1/notes/", data, content_type=kind, headers=headers)


def get(secret: str, address: str = "/api/v1/notes/", **headers: str) -> Any:
    return Client().get(address, headers={"Authorization": f"Token {secret}", **headers})


def problem(response: Any) -> tuple[int, str]:
    assert response["Content-Type"] == "application/problem+json", response.content
    body = response.json()
    assert body["status"] == response.status_code
    assert body["title"]
    return response.status_code, body["code"]


def test_token_lets_in_and_needs_no_csrf_token(secret: str) -> None:
    assert get(secret).status_code == 200
    assert post(secret, {"text": "a"}).status_code == 201


def test_token_is_never_taken_from_the_address(secret: str) -> None:
    for name in ("token", "auth", "access_token", "key", "Authorization"):
        assert problem(Client().get("/api/v1/notes/", {name: secret})) == (401, "not_signed_in")


def test_token_is_kept_as_a_hash_only(secret: str) -> None:
    token = ApiToken.objects.get()
    assert token.digest != secret
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM accounts_apitoken AS t WHERE row_to_json(t)::text LIKE %s", [f"%{secret}%"])
        assert cursor.fetchone() == (0,)


def test_token_page_shows_the_secret_once(desk: User) -> None:
    client = Client()
    client.force_login(desk)
    made = client.post("/account/tokens/", {"label": "lab"})
    secret = made.context["secret"]
    assert secret in made.content.decode()
    assert secret not in client.get("/account/tokens/").content.decode()
    assert get(secret).status_code == 200


def test_revoked_token_is_dead_at_once_and_only_its_owner_revokes_it(desk: User, secret: str) -> None:
    address = f"/account/tokens/{ApiToken.objects.get().public_id}/revoke/"
    stranger = Client()
    stranger.force_login(factories.user(role="desk"))
    assert stranger.post(address).status_code == 404
    assert get(secret).status_code == 200
    owner = Client()
    owner.force_login(desk)
    assert owner.post(address).status_code == 303
    assert problem(get(secret)) == (401, "not_signed_in")


def test_token_of_a_disabled_user_is_dead_even_after_enabling(desk: User, secret: str) -> None:
    staff.disable(user=desk, by=Actor.system("test"), at=web.now())
    assert problem(get(secret)) == (401, "not_signed_in")
    staff.enable(user=desk, by=Actor.system("test"), at=web.now())
    assert problem(get(secret)) == (401, "not_signed_in")


def test_token_of_a_user_switched_off_by_other_means_is_dead(desk: User, secret: str) -> None:
    User.objects.filter(pk=desk.pk).update(is_active=False)
    assert problem(get(secret)) == (401, "not_signed_in")


@pytest.mark.parametrize("value", ["Token", "Token ", "Token x", "Token \x7f", "Bearer x", "Basic YTpi", "Token a b"])
def test_wrong_credentials_are_told_as_a_problem(value: str, desk: User) -> None:
    assert problem(Client().get("/api/v1/notes/", headers={"Authorization": value}))[0] == 401


def test_session_needs_the_csrf_token(desk: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(desk)
    assert client.get("/api/v1/notes/").status_code == 200
    body = json.dumps({"text": "a"})
    assert problem(client.post("/api/v1/notes/", body, content_type="application/json")) == (403, "forbidden")
    client.get("/account/password/")
    token = client.cookies["clinic-csrf"].value
    made = client.post("/api/v1/notes/", body, content_type="application/json", headers={"X-CSRFToken": token})
    assert made.status_code == 201


def test_view_without_a_stated_permission_lets_nobody_in(secret: str) -> None:
    assert problem(get(secret, "/api/v1/unstated/")) == (403, "forbidden")


@pytest.mark.parametrize(
    ("method", "expected"),
    [("get", 200), ("head", 200), ("options", 200), ("post", 403), ("put", 405), ("patch", 405), ("delete", 405)],
)
def test_every_method_asks_for_its_permission(method: str, expected: int, desk: User) -> None:
    nurse = factories.user(role="nurse")
    secret = staff.make_token(user=nurse, label="t", by=Actor.of_user(nurse), at=web.now())[1]
    headers = {"Authorization": f"Token {secret}", "X-HTTP-Method-Override": "POST"}
    response = getattr(Client(), method)("/api/v1/notes/", headers=headers)
    assert response.status_code == expected
    denied = AuditEvent.objects.filter(act="accounts.permission_denied", reason_code="scheduling.book_appointment")
    assert denied.count() == (1 if method == "post" else 0)


def test_role_taken_away_counts_from_the_next_request(desk: User, secret: str) -> None:
    assert get(secret).status_code == 200
    desk.groups.clear()
    assert problem(get(secret)) == (403, "forbidden")


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b'{"text": "a",}',
        b'{"text": NaN}',
        b'{"text": "a", "text": "b"}',
        b'{"text": "\\u0000"}',
        b'{"text": "\\ud800"}',
        b'{"text": "\xff"}',
        b'{"a": ' * 40 + b"1" + b"}" * 40,
        b"[" * 1000 + b"]" * 1000,
        b"[" * 100_000,
        b"{'text': 'a'}",
    ],
)
def test_unclean_json_is_refused_quickly(raw: bytes, secret: str) -> None:
    def send() -> None:
        assert problem(post(secret, None, raw=raw)) == (400, "malformed")

    assert least_seconds(send) < 1
    assert CALLS == []


@pytest.mark.parametrize(
    "body", [[], "x", 7, None, {"text": ["a"]}, {"text": {"a": 1}}, {"text": "x" * 51}, {"text": "a", "size": 2**63}, {}]
)
def test_wrong_shapes_are_told_field_by_field(body: Any, secret: str) -> None:
    assert problem(post(secret, body)) == (400, "invalid")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_other_content_types_are_refused(kind: str, secret: str) -> None:
    assert problem(post(secret, None, raw=b"text=a", kind=kind))[0] in {400, 415}
    assert CALLS == []


def test_ten_megabytes_are_refused_within_a_second(secret: str) -> None:
    def send() -> None:
        assert problem(post(secret, None, raw=b" " * 10_000_000)) == (413, "too_large")

    assert least_seconds(send) < 1


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/api/v1/nothing/", (404, "not_found")),
        ("/api/v1/notes/?page=9", (404, "not_found")),
        ("/api/v1/notes/?page=%00", (400, "malformed")),
        ("/api/v1/failing/?how=missing", (404, "not_found")),
        ("/api/v1/failing/?how=database", (503, "unavailable")),
        ("/api/v1/failing/", (428, "version_missing")),
    ],
)
def test_each_failure_is_a_problem(address: str, expected: tuple[int, str], secret: str) -> None:
    with transaction.atomic():
        assert problem(get(secret, address)) == expected


def test_version_is_checked(secret: str) -> None:
    assert problem(get(secret, "/api/v1/failing/", **{"If-Match": '"2"'})) == (412, "stale")
    assert get(secret, "/api/v1/failing/", **{"If-Match": 'W/"2", "3"'})["ETag"] == '"3"'


def test_list_is_paged_and_capped(secret: str) -> None:
    for number in range(3):
        factories.site(name=f"S{number}")
    page = get(secret, "/api/v1/notes/?page_size=2").json()
    assert (page["count"], page["results"]) == (3, ["S0", "S1"])
    assert get(secret, "/api/v1/notes/?page_size=100000").json()["results"] == ["S0", "S1", "S2"]


def test_throttle_tells_when_to_come_back(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_rules.StaffThrottle, "get_rate", lambda _self: "2/min")
    assert [get(secret).status_code for _ in range(2)] == [200, 200]
    refused = get(secret)
    assert problem(refused) == (429, "too_many_requests")
    assert 0 < int(refused["Retry-After"]) <= 61


# --- request keys ----------------------------------------------------------------------------------------------------
def test_same_key_and_body_act_once_and_give_the_same_bytes(secret: str) -> None:
    first, second = (post(secret, {"text": "a"}, key="key-00000001") for _ in range(2))
    assert CALLS == ["a"]
    assert (first.status_code, first.content, first["Location"], first["ETag"]) == (
        201,
        b'{"zeta":"a","alpha":1}',
        "/notes/1",
        '"1"',
    )
    assert (second.status_code, second.content, second["Location"], second["ETag"]) == (201, first.content, "/notes/1", '"1"')


def test_same_key_with_another_body_is_refused(secret: str) -> None:
    post(secret, {"text": "a"}, key="key-00000001")
    assert problem(post(secret, {"text": "b"}, key="key-00000001")) == (422, "key_reused")
    assert CALLS == ["a"]


def test_same_key_of_another_person_is_another_key(secret: str) -> None:
    other = factories.user(role="desk")
    theirs = staff.make_token(user=other, label="t", by=Actor.of_user(other), at=web.now())[1]
    post(secret, {"text": "a"}, key="key-00000001")
    assert post(theirs, {"text": "b"}, key="key-00000001").status_code == 201
    assert CALLS == ["a", "b"]


def test_key_older_than_a_day_is_new(secret: str) -> None:
    post(secret, {"text": "a"}, key="key-00000001")
    RequestKey.objects.update(created_at=web.now() - timedelta(hours=24, seconds=1))
    assert post(secret, {"text": "b"}, key="key-00000001").status_code == 201
    assert CALLS == ["a", "b"]


def test_refusal_leaves_no_key_behind_and_is_recorded(secret: str) -> None:
    refused = post(secret, {"text": "refuse"}, key="key-00000001")
    assert problem(refused) == (422, "refused_here")
    assert refused.json()["details"] == {"rule": "r1"}
    assert RequestKey.objects.count() == 0
    assert AuditEvent.objects.filter(outcome="refused", reason_code="refused_here").count() == 1
    assert post(secret, {"text": "a"}, key="key-00000001").status_code == 201


@pytest.mark.parametrize("key", ["short", "x" * 121])
def test_malformed_key_is_refused(key: str, secret: str) -> None:
    assert problem(post(secret, {"text": "a"}, key=key)) == (422, "key_malformed")


def at_once(secret: str, text: str, count: int) -> list[Any]:
    ready, answers = threading.Barrier(count), []

    def send() -> None:
        ready.wait()
        try:
            answers.append(post(secret, {"text": text}, key="key-00000001"))
        finally:
            ANSWERED.set()
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_twelve_twins_at_once_act_once(secret: str) -> None:
    answers = at_once(secret, "a", 12)
    assert CALLS == ["a"]
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, b'{"zeta":"a","alpha":1}')}


def test_twin_of_a_slow_request_is_told_that_it_is_in_progress(secret: str) -> None:
    answers = at_once(secret, "slow", 2)
    assert CALLS == ["slow"]
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    late = next(answer for answer in answers if answer.status_code == 409)
    assert problem(late) == (409, "in_progress")
