"""Planned messages on their way: the stop switch, the common pace, who goes first, what no longer holds, calls to make."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time as times
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import requests
from anymail.exceptions import AnymailRecipientsRefused, AnymailRequestsAPIError
from django.core.management import call_command
from django.db import connection

from pain_clinic import clock
from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import sealing
from pain_clinic.audit.models import AuditEvent, AuditSeal
from pain_clinic.errors import Forbidden
from patients.models import Patient
from scheduling import cadence, channels, messages
from scheduling.channels import NotDelivered, PutOff, Rejected, Unreachable
from scheduling.letters import Letter
from scheduling.messages import switch
from scheduling.models import Appointment, DeskTask, Dispatch, Message, MessageKind
from tests import factories
from tests.factories import NOW, local, together, transactional

VISIT = date(2026, 9, 30)
MANAGER = Actor.system("manager", "scheduling.manage_messages")


class Recorder:
    """A gateway that keeps letters, or refuses them."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.letters: list[Letter] = []
        self.refusal = refusal

    def send(self, letter: Letter) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.letters.append(letter)

    def close(self) -> None:
        pass


@pytest.fixture
def set_clock(settings: Any, tmp_path: Path, db: None) -> Any:
    path = tmp_path / "clock"

    def move(to: datetime) -> None:
        path.write_text(str((to - datetime.now(tz=UTC)).total_seconds()), encoding="ascii")
        settings.CLINIC_CLOCK = str(path)

    settings.MESSAGES_PER_SECOND = 1000
    move(NOW)
    yield move
    settings.CLINIC_CLOCK = ""
    with connection.cursor() as cursor:
        clock.apply_clock(cursor)


def case(*, planned: bool = True, at: datetime = NOW, **patient: Any) -> Appointment:
    """Return a case whose confirmation is sent and whose plan waits."""
    if planned:
        cadence.load_defaults(by=MANAGER, at=NOW)
    site = factories.site()
    who = factories.patient(home=site, **{"email": "vera@example.org", **patient})
    made = factories.appointment(
        of=who, at_site=site, for_procedure=factories.procedure(needs=()), starts_at=local(VISIT, "10:00")
    )
    messages.lay_down(appointment=made, kind=MessageKind.CONFIRMATION, at=at)
    return made


def told(appointment: Appointment) -> None:
    Message.objects.filter(appointment=appointment, step="").update(state="sent")


def again(appointment: Appointment, step: str) -> Message:
    return Message.objects.get(appointment=appointment, step=step)


def swept(gateway: Any = None) -> dict[str, int]:
    return dict(messages.sweep(gateway=gateway or Recorder()))


# --- the plan on its way ---------------------------------------------------------------------------------------------


def test_planned_messages_leave_at_their_hours_and_once(set_clock: Any) -> None:
    appointment, gateway = case(), Recorder()
    told(appointment)
    subjects = []
    for moment in ("2026-09-23 10:00", "2026-09-25 16:00", "2026-09-29 16:00", "2026-09-30 8:00"):
        day, hour = moment.split()
        set_clock(local(date.fromisoformat(day), hour) - timedelta(minutes=1))
        assert swept(gateway) == {}
        set_clock(local(date.fromisoformat(day), hour) + timedelta(seconds=1))
        assert swept(gateway) == {"sent": 1}
        assert swept(gateway) == {}
        subjects.append(gateway.letters[-1].subject)

    assert subjects == [
        "How to get ready for your visit on Wednesday 30 September",
        "Please answer: your visit on Wednesday 30 September",
        "We expect you on Wednesday 30 September",
        "Your visit today at 9:45 a.m.",
    ]


@pytest.mark.parametrize(("late", "state"), [(timedelta(hours=23), "sent"), (timedelta(hours=25), "skipped")])
def test_planned_message_is_sent_late_while_it_is_still_useful(set_clock: Any, late: timedelta, state: str) -> None:
    appointment = case()
    told(appointment)
    set_clock(local(date(2026, 9, 23), "10:00") + late)

    swept()

    assert again(appointment, "preparation").state == state


