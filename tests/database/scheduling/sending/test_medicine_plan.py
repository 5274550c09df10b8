"""Mails tell of the medicine plan while it is ready, and no longer: a rule, a fact or a word may take it back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection
from django.test.utils import CaptureQueriesContext
from structlog.testing import capture_logs

from pain_clinic.accounts.actors import Actor
from patients import records
from patients.models import FactChange, Medication
from procedures import tables
from procedures.models import Procedure, RuleRow
from scheduling import clearing, letters, messages, rechecking
from scheduling.messages import looking
from scheduling.models import Appointment, CaseDetails, DeskTask, Message, MessageKind
from tests import factories
from tests.database.scheduling.rules.ruling import ask_all
from tests.database.scheduling.sending.outbox import Recorder, again, case, swept, told
from tests.factories import NOW, TODAY, local

READY, CALL = "Your medicine plan is ready", "call us"
SUBJECT = "Please read before your visit on Wednesday 30 September"


@pytest.fixture
def nurse(set_clock: Any) -> Actor:
    tables.load(by=Actor.system("tests"), at=NOW)
    return Actor.of_user(factories.user(role="nurse"))


@pytest.fixture
def held(nurse: Actor) -> Appointment:
    """Return a coming case of somebody on apixaban, whose prescriber agreed, and which the patient was told of."""
    made = case()
    told(made)
    Procedure.objects.filter(pk=made.procedure_id).update(bleeding_class="intermediate")
    ask_all(made.patient)
    taken = {"kind": "antithrombotic", "drug": "apixaban", "name": "Apixaban"}
    records.record(kind=Medication, patient=made.patient, values=taken, by=nurse, at=NOW)
    answer(made, nurse)
    return made


def answer(made: Appointment, nurse: Actor, *, is_agreed: bool = True) -> None:
    said = {"drug": "apixaban", "answered_by": "Dr. Heart", "how": "fax", "by": nurse, "at": NOW}
    clearing.answer(appointment=made, is_agreed=is_agreed, **said)


def change_rule() -> None:
    """Let the table hold apixaban for longer than the prescriber agreed to."""
    row = RuleRow.objects.get(row_id="apixaban")
    row.data = row.data | {"hold_before": row.data["hold_before"] | {"intermediate": {"action": "hold", "hours": 96}}}
    row.save(update_fields=["data"])


def notices(made: Appointment) -> list[tuple[str, str]]:
    rows = Message.objects.filter(appointment=made, kind=MessageKind.PLAN_READY).order_by("pk")
    return [(row.state, row.reason) for row in rows]


def reminded(set_clock: Any, gateway: Recorder) -> str:
    """Return the text of the preparation, which leaves a week before."""
    set_clock(local(date(2026, 9, 23), "10:01"))
    assert swept(gateway) == {"sent": 1}
    return gateway.letters[-1].text


def test_a_plan_that_is_ready_is_told_once_for_each_date(held: Appointment, nurse: Actor, set_clock: Any) -> None:
    gateway = Recorder()
    assert messages.plan_ready(appointment=held, at=NOW) == messages.plan_ready(appointment=held, at=NOW, is_anew=True)
    assert swept(gateway) == {"sent": 1}
    assert gateway.letters[0].subject == SUBJECT
    answer(held, nurse)  # once more, and nothing new
    assert swept(gateway) == {}
    assert READY in reminded(set_clock, gateway)


def test_later_mails_say_nothing_of_a_plan_that_a_rule_has_taken_back(held: Appointment, set_clock: Any) -> None:
    gateway = Recorder()
    swept(gateway)
    change_rule()
    waiting = again(held, "preparation")
    assert READY not in looking.draft(message=waiting, at=NOW).text
    text = reminded(set_clock, gateway)
    assert (READY in text, CALL in text) == (False, True)


def test_the_notice_itself_does_not_leave_when_the_plan_was_taken_back_before(held: Appointment, nurse: Actor) -> None:
    change_rule()
    gateway = Recorder()
    assert swept(gateway) == {"skipped": 1}
    assert (gateway.letters, notices(held)) == ([], [("skipped", "no_plan")])
    staff = Actor.system("desk", "scheduling.view_messages")
    notice = Message.objects.get(appointment=held, kind=MessageKind.PLAN_READY)
    with pytest.raises(messages.WouldNotLeave, match="not ready any more"):
        messages.send_again(message=notice, by=staff, at=NOW)
    answer(held, nurse)  # to the new times
    assert swept(gateway) == {"sent": 1}


def test_a_plan_that_comes_to_be_ready_again_is_told_again(held: Appointment, nurse: Actor) -> None:
    gateway = Recorder()
    swept(gateway)
    change_rule()
    answer(held, nurse)
    assert swept(gateway) == {"sent": 1}
    answer(held, nurse, is_agreed=False)
    answer(held, nurse)
    assert swept(gateway) == {"sent": 1}
    assert [letter.subject for letter in gateway.letters] == [SUBJECT] * 3


def test_who_asks_to_tell_the_patient_again_does(held: Appointment, nurse: Actor) -> None:
    gateway = Recorder()
    swept(gateway)
    assert clearing.tell_again(appointment=held, by=nurse, at=NOW)
    assert clearing.tell_again(appointment=held, by=nurse, at=NOW)  # which waits already
    assert swept(gateway) == {"sent": 1}


def test_who_looked_before_the_patient_was_told_tells_nothing_twice(held: Appointment, nurse: Actor) -> None:
    gateway = Recorder()
    swept(gateway)
    seen = clearing.told_last(held)
    first = clearing.tell_again(appointment=held, by=nurse, at=NOW, shown=seen)
    waiting = clearing.told_last(held)
    assert swept(gateway) == {"sent": 1}
    for shown in (seen, waiting, ""):
        assert clearing.tell_again(appointment=held, by=nurse, at=NOW, shown=shown) == first
    assert swept(gateway) == {}
    Message.objects.filter(pk=first.pk).update(state="failed")
    second = clearing.tell_again(appointment=held, by=nurse, at=NOW, shown=waiting)  # it never arrived
    assert second != first
    assert swept(gateway) == {"sent": 1}
    third = clearing.tell_again(appointment=held, by=nurse, at=NOW, shown=clearing.told_last(held))
    assert (third == second, swept(gateway)) == (False, {"sent": 1})


def test_where_the_rules_break_down_the_mail_leaves_and_tells_of_no_plan(held: Appointment, set_clock: Any) -> None:
    gateway = Recorder()
    swept(gateway)
    break_down(held)
    assert READY not in reminded(set_clock, gateway)


def break_down(made: Appointment) -> None:
    """Let something be on file about a case on which the rules break down."""
    CaseDetails.objects.update_or_create(appointment=made, defaults={"intake": {"clear_liquids": "after lunch"}})


def unreadable(_made: Appointment) -> None:
    """Let the clinic's tables be such that nobody can read them."""
    RuleRow.objects.filter(row_id="mcr_tpi_cap").update(data={})


