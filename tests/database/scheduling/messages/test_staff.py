"""What staff do with messages: send again, read reasons, list the plan by the command."""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import Forbidden
from patients.models import Patient
from scheduling import channels, messages
from scheduling.messages import laying, looking, planning, sending, words
from scheduling.models import Appointment, BouncingAddress, Message
from tests import factories
from tests.database.scheduling.messages.office import Recorder, again, case, laid, swept
from tests.factories import NOW


def test_failed_message_can_be_sent_again_once_the_address_is_mended(db: None, set_clock: Any) -> None:
    message = laid(case(email=""))
    swept(Recorder())
    Patient.objects.update(email="new@example.org")
    staff = Actor(kind="user", user_id=None, name="desk", permissions=frozenset({"scheduling.view_messages"}))

    messages.send_again(message=message, by=staff, at=NOW)
    gateway = Recorder()

    assert swept(gateway) == {"sent": 1}
    assert [letter.to for letter in gateway.letters] == ["new@example.org"]
    assert AuditEvent.objects.filter(act="scheduling.send_message_again").count() == 1
    with pytest.raises(messages.AlreadySent) as refusal:
        messages.send_again(message=message, by=staff, at=NOW)
    assert refusal.value.code == "not_to_be_sent_again"


@pytest.mark.parametrize(
    ("values", "state", "reason", "status", "refusal"),
    [
        ({}, "failed", "address_refused_550", "booked", ""),
        ({}, "skipped", "restored", "booked", ""),
        ({}, "skipped", "merged", "booked", "merged"),
        ({}, "skipped", "too_late", "booked", "too_late"),
        ({}, "failed", "address_refused_550", "cancelled", "cancelled"),
        ({}, "failed", "address_refused_550", "arrived", "arrived"),
        ({"email": ""}, "skipped", "no_email", "booked", "no_email"),
        ({"accepts_email": False}, "skipped", "opted_out", "booked", "opted_out"),
        ({"deceased_on": date(2026, 1, 1)}, "skipped", "deceased", "booked", "deceased"),
    ],
)
def test_sending_again_is_offered_and_done_only_where_it_can_help(
    db: None, set_clock: Any, values: dict[str, Any], state: str, reason: str, status: str, refusal: str
) -> None:
    message = laid(case(**values))
    Message.objects.filter(pk=message.pk).update(state=state, reason=reason, done_at=NOW)
    Appointment.objects.filter(pk=message.appointment_id).update(
        status=status,
        **({"cancel_reason": "patient_ill", "asked_by": "patient", "cancelled_at": NOW} if refusal == "cancelled" else {}),
    )
    staff = Actor(kind="user", user_id=None, name="desk", permissions=frozenset({"scheduling.view_messages"}))

    assert again(message).may_help_again is not bool(refusal)
    if not refusal:
        assert messages.send_again(message=message, by=staff, at=NOW).state == "due"
        return
    with pytest.raises(messages.WouldNotLeave) as told:
        messages.send_again(message=message, by=staff, at=NOW)
    assert (told.value.details, again(message).state) == ({"reason": refusal}, state)


def test_sending_again_to_an_address_that_bounces_is_refused_with_the_reason(db: None, set_clock: Any) -> None:
    message = laid(case())
    Message.objects.update(state="failed", reason="bounced_5.1.1", done_at=NOW)
    BouncingAddress.objects.create(address="vera@example.org", kind="bounce", reason="5.1.1", message=message, since=NOW)
    staff = Actor(kind="user", user_id=None, name="desk", permissions=frozenset({"scheduling.view_messages"}))

    with pytest.raises(messages.WouldNotLeave) as told:
        messages.send_again(message=message, by=staff, at=NOW)
    assert told.value.message == "It would not leave: mails to this address come back."


def test_sending_again_once_the_visit_has_begun_is_refused(db: None, set_clock: Any) -> None:
    message = laid(case())
    Message.objects.update(state="failed", reason="gave_up", done_at=NOW)
    staff = Actor(kind="user", user_id=None, name="desk", permissions=frozenset({"scheduling.view_messages"}))

    with pytest.raises(messages.WouldNotLeave) as told:
        messages.send_again(message=message, by=staff, at=message.appointment.starts_at)
    assert told.value.details == {"reason": "visit_over"}


def test_sending_again_asks_for_the_permission(db: None, set_clock: Any) -> None:
    message = laid(case())

    with pytest.raises(Forbidden):
        messages.send_again(message=message, by=Actor.system("nobody"), at=NOW)


