"""The history through the API: what the page tells, to whom the page tells it, recorded as the page is; who has seen it; and
a record opened in an emergency."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.audit.models import AuditEvent
from patients import access_lists, history, notes, records
from patients.models import Allergy, Asked, EmergencyAccess, GivenDrug, Medication
from scheduling.models import Course
from tests import factories
from tests.database.patients.history.making import Enter, fill, page_of, statements
from tests.factories import NOW, SmallClinic

Session = Callable[..., Any]
TEXT = "Unconscious in our recovery room"


def where(clinic: SmallClinic, rest: str = "history/") -> str:
    return f"/api/v1/patients/{clinic.patient.public_id}/{rest}"


def read(clinic: SmallClinic, signed_in: Enter, query: str = "") -> Any:
    answer = signed_in("physician", clinic.site).get(f"{where(clinic)}{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def call_emergency(client: Any, clinic: SmallClinic, **values: Any) -> Any:
    body = {"record_number": clinic.patient.record_number, "reason": "treating", "text": TEXT, **values}
    return client.post("/api/v1/patients/emergency/", json.dumps(body), content_type="application/json")


@pytest.fixture
def stranger(clinic: SmallClinic) -> User:
    """Return a physician of another site."""
    return factories.user(role="physician", sites=(factories.site(),), display_name="Dr. Far")


def test_it_tells_what_can_hurt_where_what_was_done_and_what_it_brought(
    clinic: SmallClinic, signed_in: Enter, session: Session, tell: Callable[..., Any]
) -> None:
    tell(Allergy, agent="latex", severity="severe")
    tell(Asked, topic="implants", asked_on=date(2026, 9, 1))
    first = session(date(2026, 3, 2), after={14: 4})
    last = session(date(2026, 6, 1), after={14: 2, 40: 6})
    tell(GivenDrug, performed=last, kind="steroid", drug="dexamethasone", dose_mg=10, given_on=last.done_on)

    told = read(clinic, signed_in)

    states = {one["kind"]: (one["state"], one["text"]) for one in told["can_hurt"]}
    assert states["allergy"] == ("hurts", "Latex (severe)")
    assert states["implant"] == ("none", "none (asked 1 Sep 2026)")
    assert states["thinner"] == ("unknown", "not asked")
    [target] = told["targets"]
    assert (target["place"], target["side"], target["count"], target["last_on"]) == ("L4-L5", "left", 2, "2026-06-01")
    assert target["relief"] == {"percent": 75, "lasted": "for 6 w", "score_count": 2}
    steroid = next(one for one in told["ledgers"] if one["name"].startswith("Steroid"))
    assert (steroid["amount"], steroid["unit"]) == (53.3, "mg methylprednisolone equivalents")
    [brought, *_] = [one["relief"] for one in told["timeline"]["results"] if one["kind"] == "procedures"]
    assert brought == target["relief"]
    kinds = [(one["kind"], one["on"], one["performed"]) for one in told["timeline"]["results"] if one["kind"] == "procedures"]
    assert kinds == [
        ("procedures", "2026-06-01", str(last.public_id)), ("procedures", "2026-03-02", str(first.public_id)),
    ]  # fmt: skip
    pain = [(one["on"], one["value"]) for one in told["series"]["pain"]]
    assert pain == [("2026-03-02", 8.0), ("2026-03-16", 4.0), ("2026-06-01", 8.0), ("2026-06-15", 2.0), ("2026-07-11", 6.0)]
    marks = [(one["on"], one["percent"], one["held_until"], one["is_open"]) for one in told["series"]["procedures"]]
    assert marks == [("2026-03-02", 50, "2026-03-16", True), ("2026-06-01", 75, "2026-07-11", False)]


def test_it_tells_the_figures_that_the_page_shows(clinic: SmallClinic, signed_in: Enter, at: datetime) -> None:
    fill(clinic, at)

    for query in ("?what=scores", "?span=5y", "?at=L4-L5&side=left", "?what=visits"):
        page, told = page_of(clinic, signed_in, query), read(clinic, signed_in, query)

        assert [(one.kind, one.text) for one in page.chips] == [(one["kind"], one["text"]) for one in told["can_hurt"]]
        assert [line.path.count(",") for line in page.chart.lines] == [len(told["series"][n]) for n in ("pain", "function")]
        assert len(page.chart.marks) == len(told["series"]["procedures"])
        assert [(one.label, one.is_over) for one in page.ledgers] == [(one["name"], one["is_over"]) for one in told["ledgers"]]
        assert page.timeline.page["total"] == told["timeline"]["count"]
        shown = [(one.on.isoformat(), one.title) for one in page.timeline.entries]
        assert shown == [(one["on"], one["title"]) for one in told["timeline"]["results"][: len(shown)]]


def test_what_is_planned_and_booked_next_stands_with_its_reasons(clinic: SmallClinic, signed_in: Enter) -> None:
    case = factories.appointment(
        of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, starts_at=NOW + timedelta(days=3),
        resources=[clinic.physician],
    )  # fmt: skip
    course = Course.objects.create(
        patient=clinic.patient, site=clinic.site, pathway="esi_as_needed", works={"epidural": clinic.procedure.code},
        since=date(2026, 9, 1), created_at=NOW,
    )  # fmt: skip
    course.plans.create(
        number=1, step="epidural", name="Epidural", state="proposed", procedure=clinic.procedure.code,
        earliest=date(2026, 10, 1), ideal=date(2026, 10, 2), latest=date(2026, 11, 1), planned_at=NOW, reasons=["Asked for"],
    )  # fmt: skip

    told = read(clinic, signed_in)["next"]

    assert [(one["case"], one["status"]) for one in told["visits"]] == [(str(case.public_id), "booked")]
    assert [(one["course"], one["is_running"], one["why"]) for one in told["courses"]] == [
        (str(course.public_id), True, ["Asked for"])
    ]


@pytest.mark.parametrize(
    ("role", "status"), [("physician", 200), ("nurse", 200), ("desk", 403), ("biller", 403), ("manager", 403), ("admin", 403)]
)
def test_clinical_content_is_given_to_those_who_care_for_patients(
    clinic: SmallClinic, signed_in: Enter, session: Session, tell: Callable[..., Any], role: str, status: int
) -> None:
    session(date(2026, 6, 1), after={14: 2})
    tell(Medication, kind="opioid", drug="oxycodone", name="Secretoxy", daily_amount=10)

    answer = signed_in(role, clinic.site).get(where(clinic))

    text, sees = answer.content.decode(), status == 200
    assert (answer.status_code, "L4-L5" in text, "Secretoxy" in text) == (status, sees, sees)


def test_it_is_recorded_in_the_same_call_as_the_page_is(clinic: SmallClinic, signed_in: Enter) -> None:
    doctor = signed_in("physician", clinic.site)
    before = AuditEvent.objects.count()

    doctor.get(f"{where(clinic)}?what=scores")

    event = AuditEvent.objects.latest("pk")
    assert AuditEvent.objects.count() == before + 1
    assert (event.act, event.patient_id, event.outcome) == (history.READ, clinic.patient.public_id, "done")


def test_another_sites_patient_is_not_there(clinic: SmallClinic, signed_in: Enter, stranger: User) -> None:
    far = signed_in("physician", user=stranger)

    assert [far.get(where(clinic, rest)).status_code for rest in ("history/", "access/")] == [404, 404]
    assert not AuditEvent.objects.filter(act__in=(history.READ, access_lists.PRINT)).exists()


@pytest.mark.parametrize("query", ["", "?what=scores&page_size=200", "?at=L4-L5&side=left", "?span=all&what=messages"])
def test_five_years_are_told_in_as_many_statements_as_five_procedures(
    clinic: SmallClinic, signed_in: Enter, session: Session, at: datetime, query: str
) -> None:
    doctor = signed_in("physician", clinic.site)
    for month in range(1, 6):
        session(date(2026, month, 2), after={14: 2})
    five = statements(doctor, f"{where(clinic)}{query}")

    fill(clinic, at)

    assert statements(doctor, f"{where(clinic)}{query}") == five


def test_the_timeline_comes_in_pages(clinic: SmallClinic, signed_in: Enter, at: datetime) -> None:
    fill(clinic, at)
    first = read(clinic, signed_in, "?what=procedures&page_size=40")["timeline"]
    doctor = signed_in("physician", clinic.site)

    second = doctor.get(first["next"]).json()["timeline"]

    assert (first["count"], len(first["results"]), len(second["results"]), second["next"]) == (60, 40, 20, None)
    assert len({one["performed"] for one in first["results"] + second["results"]}) == 60
    assert doctor.get(f"{where(clinic)}?page=9999").status_code == 404


@pytest.mark.parametrize(
    "query", ["?what=everyone", "?at=L4-L5'--", "?side=up", "?span=9y", "?page=0", "?page=x", "?page_size=201"]
)
def test_what_means_nothing_is_refused_by_its_field(clinic: SmallClinic, signed_in: Enter, query: str) -> None:
    answer = signed_in("physician", clinic.site).get(f"{where(clinic)}{query}")

    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert list(answer.json()["errors"]) == [query[1:].partition("=")[0]]
    assert not AuditEvent.objects.filter(act=history.READ).exists()


def test_what_was_recorded_by_mistake_is_nowhere_in_it(
    clinic: SmallClinic, signed_in: Enter, session: Session, doctor: Actor, at: datetime
) -> None:
    done = session(date(2026, 6, 1), after={14: 2})
    records.mark_in_error(row=done, reason="Other patient", by=doctor, at=at)

    told = read(clinic, signed_in, "?what=procedures")

    assert (told["targets"], told["series"]["procedures"], told["timeline"]["results"]) == ([], [], [])


# --- who has seen it -------------------------------------------------------------------------------------------------
def test_the_access_list_says_who_opened_the_record_on_which_day(clinic: SmallClinic, signed_in: Enter) -> None:
    near = factories.user(role="physician", sites=(clinic.site,), display_name="Dr. Near")
    signed_in("physician", user=near).get(where(clinic))
    signed_in("physician", user=near).get(f"/patients/{clinic.patient.public_id}/")

    answer = signed_in("manager", clinic.site).get(where(clinic, "access/?sort=who"))

    lines = [one for one in answer.json()["results"] if one["who"] == "Dr. Near"]
    assert lines == [{"on": "2026-09-14", "who": "Dr. Near", "what": "Opened the medical history", "count": 2}]
    assert AuditEvent.objects.filter(act=access_lists.PRINT, patient_id=clinic.patient.public_id).count() == 1


@pytest.mark.parametrize(
    ("role", "status"), [("physician", 200), ("manager", 200), ("nurse", 403), ("desk", 403), ("biller", 403)]
)
def test_who_prints_the_access_list_reads_it_here(clinic: SmallClinic, signed_in: Enter, role: str, status: int) -> None:
    assert signed_in(role, clinic.site).get(where(clinic, "access/")).status_code == status


@pytest.mark.parametrize(("query", "field"), [
    ("first_on=2026-09-15&last_on=2026-09-14", "first_on"), ("first_on=2000-01-01", "first_on"), ("first_on=x", "first_on"),
    ("sort=x", "sort"),
])  # fmt: skip
def test_the_span_of_the_list_is_checked(clinic: SmallClinic, signed_in: Enter, query: str, field: str) -> None:
    answer = signed_in("manager", clinic.site).get(where(clinic, f"access/?{query}"))

    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


# --- emergencies -----------------------------------------------------------------------------------------------------
def test_breaking_the_glass_alerts_and_opens_the_history_for_an_hour(
    clinic: SmallClinic, signed_in: Enter, session: Session, stranger: User, stand_at: Callable[[datetime], None]
) -> None:
    session(date(2026, 6, 1), after={14: 2})
    stand_at(NOW)
    far, manager = signed_in("physician", user=stranger), signed_in("manager", clinic.site)
    assert far.get(where(clinic)).status_code == 404

    answer = call_emergency(far, clinic)

    assert (answer.status_code, answer.json()["patient"]) == (201, str(clinic.patient.public_id))
    told = far.get(where(clinic))
    assert (told.status_code, told.json()["emergency_until"]) == (200, answer.json()["ends_at"])
    assert [one["place"] for one in told.json()["targets"]] == ["L4-L5"]
    assert [one.number for one in manager.get("/").context["home"].counts if "Emergencies" in one.label] == [1]
    acts = AuditEvent.objects.filter(patient_id=clinic.patient.public_id, user=stranger).order_by("pk")
    assert [(one.act, one.reason_code) for one in acts] == [("patients.break_glass", "treating"), (history.READ, "")]

    stand_at(NOW + timedelta(minutes=61))
    assert signed_in("physician", user=stranger).get(where(clinic)).status_code == 404


def test_in_an_emergency_the_record_is_read_and_kept_as_on_the_pages_and_not_after(
    clinic: SmallClinic, signed_in: Enter, session: Session, tell: Callable[..., Any], stranger: User, doctor: Actor,
    at: datetime, stand_at: Callable[[datetime], None],
) -> None:  # fmt: skip
    done, fact = session(date(2026, 6, 1), after={14: 2}), tell(Allergy, agent="latex")
    note = notes.write(performed=done, sections={"plan": "Again"}, by=doctor, at=at)
    addresses = [
        *(where(clinic, rest) for rest in ("facts/allergies/", "scores/", "performed/procedures/", "outcomes/", "notes/")),
        where(clinic, "papers/"), where(clinic, "payer-papers/"), where(clinic, "coverage/"),
        f"/api/v1/facts/allergies/{fact.public_id}/", f"/api/v1/performed/procedures/{done.public_id}/",
        f"/api/v1/notes/{note.public_id}/", f"/performed/{done.public_id}/",
    ]  # fmt: skip
    stand_at(NOW)
    far = signed_in("physician", user=stranger)
    assert {address: far.get(address).status_code for address in addresses} == dict.fromkeys(addresses, 404)

    call_emergency(far, clinic)

    assert {address: far.get(address).status_code for address in addresses} == dict.fromkeys(addresses, 200)
    new = far.post(
        where(clinic, "facts/allergies/"), json.dumps({"agent": "iodinated_contrast"}), content_type="application/json"
    )
    assert new.status_code == 201, new.content
    listed = far.get("/api/v1/patients/").json()["results"]
    assert str(clinic.patient.public_id) not in {one["id"] for one in listed}  # lists hold no more than before

    stand_at(NOW + timedelta(minutes=61))
    far = signed_in("physician", user=stranger)
    assert {address: far.get(address).status_code for address in addresses} == dict.fromkeys(addresses, 404)


@pytest.mark.parametrize(("values", "status", "code"), [
    ({"reason": "curious"}, 400, "invalid"), ({"text": "too short"}, 400, "invalid"), ({"text": " " * 40}, 400, "invalid"),
    ({"record_number": "NOBODY1"}, 422, "nobody_found"), ({"record_number": ""}, 422, "nobody_found"),
    ({"record_number": "", "first_name": "Vera", "last_name": "Marlow", "birth_date": "1958-03-03"}, 422, "nobody_found"),
])  # fmt: skip
def test_nothing_opens_without_a_reason_or_for_nobody(
    clinic: SmallClinic, signed_in: Enter, stranger: User, values: dict[str, str], status: int, code: str
) -> None:
    answer = call_emergency(signed_in("physician", user=stranger), clinic, **values)

    assert (answer.status_code, answer.json()["code"], answer["Content-Type"]) == (status, code, "application/problem+json")
    assert not EmergencyAccess.objects.exists()


def test_exact_name_and_birth_date_open_too(clinic: SmallClinic, signed_in: Enter, stranger: User) -> None:
    by_name = {"record_number": "", "first_name": "véra", "last_name": "MARLOW", "birth_date": "1958-03-02"}

    assert call_emergency(signed_in("physician", user=stranger), clinic, **by_name).status_code == 201


@pytest.mark.parametrize(("role", "status"), [("nurse", 422), ("desk", 403), ("biller", 403), ("manager", 403)])
def test_only_who_may_breaks_the_glass_and_never_into_an_own_patients_record(
    clinic: SmallClinic, signed_in: Enter, role: str, status: int
) -> None:
    answer = call_emergency(signed_in(role, clinic.site), clinic)

    assert (answer.status_code, EmergencyAccess.objects.count()) == (status, 0)


def test_tries_at_the_page_and_through_the_api_count_together(clinic: SmallClinic, signed_in: Enter, stranger: User) -> None:
    far = signed_in("physician", user=stranger)
    for n in range(5):
        call_emergency(far, clinic, record_number=f"X{n}")
        typed = {"record_number": f"Y{n}", "reason": "treating", "text": TEXT, "request_key": f"key-number-{n}"}
        far.post("/patients/emergency/", typed)

    answer = call_emergency(far, clinic)

    assert (answer.status_code, answer.json()["code"], EmergencyAccess.objects.count()) == (429, "too_many", 0)
