"""Questions after a visit: laid down by the completion, answered on a phone by the link alone, chased when nobody answers."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client

from pain_clinic.accounts.actors import Actor
from patients.models import PerformedProcedure, Score, SessionOutcome
from procedures.models import Procedure
from scheduling import asks, cadence, links, messages, visits
from scheduling.models import Appointment, Ask, DeskTask, LinkPurpose, Message, Status
from tests import factories
from tests.factories import SmallClinic

SYSTEM = Actor.system("tests")


@pytest.fixture
def doctor(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))


def completed(clinic: SmallClinic, doctor: Actor, at: datetime, family: str = "esi") -> Appointment:
    cadence.load_defaults(by=SYSTEM, at=at)
    Procedure.objects.filter(pk=clinic.procedure.pk).update(family=family)
    clinic.procedure.refresh_from_db()
    case = factories.appointment(
        of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, resources=clinic.resources,
        starts_at=factories.local(factories.TODAY, "9:00"), status=Status.DISCHARGED, side="left",
    )  # fmt: skip
    visits.complete(appointment=case, done=visits.as_booked(case), by=doctor, at=case.leaves_at, reason="On paper")
    case.refresh_from_db()
    return case


def address(case: Appointment, step: str, at: datetime) -> str:
    message = Message.objects.create(
        appointment=case,
        patient=case.patient,
        kind="follow_up",
        step=step,
        version=1,
        due_at=at,
        created_at=at,
    )
    return "/l/" + links.issue(message=message, purpose=LinkPurpose.SCORE, at=at).rpartition("/l/")[2]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """Return the list whose only entry is the doors' clock."""
    now: list[datetime] = [factories.NOW]
    monkeypatch.setattr("pain_clinic.web.now", lambda: now[0])
    return now


def opened(client: Client, url: str) -> str:
    """Open the link, with the birth date where it is asked for, and return the page."""
    page = client.get(url).content.decode()
    if 'name="year"' in page:
        told = client.post(url, {"year": "1958", "month": "3", "day": "2"}, follow=True)
        page = told.content.decode()
    return page


def press(client: Client, url: str, ask: Ask, question: str, value: int) -> int:
    page = opened(client, url)
    found = re.search(r'name="shown" value="([^"]+)"', page)
    body = {"shown": found[1] if found else "", "ask": str(ask.public_id), "question": question, "value": str(value)}
    return client.post(url, body).status_code


def test_completing_lays_down_the_questions_of_the_table_at_its_times(clinic: SmallClinic, doctor: Actor, at: datetime) -> None:
    case = completed(clinic, doctor, at)

    rows = {row.step: row for row in Ask.objects.all()}
    assert {step: row.questions for step, row in rows.items()} == {
        "score-1d": ["adverse"],
        "score-14d": ["nrs.index", "nrs.average"],
        "score-42d": ["nrs.index", "nrs.average", "pgic.total"],
        "score-3m": ["nrs.index", "nrs.average", "percent_relief.total", "pgic.total"],
    }
    assert rows["score-14d"].meant_at == factories.local(case.local_date + timedelta(days=14), "10:00")
    assert rows["score-14d"].performed == PerformedProcedure.objects.get().public_id


def test_a_diagnostic_block_gets_a_diary(clinic: SmallClinic, doctor: Actor, at: datetime) -> None:
    case = completed(clinic, doctor, at, family="mbb_diagnostic")

    diary = list(Ask.objects.filter(step="score-0d").order_by("position"))
    assert [row.slot for row in diary] == ["15min", "30min", *(f"{n}h" for n in range(1, 9)), "bedtime", "morning"]
    assert [row.meant_at - case.ends_at for row in diary[:3]] == [timedelta(minutes=n) for n in (15, 30, 60)]


def test_an_answer_is_kept_with_each_press_and_may_be_changed(
    clinic: SmallClinic, doctor: Actor, at: datetime, client: Client, clock: list[datetime]
) -> None:
    case = completed(clinic, doctor, at)
    ask = Ask.objects.get(step="score-14d")
    clock[0] = ask.meant_at + timedelta(hours=1)
    url = address(case, "score-14d", clock[0])

    shown = client.get(url)
    assert (shown.status_code, Score.objects.count()) == (200, 0)
    assert shown["Cache-Control"]
    assert shown["Referrer-Policy"] == "no-referrer"
    words = shown.content.decode()
    assert clinic.procedure.name not in words
    assert clinic.patient.last_name not in words
    words = opened(client, url)
    assert clinic.procedure.name not in words
    assert clinic.patient.last_name not in words
    assert [press(client, url, ask, "nrs.index", value) for value in (3, 2)] == [303, 303]

    row = Score.objects.get()
    assert (row.measure, row.aspect, row.value, row.phase, row.ask) == ("nrs", "index", Decimal(2), "follow_up", ask.public_id)
    assert (row.origin, row.recorded_by, row.version, row.side) == ("patient", None, 2, "left")
    assert SessionOutcome.objects.get(performed=row.performed).score_count == 1
    ask.refresh_from_db()
    assert ask.answered_at == clock[0]


