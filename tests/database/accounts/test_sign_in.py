"""Sign-in, sign-out and the session's limits: TRUST A1, A3 to A9, A12 to A14."""

from __future__ import annotations

import statistics
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from axes.models import AccessAttempt
from django.conf import settings
from django.test import Client
from django.test.client import RequestFactory

from pain_clinic import web
from pain_clinic.accounts import staff
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import KeptInput, User
from pain_clinic.audit.models import AuditEvent
from pain_clinic.middleware import client_address
from tests import factories

PASSWORD = "seven green lamps on the quay"
FOREIGN = (
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "/\\evil.example/",
    "javascript:alert(1)",
    "http:evil.example",
    "https:///evil.example",
    "/\t/evil.example",
    "\t//evil.example",
)


@pytest.fixture
def ana(db: None) -> User:
    user = factories.user(role="desk", username="ana")
    user.set_password(PASSWORD)
    user.save()
    return user


@pytest.fixture
def clock_file(tmp_path: Path, settings: object) -> Path:
    path = tmp_path / "clock"
    path.write_text("0")
    settings.CLINIC_CLOCK = str(path)
    return path


def move(clock_file: Path, by: timedelta) -> None:
    clock_file.write_text(str(float(clock_file.read_text()) + by.total_seconds()))


def enter(client: Client, *, username: str = "ana", password: str = PASSWORD, **extra: object) -> object:
    return client.post("/sign-in/", {"login": username, "password": password}, **extra)


def is_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def test_sign_in_opens_the_session_and_is_recorded(ana: User, client: Client) -> None:
    response = enter(client)
    assert (response.status_code, response["Location"]) == (302, "/")
    assert is_in(client)
    events = list(AuditEvent.objects.filter(act="accounts.sign_in").values_list("outcome", "user_id", "address"))
    assert events == [("done", ana.pk, "127.0.0.1")]


def test_sign_in_takes_the_name_in_any_case(ana: User, client: Client) -> None:
    enter(client, username=" ANA ")
    assert is_in(client)


def test_sign_in_gives_a_new_session_id_and_the_chosen_one_opens_nothing(ana: User, client: Client) -> None:
    chosen = "a" * 32
    client.cookies[settings.SESSION_COOKIE_NAME] = chosen
    enter(client)
    given = client.cookies[settings.SESSION_COOKIE_NAME].value
    assert given != chosen
    assert len(given) >= 22
    other = Client()
    other.cookies[settings.SESSION_COOKIE_NAME] = chosen
    assert not is_in(other)


def test_session_cookie_is_closed_to_scripts_and_other_sites(ana: User, client: Client) -> None:
    response = enter(client)
    cookie = response.cookies[settings.SESSION_COOKIE_NAME]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert set(response.cookies) <= {settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME}


def stolen(client: Client) -> Client:
    copy = Client()
    copy.cookies[settings.SESSION_COOKIE_NAME] = client.cookies[settings.SESSION_COOKIE_NAME].value
    assert is_in(copy)
    return copy


def test_cookie_is_dead_after_sign_out(ana: User, client: Client) -> None:
    enter(client)
    copy = stolen(client)
    response = client.post("/sign-out/")
    assert '"storage"' in response["Clear-Site-Data"]
    assert not is_in(copy)
    assert AuditEvent.objects.filter(act="accounts.sign_out", user=ana).count() == 1


def test_cookie_is_dead_when_the_user_is_disabled_and_stays_dead_when_enabled(ana: User, client: Client) -> None:
    enter(client)
    copy = stolen(client)
    admin = Actor.system("test")
    staff.disable(user=ana, by=admin, at=web.now())
    assert not is_in(copy)
    assert not is_in(client)
    staff.enable(user=ana, by=admin, at=web.now())
    again = Client()
    again.cookies[settings.SESSION_COOKIE_NAME] = client.cookies[settings.SESSION_COOKIE_NAME].value
    assert not is_in(again)


def test_other_sessions_are_dead_when_the_password_changes_and_this_one_goes_on(ana: User, client: Client) -> None:
    enter(client)
    other = Client()
    enter(other)
    answer = client.post("/account/password/", {"old_password": PASSWORD, "new_password": "eight blue lamps on the quay"})
    assert answer.status_code == 303
    assert is_in(client)
    assert not is_in(other)