@pytest.mark.parametrize("trouble", [break_down, unreadable])
def test_the_notice_waits_while_nobody_knows_whether_the_plan_is_ready(
    held: Appointment, set_clock: Any, trouble: Callable[[Appointment], None]
) -> None:
    kept = RuleRow.objects.get(row_id="mcr_tpi_cap").data
    trouble(held)
    gateway = Recorder()
    with capture_logs():
        assert swept(gateway) == {"put_off": 1}
    assert (gateway.letters, notices(held)) == ([], [("due", "rules_not_asked")])

    CaseDetails.objects.filter(appointment=held).update(intake={})
    RuleRow.objects.filter(row_id="mcr_tpi_cap").update(data=kept)
    set_clock(NOW + timedelta(minutes=1))
    assert swept(gateway) == {"sent": 1}
    assert gateway.letters[0].subject == SUBJECT


def try_to_the_last(made: Appointment) -> None:
    """Let the sender try the notice until it gives up."""
    for _ in range(messages.MOST_TRIES):
        Message.objects.filter(appointment=made, kind=MessageKind.PLAN_READY).update(due_at=NOW)
        with capture_logs():
            swept()
    assert notices(made) == [("failed", "rules_not_asked")]


def calls(made: Appointment) -> int:
    return DeskTask.objects.filter(appointment=made, kind="mail_failed", done_at=None).count()


def test_rules_that_never_can_be_asked_bring_the_notice_to_the_desk_at_last(held: Appointment, set_clock: Any) -> None:
    break_down(held)
    try_to_the_last(held)
    assert calls(held) == 1


