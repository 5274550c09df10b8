"""Staff accounts, passwords and roles: TRUST A10, X1, Z1, Z4."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth import password_validation
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pain_clinic import web
from pain_clinic.accounts import roles, staff
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import ApiToken, User
from pain_clinic.audit.models import AuditEvent
from tests import factories

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize(
    "password",
    [
        "short8ch",
        "eleven char",
        "123456789012345",
        "password1234",
        "qwertyuiop12",
        "painclinic2026",
        "Pain Clinic 2026!",
        "P4inCl1n1c!!!!",
        "harbour-house-1",
        "ana.lucia.ana",
    ],
)
def test_poor_passwords_are_refused(password: str) -> None:
    factories.site(name="Harbour House")
    user = factories.user(username="ana.lucia")
    with pytest.raises(ValidationError):
        password_validation.validate_password(password, user)


@pytest.mark.parametrize(
    "password", ["twelve chars", "a sentence with the pain clinic in it", "🦊 " * 31 + "ab", "x" * 31 + " " + "ü" * 32]
)
def test_good_passwords_are_taken_whole(password: str) -> None:
    user = factories.user(role="desk", username="ana")
    client = Client()
    client.force_login(user)
    data = {"old_password": factories.PASSWORD, "new_password": password}
    assert client.post("/account/password/", data).status_code == 303
    user.refresh_from_db()
    assert user.check_password(password)
    assert not user.check_password(password[:-1])
    assert not user.check_password(password.strip() + "x")


def test_wrong_present_password_changes_nothing() -> None:
    user = factories.user(role="desk")
    client = Client()
    client.force_login(user)
    answer = client.post("/account/password/", {"old_password": "wrong", "new_password": "a fine new sentence"})
    assert answer.status_code == 422
    user.refresh_from_db()
    assert user.check_password(factories.PASSWORD)


# --- roles -----------------------------------------------------------------------------------------------------------
def test_permissions_file_equals_the_code() -> None:
    written = (DOCS / "permissions.csv").read_text(encoding="utf-8")
    assert written.startswith(roles.as_csv())  # what follows is role x operation: tests/database/trust/test_matrix.py


def test_every_role_has_in_the_database_what_it_has_in_the_code() -> None:
    assert roles.sync_roles()[1] == []
    for role, permissions in roles.ROLES.items():
        user = factories.user(role=role)
        assert (role, frozenset(User.objects.get(pk=user.pk).get_all_permissions())) == (role, permissions)


def test_sync_takes_away_what_the_code_does_not_give() -> None:
    roles.sync_roles()
    group = Group.objects.get(name="biller")
    group.permissions.set(Group.objects.get(name="admin").permissions.all())
    assert roles.sync_roles() == (1, [])
    assert roles.sync_roles() == (0, [])
    assert {p.codename for p in group.permissions.all()} == {name.split(".")[1] for name in roles.ROLES["biller"]}


def test_no_role_may_both_manage_staff_and_read_patients() -> None:
    assert [role for role, has in roles.ROLES.items() if {"accounts.manage_staff", "patients.view_patient"} <= has] == []


# --- the administrator's pages ---------------------------------------------------------------------------------------
@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(factories.user(role="admin", username="root"))
    return client


def test_administrator_makes_an_account_with_a_first_password(admin: Client) -> None:
    site = factories.site()
    data = {
        "username": "new.one",
        "display_name": "New One",
        "roles": ["desk", "nurse"],
        "sites": [site.pk],
        "is_superuser": "on",
        "is_staff": "on",
        "password": "chosen",
        "id": "1",
    }
    page = admin.post("/staff/new/", data)
    made = User.objects.get(username="new.one")
    assert (made.is_superuser, made.is_staff, made.must_change_password) == (False, False, True)
    assert made.check_password(page.context["secret"])
    assert sorted(made.groups.values_list("name", flat=True)) == ["desk", "nurse"]
    assert list(made.sites.all()) == [site]
    assert AuditEvent.objects.filter(act="accounts.create_staff", subject_id=made.public_id).count() == 1


@pytest.mark.parametrize("username", ["ana", "Ana B", "ana@b", "", "-ana", "ana\n", "x" * 61])
def test_unfit_names_are_refused(username: str, admin: Client) -> None:
    factories.user(username="ana")
    answer = admin.post("/staff/new/", {"username": username, "display_name": "A", "roles": ["desk"]})
    assert (answer.status_code, User.objects.count()) == (422, 2)


def test_administrator_changes_and_disables_others_but_not_themselves(admin: Client) -> None:
    other, own = factories.user(role="desk"), User.objects.get(username="root")
    assert admin.post(f"/staff/{other.public_id}/", {"display_name": "O", "roles": ["biller"]}).status_code == 303
    assert list(other.groups.values_list("name", flat=True)) == ["biller"]
    assert admin.post(f"/staff/{own.public_id}/", {"display_name": "O", "roles": ["manager"]}).status_code == 422
    assert list(own.groups.values_list("name", flat=True)) == ["admin"]
    admin.post(f"/staff/{own.public_id}/disable/")
    admin.post(f"/staff/{other.public_id}/disable/")
    assert list(User.objects.order_by("pk").values_list("is_active", flat=True)) == [True, False]
    refused = AuditEvent.objects.filter(outcome="refused", reason_code="staff_not_yourself")
    assert sorted(refused.values_list("act", flat=True)) == ["accounts.change_staff", "accounts.disable_staff"]


def test_new_first_password_ends_the_sessions(admin: Client) -> None:
    other = factories.user(role="desk")
    theirs = Client()
    theirs.force_login(other)
    assert theirs.get("/account/").status_code == 200
    secret = admin.post(f"/staff/{other.public_id}/password/").context["secret"]
    assert theirs.get("/account/").status_code == 302
    other.refresh_from_db()
    assert other.check_password(secret)


@pytest.mark.parametrize("role", sorted(set(roles.ROLES) - {"admin"}))
def test_nobody_else_manages_staff(role: str) -> None:
    other, user = factories.user(role="desk"), factories.user(role=role)
    client = Client()
    client.force_login(user)
    for address in ("/staff/", "/staff/new/", f"/staff/{other.public_id}/"):
        assert client.get(address).status_code == 403
    for act in ("disable", "enable", "password"):
        assert client.post(f"/staff/{other.public_id}/{act}/").status_code == 403
    assert AuditEvent.objects.filter(act="accounts.permission_denied", user=user).count() == 6
    assert User.objects.get(pk=other.pk).is_active
    with pytest.raises(staff.MayNotManageStaff):
        staff.disable(user=other, by=Actor.of_user(user), at=web.now())


def test_staff_page_asks_the_same_queries_for_one_and_for_many(admin: Client) -> None:
    admin.get("/staff/")
    with CaptureQueriesContext(connection) as few:
        admin.get("/staff/")
    for _ in range(3):
        factories.user(role="desk", sites=(factories.site(),))
    with CaptureQueriesContext(connection) as many:
        admin.get("/staff/")
    assert len(many) == len(few)


# --- commands --------------------------------------------------------------------------------------------------------
def test_create_token_prints_nothing_but_the_secret() -> None:
    user = factories.user(role="desk", username="ana")
    out, err = StringIO(), StringIO()
    call_command("create_token", "ana", stdout=out, stderr=err)
    assert ApiToken.objects.get().digest == ApiToken.digest_of(out.getvalue().strip())
    assert ApiToken.objects.get().user == user
    assert out.getvalue().strip() not in err.getvalue()
    with pytest.raises(CommandError, match="no active user"):
        call_command("create_token", "nobody")
