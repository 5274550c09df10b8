"""Names: real ones are taken whole, and none looks like another's. TRUST I2, I3."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from pain_clinic.accounts.models import User
from patients.models import Patient
from tests import factories
from tests.database.trust import world as worlds
from tests.database.trust.typing_in import encoded
from tests.database.trust.world import World
from tests.hostile import HOSTILE, REAL_NAMES, UNSEEN, is_told_as_text


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_name_is_refused_or_kept_as_people_read_it(world: World, manager: tuple[User, Client], name: str) -> None:
    user, client = manager
    typed = {"last_name": HOSTILE[name][:110], "first_name": "Ann", "birth_date": "1960-01-02", "sex": "female",
             "language": "en", "home_site": str(world.site.pk), "accepts_email": "on"}  # fmt: skip
    before = Patient.objects.count()
    response = client.generic("POST", "/patients/new/", **encoded(typed))
    if response.status_code in {400, 422}:
        assert Patient.objects.count() == before
        return
    assert response.status_code == 303
    made = Patient.objects.latest("pk")
    assert not any(sign in made.last_name for sign in UNSEEN)
    case = worlds.booking.book(
        patient=made, procedure=world.clinic.procedure, target=worlds.booking.Target(side="left"),
        opening=worlds.opening(world.clinic, "11:00"), by=worlds.Actor.of_user(user), at=factories.NOW,
    )  # fmt: skip
    for address in (
        f"/patients/{made.public_id}/", f"/patients/{made.public_id}/edit/", f"/appointments/{case.public_id}/",
        f"/appointments/{case.public_id}/print/", f"/appointments/{case.public_id}/cancel/", "/board/?day=2026-09-15",
        f"/book/?patient={made.public_id}", "/messages/", "/",
    ):  # fmt: skip
        page = client.get(address)
        assert page.status_code == 200
        assert is_told_as_text(page.content.decode()), address
        assert client.get(address, headers={"HX-Request": "true"}).status_code == 200


@pytest.mark.parametrize(("last", "first"), REAL_NAMES)
def test_real_names_are_taken_kept_found_and_shown(world: World, manager: tuple[User, Client], last: str, first: str) -> None:
    _, client = manager
    typed = {"last_name": last, "first_name": first, "birth_date": "1960-01-02", "sex": "female", "language": "en",
             "home_site": str(world.site.pk)}  # fmt: skip
    made = client.post("/patients/new/", typed)
    assert made.status_code == 303, made.content.decode()
    kept = Patient.objects.latest("pk")
    assert (kept.last_name, kept.first_name) == (last, first)
    for words in (last, first, f"{first} {last}", last.upper()):
        found = client.post("/patients/", {"q": words}).context["page"].results.rows
        assert kept.public_id in {row.public_id for row in found}, words
        sought = client.post("/api/v1/patients/search/", json.dumps({"words": words}), content_type="application/json")
        assert str(kept.public_id) in {row["id"] for row in sought.json()["results"]}, words


def test_two_names_that_look_alike_are_the_same_name(world: World, manager: tuple[User, Client]) -> None:
    _, client = manager
    body = {"first_name": "Ann", "birth_date": "1960-01-02", "home_site": str(world.site.public_id)}

    def register(last: str) -> int:
        sent_ = json.dumps({**body, "last_name": last})
        return client.post("/api/v1/patients/", sent_, content_type="application/json").status_code

    assert register("Marlow") == 201
    assert [register(each) for each in ("Mar\u200blow", "\u202eMarlow", "Marlow\u00ad", " Marlow  ", "MARLOW")] == [409] * 5
