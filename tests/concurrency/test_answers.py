"""A patient confirms while the desk cancels: one of the two happens whole. TRUST C4; the control shows what the locks prevent."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from scheduling import answers, booking, free_time, links, openings
from scheduling.answers import Shown
from scheduling.booking import reading, staging
from scheduling.models import Allocation, Appointment, Link, LinkPurpose, Message, MessageState
from tests import factories
from tests.factories import NOW, TOMORROW, SmallClinic, local, together, transactional

pytestmark = transactional
ROUNDS = 200 if os.environ.get("CLINIC_FULL") else 10
CONTROLS = 12


@dataclass(frozen=True)
class Round:
    """One case with a link to it, and what became of it."""

    case: Appointment
    secret: str
    desk: Actor

    def confirm(self) -> Any:
        link = links.read(secret=self.secret, at=NOW)
        shown = Shown(link.appointment.version, link.appointment.calendar_sequence)
        return answers.confirm(link=link, shown=shown, by=Actor.patient(link.patient.public_id), at=NOW)

    def cancel(self) -> Any:
        case = Appointment.objects.get(pk=self.case.pk)
        return booking.cancel(appointment=case, reason="other", asked_by="clinic", by=self.desk, at=NOW, version=case.version)

    def acts(self) -> list[str]:
        found = AuditEvent.objects.filter(subject_id=self.case.public_id, outcome="done").order_by("pk")
        return [act.partition(".")[2] for act in found.values_list("act", flat=True) if act != "scheduling.book"]

    def fault(self) -> str:
        """Return what is wrong with the end, or an empty text."""
        case = Appointment.objects.get(pk=self.case.pk)
        taken = Allocation.objects.filter(appointment=case, released_at=None).exists()
        due = set(Message.objects.filter(appointment=case, state=MessageState.DUE).values_list("kind", flat=True))
        answer = Link.objects.get(digest=Link.digest_of(self.secret)).answer
        if case.status == "cancelled":
            if taken or due - {"cancellation"}:
                return f"cancelled, but taken={taken} due={due}"
            # Confirmed first, read by the desk, and cancelled then: two acts one after the other, and both are true.
            return "" if self.acts() in (["cancel"], ["confirm", "cancel"]) else f"cancelled after {self.acts()}"
        if case.status != "confirmed" or not taken or "cancellation" in due or answer != "confirmed":
            return f"{case.status}, taken={taken} due={due} answer={answer!r}"
        return "" if self.acts() == ["confirm"] else f"confirmed after {self.acts()}"


def rounds(clinic: SmallClinic, count: int) -> list[Round]:
    desk = Actor.of_user(factories.user(role="desk", sites=(clinic.site,)))
    made = []
    for number in range(count):
        patient = factories.patient(home=clinic.site, last_name=f"Patient{number}", email=f"p{number}@example.org")
        place = openings.find_openings(
            procedure=clinic.procedure, at=NOW, earliest=local(TOMORROW, "0:00") + timedelta(days=1), limit=1
        ).openings[0]
        case = booking.book(
            patient=patient, procedure=clinic.procedure, target=booking.Target(side="left"), opening=place, by=desk, at=NOW
        )
        message = Message.objects.filter(appointment=case).order_by("pk")[0]
        address = links.issue(message=message, purpose=LinkPurpose.VISIT, at=NOW)
        made.append(Round(case, address.rstrip("/").rpartition("/")[2], desk))
    return made


def test_desk_cancels_against_patient_confirms() -> None:
    clinic = factories.small_clinic()
    ends: dict[str, int] = {}
    for one in rounds(clinic, ROUNDS):
        outcomes = together(one.cancel, one.confirm)
        strange = [out for out in outcomes if isinstance(out, BaseException) and getattr(out, "code", "") not in LOST]
        assert strange == []
        assert one.fault() == ""
        status = Appointment.objects.get(pk=one.case.pk).status
        ends[status] = ends.get(status, 0) + 1
    print(f"C4: {ROUNDS} rounds, {ends}, 0 bad states")
    assert free_time.check(at=NOW) == ()


LOST = frozenset({"stale", "invalid_move", "busy"})


def test_control_without_locks_both_happen(monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = factories.small_clinic()
    both_looked = threading.Barrier(2)

    def unlocked(appointment: Appointment, version: int | None) -> Appointment:
        case = Appointment.objects.select_related("procedure", "site", "patient").get(pk=appointment.pk)
        both_looked.wait(20)
        return case

    made = rounds(clinic, CONTROLS)
    monkeypatch.setattr(reading, "LOCK", "FOR KEY SHARE OF")
    monkeypatch.setattr(staging, "locked_case", unlocked)
    for one in made:
        together(one.cancel, one.confirm)
    # Where the cancellation was written last, the end looks like two acts one after the other.
    assert any(one.fault() for one in made)


def test_two_devices_press_confirm_at_once_and_one_change_is_made() -> None:
    clinic = factories.small_clinic()
    for one in rounds(clinic, max(ROUNDS // 10, 3)):
        outcomes = together(one.confirm, one.confirm, one.confirm)
        assert sorted(out.is_new for out in outcomes) == [False, False, True]
        assert one.acts() == ["confirm"]
