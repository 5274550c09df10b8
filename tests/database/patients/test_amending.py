"""What was done is amended with its reason, never overwritten, and signed; the loser of two sees what the other did."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import DomainError, Forbidden
from patients import amending, notes, outcomes, records
from patients.amending import Drug, Harm
from patients.models import Amendment, ClinicalNote, Complication, GivenDrug, PerformedProcedure, Phase, SessionOutcome
from tests import factories
from tests.factories import SmallClinic

Enter = Callable[..., Client]


@pytest.fixture
def physician(clinic: SmallClinic) -> User:
    return factories.user(role="physician", sites=(clinic.site,), display_name="Dr. Marsh")


@pytest.fixture
def doctor(physician: User) -> Actor:
    return Actor.of_user(physician)


@pytest.fixture
def nurse(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="nurse", sites=(clinic.site,), display_name="Kim Osei"))


@pytest.fixture
def done(clinic: SmallClinic, doctor: Actor, at: datetime) -> PerformedProcedure:
    values = {
        "procedure": clinic.procedure, "site": clinic.site, "done_on": date(2026, 9, 1), "side": "left",
        "guidance": "fluoroscopy", "operator_name": "Dr. Adler", "levels": ["L4-L5"],
    }  # fmt: skip
    row = records.record(kind=PerformedProcedure, patient=clinic.patient, values=values, by=doctor, at=at)
    given = {"performed": row, "kind": "steroid", "drug": "dexamethasone", "dose_mg": Decimal(10), "given_on": row.done_on}
    records.record(kind=GivenDrug, patient=clinic.patient, values=given, by=doctor, at=at)
    note = notes.write(performed=row, sections={"plan": "See in two weeks"}, by=doctor, at=at)
    notes.sign(note=note, by=doctor, at=at)
    return row


def amend(done: PerformedProcedure, by: Actor, at: datetime, **values: Any) -> Amendment:
    told = {"changes": {"side": "right"}, "reason": "Typed the wrong side", "version": done.version, **values}
    return amending.amend(performed=done, by=by, at=at, **told)


def history_of(done: PerformedProcedure) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT side, version FROM patients_performedprocedureevent WHERE id = %s ORDER BY pgh_id", [done.pk])
        return cursor.fetchall()


def test_an_amendment_says_what_was_what_is_and_why(done: PerformedProcedure, doctor: Actor, at: datetime) -> None:
    made = amend(done, doctor, at, is_signed=True)

    done.refresh_from_db()
    assert (done.side, done.version) == ("right", 2)
    assert (made.changes, made.reason) == ([["Side", "left", "right"]], "Typed the wrong side")
    assert (made.signed_by_id, made.signed_at, made.recorded_by_id) == (doctor.user_id, at, doctor.user_id)
    assert history_of(done)[0] == ("left", 1)
    assert history_of(done)[-1] == ("right", 2)
    event = AuditEvent.objects.get(act="patients.record_amendment")
    assert "right" not in str(event.details)


def test_a_signed_note_stays_as_it_was_signed(done: PerformedProcedure, doctor: Actor, at: datetime) -> None:
    before = ClinicalNote.objects.values().get()
    amend(done, doctor, at)

    assert ClinicalNote.objects.values().get() == before


def test_drugs_are_changed_added_and_taken_back_with_the_ledger(done: PerformedProcedure, doctor: Actor, at: datetime) -> None:
    row = GivenDrug.objects.get()
    other = Drug("local_anaesthetic", "lidocaine", None, Decimal(2))
    made = amend(done, doctor, at, changes={}, drugs=(Drug(row.kind, row.drug, Decimal(4), None, row), other))

    assert made.changes == [["Drug", "dexamethasone 10 mg", "dexamethasone 4 mg"], ["Drug", "", "lidocaine 2 mL"]]
    done.refresh_from_db()
    assert done.version == 2
    last = amend(done, doctor, at, changes={}, drugs=())
    assert [change[1:] for change in last.changes] == [["dexamethasone 4 mg", ""], ["lidocaine 2 mL", ""]]
    assert list(GivenDrug.objects.order_by("is_in_error").values_list("is_in_error", "error_reason").distinct()) == [
        (True, "Amended: it was not given.")
    ]


def test_a_complication_that_came_up_later_is_added(done: PerformedProcedure, nurse: Actor, at: datetime) -> None:
    made = amend(done, nurse, at, changes={}, harms=(Harm("headache", "moderate", date(2026, 9, 3), "Blood patch"),))

    row = Complication.objects.get(performed=done)
    assert (row.kind, row.noticed_on, row.outcome) == ("headache", date(2026, 9, 3), "Blood patch")
    assert made.changes == [["Complication", "", "Headache after it, moderate"]]


def test_another_role_lets_scores_say_something_else(done: PerformedProcedure, doctor: Actor, at: datetime) -> None:
    for value, phase in ((Decimal(8), Phase.BEFORE), (Decimal(2), Phase.AFTER)):
        told = {"measure": "nrs", "aspect": "index", "value": value, "scored_on": done.done_on, "phase": phase, "performed": done}
        outcomes.record_score(patient=done.patient, values=told, by=doctor, at=at)
    amend(done, doctor, at, changes={"role": "diagnostic"})

    assert SessionOutcome.objects.get(performed=done).later_best_pct == 75


def test_a_nurse_amends_and_a_physician_signs_it(done: PerformedProcedure, nurse: Actor, doctor: Actor, at: datetime) -> None:
    made = amend(done, nurse, at)
    with pytest.raises(Forbidden):
        amending.sign(amendment=made, by=nurse, at=at)
    signed = amending.sign(amendment=made, by=doctor, at=at)
    again = amending.sign(amendment=made, by=doctor, at=at)

    assert (signed.signed_by_id, signed.version, again.version) == (doctor.user_id, 2, 2)


def test_what_another_has_signed_is_not_signed_again(
    clinic: SmallClinic, done: PerformedProcedure, nurse: Actor, doctor: Actor, at: datetime
) -> None:
    made = amending.sign(amendment=amend(done, nurse, at), by=doctor, at=at)
    colleague = Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))

    with pytest.raises(amending.AmendmentSigned):
        amending.sign(amendment=made, by=colleague, at=at)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"reason": "  "}, "missing"),
        ({"changes": {"side": "left"}}, "nothing_differs"),
        ({"changes": {"done_on": date(2026, 8, 1)}}, "field_unknown"),
        ({"changes": {"fluoroscopy_seconds": -4}}, "unusable"),
        ({"version": 7}, "stale"),
    ],
)
def test_what_cannot_be_amended_is_refused_and_nothing_changes(
    values: dict[str, Any], code: str, done: PerformedProcedure, doctor: Actor, at: datetime
) -> None:
    with pytest.raises(DomainError) as refusal:
        amend(done, doctor, at, **values)

    assert refusal.value.code == code
    assert not Amendment.objects.exists()
    done.refresh_from_db()
    assert (done.side, done.version) == ("left", 1)


def test_who_may_not_is_refused(clinic: SmallClinic, done: PerformedProcedure, nurse: Actor, by: Actor, at: datetime) -> None:
    with pytest.raises(records.MayNotRecord):
        amend(done, by, at)
    with pytest.raises(Forbidden):
        amend(done, nurse, at, is_signed=True)


def test_a_drug_of_another_procedure_is_refused(
    clinic: SmallClinic, done: PerformedProcedure, doctor: Actor, at: datetime
) -> None:
    values = {"procedure": clinic.procedure, "site": clinic.site, "done_on": date(2026, 9, 2)}
    other = records.record(kind=PerformedProcedure, patient=clinic.patient, values=values, by=doctor, at=at)

    with pytest.raises(records.FieldRefused):
        amend(other, doctor, at, changes={}, drugs=(Drug("steroid", "dexamethasone", None, None, GivenDrug.objects.get()),))


# --- the page ----------------------------------------------------------------------------------------------------------


def form_of(client: Client, done: PerformedProcedure) -> dict[str, Any]:
    """Return what the page's form would send as it stands."""
    form = client.get(reverse("patients:performed", args=[done.public_id])).context["form"]
    found = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in found.items() if value not in (None, False, "")} | {"request_key": "k" * 16}


