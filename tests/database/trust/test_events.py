"""What people do and are refused, through the doors: one event each, that says who, when, where from, on whom. TRUST U1."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from pain_clinic.accounts.models import User
from pain_clinic.audit.models import AuditEvent
from patients.models import Condition, Patient
from procedures.models import RuleRow
from scheduling.models import Appointment, Hold
from tests import factories
from tests.database.trust.world import World
from tests.factories import NOW, TODAY

FROM = "198.51.100.23"
Told = tuple[str, str, str, bool]  # act, outcome, reason, whether it names the patient


def clocks() -> tuple[datetime, datetime]:
    """Return when this transaction began and what the time is, by the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT now(), clock_timestamp()")
        began, now = cursor.fetchone()
    return began, now


def key() -> str:
    return uuid.uuid4().hex


class Person:
    """Somebody at a browser, and what the trail says of each thing they do."""

    def __init__(self, world: World, role: str) -> None:
        self.world = world
        self.user: User = factories.user(role=role, sites=(world.site,), username=f"{role}.seen")
        self.client = Client(REMOTE_ADDR=FROM, raise_request_exception=False)
        self.client.force_login(self.user)

    def told(self, method: str, address: str, body: Any = None, *, status: int, **more: Any) -> list[Told]:
        """Do it and return what was recorded of it."""
        since, _ = clocks()
        before, begun = AuditEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0, datetime.now(tz=UTC)
        answer = (
            getattr(self.client, method)(address, body, **more) if body is not None else getattr(self.client, method)(address)
        )
        assert answer.status_code == status, answer.content[:600]
        _, until = clocks()
        found = list(AuditEvent.objects.filter(pk__gt=before).order_by("pk"))
        for event in found:
            assert (event.user_id, event.actor_name, event.address) == (self.user.pk, self.user.username, FROM), event.act
            assert event.request_id == answer["X-Request-ID"]
            assert event.at == begun or since <= event.at <= until  # our clock stands still, the database's does not
            assert event.at.utcoffset() == timedelta(0)
        patients = {self.world.patient.public_id, *Patient.objects.values_list("public_id", flat=True)}
        return [(one.act, one.outcome, one.reason_code, one.patient_id in patients) for one in found]


@pytest.fixture
def person(world: World) -> Callable[[str], Person]:
    return lambda role: Person(world, role)


def page_of(row: Appointment | Patient, rest: str = "") -> str:
    return f"/{'appointments' if isinstance(row, Appointment) else 'patients'}/{row.public_id}/{rest}"


def test_each_reading_of_a_patient_is_one_event(world: World, person: Callable[[str], Person]) -> None:
    desk, nurse = person("desk"), person("nurse")

    assert desk.told("get", page_of(world.patient), status=200) == [("patients.read", "done", "", True)]
    assert desk.told("get", page_of(world.case), status=200) == [("scheduling.appointment_read", "done", "", True)]
    assert desk.told("get", page_of(world.case, "print/"), status=200) == [("scheduling.appointment_read", "done", "", True)]
    assert desk.told("get", page_of(world.patient, "upcoming/"), status=200) == [
        ("scheduling.patient_dates_read", "done", "", True)
    ]
    assert desk.told("get", page_of(world.patient, "messages/"), status=200) == [
        ("scheduling.patient_messages_read", "done", "", True)
    ]
    assert desk.told("post", "/patients/", {"q": "Zyxwhalen"}, status=200) == [("patients.search", "done", "", False)]
    assert nurse.told("get", page_of(world.patient, "record/"), status=200) == [("patients.read_facts", "done", "", True)]
    assert nurse.told("get", f"/notes/{world.note.public_id}/", status=200) == [("patients.read_note", "done", "", True)]
    assert desk.told("get", f"/api/v1/patients/{world.patient.public_id}/", status=200) == [("patients.read", "done", "", True)]
    assert desk.told("get", f"/api/v1/appointments/{world.case.public_id}/", status=200) == [
        ("scheduling.read", "done", "", True)
    ]


def test_each_change_of_a_patient_is_one_event_and_each_refusal_too(world: World, person: Callable[[str], Person]) -> None:
    desk = person("desk")
    typed = {
        "last_name": "Okafor", "first_name": "Amara", "birth_date": "1971-05-06", "sex": "female", "language": "en",
        "home_site": world.site.pk, "accepts_email": "on",
    }  # fmt: skip

    assert desk.told("post", "/patients/new/", {**typed, "request_key": (sent := key())}, status=303) == [
        ("patients.register", "done", "", True)
    ]
    assert desk.told("post", "/patients/new/", {**typed, "request_key": sent}, status=303) == []  # a double click is one act
    assert desk.told("post", "/patients/new/", {**typed, "request_key": key()}, status=409) == [
        ("patients.register", "refused", "possible_duplicate", False)
    ]
    made = Patient.objects.get(last_name="Okafor")
    changed = {**typed, "first_name": "Ama", "version": made.version}
    assert desk.told("post", page_of(made, "edit/"), {**changed, "request_key": key()}, status=303) == [
        ("patients.amend", "done", "", True)
    ]
    assert desk.told("post", page_of(made, "edit/"), {**changed, "first_name": "A", "request_key": key()}, status=409) == [
        ("patients.amend", "refused", "stale", True)
    ]


