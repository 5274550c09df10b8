"""One request sent many times: by a double click, a retry, two tabs, a colleague, a day later. TRUST C2 and C11."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from pain_clinic.accounts.models import User
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import Busy
from scheduling import booking, openings
from scheduling.api.rest import cases as door
from scheduling.models import Appointment, Message
from scheduling.views import doors
from tests import factories
from tests.concurrency.test_pairs import another_set
from tests.factories import NOW, TOMORROW, SmallClinic, local, together, transactional

pytestmark = transactional
KEY = "a-key-of-one-request"


@pytest.fixture(autouse=True)
def _now() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


def entered(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def wanted(clinic: SmallClinic, clock: str = "9:00", **values: Any) -> dict[str, Any]:
    return {
        "patient": str(clinic.patient.public_id),
        "procedure": clinic.procedure.code,
        "side": "right",
        "site": str(clinic.site.public_id),
        "starts_at": local(TOMORROW, clock).isoformat(),
        **values,
    }


def post(client: Client, body: dict[str, Any], key: str = KEY) -> Any:
    return client.post(
        "/api/v1/appointments/", json.dumps(body), content_type="application/json", headers={"Idempotency-Key": key}
    )


def test_one_key_sent_twelve_times_at_once_books_once_and_is_answered_alike() -> None:
    clinic = factories.small_clinic()
    user = factories.user(role="desk", sites=(clinic.site,))
    clients = [entered(user) for _ in range(12)]
    answers = together(*(lambda client=client: post(client, wanted(clinic)) for client in clients))

    codes = Counter(answer.status_code for answer in answers)
    assert set(codes) <= {201, 409}, codes
    assert codes[201] >= 1
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"in_progress"}
    assert Appointment.objects.count() == 1
    assert Message.objects.count() == 1
    assert AuditEvent.objects.filter(act="scheduling.book", outcome="done").count() == 1
    kept = next(answer.content for answer in answers if answer.status_code == 201)
    assert {post(client, wanted(clinic)).content for client in clients} == {kept}


def test_one_key_with_another_body_a_day_later_and_by_another_user() -> None:
    clinic = factories.small_clinic()
    another_set(clinic)
    user = factories.user(role="desk", sites=(clinic.site,))
    desk, colleague = entered(user), entered(factories.user(role="desk", sites=(clinic.site,)))
    other = factories.patient(home=clinic.site)
    first = post(desk, wanted(clinic))
    reused = post(desk, wanted(clinic, "11:00"))
    by_another = post(colleague, wanted(clinic, patient=str(other.public_id)))
    with time_machine.travel(NOW + timedelta(hours=23, minutes=59), tick=False):
        same = post(entered(user), wanted(clinic))
    with time_machine.travel(NOW + timedelta(hours=24, minutes=1), tick=False):
        day_later = post(entered(user), wanted(clinic, "14:00", side="left"))

    assert (first.status_code, by_another.status_code) == (201, 201)
    assert (reused.status_code, reused.json()["code"]) == (422, "key_reused")
    assert by_another.json()["id"] != first.json()["id"]
    assert (same.status_code, same.content) == (201, first.content)
    assert day_later.status_code == 201, day_later.content
    assert day_later.json()["id"] != first.json()["id"]
    assert Appointment.objects.count() == 3


def test_a_deadlock_under_an_api_request_is_tried_again_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = factories.small_clinic()
    desk = entered(factories.user(role="desk", sites=(clinic.site,)))
    tries: list[int] = []
    book = booking.book

    def deadlocked_twice(**values: Any) -> Appointment:
        tries.append(1)
        made = book(**values)
        if len(tries) < 3:
            raise Busy(details={"sqlstate": "40P01"})
        return made

    monkeypatch.setattr(door.booking, "book", deadlocked_twice)
    answer = post(desk, wanted(clinic))

    assert (answer.status_code, len(tries)) == (201, 3)
    assert Appointment.objects.count() == 1
    assert AuditEvent.objects.filter(act="scheduling.book").count() == 1


# --- pages -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["double click", "back and again", "two tabs"])
def test_a_form_sent_twice_books_once(how: str) -> None:
    clinic = factories.small_clinic()
    user = factories.user(role="desk", sites=(clinic.site,))
    found = openings.fit(procedure=clinic.procedure, starts_at=local(TOMORROW, "9:00"), site=clinic.site, at=NOW).opening
    assert found is not None
    form = {
        "patient": str(clinic.patient.public_id),
        "procedure": clinic.procedure.code,
        "side": "left",
        "sedation": "none",
        "act": "book",
        "opening": doors.token_of(found),
        "request_key": uuid.uuid4().hex,
    }
    forms = [form, {**form, "request_key": uuid.uuid4().hex}] if how == "two tabs" else [form, form]
    send = [lambda each=each: entered(user).post("/book/", each) for each in forms]
    answers = [act() for act in send] if how == "back and again" else together(*send)

    codes = sorted(answer.status_code for answer in answers)
    assert codes in {"double click": [[303, 303], [303, 409]], "two tabs": [[303, 409], [303, 422]]}.get(how, [[303, 303]]), codes
    assert Appointment.objects.count() == 1
    assert AuditEvent.objects.filter(act="scheduling.book", outcome="done").count() == 1
