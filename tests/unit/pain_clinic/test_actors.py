"""Who acts: what an actor may, and under which key its requests are kept."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AnonymousUser

from pain_clinic.accounts.actors import Actor

SOMEBODY = UUID(int=7)


def test_who_is_not_signed_in_may_nothing_anywhere() -> None:
    nobody = Actor.of_user(AnonymousUser(), address="10.0.0.7", request_id="r")
    assert (nobody.kind, nobody.user_id, nobody.address, nobody.request_id) == ("anonymous", None, "10.0.0.7", "r")
    assert not nobody.may("scheduling.book_appointment")
    assert not nobody.may_at(1)


def test_the_system_works_at_every_site_and_holds_what_it_was_given() -> None:
    worker = Actor.system("planner", "scheduling.manage_messages")
    assert worker.may_at(1)
    assert (worker.may("scheduling.manage_messages"), worker.may("scheduling.book_appointment")) == (True, False)


def test_request_keys_of_different_actors_never_meet() -> None:
    keys = [
        Actor(kind="user", user_id=7, name="desk").key,
        Actor(kind="user", user_id=8, name="desk").key,
        Actor.patient(SOMEBODY).key,
        Actor.patient(UUID(int=8)).key,
        Actor.system("desk").key,
    ]
    assert keys == ["user:7", "user:8", f"patient:{SOMEBODY}", f"patient:{UUID(int=8)}", "system:desk"]