def test_worker_away_into_the_night_sends_nothing_at_three_in_the_morning(set_clock: Any) -> None:
    appointment = case()
    told(appointment)
    set_clock(local(date(2026, 9, 30), "3:00"))

    assert swept()["put_off"] == 1
    reminder = again(appointment, "reminder-1")
    assert (reminder.state, reminder.reason, reminder.due_at) == ("due", "quiet_hours", local(VISIT, "8:00"))
    assert reminder.planned_at == local(date(2026, 9, 29), "16:00")


def test_reminder_of_the_next_day_takes_the_place_of_one_that_is_late(set_clock: Any) -> None:
    appointment, gateway = case(), Recorder()
    told(appointment)
    Message.objects.filter(step="reminder-3").update(
        planned_at=local(date(2026, 9, 29), "9:00"), due_at=local(date(2026, 9, 29), "9:00")
    )
    set_clock(local(date(2026, 9, 29), "16:30"))

    swept(gateway)

    assert again(appointment, "reminder-3").reason == "overtaken"
    assert [letter.subject for letter in gateway.letters if "expect" in letter.subject] == [
        "We expect you on Wednesday 30 September"
    ]


def test_late_reminder_asks_whoever_has_not_answered(set_clock: Any) -> None:
    appointment, gateway = case(), Recorder()
    told(appointment)
    set_clock(local(date(2026, 9, 29), "16:01"))

    swept(gateway)

    assert "https://" in gateway.letters[-1].text or "http://" in gateway.letters[-1].text
    assert "Please tell us that you will come" in gateway.letters[-1].text


def test_confirmation_that_merges_the_reminder_asks_and_one_that_does_not_offers(set_clock: Any) -> None:
    case()
    set_clock(local(date(2026, 9, 28), "9:00"))
    near = case(at=local(date(2026, 9, 28), "9:00"))
    gateway = Recorder()
    set_clock(local(date(2026, 9, 28), "9:01"))

    swept(gateway)

    assert again(near, "reminder-3").reason == "merged"
    texts = {letter.message_id: letter.text for letter in gateway.letters}
    merged = next(text for text in texts.values() if "Please tell us that you will come, or that you cannot:" in text)
    offered = next(text for text in texts.values() if "To say that you will come, to cancel or to ask for another time:" in text)
    assert "Your visit is booked." in merged
    assert "Your visit is booked." in offered


# --- the stop switch -------------------------------------------------------------------------------------------------


def test_nothing_leaves_while_sending_is_stopped_and_all_leaves_afterwards(set_clock: Any) -> None:
    case()
    messages.stop(reason="wrong address in the template", by=MANAGER, at=NOW)

    assert (messages.claim_due(), swept()) == ((), {})
    row = messages.state()
    assert (row.is_stopped, row.reason) == (True, "wrong address in the template")

    messages.resume(by=MANAGER, at=NOW)
    assert swept() == {"sent": 1}


def test_stop_in_the_middle_of_a_sweep_gives_the_rest_back_untouched(set_clock: Any) -> None:
    first, second = case(planned=False), case(planned=False)

    class Stopping(Recorder):
        def send(self, letter: Letter) -> None:
            super().send(letter)
            messages.stop(reason="", by=MANAGER, at=NOW)

    assert swept(Stopping()) == {"sent": 1, "stopped": 1}
    rows = Message.objects.filter(appointment__in=(first, second), state="due")
    assert [(row.attempts, row.lease_token) for row in rows] == [(0, None)]


def test_stopping_asks_for_the_permission(set_clock: Any) -> None:
    with pytest.raises(Forbidden):
        messages.stop(reason="", by=Actor.system("nobody"), at=NOW)
    assert not Dispatch.objects.filter(is_stopped=True).exists()


# --- the common pace -------------------------------------------------------------------------------------------------


@transactional
def test_two_workers_at_once_keep_one_pace(set_clock: Any) -> None:
    began = times.monotonic()

    def worker() -> None:
        for _ in range(10):
            wait = switch.wait_before_next(20)
            assert wait is not None
            times.sleep(wait)

    together(worker, worker)

    assert 0.90 <= times.monotonic() - began < 3  # twenty sends at 20 a second, not ten