def test_a_diary_is_answered_moment_by_moment(
    clinic: SmallClinic, doctor: Actor, at: datetime, client: Client, clock: list[datetime]
) -> None:
    case = completed(clinic, doctor, at, family="mbb_diagnostic")
    first, second, third = Ask.objects.filter(step="score-0d").order_by("position")[:3]
    clock[0] = second.meant_at
    url = address(case, "score-0d", clock[0])

    assert press(client, url, first, "nrs.index", 1) == 303
    page = client.get(f"{url}?set={first.public_id}").content.decode()
    assert ("Everything here is answered" in page, f'class="next" href="{url}?set={second.public_id}"' in page) == (False, True)
    assert press(client, url, second, "nrs.index", 1) == 303
    assert "The next question comes on Monday 10:30 a.m." in client.get(f"{url}?set={second.public_id}").content.decode()
    assert press(client, url, third, "nrs.index", 1) == 409  # not yet
    assert list(Score.objects.order_by("scored_at").values_list("scored_at", "phase")) == [
        (first.meant_at, "diary"), (second.meant_at, "diary"),
    ]  # fmt: skip


@pytest.mark.parametrize(("question", "value"), [("nrs.index", 11), ("nrs.worst", 3), ("odi.total", 3), ("", 1)])
def test_what_is_not_asked_is_not_kept(
    clinic: SmallClinic, doctor: Actor, at: datetime, client: Client, clock: list[datetime], question: str, value: int
) -> None:
    case = completed(clinic, doctor, at)
    ask = Ask.objects.get(step="score-14d")
    clock[0] = ask.meant_at

    assert press(client, address(case, "score-14d", clock[0]), ask, question, value) == 422
    assert not Score.objects.exists()


def test_a_link_answers_only_its_own_questions(
    clinic: SmallClinic, doctor: Actor, at: datetime, client: Client, clock: list[datetime]
) -> None:
    case = completed(clinic, doctor, at)
    other = Ask.objects.get(step="score-14d")
    clock[0] = Ask.objects.get(step="score-42d").meant_at
    url = address(case, "score-42d", clock[0])

    assert press(client, url, other, "nrs.index", 3) == 422
    assert client.post(url, {"ask": str(other.public_id), "question": "nrs.index", "value": "3"}).status_code >= 400
    assert not Score.objects.exists()


def test_questions_and_answers_are_shown_and_taken_only_after_the_birth_date(
    clinic: SmallClinic, doctor: Actor, at: datetime, client: Client, clock: list[datetime]
) -> None:
    case = completed(clinic, doctor, at)
    ask = Ask.objects.get(step="score-14d")
    clock[0] = ask.meant_at
    url = address(case, "score-14d", clock[0])
    mark = re.search(r'name="shown" value="([^"]+)"', opened(client, url))
    assert mark
    assert press(client, url, ask, "nrs.index", 7) == 303
    assert 'class="is-chosen"' in client.get(url).content.decode()

    other = Client()  # who holds the forwarded mail
    page = other.get(url).content.decode()
    assert "Please tell us your date of birth first" in page
    for kept in ("pain", "is-chosen", "score", "Back to your visit"):
        assert kept not in page, kept
    body = {"shown": mark[1], "ask": str(ask.public_id), "question": "nrs.index", "value": "1"}
    assert other.post(url, body).status_code == 422
    assert other.post(url, {"year": "1958", "month": "3", "day": "3"}).status_code == 422
    assert Score.objects.get().value == 7


def test_proof_of_a_diary_holds_until_the_next_morning(
    clinic: SmallClinic, doctor: Actor, at: datetime, client: Client, clock: list[datetime]
) -> None:
    case = completed(clinic, doctor, at, family="mbb_diagnostic")
    url = address(case, "score-0d", clock[0])
    opened(client, url)
    cookie = client.cookies["clinic-proof"]
    last = Ask.objects.filter(step="score-0d").latest("meant_at")
    assert timedelta(seconds=int(cookie["max-age"])) > last.meant_at - case.leaves_at
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/l/")