def test_a_physician_amends_and_signs_on_one_page(
    clinic: SmallClinic, done: PerformedProcedure, physician: User, signed_in: Enter
) -> None:
    client = signed_in("physician", user=physician)
    address = reverse("patients:performed", args=[done.public_id])
    typed = form_of(client, done) | {"side": "right", "dose_0": "8", "reason": "Wrong side and dose"}

    told = client.post(address, typed)

    assert (told.status_code, told["Location"]) == (303, address)
    made = Amendment.objects.get()
    assert made.changes == [["Side", "left", "right"], ["Drug", "dexamethasone 10 mg", "dexamethasone 8 mg"]]
    assert made.signed_by_id == physician.pk
    page = client.get(address).content.decode()
    assert "Wrong side and dose" in page
    assert "Signed by Dr. Marsh" in page
    note = client.get(reverse("patients:note", args=[ClinicalNote.objects.get().public_id])).content.decode()
    assert "Amended since" in note
    assert client.post(address, typed).status_code == 303  # the same press again
    assert Amendment.objects.count() == 1


def test_the_form_as_it_stands_amends_nothing(done: PerformedProcedure, physician: User, signed_in: Enter) -> None:
    client = signed_in("physician", user=physician)
    told = client.post(reverse("patients:performed", args=[done.public_id]), form_of(client, done) | {"reason": "x"})

    assert told.status_code == 409
    assert "Nothing is different" in told.content.decode()
    assert not Amendment.objects.exists()