@transactional
def test_control_two_workers_with_a_pace_each_are_twice_as_fast(set_clock: Any) -> None:
    began = times.monotonic()

    def worker() -> None:
        for _ in range(10):
            times.sleep(1 / 20)

    together(worker, worker)

    assert times.monotonic() - began < 0.9


def test_pace_left_far_ahead_by_a_clock_that_was_wrong_is_caught_up_with(db: None) -> None:
    Dispatch.objects.create(pk=Dispatch.ONLY, next_at=datetime.now(tz=UTC) + timedelta(days=1))

    wait = switch.wait_before_next(10)

    assert wait is not None
    assert wait <= 5


def test_booking_mail_waits_for_no_pile_of_reminders(set_clock: Any, settings: Any) -> None:
    set_clock(local(date(2026, 9, 14), "9:00"))
    pile = [case(planned=False) for _ in range(12)]
    Message.objects.update(kind="reminder", priority=5)
    late: list[Appointment] = []

    class Booking(Recorder):
        def send(self, letter: Letter) -> None:
            super().send(letter)
            if len(self.letters) == 3:
                late.append(case(planned=False, first_name="Late"))

    gateway = Booking()
    settings.MESSAGES_PER_SECOND = 5
    swept(gateway)

    place = [letter.text.startswith("Dear Late") for letter in gateway.letters].index(True)
    assert place <= 3 + 5 * 2
    assert place < len(pile)


# --- calls for the desk ----------------------------------------------------------------------------------------------


def calls(appointment: Appointment) -> list[tuple[str, str, bool]]:
    rows = DeskTask.objects.filter(appointment=appointment).order_by("pk")
    return [(row.kind, row.reason, row.done_at is None) for row in rows]


def test_patient_without_address_becomes_a_call_at_once_and_one_only(set_clock: Any) -> None:
    appointment = case(email="")
    set_clock(local(date(2026, 9, 23), "10:01"))

    assert swept() == {"skipped": 1}
    assert again(appointment, "preparation").reason == "no_email"
    assert calls(appointment) == [("no_email", "no_email", True)]


def test_refused_address_becomes_a_call_and_a_later_mail_that_arrives_takes_it_back(set_clock: Any) -> None:
    appointment = case()
    swept(Recorder(Rejected("address_refused_550")))
    assert calls(appointment) == [("mail_failed", "address_refused_550", True)]

    Patient.objects.update(email="new@example.org")
    staff = Actor.system("desk", "scheduling.view_messages")
    failed = Message.objects.get(appointment=appointment, step="")
    messages.send_again(message=failed, by=staff, at=NOW)
    assert swept() == {"sent": 1}
    assert calls(appointment) == [("mail_failed", "address_refused_550", False)]


def test_kept_text_names_no_link(set_clock: Any) -> None:
    appointment, gateway = case(), Recorder()
    swept(gateway)

    kept = Message.objects.get(appointment=appointment, step="").text
    assert "/l/***/" in kept
    assert "/l/***/" not in gateway.letters[0].text


def test_medicine_plan_is_told_once_for_each_date(set_clock: Any) -> None:
    appointment, gateway = case(), Recorder()
    told(appointment)
    first, second = messages.plan_ready(appointment=appointment, at=NOW), messages.plan_ready(appointment=appointment, at=NOW)
    assert first == second

    assert swept(gateway) == {"sent": 1}
    assert gateway.letters[0].subject == "Please read before your visit on Wednesday 30 September"
    set_clock(local(date(2026, 9, 23), "10:01"))
    swept(gateway)
    assert "Your medicine plan is ready" in gateway.letters[1].text


# --- providers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (401, Unreachable, "server_refuses_us"),
        (429, PutOff, "try_later_429"),
        (503, PutOff, "try_later_503"),
        (422, Rejected, "mail_refused_422"),
        (None, PutOff, "connection_lost"),
    ],
)
def test_providers_answer_means_what_a_servers_would(status: int | None, kind: type[NotDelivered], reason: str) -> None:
    error = AnymailRequestsAPIError("no")
    error.status_code = status

    found = channels._meaning_of_provider(error)

    assert (type(found), found.reason) == (kind, reason)


def test_provider_refuses_a_recipient_for_good() -> None:
    assert channels._meaning_of_provider(AnymailRecipientsRefused("no")).reason == "address_refused"


