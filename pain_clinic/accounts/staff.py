"""Verbs on staff accounts: make them, change them, end their sessions, give and take their tokens."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.models import Group
from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import ApiToken, Site, User
from pain_clinic.accounts.roles import ROLES
from pain_clinic.audit import trail
from pain_clinic.errors import Conflict, Forbidden, Refused


class NotYourself(Refused):
    def __init__(self) -> None:
        super().__init__("staff_not_yourself", "Ask another administrator to change your own roles or to disable you.")


class MayNotManageStaff(Forbidden):
    def __init__(self) -> None:
        super().__init__("staff_may_not_manage", "Only administrators may change staff accounts.")


class NameTaken(Conflict):
    def __init__(self) -> None:
        super().__init__("username_taken", "Somebody has this name already.")


def make_password() -> str:
    """Return a first password to hand over on paper: 80 random bits, easy to read out."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(alphabet) for _ in range(4)) for _ in range(4))


def create(
    *, username: str, display_name: str, roles: Iterable[str], sites: Iterable[Site], password: str, by: Actor, at: datetime
) -> User:
    """Create a member of staff who must choose a password of their own at the first sign-in."""
    _check(by)
    with transaction.atomic():
        if User.objects.filter(username=username).exists():
            raise NameTaken
        user = User(username=username, display_name=display_name, must_change_password=True, date_joined=at)
        user.set_password(password)
        user.save()
        _give(user, roles, sites)
        trail.record(by=by, act="accounts.create_staff", subject=user, details={"roles": sorted(roles)})
    return user


def change(*, user: User, display_name: str, roles: Iterable[str], sites: Iterable[Site], by: Actor, at: datetime) -> User:
    """Change somebody's shown name, roles and sites; roles count from their next request on."""
    _check(by)
    if user.pk == by.user_id:
        raise NotYourself
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        before = sorted(user.groups.values_list("name", flat=True))
        user.display_name = display_name
        user.save(update_fields=["display_name"])
        _give(user, roles, sites)
        trail.record(by=by, act="accounts.change_staff", subject=user, details={"roles_before": before, "roles": sorted(roles)})
    return user


def disable(*, user: User, by: Actor, at: datetime) -> User:
    """Shut somebody out: sessions and tokens are dead at once."""
    _check(by)
    if user.pk == by.user_id:
        raise NotYourself
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        user.is_active = False
        user.session_epoch += 1
        user.save(update_fields=["is_active", "session_epoch"])
        revoked = user.api_tokens.filter(revoked_at=None).update(revoked_at=at)
        trail.record(by=by, act="accounts.disable_staff", subject=user, details={"tokens_revoked": revoked})
    return user


def enable(*, user: User, by: Actor, at: datetime) -> User:
    """Let somebody in again; old sessions and tokens stay dead."""
    _check(by)
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        user.is_active = True
        user.save(update_fields=["is_active"])
        trail.record(by=by, act="accounts.enable_staff", subject=user)
    return user


def set_password(*, user: User, password: str, by: Actor, at: datetime) -> User:
    """Give somebody a new first password; their sessions end."""
    _check(by)
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        user.set_password(password)
        user.must_change_password = True
        user.session_epoch += 1
        user.save(update_fields=["password", "must_change_password", "session_epoch"])
        trail.record(by=by, act="accounts.reset_password", subject=user)
    return user


def change_own_password(*, user: User, password: str, by: Actor, at: datetime) -> User:
    """Change one's own password; every session ends, and the caller signs the present one in again."""
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        user.set_password(password)
        user.must_change_password = False
        user.session_epoch += 1
        user.save(update_fields=["password", "must_change_password", "session_epoch"])
        trail.record(by=by, act="accounts.change_password", subject=user)
    return user


def end_sessions(*, user: User, by: Actor, at: datetime) -> User:
    """End all of one's sessions, this one too."""
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        user.session_epoch += 1
        user.save(update_fields=["session_epoch"])
        trail.record(by=by, act="accounts.end_sessions", subject=user)
    return user


def make_token(*, user: User, label: str, by: Actor, at: datetime) -> tuple[ApiToken, str]:
    """Return a new token and its secret, which is shown once and kept nowhere."""
    secret = ApiToken.make_secret()
    with transaction.atomic():
        token = ApiToken.objects.create(
            user=user, label=label, digest=ApiToken.digest_of(secret), hint=secret[7:13], created_at=at
        )
        trail.record(by=by, act="accounts.create_token", subject=token)
    return token, secret


def revoke_token(*, token: ApiToken, by: Actor, at: datetime) -> ApiToken:
    """Make a token useless at once. Revoking twice is fine."""
    with transaction.atomic():
        token = ApiToken.objects.select_for_update(no_key=True).get(pk=token.pk)
        if token.revoked_at is None:
            token.revoked_at = at
            token.save(update_fields=["revoked_at"])
            trail.record(by=by, act="accounts.revoke_token", subject=token)
    return token


def _check(by: Actor) -> None:
    if by.kind != "system" and not by.may("accounts.manage_staff"):
        raise MayNotManageStaff


def _give(user: User, roles: Iterable[str], sites: Iterable[Site]) -> None:
    unknown = set(roles) - set(ROLES)
    if unknown:
        raise Refused("role_unknown", f"There is no role {sorted(unknown)[0]}.")
    user.groups.set(Group.objects.filter(name__in=list(roles)))
    user.sites.set(sites)