def test_sessions_are_dead_when_the_password_is_changed_behind_the_pages(ana: User, client: Client) -> None:
    enter(client)
    ana.set_password("eight blue lamps on the quay")
    ana.save(update_fields=["password"])
    assert not is_in(client)


def test_ending_all_sessions_ends_all(ana: User, client: Client) -> None:
    enter(client)
    other = Client()
    enter(other)
    client.post("/account/sessions/end/")
    assert not is_in(other)
    assert not is_in(client)


def test_sign_out_by_get_is_refused_and_changes_nothing(ana: User, client: Client) -> None:
    enter(client)
    assert client.get("/sign-out/").status_code == 405
    assert is_in(client)


def test_idle_session_ends_although_the_page_polls(ana: User, client: Client, clock_file: Path) -> None:
    enter(client)
    for _minute in range(14):
        move(clock_file, timedelta(minutes=1))
        assert client.get("/account/", headers={"X-Clinic-Poll": "1"}).status_code == 200
    move(clock_file, timedelta(minutes=1))
    assert client.get("/account/", headers={"X-Clinic-Poll": "1"}).status_code == 302
    assert not is_in(client)


def test_use_keeps_the_session_until_its_longest_time(ana: User, client: Client, clock_file: Path) -> None:
    enter(client)
    for _ in range(71):
        move(clock_file, timedelta(minutes=10))
        assert is_in(client)
    move(clock_file, timedelta(minutes=10))
    assert not is_in(client)


def test_ended_session_sends_the_whole_page_to_sign_in_and_back(ana: User, client: Client, clock_file: Path) -> None:
    enter(client)
    move(clock_file, timedelta(minutes=16))
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/staff/?page=2"}
    response = client.get("/account/tokens/", headers=headers)
    address = urlsplit(response["HX-Redirect"])
    assert (response.status_code, response.content) == (200, b"")
    assert (address.path, parse_qs(address.query)) == ("/sign-in/", {"next": ["/staff/?page=2"]})


def test_ended_session_keeps_unsaved_text_for_the_same_person_only(ana: User, client: Client, clock_file: Path) -> None:
    enter(client)
    move(clock_file, timedelta(minutes=16))
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/account/tokens/"}
    typed = {"label": "for the lab", "old_password": "hush", "csrfmiddlewaretoken": "x"}
    client.post("/account/tokens/", typed, headers=headers)
    assert KeptInput.objects.get().data == {"label": ["for the lab"]}
    request = RequestFactory().get("/account/tokens/")
    request.user = factories.user(role="desk", username="ben")
    assert web.kept_input(request) is None
    request.user = ana
    kept = web.kept_input(request)
    assert kept is not None
    assert kept["label"] == "for the lab"
    assert web.kept_input(request) is None


def test_wrong_passwords_lock_the_name_at_that_address_for_a_while(ana: User, client: Client) -> None:
    for _ in range(settings.SIGN_IN_FAILURES):
        answer = enter(client, password="wrong")
    assert answer.status_code == 429
    refused = enter(client)
    assert (refused.status_code, refused["Retry-After"]) == (429, "900")
    assert not is_in(client)
    locked = AuditEvent.objects.filter(act="accounts.sign_in", outcome="refused", subject_id=ana.public_id)
    assert set(locked.values_list("reason_code", flat=True)) == {"wrong", "locked"}
    AccessAttempt.objects.update(attempt_time=web.now() - settings.AXES_COOLOFF_TIME - timedelta(seconds=1))
    enter(client)
    assert is_in(client)


def test_locked_name_leaves_colleagues_and_other_addresses_alone(ana: User) -> None:
    ben = factories.user(role="desk", username="ben")
    ben.set_password(PASSWORD)
    ben.save()
    for _ in range(settings.SIGN_IN_FAILURES + 2):
        enter(Client(), password="wrong")
    colleague, elsewhere = Client(), Client()
    enter(colleague, username="ben")
    assert is_in(colleague)
    enter(elsewhere, REMOTE_ADDR="198.51.100.7")
    assert is_in(elsewhere)


