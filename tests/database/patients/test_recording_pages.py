"""Pages that record facts, scores and notes: by physicians and nurses in seconds; the desk sees no note."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import Conflict, Forbidden, Refused
from patients import amending, notes, papers, records
from patients.models import Addendum, Allergy, ClinicalNote, Medication, PaperKind, PerformedProcedure, Score, SessionOutcome
from patients.papers import Upload
from tests import factories
from tests.factories import EVENING, SmallClinic

Enter = Callable[..., Client]


@pytest.fixture
def physician(clinic: SmallClinic) -> User:
    return factories.user(role="physician", sites=(clinic.site,))


@pytest.fixture
def done(clinic: SmallClinic, physician: User, at: datetime) -> PerformedProcedure:
    values = {"procedure": clinic.procedure, "site": clinic.site, "done_on": date(2026, 9, 1), "side": "left"}
    return records.record(
        kind=PerformedProcedure, patient=clinic.patient, values=values, by=Actor.of_user(physician), at=at
    )  # fmt: skip


@pytest.fixture
def note(done: PerformedProcedure, physician: User, at: datetime) -> ClinicalNote:
    return notes.write(performed=done, sections={"plan": "See in two weeks"}, by=Actor.of_user(physician), at=at)


def record_url(clinic: SmallClinic, kind: str = "", rest: str = "") -> str:
    address = reverse("patients:record", args=[clinic.patient.public_id])
    return f"{address}{kind}/{rest}" if kind else address


def test_a_nurse_adds_amends_and_withdraws_an_allergy(clinic: SmallClinic, signed_in: Enter) -> None:
    nurse = signed_in("nurse", clinic.site)
    typed = {"agent": "latex", "name": "", "severity": "mild", "note": "", "request_key": "k" * 16}
    assert nurse.post(record_url(clinic, "allergies", "new/"), typed).status_code == 303
    row = Allergy.objects.get()
    assert (row.patient_id, row.agent, row.severity) == (clinic.patient.pk, "latex", "mild")

    address = record_url(clinic, "allergies", f"{row.public_id}/")
    assert nurse.post(address, {**typed, "severity": "severe", "version": 1, "request_key": "l" * 16}).status_code == 303
    row.refresh_from_db()
    assert (row.severity, row.version) == ("severe", 2)

    stale = nurse.post(address, {**typed, "severity": "moderate", "version": 1, "request_key": "m" * 16})
    assert stale.status_code == 409
    wrong = {"act": "mistake", "version": 2, "error_reason": "", "request_key": "n" * 16}
    assert nurse.post(address, wrong).status_code == 422
    assert nurse.post(address, {**wrong, "error_reason": "Another patient's"}).status_code == 303
    assert not Allergy.objects.of(clinic.patient).exists()
    assert nurse.get(address).status_code == 404


def test_a_last_dose_is_typed_and_shown_on_the_clocks_of_the_patients_site(clinic: SmallClinic, signed_in: Enter) -> None:
    nurse = signed_in("nurse", clinic.site)
    typed = {"kind": "antithrombotic", "drug": "apixaban", "last_dose_at": "2026-09-10T21:30"}
    assert nurse.post(record_url(clinic, "medicines", "new/"), typed).status_code == 303

    row = Medication.objects.get()
    assert row.last_dose_at == datetime(2026, 9, 11, 1, 30, tzinfo=UTC)  # a summer's evening in New York
    page = nurse.get(record_url(clinic, "medicines", f"{row.public_id}/"))
    assert page.context["form"]["last_dose_at"].value() == "2026-09-10T21:30" or "2026-09-10T21:30" in page.content.decode()
    same = {**typed, "last_dose_at": "2026-09-10T21:30", "note": "By telephone", "version": 1}
    assert nurse.post(record_url(clinic, "medicines", f"{row.public_id}/"), same).status_code == 303
    row.refresh_from_db()
    assert (row.last_dose_at, row.note) == (datetime(2026, 9, 11, 1, 30, tzinfo=UTC), "By telephone")


@pytest.mark.parametrize("moment", ["2026-03-08T02:30", "2026-11-01T01:30"])
def test_a_moment_that_the_clocks_skip_or_show_twice_is_refused(clinic: SmallClinic, signed_in: Enter, moment: str) -> None:
    nurse = signed_in("nurse", clinic.site)
    typed = {"kind": "antithrombotic", "drug": "apixaban", "last_dose_at": moment}
    answer = nurse.post(record_url(clinic, "medicines", "new/"), typed)
    assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["last_dose_at"])
    assert not Medication.objects.exists()


def test_a_medicine_of_the_table_brings_its_kind_and_name(clinic: SmallClinic, signed_in: Enter) -> None:
    nurse = signed_in("nurse", clinic.site)
    typed = {"kind": "other", "drug": "oxycodone", "daily_amount": "20", "started_on": "2026-01-02"}
    assert nurse.post(record_url(clinic, "medicines", "new/"), typed).status_code == 303

    row = Medication.objects.get()
    assert (row.kind, row.drug, row.name, row.daily_amount) == ("opioid", "oxycodone", "Oxycodone", Decimal(20))
    assert "30 MME a day" in nurse.get(record_url(clinic)).content.decode()


def test_a_blood_thinner_without_a_drug_is_refused(clinic: SmallClinic, signed_in: Enter) -> None:
    answer = signed_in("nurse", clinic.site).post(
        record_url(clinic, "medicines", "new/"), {"kind": "antithrombotic", "drug": "", "name": "Something"}
    )  # fmt: skip
    assert (answer.status_code, Medication.objects.count()) == (422, 0)


def test_another_patients_fact_is_not_there(clinic: SmallClinic, signed_in: Enter, physician: User, at: datetime) -> None:
    other = factories.patient(home=clinic.site)
    row = records.record(kind=Allergy, patient=other, values={"agent": "latex"}, by=Actor.of_user(physician), at=at)

    assert signed_in("nurse", clinic.site).get(record_url(clinic, "allergies", f"{row.public_id}/")).status_code == 404


def test_pain_is_recorded_about_the_last_procedure(clinic: SmallClinic, signed_in: Enter, done: PerformedProcedure) -> None:
    desk = signed_in("desk", clinic.site)
    address = reverse("patients:score_new", args=[clinic.patient.public_id])
    assert desk.get(address).status_code == 200
    typed = {"index": "3", "peg": "2.33", "performed": str(done.public_id), "scored_on": "2026-09-14", "request_key": "s" * 16}

    assert desk.post(address, typed).status_code == 303
    assert desk.post(address, typed).status_code == 303  # the same press again
    rows = Score.objects.order_by("measure").values_list("measure", "aspect", "value", "phase", "performed", "side")
    assert list(rows) == [
        ("nrs", "index", Decimal(3), "follow_up", done.pk, "left"),
        ("peg", "total", Decimal("2.33"), "follow_up", done.pk, "left"),
    ]
    assert SessionOutcome.objects.get(performed=done).score_count == 1


@pytest.mark.parametrize(
    "typed", [{}, {"measure": "odi"}, {"measure": "rmdq", "value": "25"}, {"index": "11"}, {"peg": "10.5"}], ids=str
)  # fmt: skip
def test_a_score_that_cannot_be_is_refused(clinic: SmallClinic, signed_in: Enter, typed: dict[str, str]) -> None:
    address = reverse("patients:score_new", args=[clinic.patient.public_id])
    answer = signed_in("nurse", clinic.site).post(address, {"scored_on": "2026-09-14", **typed})
    assert (answer.status_code, Score.objects.count()) == (422, 0)


def test_the_desk_and_the_biller_see_no_note(clinic: SmallClinic, signed_in: Enter, note: ClinicalNote) -> None:
    address = reverse("patients:note", args=[note.public_id])
    for role in ("desk", "biller", "manager", "admin", "auditor"):
        assert signed_in(role, clinic.site).get(address).status_code == 403
    assert signed_in("physician", factories.site()).get(address).status_code == 404
    answer = signed_in("nurse", clinic.site).get(address)
    assert (answer.status_code, "See in two weeks" in answer.content.decode()) == (200, True)
    assert AuditEvent.objects.filter(act="patients.read_note", subject_id=note.public_id).count() == 1


def test_a_note_is_signed_by_its_page_and_then_only_added_to(
    clinic: SmallClinic, signed_in: Enter, note: ClinicalNote, physician: User
) -> None:
    address = reverse("patients:note", args=[note.public_id])
    doctor = signed_in("physician", user=physician)
    typed = {"version": 1, "section_plan": "See in six weeks", "act": "sign", "request_key": "s" * 16}
    assert doctor.post(address, typed).status_code == 303
    note.refresh_from_db()
    assert (note.sections["plan"], note.signed_by_id) == ("See in six weeks", physician.pk)

    again = doctor.post(address, {"version": note.version, "section_plan": "Other", "act": "save", "request_key": "t" * 16})
    assert again.status_code == 409
    assert doctor.post(address, {"version": 9, "act": "add", "text": "Called: well.", "request_key": "u" * 16}).status_code == 303
    note.refresh_from_db()
    assert note.sections["plan"] == "See in six weeks"
    assert Addendum.objects.get().text == "Called: well."


def test_when_something_was_signed_amended_or_scanned_is_told_by_the_clocks_of_the_home_site(
    clinic: SmallClinic, signed_in: Enter, note: ClinicalNote, physician: User, stand_at: Callable[[datetime], None]
) -> None:
    doctor = Actor.of_user(physician)
    note = notes.sign(note=note, by=doctor, at=EVENING)
    notes.add(note=note, text="Called: well.", by=doctor, at=EVENING)
    amending.amend(
        performed=note.performed, changes={"side": "right"}, reason="Wrong side", by=doctor, at=EVENING, version=1, is_signed=True
    )
    papers.keep(
        patient=clinic.patient, kind=PaperKind.OTHER, upload=Upload("a.pdf", b"%PDF-1.7\nbytes"), by=doctor, at=EVENING
    )  # fmt: skip
    stand_at(EVENING)
    client = signed_in("physician", user=physician)
    pages = {
        "patients:note": (note.public_id, 3), "patients:performed": (note.performed.public_id, 2),
        "patients:papers": (clinic.patient.public_id, 1),
    }  # fmt: skip
    for name, (public_id, count) in pages.items():
        text = client.get(reverse(name, args=[public_id])).content.decode()
        assert (name, text.count("Mon 14 Sep 20:30"), text.count("15 Sep")) == (name, count, 0)


def test_a_nurse_may_write_but_not_sign(clinic: SmallClinic, note: ClinicalNote, at: datetime) -> None:
    nurse = Actor.of_user(factories.user(role="nurse", sites=(clinic.site,)))
    kept = notes.edit(note=note, sections={"plan": "x"}, by=nurse, at=at, version=1)
    assert kept.sections["plan"] == "x"

    with pytest.raises(Forbidden):
        notes.sign(note=note, by=nurse, at=at)


def test_a_note_is_cosigned_by_another_physician_once(
    clinic: SmallClinic, note: ClinicalNote, physician: User, at: datetime
) -> None:
    first, second, third = (
        Actor.of_user(one) for one in (physician, *(factories.user(role="physician", sites=(clinic.site,)) for _ in range(2)))
    )
    with pytest.raises(Conflict) as refusal:
        notes.cosign(note=note, by=second, at=at)
    assert refusal.value.code == "note_not_signed"
    notes.sign(note=note, by=first, at=at)
    with pytest.raises(Refused) as own:
        notes.cosign(note=note, by=first, at=at)
    assert own.value.code == "own_note"
    assert notes.cosign(note=note, by=second, at=at).cosigned_by_id == second.user_id
    with pytest.raises(Conflict) as taken:
        notes.cosign(note=note, by=third, at=at)
    assert taken.value.code == "note_signed"


def test_every_family_has_a_template_and_its_text_names_the_case(clinic: SmallClinic) -> None:
    said = notes.prefilled(clinic.procedure, side="left", levels=["L4-L5"], guidance="fluoroscopy")

    assert f"{clinic.procedure.name}, left, L4-L5, fluoroscopy." in said["technique"]
    assert "{" not in "".join(said.values())


def test_signing_twice_changes_nothing_and_nobody_signs_what_another_signed(
    clinic: SmallClinic, note: ClinicalNote, physician: User, at: datetime
) -> None:
    first, second = (Actor.of_user(one) for one in (physician, factories.user(role="physician", sites=(clinic.site,))))
    signed = notes.sign(note=note, by=first, at=at)
    assert notes.sign(note=note, by=first, at=at + timedelta(hours=1)).signed_at == signed.signed_at == at
    with pytest.raises(notes.NoteSigned):
        notes.sign(note=note, by=second, at=at)
    cosigned = notes.cosign(note=note, by=second, at=at)
    assert notes.cosign(note=note, by=second, at=at + timedelta(hours=1)).version == cosigned.version


def test_an_addendum_says_something_about_a_signed_note(note: ClinicalNote, physician: User, at: datetime) -> None:
    doctor = Actor.of_user(physician)
    with pytest.raises(notes.NotSigned):
        notes.add(note=note, text="Called: well.", by=doctor, at=at)
    signed = notes.sign(note=note, by=doctor, at=at)
    for text in ("", "  ", "x" * (notes.LONGEST + 1)):
        with pytest.raises(records.FieldRefused) as refusal:
            notes.add(note=signed, text=text, by=doctor, at=at)
        assert refusal.value.details["field"] == "text"
    assert len(notes.add(note=signed, text="x" * notes.LONGEST, by=doctor, at=at).text) == notes.LONGEST


@pytest.mark.parametrize(
    ("sections", "code"), [({"horoscope": "x"}, "field_unknown"), ({"plan": "x" * (notes.LONGEST + 1)}, "unusable")]
)
def test_a_note_has_the_sections_of_its_template_and_no_book_in_them(
    note: ClinicalNote, physician: User, at: datetime, sections: dict[str, str], code: str
) -> None:
    with pytest.raises(records.FieldRefused) as refusal:
        notes.edit(note=note, sections=sections, by=Actor.of_user(physician), at=at)
    assert refusal.value.code == code
    longest = {"plan": "x" * notes.LONGEST}
    assert notes.edit(note=note, sections=longest, by=Actor.of_user(physician), at=at).sections["plan"] == longest["plan"]
