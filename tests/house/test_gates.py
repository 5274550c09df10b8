"""Every address states who may knock, and keeps strangers out: TRUST Z9 and CONVENTIONS section 10."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from pain_clinic.accounts import roles

# Views of others that no decorator of ours can mark; each with what guards it.
FOREIGN = {
    "drf_spectacular.views": "SERVE_PERMISSIONS in the settings asks for the API permission",
    "django.contrib.staticfiles.views": "files without data",
}


def patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for entry in resolver.url_patterns:
        address = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from patterns(entry, address)
        else:
            yield address, entry


ALL = sorted(patterns(get_resolver()), key=lambda found: found[0])
VALUES = {"uuid": str(uuid.UUID(int=7)), "str": "x", "slug": "x", "int": "1", "path": "x", "date": "2026-09-14"}


def example(address: str) -> str:
    """Return an address that a pattern matches."""
    address = re.sub(r"\(\?P<act>(\w+)\|[^)]*\)", r"\1", address)
    address = re.sub(r"\(\?P<\w+>[^)]*\)", VALUES["uuid"], address)
    address = re.sub(r"<(?:(\w+):)?\w+>", lambda found: VALUES.get(found[1] or "str", "x"), address)
    return "/" + address.replace("^", "").replace("$", "").replace("\\Z", "").replace("\\.", ".").replace("?", "")


def is_ours(view: Any) -> bool:
    return not any(view.__module__.startswith(name) for name in FOREIGN)


def state_of(view: Any) -> str:
    if getattr(view, "is_open_to_public", ""):
        return "public"
    if getattr(view, "required_permission", ""):
        return str(view.required_permission)
    cls = getattr(view, "cls", None) or getattr(view, "view_class", None)
    needed = getattr(cls, "required", "")
    if getattr(view, "is_rest_view", False) and needed:
        return needed if isinstance(needed, str) else ",".join(sorted(needed.values()))
    return ""


def ids(found: Any) -> str:
    return found if isinstance(found, str) else ""


def test_there_are_addresses_to_walk() -> None:
    assert len(ALL) > 10


@pytest.mark.parametrize(("address", "pattern"), ALL, ids=ids)
def test_every_view_states_who_may_knock(address: str, pattern: URLPattern) -> None:
    if is_ours(pattern.callback):
        assert state_of(pattern.callback) != "", f"{address} carries neither @requires nor @open_to_public"


@pytest.mark.django_db
def test_every_stated_permission_exists_and_belongs_to_a_role() -> None:
    stated = {name for _, pattern in ALL if is_ours(pattern.callback) for name in state_of(pattern.callback).split(",")} - {
        "public",
        "",
    }
    known = {f"{p.content_type.app_label}.{p.codename}" for p in Permission.objects.select_related("content_type")}
    assert stated - known == set()
    assert stated - set(roles.PERMISSIONS) == set()


@pytest.mark.django_db
@pytest.mark.parametrize(("address", "pattern"), ALL, ids=ids)
@pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
def test_stranger_is_sent_to_sign_in_or_refused(address: str, pattern: URLPattern, method: str) -> None:
    if state_of(pattern.callback) == "public" or address.startswith("static/"):
        return
    response = getattr(Client(), method)(example(address))
    if response.status_code == 302:
        assert response["Location"].startswith("/sign-in/?next=")
    else:
        assert response.status_code in {401, 403}, f"{method} {example(address)}"


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/admin/", "/__debug__/", "/metrics", "/.git/config", "/accounts/signup/", "/sign-up/"])
def test_what_is_not_there_is_not_there(address: str) -> None:
    assert Client().get(address).status_code == 404