def test_forty_wrong_names_from_one_address_shut_nobody_out(ana: User, client: Client) -> None:
    for number in range(40):
        enter(Client(), username=f"nobody{number}", password="wrong")
    enter(client)
    assert is_in(client)


def test_forged_forwarded_address_does_not_escape_the_lock(ana: User) -> None:
    for number in range(settings.SIGN_IN_FAILURES):
        enter(Client(), password="wrong", headers={"X-Forwarded-For": f"203.0.113.{number}"})
    assert enter(Client(), headers={"X-Forwarded-For": "203.0.113.99"}).status_code == 429


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.1", "203.0.113.5", "192.0.2.1"),
        ("10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.5, 10.0.0.2", "203.0.113.5"),
        ("10.0.0.1", "1.1.1.1, rubbish", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
    ],
)
def test_client_address_is_counted_from_the_trusted_proxy(peer: str, forwarded: str, expected: str, settings: object) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    request = RequestFactory().get("/", REMOTE_ADDR=peer, headers={"X-Forwarded-For": forwarded})
    assert client_address(request) == expected


def test_known_and_unknown_name_get_the_same_answer_in_the_same_time(ana: User, settings: object) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher"]
    settings.SIGN_IN_FAILURES = settings.AXES_FAILURE_LIMIT = 1000
    ana.set_password(PASSWORD)
    ana.save()
    pages: dict[str, Any] = {}
    times: dict[str, list[float]] = {"ana": [], "zed": []}
    enter(Client(), username="warm", password="wrong")
    for _ in range(7):  # by turns: a machine that is busy for a while is so for both
        for username, taken in times.items():
            began = time.thread_time()
            answer = enter(Client(), username=username, password="wrong")
            taken.append(time.thread_time() - began)
            body = answer.content.decode().replace(username, "NAME")
            pages[username] = (answer.status_code, answer.context["form"].non_field_errors(), len(body))
    assert pages["ana"] == pages["zed"]
    assert 1 / 2.5 < statistics.median(times["ana"]) / statistics.median(times["zed"]) < 2.5


@pytest.mark.parametrize("address", FOREIGN)
def test_next_never_leads_off_the_site(address: str, ana: User) -> None:
    for client, response in (
        (posted := Client(), posted.post("/sign-in/", {"login": "ana", "password": PASSWORD, "next": address})),
        (asked := Client(), asked.post(f"/sign-in/?{urlencode({'next': address})}", {"login": "ana", "password": PASSWORD})),
    ):
        assert (response.status_code, response["Location"]) == (302, "/")
        assert is_in(client)


def test_next_leads_back_to_a_page_of_ours(ana: User, client: Client) -> None:
    response = client.post("/sign-in/", {"login": "ana", "password": PASSWORD, "next": "/account/tokens/?x=1"})
    assert response["Location"] == "/account/tokens/?x=1"


@pytest.mark.parametrize("headers", [{}, {"X-CSRFToken": "wrong"}, {"X-CSRFToken": "b" * 64}, {"Origin": "https://evil.example"}])
def test_post_without_our_token_is_refused(headers: dict[str, str], ana: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ana)
    client.get("/account/password/")
    if "Origin" in headers:
        headers = {**headers, "X-CSRFToken": client.cookies[settings.CSRF_COOKIE_NAME].value}
    assert client.post("/account/sessions/end/", headers=headers).status_code == 403
    assert is_in(client)


def test_post_with_our_token_is_taken(ana: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ana)
    client.get("/account/password/")
    token = client.cookies[settings.CSRF_COOKIE_NAME].value
    assert client.post("/account/sessions/end/", headers={"X-CSRFToken": token}).status_code == 303


def test_first_password_must_be_changed_before_anything_else(ana: User, client: Client) -> None:
    User.objects.filter(pk=ana.pk).update(must_change_password=True)
    enter(client)
    assert client.get("/account/")["Location"] == "/account/password/"
    client.post("/account/password/", {"old_password": PASSWORD, "new_password": "eight blue lamps on the quay"})
    assert is_in(client)
