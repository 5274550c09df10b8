"""The two-page summary: what it holds however long the history, that printing is recorded, and that texts stay texts."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from django.test import Client

from pain_clinic import papers
from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from patients import history, records
from patients.history.paper import svg
from patients.models import Allergy
from tests import factories, hostile
from tests.database.patients.history.making import TODAY, fill
from tests.factories import SmallClinic

Enter = Callable[..., Client]


def content_of(clinic: SmallClinic, at: datetime) -> Any:
    user = factories.user(role="physician", sites=(clinic.site,))
    asked = history.Asked(what="procedures", per_page=history.MOST_ENTRIES)
    page = history.open_history(patient=clinic.patient, user=user, by=Actor.of_user(user), today=TODAY, asked=asked)
    return page, history.content(page, clinic="Clinic", printed_by="Dr. A", wall=at)


def test_a_new_patients_summary_fits_on_one_sheet_and_a_long_ones_on_two(clinic: SmallClinic, at: datetime) -> None:
    assert papers.sheets(history.SOURCE, content_of(clinic, at)[1]) == 1

    fill(clinic, at)
    for days in range(1, 9):
        factories.appointment(
            of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, starts_at=at + timedelta(days=days),
            levels=["L4-L5"], side="left", resources=[clinic.physician],
        )  # fmt: skip

    _, content = content_of(clinic, at)
    assert papers.sheets(history.SOURCE, content) == 2
    assert (len(content["entries"]), content["more_entries"]) == (32, 28)
    assert (len(content["coming"]), content["coming"][-1]) == (6, "and 3 more")
    assert content["coming"][0].startswith("15 Sep 2026, ")


def test_printing_gives_a_pdf_whose_name_says_nothing_and_is_recorded_once(clinic: SmallClinic, signed_in: Enter) -> None:
    doctor = signed_in("physician", clinic.site)
    before = AuditEvent.objects.count()

    answer = doctor.get(f"/patients/{clinic.patient.public_id}/summary.pdf")

    assert (answer.status_code, answer["Content-Type"], answer.content[:5]) == (200, "application/pdf", b"%PDF-")
    assert answer["Content-Disposition"] == 'inline; filename="summary.pdf"'
    assert "no-store" in answer["Cache-Control"]
    event = AuditEvent.objects.latest("pk")
    assert (AuditEvent.objects.count(), event.act, event.patient_id) == (before + 1, history.PRINT, clinic.patient.public_id)


def test_only_who_may_read_the_history_prints_it(clinic: SmallClinic, signed_in: Enter) -> None:
    address = f"/patients/{clinic.patient.public_id}/summary.pdf"

    assert signed_in("desk", clinic.site).get(address).status_code == 403
    assert signed_in("physician", factories.site()).get(address).status_code == 404


@pytest.mark.parametrize("name", ["#panic()", "*bold* $x$ @ref <label>", '#eval("1")', "محمد الحسن", "李美玲", "a" * 120])
def test_texts_stay_texts_on_paper(clinic: SmallClinic, at: datetime, name: str) -> None:
    doctor = Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))
    records.record(kind=Allergy, patient=clinic.patient, values={"agent": "other", "name": name}, by=doctor, at=at)
    type(clinic.patient).objects.filter(pk=clinic.patient.pk).update(last_name=name)
    clinic.patient.refresh_from_db()

    _, content = content_of(clinic, at)

    assert papers.pdf(history.SOURCE, content, at=at)[:5] == b"%PDF-"
    assert papers.sheets(history.SOURCE, content) == 1
    assert content["chips"][1]["text"].startswith(name[:100])


def test_the_drawing_on_paper_stands_where_the_page_draws_it(clinic: SmallClinic, at: datetime) -> None:
    fill(clinic, at)
    page, _ = content_of(clinic, at)

    drawing = ElementTree.fromstring(svg(page.chart))

    circles = [one for one in drawing.iter() if one.tag.endswith("circle")]
    assert [float(one.attrib["cx"]) for one in circles] == pytest.approx(
        [24 + float(dot.x) * 9.76 for dot in page.chart.lines[0].dots], abs=0.06
    )
    assert len(re.findall("<rect", svg(page.chart))) == len(page.chart.bands)


def test_hostile_texts_do_not_stop_the_paper(clinic: SmallClinic, at: datetime) -> None:
    doctor = Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))
    for text in (one for one in hostile.HOSTILE.values() if "\x00" not in one):
        try:
            text.encode()
        except UnicodeEncodeError:
            continue
        records.record(kind=Allergy, patient=clinic.patient, values={"agent": "other", "name": text[:100]}, by=doctor, at=at)

    assert papers.pdf(history.SOURCE, content_of(clinic, at)[1], at=at)[:5] == b"%PDF-"