def test_each_act_on_a_case_is_one_event_and_each_refusal_too(world: World, person: Callable[[str], Person]) -> None:
    desk, case = person("desk"), world.case
    day = case.local_date.isoformat()

    def sent(**more: Any) -> dict[str, Any]:
        case.refresh_from_db()
        return {"version": case.version, "request_key": key(), **more}

    assert desk.told("post", page_of(case, "confirm/"), sent(), status=303) == [("scheduling.confirm", "done", "", True)]
    move = {"act": "move", "day": day, "time": "14:00", "minutes": ""}
    assert desk.told("post", page_of(case, "move/"), sent(**move), status=303) == [("scheduling.move", "done", "", True)]
    assert desk.told("post", page_of(case, "move/"), sent(**move | {"time": "3:00"}), status=422) == [
        ("scheduling.move", "refused", "not_free", True)
    ]
    cancel = {"asked_by": "patient", "reason": "transport", "text": ""}
    assert desk.told("post", page_of(case, "cancel/"), sent(**cancel, version=1), status=409) == [
        ("scheduling.cancel", "refused", "stale", True)
    ]
    assert desk.told("post", page_of(case, "cancel/"), sent(**cancel), status=303) == [
        ("scheduling.cancel", "done", "transport", True)
    ]
    assert desk.told("post", page_of(case, "reinstate/"), sent(), status=303) == [("scheduling.reinstate", "done", "", True)]


def test_a_hold_and_a_booking_are_one_event_each(world: World, person: Callable[[str], Person]) -> None:
    desk = person("desk")
    asked = {
        "patient": str(world.patient.public_id), "procedure": world.clinic.procedure.code, "side": "right", "sedation": "none",
    }  # fmt: skip
    found = desk.client.post("/book/", {**asked, "act": "look", "request_key": key()}).context["page"]
    token = next(one.token for day in found.days for one in day.openings if one.starts_at != world.case.starts_at)

    held = desk.told("post", "/book/", {**asked, "choose": token, "request_key": key()}, status=200)
    hold = Hold.objects.get(held_by=desk.user)
    booking = {**asked, "act": "book", "opening": token, "hold": str(hold.public_id), "request_key": key()}

    assert held == [("scheduling.hold", "done", "", True)]
    assert desk.told("post", "/book/", booking, status=303) == [("scheduling.book", "done", "", True)]
    assert desk.told("post", "/book/", {**booking, "hold": "", "request_key": key()}, status=409) == [
        ("scheduling.book", "refused", "slot_taken", True)
    ]


def test_what_a_role_may_not_do_is_one_event_that_says_so(world: World, person: Callable[[str], Person]) -> None:
    biller, api = person("biller"), person("nurse")

    assert biller.told("post", page_of(world.case, "cancel/"), {"version": 1}, status=403) == [
        ("accounts.permission_denied", "refused", "scheduling.cancel_appointment", False)
    ]
    assert api.told("post", "/api/v1/patients/", json.dumps({}), status=403, content_type="application/json") == [
        ("accounts.permission_denied", "refused", "patients.register_patient", False)
    ]


def test_each_change_of_what_somebody_may_is_one_event(world: World, person: Callable[[str], Person]) -> None:
    admin = person("admin")
    colleague = factories.user(role="desk", sites=(world.site,), username="col.league")
    address = f"/staff/{colleague.public_id}/"
    typed = {"username": "col.league", "display_name": "Col", "roles": ["nurse"], "sites": [world.site.pk], "is_active": "on"}

    changed = admin.told("post", address, {**typed, "act": "save", "request_key": key()}, status=303)

    assert changed == [("accounts.change_staff", "done", "", False)]
    assert set(colleague.groups.values_list("name", flat=True)) == {"nurse"}


def test_each_change_of_a_rule_and_each_reason_given_against_one_is_one_event(
    world: World, person: Callable[[str], Person]
) -> None:
    manager, physician, desk = person("manager"), person("physician"), person("desk")
    address = world.address("/rules/<uuid:public_id>/change/")
    form = manager.client.get(address).context["form"]
    typed = {name: form[name].value() for name in form.fields if form[name].value() is not None} | {"severity": "info"}

    assert manager.told("post", address, {**typed, "act": "look"}, status=200) == []
    assert manager.told("post", address, {**typed, "act": "save"}, status=303) == [("procedures.change_rule", "done", "", False)]
    assert manager.told("post", address, {**typed, "act": "save"}, status=409) == [
        ("procedures.change_rule", "refused", "stale", False)
    ]
    assert physician.told("post", address, {**typed, "act": "save"}, status=403) == [
        ("accounts.permission_denied", "refused", "procedures.change_rules", False)
    ]

    RuleRow.objects.filter(row_id="active_infection").update(is_enabled=True)
    Condition.objects.create(patient=world.patient, kind="infection", name="Infection", began_on=TODAY, recorded_at=NOW)
    mine, key_ = page_of(world.case, "rules/"), "active_infection"
    reason = {"act": "waive", "waive": key_, f"reason_{key_}": "clinical_judgement", f"text_{key_}": "Seen."}
    assert desk.told("post", mine, reason, status=422) == [("scheduling.waive", "refused", "rules_refused", True)]
    told = physician.told("post", mine, reason, status=303)
    assert [one for one in told if one[0] != "scheduling.open_tasks"] == [("scheduling.waive", "done", "", True)]


def test_reading_the_trail_is_one_event(world: World, person: Callable[[str], Person]) -> None:
    auditor = person("auditor")

    assert auditor.told("get", "/audit/", status=200) == []  # the empty form shows nothing
    assert auditor.told("get", f"/audit/?patient={world.patient.public_id}", status=200) == [("audit.view", "done", "", True)]
