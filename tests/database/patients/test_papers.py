"""Consents and scans: what a file is is read from its bytes, it leaves only as a file, and what was kept is not changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DatabaseError, transaction
from django.test import Client
from django.urls import reverse

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import DomainError
from patients import papers, records
from patients.models import Consent, Paper, PaperContent
from patients.papers import Upload
from tests import factories, hostile
from tests.factories import SmallClinic

Enter = Callable[..., Client]
PDF, JPEG, PNG = b"%PDF-1.7\nbytes", b"\xff\xd8\xff\xe0bytes", b"\x89PNG\r\n\x1a\nbytes"


@pytest.fixture
def nurse(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="nurse", sites=(clinic.site,)))


def consents_url(clinic: SmallClinic) -> str:
    return reverse("patients:consent_new", args=[clinic.patient.public_id])


def typed(clinic: SmallClinic, **changed: Any) -> dict[str, Any]:
    day = {"given_on": "2026-09-01", "valid_until": "", "side": "left", "levels": "L4-5", "note": "", "request_key": "k" * 16}
    return {"procedure": clinic.procedure.code, **day, **changed}


def scan(data: bytes = PDF, name: str = "Consent Mr Storyline.pdf") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data)


def test_a_nurse_puts_a_signed_consent_on_file_and_takes_the_sheet_away(clinic: SmallClinic, signed_in: Enter) -> None:
    client = signed_in("nurse", clinic.site)

    answer = client.post(consents_url(clinic), typed(clinic, paper=scan()))

    assert (answer.status_code, answer["Location"]) == (303, reverse("patients:papers", args=[clinic.patient.public_id]))
    consent, paper = Consent.objects.get(), Paper.objects.get()
    assert (consent.procedure, consent.side, consent.levels) == (clinic.procedure, "left", ["L4-L5"])
    assert (paper.consent, paper.kind, paper.media_type, paper.size) == (consent, "consent", "application/pdf", len(PDF))
    assert "Signed sheet" in client.get(answer["Location"]).content.decode()
    taken = client.get(reverse("patients:paper_file", args=[paper.public_id]))
    assert (taken.content, taken["Content-Type"], taken["X-Content-Type-Options"]) == (PDF, "application/octet-stream", "nosniff")
    assert taken["Content-Disposition"] == f'attachment; filename="{paper.download_name}"'
    assert "Storyline" not in paper.download_name
    assert AuditEvent.objects.filter(act="patients.read_paper", patient_id=clinic.patient.public_id).count() == 1


def test_a_form_sent_twice_keeps_one_consent_and_one_sheet(clinic: SmallClinic, signed_in: Enter) -> None:
    client = signed_in("nurse", clinic.site)

    for _ in range(2):
        assert client.post(consents_url(clinic), typed(clinic, paper=scan())).status_code == 303
    another = client.post(consents_url(clinic), typed(clinic, paper=scan(PNG, "other.png")))

    assert another.status_code == 422  # the same form with another file is another form
    assert (Consent.objects.count(), Paper.objects.count()) == (1, 1)


def test_a_case_hands_over_what_it_is_for_and_is_come_back_to(clinic: SmallClinic, signed_in: Enter) -> None:
    case = factories.appointment(of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure)
    client = signed_in("physician", clinic.site)
    asked = {"procedure": clinic.procedure.code, "side": "right", "levels": "L5-S1", "case": str(case.public_id)}

    form = client.get(consents_url(clinic), asked).context["form"]
    answer = client.post(consents_url(clinic), typed(clinic, case=str(case.public_id)))

    assert [form[name].value() for name in asked] == list(asked.values())
    assert answer["Location"] == reverse("scheduling:appointment", args=[case.public_id])
    assert Consent.objects.get().appointment == case.public_id


@pytest.mark.parametrize(
    ("data", "name", "told"),
    [
        (b"", "a.pdf", "This file is empty"),
        (b"<html><script>alert(1)</script>", "a.pdf", "Only PDF, JPEG and PNG"),
        (b"MZ\x90\x00program", "consent.pdf", "Only PDF, JPEG and PNG"),
        (b"GIF89a", "a.png", "Only PDF, JPEG and PNG"),
        (b" %PDF-1.4", "a.pdf", "Only PDF, JPEG and PNG"),
    ],
)
def test_a_file_that_is_not_what_is_kept_is_refused_by_its_field(
    clinic: SmallClinic, signed_in: Enter, data: bytes, name: str, told: str
) -> None:
    client = signed_in("nurse", clinic.site)

    answer = client.post(consents_url(clinic), typed(clinic, paper=scan(data, name)))

    form = answer.context["form"]
    assert (answer.status_code, told in str(form.errors["paper"])) == (422, True)
    assert form["levels"].value() == "L4-5"
    assert (Consent.objects.count(), Paper.objects.count()) == (0, 0)


@pytest.mark.parametrize(("more", "status"), [(0, 303), (1, 422)])
def test_a_file_is_taken_up_to_the_limit_and_refused_one_byte_past_it(
    clinic: SmallClinic, signed_in: Enter, settings: Any, more: int, status: int
) -> None:
    settings.LARGEST_PAPER = 3 * 1024**2
    client = signed_in("nurse", clinic.site)

    answer = client.post(consents_url(clinic), typed(clinic, paper=scan(PDF.ljust(3 * 1024**2 + more))))

    assert (answer.status_code, Paper.objects.count()) == (status, 1 - more)
    if more:
        assert "This file has 3.0 MB; 3 MB is the most" in str(answer.context["form"].errors["paper"])


def test_a_request_past_every_limit_is_told_the_limit(clinic: SmallClinic, signed_in: Enter, settings: Any) -> None:
    settings.LARGEST_UPLOAD = 2 * 1024**2
    client = signed_in("nurse", clinic.site)

    answer = client.post(consents_url(clinic), typed(clinic, paper=scan(PDF.ljust(3 * 1024**2))))

    assert (answer.status_code, "2 MB at most" in answer.content.decode()) == (413, True)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"given_on": "2126-01-01"}, "given_on"),
        ({"given_on": "2026-09-01", "valid_until": "2026-08-31"}, "valid_until"),
        ({"levels": "X9"}, "levels"),
        ({"procedure": "nothing"}, "procedure"),
        ({"case": "x"}, "case"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(
    clinic: SmallClinic, signed_in: Enter, changed: dict[str, str], field: str
) -> None:
    answer = signed_in("nurse", clinic.site).post(consents_url(clinic), typed(clinic, **changed))

    assert (answer.status_code, list(answer.context["form"].errors)) == (422, [field])


def test_a_consent_is_withdrawn_and_a_scan_marked_as_a_mistake(clinic: SmallClinic, signed_in: Enter, nurse: Actor) -> None:
    at = factories.NOW
    consent = papers.consent(
        patient=clinic.patient, values={"procedure": clinic.procedure, "given_on": date(2026, 9, 1)}, upload=Upload("a", JPEG),
        by=nurse, at=at,
    )  # fmt: skip
    other = papers.keep(patient=clinic.patient, kind="referral", upload=Upload("r.png", PNG), by=nurse, at=at)
    client = signed_in("nurse", clinic.site)
    withdrawn = {"given_on": "2026-09-01", "valid_until": "", "withdrawn_on": "2026-09-05", "note": "", "version": 1}

    assert client.get(reverse("patients:consent", args=[consent.public_id])).status_code == 200
    answer = client.post(reverse("patients:consent", args=[consent.public_id]), withdrawn)
    mistake = {"act": "mistake", "version": 1, "error_reason": "Another patient's"}
    gone = client.post(reverse("patients:paper", args=[other.public_id]), mistake)

    assert (answer.status_code, gone.status_code) == (303, 303)
    consent.refresh_from_db()
    assert (consent.withdrawn_on, consent.version) == (date(2026, 9, 5), 2)
    page = client.get(reverse("patients:papers", args=[clinic.patient.public_id])).context["found"]
    assert ([one.is_over for one in page.consents], page.papers) == ([True], ())
    assert client.get(reverse("patients:paper_file", args=[other.public_id])).status_code == 404
    assert Paper.objects.filter(pk=other.pk, is_in_error=True).exists()


def test_the_bytes_of_a_scan_are_never_changed_nor_deleted(clinic: SmallClinic, nurse: Actor) -> None:
    row = papers.keep(patient=clinic.patient, kind="other", upload=Upload("a.pdf", PDF), by=nurse, at=factories.NOW)

    for change in (lambda: PaperContent.objects.update(data=b"x"), lambda: PaperContent.objects.all().delete()):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()
    assert bytes(PaperContent.objects.get(paper=row).data) == PDF


@pytest.mark.parametrize("name", [*hostile.HOSTILE.values(), "a" * 300])
def test_a_files_name_is_shown_as_text_or_left_out(clinic: SmallClinic, nurse: Actor, signed_in: Enter, name: str) -> None:
    row = papers.keep(patient=clinic.patient, kind="other", upload=Upload(name, PDF), by=nurse, at=factories.NOW)

    page = signed_in("nurse", clinic.site).get(reverse("patients:papers", args=[clinic.patient.public_id])).content.decode()

    assert len(row.file_name) <= 120
    assert hostile.is_told_as_text(page)


def test_the_desk_another_site_and_an_actor_without_the_right_get_nothing(
    clinic: SmallClinic, signed_in: Enter, nurse: Actor
) -> None:
    row = papers.keep(patient=clinic.patient, kind="other", upload=Upload("a.pdf", PDF), by=nurse, at=factories.NOW)
    address = reverse("patients:paper_file", args=[row.public_id])
    desk = Actor.of_user(factories.user(role="desk", sites=(clinic.site,)))

    assert signed_in("desk", clinic.site).get(address).status_code == 403
    assert signed_in("nurse", factories.site()).get(address).status_code == 404
    with pytest.raises(DomainError):
        papers.keep(patient=clinic.patient, kind="other", upload=Upload("a.pdf", PDF), by=desk, at=factories.NOW)


def test_a_consent_is_over_the_day_after_its_last(clinic: SmallClinic, nurse: Actor, at: datetime) -> None:
    values = {"procedure": clinic.procedure, "given_on": date(2026, 1, 1), "valid_until": date(2026, 2, 1)}
    records.record(kind=Consent, patient=clinic.patient, values=values, by=nurse, at=at)

    over = papers.on_paper(patient=clinic.patient, on=date(2026, 2, 2)).consents[0]
    last = papers.on_paper(patient=clinic.patient, on=date(2026, 2, 2) - timedelta(days=1)).consents[0]

    assert (over.is_over, last.is_over) == (True, False)