def test_who_comes_second_sees_what_the_other_did_and_loses_nothing_typed(
    done: PerformedProcedure, physician: User, nurse: Actor, signed_in: Enter, at: datetime
) -> None:
    client = signed_in("physician", user=physician)
    address = reverse("patients:performed", args=[done.public_id])
    typed = form_of(client, done) | {"note": "Radicular pattern", "reason": "Remark was missing"}
    amend(done, nurse, at, changes={"sedation": "minimal"}, reason="Sedation was given")

    told = client.post(address, typed)
    page = told.content.decode()

    assert told.status_code == 409
    assert "What the other changed" in page
    assert "Kim Osei" in page
    assert "Sedation was given" in page
    for text in ("Radicular pattern", "Remark was missing"):
        assert f'value="{text}"' in page
    again = typed | {"version": told.context["version"], "request_key": told.context["request_key"], "sedation": "minimal"}
    assert client.post(address, again).status_code == 303
    done.refresh_from_db()
    assert (done.note, done.sedation, done.version) == ("Radicular pattern", "minimal", 3)


def test_the_desk_does_not_see_it_and_a_stranger_finds_nothing(
    clinic: SmallClinic, done: PerformedProcedure, signed_in: Enter
) -> None:
    address = reverse("patients:performed", args=[done.public_id])

    assert signed_in("desk", clinic.site).get(address).status_code == 403
    assert signed_in("physician", factories.site()).get(address).status_code == 404
    assert signed_in("nurse", clinic.site).get(address).status_code == 200


def test_a_physician_signs_what_a_nurse_amended(
    done: PerformedProcedure, physician: User, nurse: Actor, signed_in: Enter, at: datetime
) -> None:
    made = amend(done, nurse, at)
    client = signed_in("physician", user=physician)
    address = reverse("patients:performed", args=[done.public_id])

    assert client.post(address, {"act": "sign", "amendment": "x", "request_key": "a" * 16}).status_code == 404
    told = client.post(address, {"act": "sign", "amendment": str(made.public_id), "request_key": "b" * 16})
    made.refresh_from_db()

    assert told.status_code == 303
    assert made.signed_by_id == physician.pk


def part_of(done: PerformedProcedure, what: str, by: Actor, at: datetime) -> Any:
    if what == "drug":
        return GivenDrug.objects.get(performed=done)
    values = {"performed": done, "kind": "headache", "severity": "minor", "noticed_on": date(2026, 9, 2)}
    return records.record(kind=Complication, patient=done.patient, values=values, by=by, at=at)