def test_every_reason_has_words() -> None:
    written = (sending, looking, laying, planning, words, channels)
    source = "".join(Path(str(module.__file__)).read_text(encoding="utf-8") for module in written)
    codes = set(re.findall(r'(?:return|reason=|else|most=|Rejected\(|PutOff\(|Unreachable\() ?f?"([a-z_]+?)(?:_\{|")', source))

    assert {"no_email", "address_invalid", "try_later"} <= codes
    assert codes - set(messages.REASONS) - {"lost", "put_off", "stopped", "unreachable", "refused"} == set()


def test_sending_is_audited_with_ids_only(db: None, set_clock: Any) -> None:
    appointment = case()
    message = laid(appointment)
    swept(Recorder())

    event = AuditEvent.objects.get(act="scheduling.send_message")

    assert (event.outcome, event.actor_kind, event.subject_id, event.patient_id) == (
        "done",
        "system",
        message.public_id,
        appointment.patient.public_id,
    )
    assert event.details == {"kind": "confirmation", "appointment": str(appointment.public_id), "tries": 1}


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("messages", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_plan_is_a_line_for_each_message_not_yet_done(db: None, set_clock: Any) -> None:
    done, waiting = case(), case()
    laid(done)
    swept(Recorder())
    laid(waiting, at=NOW)
    Message.objects.filter(appointment=done).update(done_at=NOW)

    assert run("--plan", "--as-of", "2026-09-15") == f"2026-09-14T11:00:00Z confirmation {waiting.public_id} due\n"
    assert json.loads(run("--plan", "--as-of", "2026-09-14", "--json")) == [
        {"at": "2026-09-14T11:00:00Z", "kind": "confirmation", "appointment": str(done.public_id), "state": "sent"},
        {"at": "2026-09-14T11:00:00Z", "kind": "confirmation", "appointment": str(waiting.public_id), "state": "due"},
    ]
    assert run() == "1 due, 1 sent\n"


def test_plan_of_a_day_ends_with_the_sites_own_evening(db: None, set_clock: Any) -> None:
    here, there = case(), case(site=factories.site(name="Westside", time_zone="America/Los_Angeles"))
    lines: dict[str, str] = {}
    for on, due in (
        (here, "2026-09-15T01:30:00Z"),  # still Monday evening in New York
        (here, "2026-09-15T03:59:00Z"),
        (here, "2026-09-15T04:00:00Z"),  # Tuesday there
        (there, "2026-09-15T06:59:00Z"),  # Monday evening in Los Angeles
        (there, "2026-09-15T07:00:00Z"),
    ):
        made = laid(on)
        Message.objects.filter(pk=made.pk).update(due_at=datetime.fromisoformat(due), calendar_sequence=len(lines) + 100)
        lines[due] = f"{due} confirmation {on.public_id} due\n"
    told = list(lines.values())

    assert run("--plan", "--as-of", "2026-09-13") == ""
    assert run("--plan", "--as-of", "2026-09-14") == told[0] + told[1] + told[3]
    assert run("--plan", "--as-of", "2026-09-15") == run("--plan") == "".join(told)
    assert run("--plan", "--as-of", "2026-09-14T21:30:00-04:00") == told[0]
    assert run("--plan", "--as-of", "2026-09-14T21:29:59-04:00") == ""


def test_what_went_out_in_the_evening_belongs_to_the_day_of_its_site(db: None, set_clock: Any) -> None:
    visit = case()
    message = laid(visit)
    Message.objects.filter(pk=message.pk).update(state="sent", done_at=datetime.fromisoformat("2026-09-15T01:00:00Z"))
    line = f"2026-09-14T11:00:00Z confirmation {visit.public_id} sent\n"

    assert [run("--plan", "--as-of", day) for day in ("2026-09-14", "2026-09-15")] == [line, ""]
    assert run("--plan") == ""


def test_command_sends_what_is_due(db: None, set_clock: Any) -> None:
    laid(case())

    assert run("--send") == "1 sent\n"
    assert run("--send") == "nothing due\n"


@pytest.mark.parametrize("text", ["tomorrow", "2026-13-01", "2026-09-15T09:00"])
def test_plan_refuses_an_unclear_instant(db: None, text: str) -> None:
    with pytest.raises(CommandError):
        run("--plan", "--as-of", text)
