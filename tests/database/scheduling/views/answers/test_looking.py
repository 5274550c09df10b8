"""Looking never acts, and a page gives nothing away: bad links, guesses, headers, logs. TRUST L1, L6-L9."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from pain_clinic.logs import masked
from scheduling.models import Appointment, Link, LinkPurpose
from tests.database.scheduling.views.answers.phones import AGENTS, PATHS, Phone, everything, phone_for, turn_clock
from tests.factories import NOW


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_looking_in_any_way_changes_nothing(visit: Appointment, method: str) -> None:
    phones = [phone_for(visit, purpose) for purpose in LinkPurpose.values]
    before = everything()
    for phone in phones:
        for path in PATHS:
            for agent in AGENTS:
                answer = getattr(phone.client, method)(
                    f"/l/{phone.secret}/{path}?confirm=1&act=confirm&List-Unsubscribe=One-Click", headers={"user-agent": agent}
                )
                assert answer.status_code in {200, 204, 404}
    assert everything() == before


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_other_methods_are_refused(visit: Appointment, phone: Phone, method: str) -> None:
    before = everything()
    answer = getattr(phone.client, method)(f"/l/{phone.secret}/", headers={"x-http-method-override": "POST"})
    assert answer.status_code == 405
    assert everything() == before


def test_page_says_time_and_place_and_nobodys_name(visit: Appointment, phone: Phone) -> None:
    answer = phone.get()
    assert answer.status_code == 200
    for said in (
        "Monday 21 September",
        "8:45 a.m.",
        "1 Elm Street",
        "+1 518 555 0100",
        "Yes, I will come",
        '<html lang="en">',
    ):
        assert said in phone.page
    for kept in ("Vera", "Marlow", "1958", visit.procedure.name, visit.procedure.short_name, "Adler", "pain", "Pain", "epidural"):
        assert kept not in phone.page, kept


def bad_links(visit: Appointment, settings: Any, tmp_path: Path) -> dict[str, tuple[int, bytes]]:
    """Return status and page of every kind of bad link."""
    good, revoked, expired, stranger = phone_for(visit), phone_for(visit), phone_for(visit), phone_for(visit).secret
    Link.objects.filter(digest=Link.digest_of(revoked.secret)).update(revoked_at=NOW)
    Link.objects.filter(digest=Link.digest_of(expired.secret)).update(expires_at=NOW)
    told = {}
    tries = {
        "flipped": ("A" if stranger[0] != "A" else "B") + stranger[1:] + "/",
        "cut": stranger[:-2] + "/",
        "long": stranger * 60 + "/",
        "nul": stranger[:5] + "%00" + stranger[6:] + "/",
        "broken": "%ff%fe/",
        "nothing": "",
        "deeper": f"{stranger}/confirm/now/",
        "revoked": revoked.secret + "/",
        "expired": expired.secret + "/",
    }
    for name, path in tries.items():
        answer = Client().get(f"/l/{path}")
        told[name] = (answer.status_code, answer.content)
    turn_clock(settings, tmp_path, visit.leaves_at)
    told["after the visit"] = ((answer := good.get()).status_code, answer.content)
    return told


def test_every_bad_link_gets_the_same_page_without_a_name(visit: Appointment, settings: Any, tmp_path: Path) -> None:
    told = bad_links(visit, settings, tmp_path)
    assert {name: status for name, (status, _page) in told.items()} == {
        "flipped": 404, "cut": 404, "long": 404, "nul": 404, "broken": 404, "nothing": 404, "deeper": 404,
        "revoked": 410, "expired": 410, "after the visit": 410,
    }  # fmt: skip
    pages = {page for _status, page in told.values()}
    assert len(pages) == 1
    page = pages.pop().decode()
    assert "This link is no longer good" in page
    assert "Este enlace ya no sirve" in page
    for kept in ("Vera", "Marlow", visit.site.name, "Elm", "Pain Clinic"):
        assert kept not in page


@pytest.mark.parametrize("path", [*PATHS, "nowhere/"])
def test_pages_are_neither_kept_nor_indexed_nor_told_on(visit: Appointment, phone: Phone, path: str) -> None:
    answer = phone.get(path)
    assert (answer["Cache-Control"], answer["Referrer-Policy"]) == ("no-store, private", "no-referrer")
    assert "noindex" in answer["X-Robots-Tag"]
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    assert answer.cookies == {}
    for address in re.findall(r'(?:src|href|action)="([^"]+)"', phone.page):
        assert address.startswith(("/static/visit.css", f"/l/{phone.secret}/", "tel:", "data:", "?lang=")), address
    assert "<script" not in phone.page


def test_secret_is_masked_in_every_log_line(phone: Phone) -> None:
    for line in (f"GET /l/{phone.secret}/ 200", f'Referer: "https://x.example/l/{phone.secret}/cancel/"', phone.address):
        assert phone.secret not in masked(line)


def test_random_secrets_are_stopped_and_others_go_on(visit: Appointment, phone: Phone) -> None:
    thief = Client(REMOTE_ADDR="203.0.113.9")
    told = [thief.get(f"/l/{Link.make_secret()}/").status_code for _ in range(50)]
    assert told == [404] * 20 + [429] * 30
    assert thief.get(f"/l/{phone.secret}/").status_code == 429
    assert phone.get().status_code == 200
    assert Client(REMOTE_ADDR="203.0.113.9").get("/l/x/y/z").status_code == 429


def test_page_asks_the_same_few_queries_whatever_the_state(
    visit: Appointment, phone: Phone, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    with django_assert_max_num_queries(2):
        phone.get()