@pytest.mark.parametrize(("what", "changes", "told"), [
    ("drug", {"dose_mg": Decimal(8)},
     ["Drug", "dexamethasone 10 mg, steroid, 2026-09-01", "dexamethasone 8 mg, steroid, 2026-09-01"]),
    ("harm", {"severity": "moderate"},
     ["Complication", "Headache after it, minor, 2026-09-02", "Headache after it, moderate, 2026-09-02"]),
])  # fmt: skip
def test_a_drug_or_a_complication_is_amended_with_its_reason_and_stands_with_its_procedure(
    done: PerformedProcedure, doctor: Actor, at: datetime, what: str, changes: dict[str, Any], told: list[str]
) -> None:
    row = part_of(done, what, doctor, at)

    kept = amending.amend_part(row=row, changes=changes, reason="Read off wrongly", by=doctor, at=at, version=1, is_signed=True)

    made = Amendment.objects.get(performed=done)
    done.refresh_from_db()
    assert (kept.version, done.version) == (2, 2)
    assert (made.changes, made.reason, made.signed_by_id) == ([told], "Read off wrongly", doctor.user_id)
    assert [one.pk for one in amending.amendments_of(done, after_version=1)] == [made.pk]


@pytest.mark.parametrize("what", ["drug", "harm"])
def test_a_part_marked_as_a_mistake_is_an_amendment_of_its_procedure(
    done: PerformedProcedure, doctor: Actor, at: datetime, what: str
) -> None:
    row = part_of(done, what, doctor, at)

    amending.withdraw_part(row=row, reason="Of another patient", by=doctor, at=at, version=1)

    made = Amendment.objects.get(performed=done)
    row.refresh_from_db()
    assert (row.is_in_error, made.reason, [after for _, _, after in made.changes]) == (True, "Of another patient", [""])


@pytest.mark.parametrize(("given", "code"), [
    ({"reason": " "}, "missing"), ({"version": 9}, "stale"), ({"changes": {"dose_mg": Decimal(10)}}, "nothing_differs"),
])  # fmt: skip
def test_a_part_is_not_amended_without_a_reason_over_another_or_for_nothing(
    done: PerformedProcedure, doctor: Actor, at: datetime, given: dict[str, Any], code: str
) -> None:
    row = part_of(done, "drug", doctor, at)
    wanted = {"changes": {"dose_mg": Decimal(8)}, "reason": "Read off wrongly", "version": 1, **given}

    with pytest.raises(DomainError) as refusal:
        amending.amend_part(row=row, by=doctor, at=at, **wanted)

    assert refusal.value.code == code
    row.refresh_from_db()
    assert (row.dose_mg, Amendment.objects.count()) == (Decimal(10), 0)


def test_only_who_may_sign_signs_the_amendment_of_a_part(
    done: PerformedProcedure, doctor: Actor, nurse: Actor, at: datetime
) -> None:
    row = part_of(done, "drug", doctor, at)

    with pytest.raises(Forbidden):
        amending.amend_part(row=row, changes={"dose_mg": Decimal(8)}, reason="Wrong", by=nurse, at=at, version=1, is_signed=True)


def test_a_steroid_of_no_procedure_keeps_its_reason_in_its_note(clinic: SmallClinic, doctor: Actor, at: datetime) -> None:
    given = {
        "kind": "steroid",
        "drug": "dexamethasone",
        "dose_mg": Decimal(10),
        "given_on": date(2026, 9, 1),
        "note": "Elsewhere",
    }
    row = records.record(kind=GivenDrug, patient=clinic.patient, values=given, by=doctor, at=at)

    kept = amending.amend_part(row=row, changes={"dose_mg": Decimal(8)}, reason="Letter came", by=doctor, at=at, version=1)

    assert (kept.dose_mg, kept.note, Amendment.objects.count()) == (Decimal(8), "Elsewhere; Letter came", 0)
    assert amending.withdraw_part(row=kept, reason="Twice", by=doctor, at=at, version=2).is_in_error


def test_yes_no_and_not_said_are_told_in_words(done: PerformedProcedure, doctor: Actor, at: datetime) -> None:
    first = amend(done, doctor, at, changes={"is_image_saved": True})
    done.refresh_from_db()
    second = amend(done, doctor, at, changes={"is_image_saved": False, "levels": ["L4-L5", "L5-S1"]})

    assert first.changes == [["Image saved", "", "yes"]]
    assert second.changes == [["Levels", "L4-L5", "L4-L5 L5-S1"], ["Image saved", "yes", "no"]]