def test_diary_says_when_the_next_question_comes_and_names_its_times_in_order(
    clinic: SmallClinic, doctor: Actor, at: datetime, client: Client, clock: list[datetime]
) -> None:
    case = completed(clinic, doctor, at, family="mbb_diagnostic")
    clock[0] = case.ends_at
    url = address(case, "score-0d", clock[0])
    page = opened(client, url)
    assert "The first question comes on Monday 9:45 a.m." in page
    first = Ask.objects.get(slot="15min")
    clock[0] = first.meant_at
    assert press(client, url, first, "nrs.index", 4) == 303
    assert "The next question comes on Monday 10:00 a.m." in opened(client, url)
    Ask.objects.filter(slot="8h").update(meant_at=factories.local(factories.TODAY, "22:30"))
    page = opened(client, url)
    assert page.index("Monday 10:00 p.m., when you go to bed") < page.index("Monday 10:30 p.m.")
    assert "Tuesday 8:00 a.m., after getting up" in page


def test_mail_of_a_diary_says_that_the_questions_come_several_times(clinic: SmallClinic, doctor: Actor, at: datetime) -> None:
    case = completed(clinic, doctor, at, family="mbb_diagnostic")
    message = Message.objects.create(
        appointment=case,
        patient=case.patient,
        kind="follow_up",
        step="score-0d",
        version=1,
        due_at=at,
        planned_at=at,
        created_at=at,
    )
    letter = messages.draft(message=message, at=at)
    assert letter.subject == "Some short questions after your visit"
    assert "several times until tomorrow morning" in letter.text
    message.step = "score-1d"
    assert messages.draft(message=message, at=at).subject == "A short question after your visit"


def test_too_late_is_said_in_words_and_nothing_is_kept(
    clinic: SmallClinic, doctor: Actor, at: datetime, client: Client, clock: list[datetime]
) -> None:
    case = completed(clinic, doctor, at)
    ask = Ask.objects.get(step="score-14d")
    clock[0] = ask.meant_at
    url = address(case, "score-14d", clock[0])
    mark = re.search(r'name="shown" value="([^"]+)"', opened(client, url))
    assert mark
    clock[0] = ask.closes_at
    body = {"shown": mark[1], "ask": str(ask.public_id), "question": "nrs.index", "value": "3"}

    assert client.post(url, body).status_code in {403, 409, 410}
    assert not Score.objects.exists()


def test_the_page_speaks_spanish(clinic: SmallClinic, doctor: Actor, at: datetime, client: Client, clock: list[datetime]) -> None:
    case = completed(clinic, doctor, at)
    clock[0] = Ask.objects.get(step="score-14d").meant_at

    page = opened(client, address(case, "score-14d", clock[0]) + "?lang=es")
    assert "0 es ningún dolor" in page
    assert 'lang="es"' in page


def test_a_worry_opens_a_call_for_the_desk(
    clinic: SmallClinic, doctor: Actor, at: datetime, client: Client, clock: list[datetime]
) -> None:
    case = completed(clinic, doctor, at)
    ask = Ask.objects.get(step="score-1d")
    clock[0] = ask.meant_at
    url = address(case, "score-1d", clock[0])

    assert press(client, url, ask, "adverse", 1) == 303
    assert DeskTask.objects.by_telephone().values_list("kind", "appointment").get() == ("unwell", case.pk)


def test_a_missing_answer_becomes_one_call_and_an_answer_none(clinic: SmallClinic, doctor: Actor, at: datetime) -> None:
    case = completed(clinic, doctor, at)
    ask = Ask.objects.get(step="score-14d")

    assert asks.chase(at=Ask.objects.get(step="score-1d").closes_at - timedelta(seconds=1)) == 0
    assert asks.chase(at=ask.closes_at) == 2  # those of the first and of the fourteenth day
    assert asks.chase(at=ask.closes_at) == 0
    assert DeskTask.objects.by_telephone().values_list("kind", "appointment").get() == ("no_answer", case.pk)


def test_a_diary_with_one_answer_is_not_chased(clinic: SmallClinic, doctor: Actor, at: datetime) -> None:
    completed(clinic, doctor, at, family="mbb_diagnostic")
    Ask.objects.filter(step="score-0d", slot="1h").update(answered_at=at)

    asks.chase(at=Ask.objects.get(slot="morning").closes_at)
    assert not DeskTask.objects.filter(reason="score-0d").exists()
