"""Links that ask how it went: what TRUST asks of every link (L1, L3, L4, L6 to L9), asked of these with questions open."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from pain_clinic.logs import masked
from patients import records
from patients.models import PerformedProcedure, Score
from scheduling.models import Appointment, Ask, DeskTask, Link, Message
from tests import factories
from tests.database.scheduling.test_asks import address, completed, opened, press
from tests.database.scheduling.views.answers.phones import AGENTS
from tests.factories import SmallClinic


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """Return the list whose only entry is the doors' clock."""
    now: list[datetime] = [factories.NOW]
    monkeypatch.setattr("pain_clinic.web.now", lambda: now[0])
    return now


@pytest.fixture
def ask(clinic: SmallClinic, at: datetime, clock: list[datetime]) -> Ask:
    """Return a question set that is open now."""
    doctor = Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))
    completed(clinic, doctor, at)
    found = Ask.objects.get(step="score-14d")
    clock[0] = found.meant_at + timedelta(hours=1)
    return found


@pytest.fixture
def url(ask: Ask, clock: list[datetime]) -> str:
    return address(ask.appointment, ask.step, clock[0])


def everything() -> list[Any]:
    models = (Appointment, Ask, DeskTask, Link, Message, Score, AuditEvent)
    return [list(model.objects.order_by("pk").values()) for model in models]  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_looking_in_any_way_answers_nothing(ask: Ask, url: str, client: Client, method: str) -> None:
    before = everything()
    for agent in AGENTS:
        for asked in ("", f"?set={ask.public_id}", f"?ask={ask.public_id}&question=nrs.index&value=3&act=answer&confirm=1"):
            told = getattr(client, method)(f"{url}{asked}", headers={"user-agent": agent})
            assert told.status_code in {200, 204}
    assert everything() == before


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_other_methods_answer_nothing(ask: Ask, url: str, client: Client, method: str) -> None:
    before = everything()
    assert getattr(client, method)(url, {"ask": str(ask.public_id), "question": "nrs.index", "value": "3"}).status_code == 405
    assert everything() == before


def test_the_same_press_twice_is_one_answer(ask: Ask, url: str, client: Client) -> None:
    assert [press(client, url, ask, "nrs.index", 3) for _ in range(2)] == [303, 303]
    row = Score.objects.get()
    assert (row.value, row.version) == (3, 1)


def test_bad_and_late_links_get_the_page_of_every_bad_link(ask: Ask, url: str, clock: list[datetime]) -> None:
    secret = url.strip("/").rpartition("/")[2]
    flipped = secret[:-1] + ("A" if secret[-1] != "A" else "B")
    seen = [Client(REMOTE_ADDR="203.0.113.1").get(f"/l/{one}/") for one in (flipped, secret[:10], f"{secret}x" * 9)]
    clock[0] = ask.meant_at + timedelta(days=4000)
    seen.append(Client(REMOTE_ADDR="203.0.113.2").get(url))
    pages = {re.sub(r"/l/[^/\"]*/", "", answer.content.decode()) for answer in seen}

    assert {answer.status_code for answer in seen} <= {404, 410}
    assert len(pages) == 1
    assert ask.patient.first_name not in pages.pop()


def test_the_page_keeps_tells_and_loads_nothing(ask: Ask, url: str, client: Client) -> None:
    opened(client, url)
    answer = client.get(url)
    text = answer.content.decode()
    assert "How strong is the pain" in text

    assert (answer["Cache-Control"], answer["Referrer-Policy"]) == ("no-store, private", "no-referrer")
    assert "noindex" in answer["X-Robots-Tag"]
    assert answer.cookies == {}
    assert "<script" not in text
    for found in re.findall(r'(?:src|href|action)="([^"]+)"', text):
        assert found.startswith(("/static/visit.css", url, "tel:", "data:", "?lang=")), found
    for word in (ask.patient.last_name, ask.appointment.procedure.name, ask.patient.record_number):
        assert word not in text
    assert url.strip("/").rpartition("/")[2] not in masked(f"GET {url}?set={ask.public_id} 200")


def test_a_link_of_another_purpose_answers_no_question(ask: Ask, url: str, client: Client) -> None:
    for path in ("cancel/", "another-time/", "plan/", "visit.ics"):
        assert client.get(f"{url}{path}").status_code in {404, 410}
    assert not Score.objects.exists()


def test_anothers_question_is_not_answered_through_ones_own_link(ask: Ask, url: str, client: Client) -> None:
    somebody = factories.patient(home=ask.appointment.site, last_name="Other")
    theirs = factories.appointment(
        of=somebody, at_site=ask.appointment.site, for_procedure=ask.appointment.procedure, status="discharged"
    )
    strange = Ask.objects.create(
        appointment=theirs, patient=somebody, performed=ask.performed, step=ask.step, questions=ask.questions,
        meant_at=ask.meant_at, closes_at=ask.closes_at,
    )  # fmt: skip

    assert press(client, url, strange, "nrs.index", 3) == 422
    assert not Score.objects.exists()


def test_what_turned_out_not_to_have_been_done_is_not_asked_about_any_more(
    clinic: SmallClinic, ask: Ask, url: str, client: Client, clock: list[datetime]
) -> None:
    done, doctor = PerformedProcedure.objects.get(), Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))
    records.mark_in_error(row=done, reason="Another patient", by=doctor, at=clock[0])

    assert press(client, url, ask, "nrs.index", 3) == 410
    assert not Score.objects.exists()


def test_random_secrets_of_questions_are_stopped_as_those_of_visits_are(ask: Ask, url: str) -> None:
    thief = Client(REMOTE_ADDR="203.0.113.9")
    told = [thief.post(f"/l/{Link.make_secret()}/", {"ask": str(ask.public_id)}).status_code for _ in range(50)]

    assert told == [404] * 20 + [429] * 30
    assert Client(REMOTE_ADDR="203.0.113.8").get(url).status_code == 200