@pytest.mark.parametrize("trouble", [break_down, unreadable])
def test_a_notice_that_failed_since_nobody_could_ask_is_told_once_when_they_can(
    held: Appointment, set_clock: Any, trouble: Callable[[Appointment], None]
) -> None:
    kept, gateway = RuleRow.objects.get(row_id="mcr_tpi_cap").data, Recorder()
    trouble(held)
    try_to_the_last(held)
    with capture_logs():
        rechecking.check_all(at=NOW)
    assert notices(held) == [("failed", "rules_not_asked")]  # which is as it should be while nobody can ask

    CaseDetails.objects.filter(appointment=held).update(intake={})
    RuleRow.objects.filter(row_id="mcr_tpi_cap").update(data=kept)
    for _ in range(2):
        rechecking.recheck([held.patient_id], at=NOW)
        assert notices(held) == [("failed", "rules_not_asked"), ("due", "")]
    assert (calls(held), swept(gateway), calls(held)) == (1, {"sent": 1}, 0)
    assert [letter.subject for letter in gateway.letters] == [SUBJECT]
    rechecking.recheck([held.patient_id], at=NOW)
    assert (swept(gateway), notices(held)) == ({}, [("failed", "rules_not_asked"), ("sent", "")])


def send_again(made: Appointment) -> str:
    """Press *Send again* on the first notice; return why it would not leave, and what that is in words."""
    staff = Actor.system("desk", "scheduling.view_messages")
    notice = Message.objects.filter(appointment=made, kind=MessageKind.PLAN_READY).earliest("pk")
    with pytest.raises(messages.WouldNotLeave) as told, capture_logs():
        messages.send_again(message=notice, by=staff, at=NOW)
    return f"{told.value.details['reason']}: {told.value.message}"


@pytest.mark.parametrize("trouble", [break_down, unreadable])
def test_sending_again_says_that_nobody_can_ask_and_not_that_the_plan_is_gone(
    held: Appointment, set_clock: Any, trouble: Callable[[Appointment], None]
) -> None:
    trouble(held)
    try_to_the_last(held)
    assert send_again(held) == (
        "rules_not_asked: It would not leave: the rules could not be asked whether the medicine plan is ready."
    )


@pytest.fixture
def failed(held: Appointment) -> Message:
    """Return the notice that failed, since nobody could ask the rules, now that they can be asked."""
    break_down(held)
    try_to_the_last(held)
    CaseDetails.objects.filter(appointment=held).update(intake={})
    return Message.objects.get(appointment=held, kind=MessageKind.PLAN_READY)


def test_a_failed_notice_is_not_sent_again_after_a_newer_one(held: Appointment, failed: Message) -> None:
    rechecking.recheck([held.patient_id], at=NOW)
    assert send_again(held).startswith("superseded:")  # the newer one waits
    assert swept() == {"sent": 1}
    assert send_again(held).startswith("superseded:")  # or has left


def test_a_word_tells_what_failed_since_nobody_could_ask(held: Appointment, failed: Message, nurse: Actor) -> None:
    assert messages.plan_ready(appointment=held, at=NOW).state == "due"
    answer(held, nurse)  # once more, and nothing new
    assert (swept(), notices(held)) == ({"sent": 1}, [("failed", "rules_not_asked"), ("sent", "")])


def test_after_a_failed_notice_was_sent_again_no_newer_one_is_laid_down(held: Appointment, failed: Message) -> None:
    messages.send_again(message=failed, by=Actor.system("desk", "scheduling.view_messages"), at=NOW)
    for swept_up in ({"sent": 1}, {}):
        rechecking.recheck([held.patient_id], at=NOW)
        assert (swept(), notices(held)) == (swept_up, [("sent", "")])