@pytest.mark.parametrize(
    ("url", "backend", "keys"),
    [
        ("postmark://abc@", "anymail.backends.postmark.EmailBackend", {"POSTMARK_SERVER_TOKEN": "abc"}),
        ("mailjet://a%2Fb:c@", "anymail.backends.mailjet.EmailBackend", {"MAILJET_API_KEY": "a/b", "MAILJET_SECRET_KEY": "c"}),
        ("smtp://u:p@mail.example:25", "django.core.mail.backends.smtp.EmailBackend", {}),
    ],
)
def test_provider_is_chosen_by_the_address_of_the_mail_service(url: str, backend: str, keys: dict[str, str]) -> None:
    script = "from pain_clinic import settings as s; import json; print(json.dumps([s.EMAIL_BACKEND, s.ANYMAIL]))"
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "EMAIL_URL": url}, capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout) == [backend, {"REQUESTS_TIMEOUT": 12, **keys}]


@pytest.mark.parametrize("name", ["brevo", "mailjet", "postmark", "sparkpost"])
def test_every_provider_takes_the_mail_with_our_own_id(
    name: str, settings: Any, set_clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider's door itself, up to the request that it would make."""
    settings.ANYMAIL = {
        "BREVO_API_KEY": "k", "MAILJET_API_KEY": "k", "MAILJET_SECRET_KEY": "s", "POSTMARK_SERVER_TOKEN": "k",
        "SPARKPOST_API_KEY": "k", "REQUESTS_TIMEOUT": 1,
    }  # fmt: skip
    settings.EMAIL_BACKEND = f"anymail.backends.{name}.EmailBackend"
    appointment, asked = case(planned=False), []

    def taken(self: Any, method: str, url: str, **given: Any) -> Any:
        asked.append((url, str(given.get("data") or given.get("json"))))
        answer = requests.Response()
        answer.status_code = 503
        answer._content = b"{}"
        return answer

    monkeypatch.setattr(requests.Session, "request", taken)
    message = Message.objects.get(appointment=appointment)

    assert dict(messages.sweep()) == {"put_off": 1}
    message.refresh_from_db()
    assert (message.state, message.reason) == ("due", "try_later_503")
    # Once as the Message-ID, once as what the provider gives back with a bounce.
    assert asked[0][1].count(str(message.public_id)) >= 2


# --- after a restore -------------------------------------------------------------------------------------------------


def test_database_older_than_the_trails_newest_seal_keeps_back_what_was_due_before_it(
    set_clock: Any, settings: Any, tmp_path: Path
) -> None:
    settings.AUDIT_HEAD_FILE = str(tmp_path / "head")
    old, new = case(planned=False), case(planned=False, at=NOW)
    Message.objects.filter(appointment=old).update(due_at=NOW - timedelta(hours=2))
    Message.objects.filter(appointment=new).update(due_at=NOW - timedelta(minutes=1))
    sealed_at = NOW - timedelta(hours=1)
    Path(settings.AUDIT_HEAD_FILE).write_text(sealing.head_line(AuditSeal.objects.count() + 5, "a" * 64, sealed_at))

    assert swept() == {"sent": 1}

    assert list(Message.objects.order_by("pk").values_list("state", "reason")) == [("skipped", "restored"), ("sent", "")]
    event = AuditEvent.objects.get(act="scheduling.skip_after_restore")
    assert event.details == {"messages": 1, "until": sealed_at.isoformat()}


def test_database_that_holds_the_newest_seal_sends_what_is_due(set_clock: Any, settings: Any, tmp_path: Path) -> None:
    settings.AUDIT_HEAD_FILE = str(tmp_path / "head")
    case(planned=False)
    sealing.seal()

    assert sealing.known_beyond() is None
    assert swept() == {"sent": 1}


def test_operator_without_the_head_file_keeps_back_by_command(set_clock: Any) -> None:
    made, said = case(), StringIO()

    call_command("messages", "--restored", stdout=said)

    assert said.getvalue() == "1 messages left to the desk\n"
    assert swept() == {}
    assert Message.objects.get(appointment=made, step="").state == "skipped"
    assert Message.objects.filter(appointment=made, state="due").count() == 4