def fault(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    """Let the database refuse to read what a patient takes."""
    return execute("SELECT 1 / 0", None, False, context) if "patients_medication" in sql else execute(sql, params, many, context)


def test_a_database_that_refuses_what_the_rules_read_holds_up_no_other_letter(held: Appointment, set_clock: Any) -> None:
    before, after = case(planned=False), case(planned=False)
    Message.objects.filter(appointment=after).update(priority=9)
    gateway = Recorder()
    with connection.execute_wrapper(fault), capture_logs():
        assert swept(gateway) == {"sent": 2, "put_off": 1}
    assert notices(held) == [("due", "rules_not_asked")]
    assert {again(each, "").state for each in (before, after)} == {"sent"}


def test_a_word_given_while_the_sender_looks_at_the_old_state_is_told(held: Appointment, nurse: Actor) -> None:
    change_rule()
    judge, gateway = looking.is_without_plan, Recorder()

    def answered_meanwhile(seen: looking.Seen) -> bool:
        is_without = judge(seen)
        answer(held, nurse)  # to the new times
        return is_without

    with patch.object(looking, "is_without_plan", answered_meanwhile):
        assert swept(gateway) == {"lost": 1, "sent": 1}  # it is not skipped, and so taken up again
    assert notices(held) == [("sent", "")]


def test_a_word_given_while_the_notice_is_on_its_way_sends_no_second_one(held: Appointment, nurse: Actor) -> None:
    class Meanwhile(Recorder):
        def send(self, letter: letters.Letter) -> None:
            super().send(letter)
            assert clearing.tell_again(appointment=held, by=nurse, at=NOW)

    gateway = Meanwhile()
    assert swept(gateway) == {"sent": 1}
    assert swept(gateway) == {}
    assert notices(held) == [("sent", "")]


@pytest.fixture
def lost(held: Appointment) -> Callable[[], None]:
    """Let the notice be skipped while a rule has taken the plan back; return what takes the edit of the rule back."""
    kept = RuleRow.objects.get(row_id="apixaban").data
    change_rule()
    rechecking.check_all(at=NOW)
    assert swept() == {"skipped": 1}
    rechecking.recheck([held.patient_id], at=NOW)
    assert notices(held) == [("skipped", "no_plan")]  # which is as it should be while the plan is not ready

    def undo() -> None:
        row = RuleRow.objects.get(row_id="apixaban")
        row.data = kept
        row.save(update_fields=["data"])

    return undo


def test_a_plan_that_comes_back_without_a_new_word_is_told_once(held: Appointment, lost: Callable[[], None]) -> None:
    gateway = Recorder()
    lost()
    for _ in range(2):
        rechecking.check_all(at=NOW)
        rechecking.recheck([held.patient_id], at=NOW)
        assert notices(held) == [("skipped", "no_plan"), ("due", "")]
    assert swept(gateway) == {"sent": 1}
    assert gateway.letters[0].subject == SUBJECT
    rechecking.recheck([held.patient_id], at=NOW)
    assert (swept(gateway), notices(held)) == ({}, [("skipped", "no_plan"), ("sent", "")])


def test_what_the_night_finds_ready_again_waits_for_the_morning(
    held: Appointment, lost: Callable[[], None], set_clock: Any
) -> None:
    gateway, night = Recorder(), local(TODAY + timedelta(days=1), "2:30")
    lost()
    set_clock(night)
    rechecking.check_all(at=night)
    assert swept(gateway) == {"put_off": 1}
    set_clock(local(TODAY + timedelta(days=1), "8:00"))
    assert swept(gateway) == {"sent": 1}


def test_a_notice_that_did_not_leave_has_told_nobody(held: Appointment, lost: Callable[[], None], nurse: Actor) -> None:
    lost()
    assert messages.plan_ready(appointment=held, at=NOW).state == "due"
    answer(held, nurse)  # once more, and nothing new
    assert swept() == {"sent": 1}
    assert messages.plan_ready(appointment=held, at=NOW).state == "sent"


def test_looking_for_such_notices_takes_one_statement_where_there_is_none(held: Appointment) -> None:
    swept()
    with CaptureQueriesContext(connection) as asked:
        messages.tell_returned_plans(cases=[held], at=NOW)
    assert len(asked) == 1


class TimeIsUp:
    """A worker whose time is over once it looks at a plan that may be ready again."""

    is_looking = False

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.is_looking |= "DISTINCT ON" in sql and "scheduling_message" in sql
        if self.is_looking and "patients_medication" in sql:
            raise SoftTimeLimitExceeded
        return execute(sql, params, many, context)


def test_time_that_is_over_while_looking_at_such_a_plan_ends_the_pass(held: Appointment, lost: Callable[[], None]) -> None:
    lost()
    FactChange.objects.filter(done_at=None).update(done_at=NOW)
    FactChange.objects.create(patient=held.patient, kind="medication", at=NOW)
    with connection.execute_wrapper(TimeIsUp()), capture_logs() as lines:
        assert rechecking.follow_changes(at=NOW, ended_by=(SoftTimeLimitExceeded,)) == rechecking.Asked()
    assert [line["event"] for line in lines] == ["recheck_ended"]
    assert FactChange.objects.get(done_at=None).failures == 1
    assert rechecking.follow_changes(at=NOW, ended_by=(SoftTimeLimitExceeded,)).seen == 1
    assert notices(held) == [("skipped", "no_plan"), ("due", "")]


def test_a_plan_on_which_the_rules_break_down_is_not_told_again(held: Appointment, lost: Callable[[], None]) -> None:
    lost()
    break_down(held)
    with capture_logs() as lines:
        messages.tell_returned_plans(cases=[held], at=NOW)
    assert [line["event"] for line in lines] == ["plan_broke_down"]
    assert notices(held) == [("skipped", "no_plan")]
