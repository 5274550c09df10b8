"""The physician's page of a patient: what it says, to whom, in how many statements, and that reading it is recorded."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from patients import history, notes, outcomes, records
from patients.models import (
    Allergy,
    Asked,
    Authorization,
    ClinicalNote,
    Complication,
    Condition,
    Coverage,
    GivenDrug,
    Implant,
    LabResult,
    Medication,
    PerformedProcedure,
    Score,
)
from tests import factories
from tests.factories import SmallClinic

Enter = Callable[..., Client]
TODAY = date(2026, 9, 14)


@pytest.fixture(autouse=True)
def _clock(settings: Any, tmp_path: Path) -> None:
    moved = tmp_path / "clock"
    moved.write_text(str((factories.NOW - datetime.now(tz=UTC)).total_seconds()), encoding="ascii")
    settings.CLINIC_CLOCK = str(moved)


@pytest.fixture
def doctor(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))


@pytest.fixture
def tell(clinic: SmallClinic, doctor: Actor, at: datetime) -> Callable[..., Any]:
    """Return a function that writes down a fact about the clinic's patient."""
    by_desk = Actor.of_user(factories.user(role="manager", sites=(clinic.site,)))

    def write(what: Any, /, **values: Any) -> Any:
        by = by_desk if what in (Coverage, Authorization) else doctor
        return records.record(kind=what, patient=clinic.patient, values=values, by=by, at=at)

    return write


@pytest.fixture
def session(clinic: SmallClinic, tell: Callable[..., Any], doctor: Actor, at: datetime) -> Callable[..., PerformedProcedure]:
    """Return a function that writes a session with pain before it and some days after it."""

    def write(on: date, *, before: int = 8, after: dict[int, int] | None = None, **values: Any) -> PerformedProcedure:
        given = {"procedure": clinic.procedure, "site": clinic.site, "done_on": on, "side": "left", "levels": ["L4-L5"]}
        performed: PerformedProcedure = tell(PerformedProcedure, **{**given, **values})
        told = {"measure": "nrs", "aspect": "index", "performed": performed}
        for value, days, phase in [(before, 0, "before"), *((v, d, "follow_up") for d, v in (after or {}).items())]:
            score = {**told, "value": value, "scored_on": on + timedelta(days=days), "phase": phase}
            outcomes.record_score(patient=clinic.patient, values=score, by=doctor, at=at)
        return performed

    return write


def page_of(clinic: SmallClinic, signed_in: Enter, query: str = "", role: str = "physician") -> Any:
    answer = signed_in(role, clinic.site).get(f"/patients/{clinic.patient.public_id}/{query}")
    assert answer.status_code == 200
    return answer.context["page"]


def chip(page: history.HistoryPage, kind: str) -> tuple[str, str]:
    return next((one.state, one.text) for one in page.chips if one.kind == kind)


# --- who -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "sees"), [("physician", True), ("nurse", True), ("desk", False), ("manager", False), ("biller", False)]
)
def test_clinical_content_is_shown_to_those_who_care_for_patients(
    clinic: SmallClinic, signed_in: Enter, session: Callable[..., Any], tell: Callable[..., Any], role: str, sees: bool
) -> None:
    session(date(2026, 6, 1), after={14: 2})
    tell(Medication, kind="opioid", drug="oxycodone", name="Secretoxy", daily_amount=10)

    answer = signed_in(role, clinic.site).get(f"/patients/{clinic.patient.public_id}/")

    text = answer.content.decode()
    assert (answer.status_code, "L4-L5" in text, "Secretoxy" in text) == (200, sees, sees)


def test_another_sites_patient_is_not_there(clinic: SmallClinic, signed_in: Enter) -> None:
    elsewhere = signed_in("physician", factories.site())

    assert elsewhere.get(f"/patients/{clinic.patient.public_id}/").status_code == 404
    assert not AuditEvent.objects.filter(act=history.READ).exists()


def test_opening_a_history_is_recorded_once_in_the_same_call(clinic: SmallClinic, signed_in: Enter) -> None:
    doctor = signed_in("physician", clinic.site)
    before = AuditEvent.objects.count()

    doctor.get(f"/patients/{clinic.patient.public_id}/?what=scores")

    event = AuditEvent.objects.latest("pk")
    assert AuditEvent.objects.count() == before + 1
    assert (event.act, event.patient_id, event.outcome) == (history.READ, clinic.patient.public_id, "done")


# --- how many statements ---------------------------------------------------------------------------------------------


def statements(client: Client, address: str) -> int:
    client.get(address)
    with CaptureQueriesContext(connection) as asked:
        assert client.get(address).status_code == 200
    return len(asked)


def fill(clinic: SmallClinic, at: datetime) -> None:
    """Write five years with sixty procedures, five hundred scores and two hundred messages, past the verbs."""
    common = {"patient": clinic.patient, "recorded_at": at, "recorded_by": None}
    done = PerformedProcedure.objects.bulk_create(
        PerformedProcedure(
            procedure=clinic.procedure, site=clinic.site, done_on=TODAY - timedelta(days=30 * n), side="left", levels=["L4-L5"],
            guidance="fluoroscopy", fluoroscopy_seconds=40, **common,
        )
        for n in range(60)
    )  # fmt: skip
    Score.objects.bulk_create(
        Score(measure=measure, value=value, phase=phase, scored_on=one.done_on + timedelta(days=days), performed=one, **common)
        for one in done
        for measure, value, phase, days in (
            ("nrs", 8, "before", 0), ("nrs", 4, "after", 0), ("nrs", 3, "follow_up", 14), ("peg", 5, "before", 0),
            ("peg", 4, "follow_up", 14), ("percent_relief", 60, "follow_up", 14), ("nrs", 2, "diary", 0), ("nrs", 3, "diary", 0),
        )
    )  # fmt: skip
    outcomes.refresh([one.pk for one in done])
    ClinicalNote.objects.bulk_create(ClinicalNote(performed=one, template="general", **common) for one in done)
    GivenDrug.objects.bulk_create(
        GivenDrug(performed=one, kind="steroid", drug="dexamethasone", dose_mg=10, given_on=one.done_on, **common) for one in done
    )
    Complication.objects.bulk_create(
        Complication(performed=one, kind="vasovagal", severity="minor", noticed_on=one.done_on, **common) for one in done[:9]
    )
    Medication.objects.bulk_create(
        Medication(kind="opioid", drug="oxycodone", name="Oxycodone", daily_amount=n, started_on=TODAY, **common)
        for n in range(1, 30)
    )
    LabResult.objects.bulk_create(LabResult(test="inr", value=2, taken_on=TODAY, **common) for _ in range(50))
    coverage = Coverage.objects.create(payer="A", payer_rules="none", plan_type="commercial", **common)
    Authorization.objects.bulk_create(
        Authorization(coverage=coverage, covers="esi", status="approved", decided_on=TODAY, units=2, **common) for _ in range(30)
    )
    from scheduling.models import Message

    cases = [
        factories.appointment(
            of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, status="discharged",
            starts_at=at - timedelta(days=2 + n),
        )
        for n in range(20)
    ]  # fmt: skip
    Message.objects.bulk_create(
        Message(
            appointment=case,
            patient=clinic.patient,
            kind="reminder",
            step=f"s{n}",
            version=1,
            state="sent",
            due_at=at,
            created_at=at,
        )
        for case in cases
        for n in range(10)
    )


@pytest.mark.parametrize(
    "query", ["", "?what=scores", "?what=messages", "?what=visits", "?at=L4-L5&side=left", "?span=all&as=table", "?page=3"]
)
def test_a_long_history_asks_as_often_as_a_new_patient(clinic: SmallClinic, signed_in: Enter, at: datetime, query: str) -> None:
    doctor = signed_in("physician", clinic.site)
    address = f"/patients/{clinic.patient.public_id}/{query}"
    new = statements(doctor, address)

    fill(clinic, at)

    assert statements(doctor, address) == new


@pytest.mark.parametrize("panel", ["upcoming/", "messages/"])
def test_the_panels_ask_as_often_for_many_as_for_one(clinic: SmallClinic, signed_in: Enter, at: datetime, panel: str) -> None:
    doctor = signed_in("physician", clinic.site)
    fill(clinic, at)
    address = f"/patients/{clinic.patient.public_id}/{panel}"
    many = statements(doctor, address)

    assert many <= 25
    assert statements(doctor, address) == many


# --- what it says ----------------------------------------------------------------------------------------------------


def test_what_can_hurt_is_said_as_hurting_as_nothing_or_as_unknown(
    clinic: SmallClinic, signed_in: Enter, tell: Callable[..., Any]
) -> None:
    tell(Medication, kind="antithrombotic", drug="apixaban", name="Apixaban", dose="5 mg")
    tell(Medication, kind="antithrombotic", drug="warfarin", name="Warfarin", stopped_on=TODAY)
    tell(Allergy, agent="latex", severity="severe")
    tell(Asked, topic="implants", asked_on=date(2026, 9, 2))

    page = page_of(clinic, signed_in)

    assert chip(page, "thinner") == ("hurts", "Apixaban 5 mg")
    assert chip(page, "allergy") == ("hurts", "Latex (severe)")
    assert chip(page, "implant") == ("none", "none (asked 2 Sep 2026)")
    assert chip(page, "infection") == ("unknown", "not asked")
    assert "pregnancy" not in {one.kind for one in page.chips}  # born in 1958


@pytest.mark.parametrize(("born", "sex", "asks"), [
    (date(1971, 9, 14), "female", True), (date(1970, 9, 14), "female", False), (date(2014, 9, 14), "female", True),
    (date(2014, 9, 15), "female", False), (date(1990, 1, 1), "male", False), (date(1990, 1, 1), "unknown", True),
])  # fmt: skip
def test_pregnancy_is_asked_of_those_whom_the_table_names(
    clinic: SmallClinic, signed_in: Enter, born: date, sex: str, asks: bool
) -> None:
    type(clinic.patient).objects.filter(pk=clinic.patient.pk).update(birth_date=born, sex=sex)

    assert ("pregnancy" in {one.kind for one in page_of(clinic, signed_in).chips}) is asks


@pytest.mark.parametrize(("ended", "antibiotics", "state"), [
    (None, None, "hurts"), (date(2026, 9, 1), None, "unknown"), (date(2026, 9, 1), date(2026, 9, 8), "hurts"),
    (date(2026, 9, 1), date(2026, 9, 7), "unknown"),
])  # fmt: skip
def test_an_infection_counts_until_a_week_after_the_last_antibiotic(
    clinic: SmallClinic, signed_in: Enter, tell: Callable[..., Any], ended: date | None, antibiotics: date | None, state: str
) -> None:
    tell(Condition, kind="infection", name="Tooth", began_on=date(2026, 8, 1), ended_on=ended, antibiotics_until=antibiotics)

    assert chip(page_of(clinic, signed_in), "infection")[0] == state


def test_the_map_says_what_the_last_session_at_each_place_brought(
    clinic: SmallClinic, signed_in: Enter, session: Callable[..., Any]
) -> None:
    session(date(2026, 1, 5), after={14: 0})
    session(date(2026, 6, 1), before=10, after={14: 3, 70: 4, 77: 6}, levels=["L4-L5", "L5-S1"], side="bilateral")
    session(date(2026, 7, 1), levels=[], regions=["knee"], side="right")

    page = page_of(clinic, signed_in)

    rows = {row.level: row.targets for region in page.map.regions for row in region.rows}
    said = {
        level: [(one.side, one.count, one.relief.text, one.relief.tone) for one in found]
        for level, found in rows.items()
        if found
    }
    # 70 % at two weeks, 60 % at ten, 40 % at eleven: half lasted until day 77, eleven weeks.
    last = ("70 % for 11 w", "half")
    assert said == {
        "L4-L5": [("right", 1, *last), ("left", 2, *last)],
        "L5-S1": [("right", 1, *last), ("left", 1, *last)],
    }
    assert [(one.label, one.side, one.relief.text) for one in page.map.body] == [("Knee", "right", "not scored")]
    assert [region.label for region in page.map.regions] == ["Low back"]


@pytest.mark.parametrize(
    ("role", "said"), [("therapeutic", ("75 % that day", "none")), ("diagnostic", ("75 % that day", "half"))]
)
def test_a_treatment_is_not_judged_by_its_own_day_and_a_diagnostic_block_is(
    clinic: SmallClinic,
    signed_in: Enter,
    session: Callable[..., Any],
    doctor: Actor,
    at: datetime,
    role: str,
    said: tuple[str, str],
) -> None:
    done = session(date(2026, 6, 1), role=role)
    values = {"measure": "nrs", "aspect": "index", "value": 2, "scored_on": date(2026, 6, 1), "phase": "after", "performed": done}
    outcomes.record_score(patient=clinic.patient, values=values, by=doctor, at=at)

    page = page_of(clinic, signed_in)

    relief = page.timeline.entries[0].relief
    assert (relief.text, relief.tone) == said
    assert len(page.chart.bands) == (role == "diagnostic")


@pytest.mark.parametrize(("diary", "text"), [
    ({0.5: 1, 2: 2, 6: 3, 8: 7}, "88 % for 6 h"), ({0.5: 1, 2: 2}, "88 % for 2 h or more"), ({0.5: 4, 1: 7}, "50 % for 30 min"),
])  # fmt: skip
def test_relief_of_a_block_is_told_in_hours_by_its_diary(
    clinic: SmallClinic, signed_in: Enter, session: Callable[..., Any], doctor: Actor, at: datetime, diary: dict[float, int],
    text: str,
) -> None:  # fmt: skip
    ended = datetime(2026, 6, 1, 14, 0, tzinfo=UTC)
    done = session(date(2026, 6, 1), role="diagnostic", done_at=ended)
    for hours, value in diary.items():
        values = {"measure": "nrs", "aspect": "index", "value": value, "scored_on": date(2026, 6, 1), "phase": "diary",
                  "scored_at": ended + timedelta(hours=hours), "performed": done}  # fmt: skip
        outcomes.record_score(patient=clinic.patient, values=values, by=doctor, at=at)

    assert page_of(clinic, signed_in, "?what=procedures").timeline.entries[0].relief.text == text


def test_choosing_a_place_keeps_what_was_done_there_and_its_scores(
    clinic: SmallClinic, signed_in: Enter, session: Callable[..., Any], tell: Callable[..., Any]
) -> None:
    session(date(2026, 1, 5), after={14: 2})
    session(date(2026, 6, 1), levels=["L2-L3"], side="right")
    tell(Allergy, agent="latex")

    page = page_of(clinic, signed_in, "?at=L4-L5&side=left")

    assert [(one.on, one.kind) for one in page.timeline.entries] == [
        (date(2026, 1, 19), "scores"),
        (date(2026, 1, 5), "procedures"),
    ]
    assert page.map.chosen == "L4-L5 left"
    assert [mark.text for mark in page.chart.marks] == [
        "Procedure L4-L5 left, 5 Jan 2026: 75 % for 14 d or more"
    ] or page.chart.marks
    assert page_of(clinic, signed_in, "?at=L4-L5&side=right").timeline.entries == ()


ALL_KINDS = {"procedures", "scores", "medicines", "facts", "payer"}


@pytest.mark.parametrize(("what", "kinds"), [
    ("", ALL_KINDS), ("procedures", {"procedures"}), ("scores", {"scores"}),
    ("medicines", {"medicines"}), ("facts", {"facts"}), ("payer", {"payer"}), ("nonsense", ALL_KINDS),
])  # fmt: skip
def test_the_timeline_is_filtered_by_kind(
    clinic: SmallClinic, signed_in: Enter, session: Callable[..., Any], tell: Callable[..., Any], what: str, kinds: set[str]
) -> None:
    session(date(2026, 1, 5), after={14: 2})
    tell(Medication, kind="other", name="Gabapentin", started_on=date(2026, 2, 1))
    tell(Implant, device="pacemaker", placed_on=date(2020, 1, 1))
    coverage = tell(Coverage, payer="Harbour", payer_rules="none", plan_type="commercial")
    tell(Authorization, coverage=coverage, covers="esi", status="approved", decided_on=date(2026, 3, 1), units=3)

    page = page_of(clinic, signed_in, f"?what={what}")

    assert {one.kind for one in page.timeline.entries} == kinds
    days = [one.on for one in page.timeline.entries]
    assert days == sorted(days, reverse=True)


def test_the_timeline_comes_in_pages_that_hold_everything_once(
    clinic: SmallClinic, signed_in: Enter, session: Callable[..., Any]
) -> None:
    for n in range(23):
        session(date(2026, 1, 1) + timedelta(days=n))

    pages = [page_of(clinic, signed_in, f"?what=procedures&page={n}") for n in (1, 2, 3)]

    assert [len(page.timeline.entries) for page in pages] == [10, 10, 3]
    days = [one.on for page in pages for one in page.timeline.entries]
    assert days == [date(2026, 1, 23) - timedelta(days=n) for n in range(23)]
    assert page_of(clinic, signed_in, "?what=procedures&page=99").timeline.entries == pages[2].timeline.entries


def test_the_chart_shows_each_days_pain_by_its_rule(
    clinic: SmallClinic, signed_in: Enter, session: Callable[..., Any], doctor: Actor, at: datetime
) -> None:
    done = session(date(2026, 8, 1), before=8, after={14: 4})
    for values in (
        {"measure": "nrs", "aspect": "worst", "value": 9, "scored_on": date(2026, 8, 15), "phase": "routine"},
        {"measure": "nrs", "aspect": "average", "value": 5, "scored_on": date(2026, 8, 15), "phase": "routine"},
        {"measure": "vas", "value": 35, "scored_on": date(2026, 9, 1), "phase": "routine"},
        {"measure": "nrs", "aspect": "index", "value": 1, "scored_on": date(2026, 8, 1), "phase": "diary", "performed": done},
        {"measure": "peg", "value": Decimal("4.33"), "scored_on": date(2026, 8, 15), "phase": "routine"},
    ):
        outcomes.record_score(patient=clinic.patient, values=values, by=doctor, at=at)

    chart = page_of(clinic, signed_in).chart

    # Of the 15th the follow-up about the session and the average of that day; not the worst, and no diary at all.
    assert [dot.text for dot in chart.lines[0].dots] == [
        "Pain 8, 1 Aug 2026, before a procedure", "Pain 4, 15 Aug 2026", "Pain 5, 15 Aug 2026", "Pain 3.5, 1 Sep 2026",
    ]  # fmt: skip
    first, last = chart.first, TODAY
    for dot, on in zip(
        chart.lines[0].dots, (date(2026, 8, 1), date(2026, 8, 15), date(2026, 8, 15), date(2026, 9, 1)), strict=True
    ):
        assert float(dot.x) == pytest.approx((on - first) / (last - first) * 100, abs=0.01)
    assert [dot.text for dot in chart.lines[1].dots] == ["Function (PEG) 4.33, 15 Aug 2026"]


def test_the_steroid_ledger_adds_equivalents_over_the_window_of_the_rule(
    clinic: SmallClinic, signed_in: Enter, tell: Callable[..., Any]
) -> None:
    for drug, dose, on in (
        ("dexamethasone", 15, date(2026, 3, 1)),  # 15 x 4 / 0.75 = 80
        ("triamcinolone_acetonide", 40, date(2025, 9, 14)),  # 40, a year ago to the day
        ("triamcinolone_acetonide", 40, date(2025, 9, 13)),  # a day too long ago
    ):
        tell(GivenDrug, kind="steroid", drug=drug, dose_mg=dose, given_on=on)
    tell(GivenDrug, kind="steroid", drug="betamethasone", given_on=date(2026, 5, 1))
    tell(GivenDrug, kind="local_anaesthetic", drug="lidocaine", dose_mg=40, given_on=date(2026, 5, 1))

    year, *rest = (one for one in page_of(clinic, signed_in).ledgers if one.label.startswith("Steroid"))

    assert (year.total, year.limit, year.share, year.is_over, rest) == ("120 mg", "320 mg", 38, False, [])
    assert year.notes[1].startswith("1 without a dose on record")


@pytest.mark.parametrize(("dose", "is_over"), [(200, False), (201, True)])
def test_thin_bones_have_their_own_limits(
    clinic: SmallClinic, signed_in: Enter, tell: Callable[..., Any], dose: int, is_over: bool
) -> None:
    tell(Condition, kind="osteoporosis")
    tell(GivenDrug, kind="steroid", drug="methylprednisolone_acetate", dose_mg=dose, given_on=date(2026, 5, 1))

    found = {one.label: (one.limit, one.is_over) for one in page_of(clinic, signed_in).ledgers if one.label.startswith("Steroid")}

    assert found == {"Steroid, 12 months": ("200 mg", is_over), "Steroid, 36 months": ("400 mg", False)}


def test_radiation_is_added_up_and_what_is_missing_is_said(
    clinic: SmallClinic, signed_in: Enter, session: Callable[..., Any]
) -> None:
    session(date(2026, 6, 1), guidance="fluoroscopy", fluoroscopy_seconds=48, dose_ugy_m2=Decimal("12.50"))
    session(date(2026, 6, 8), guidance="fluoroscopy", fluoroscopy_seconds=30)
    session(date(2026, 6, 9), guidance="fluoroscopy")
    session(date(2025, 9, 13), guidance="fluoroscopy", fluoroscopy_seconds=500)
    session(date(2026, 6, 10), guidance="ultrasound")

    beam = page_of(clinic, signed_in).ledgers[-1]

    assert beam.total == "1 min 18 s"
    assert beam.notes[0] == "12.5 µGy·m² dose-area product, 3 sessions"
    assert beam.notes[1].startswith("1 without a beam time")


def test_authorisations_say_what_is_left(clinic: SmallClinic, signed_in: Enter, tell: Callable[..., Any]) -> None:
    coverage = tell(Coverage, payer="Harbour", payer_rules="none", plan_type="commercial")
    common = {"coverage": coverage, "covers": "esi", "status": "approved", "decided_on": date(2026, 3, 1), "units": 3}
    tell(Authorization, number="A-1", valid_until=TODAY, **common)
    tell(Authorization, number="A-0", valid_until=TODAY - timedelta(days=1), **common)
    tell(Authorization, coverage=coverage, covers="facet_rfa")

    page = page_of(clinic, signed_in)

    assert {(one.number, one.state, one.until, one.left) for one in page.allowances} == {
        ("A-1", "Approved", "14 Sep 2026", "3 of 3 left"),
        ("", "Asked for", "", ""),
    }
    assert [(pair.label, pair.value) for pair in page.coverage] == [("Harbour", "Commercial")]


def test_medicines_are_added_up_in_equivalents(clinic: SmallClinic, signed_in: Enter, tell: Callable[..., Any]) -> None:
    tell(Medication, kind="opioid", drug="oxycodone", name="Oxycodone", daily_amount=40, started_on=date(2026, 1, 1))
    tell(Medication, kind="opioid", drug="buprenorphine", name="Buprenorphine", daily_amount=8)
    tell(Medication, kind="opioid", drug="morphine", name="Morphine", daily_amount=30, stopped_on=TODAY)

    page = page_of(clinic, signed_in)

    assert (page.mme, page.mme_is_high) == ("60 MME a day; not counted: buprenorphine", True)
    assert ([one.name for one in page.medicines], [one.name for one in page.past_medicines]) == (
        ["Buprenorphine", "Oxycodone"], ["Morphine"],
    )  # fmt: skip


def test_a_note_is_linked_with_its_state_and_a_complication_is_told(
    clinic: SmallClinic, signed_in: Enter, session: Callable[..., Any], tell: Callable[..., Any], doctor: Actor, at: datetime
) -> None:
    done = session(date(2026, 6, 1))
    note = notes.write(performed=done, sections={"plan": "See"}, by=doctor, at=at)
    tell(Complication, performed=done, kind="vasovagal", severity="minor", noticed_on=date(2026, 6, 1))

    entry = page_of(clinic, signed_in, "?what=procedures").timeline.entries[0]

    assert (entry.note_url, entry.note_state) == (f"/notes/{note.public_id}/", "not signed")
    assert entry.harm == "Vasovagal reaction (minor)"


def test_what_was_recorded_by_mistake_is_on_no_part_of_the_page(
    clinic: SmallClinic, signed_in: Enter, session: Callable[..., Any], doctor: Actor, at: datetime
) -> None:
    done = session(date(2026, 6, 1), after={14: 2})
    records.mark_in_error(row=done, reason="Other patient", by=doctor, at=at)

    page = page_of(clinic, signed_in, "?what=procedures")

    assert (page.timeline.entries, page.map.is_empty, page.chart.marks) == ((), True, ())


@pytest.mark.parametrize("query", ["?page=-1", "?page=x", "?page=999999999", "?at=L4-L5'--", "?span=9y", "?side=up", "?as=x"])
def test_an_address_that_means_nothing_opens_the_usual_page(clinic: SmallClinic, signed_in: Enter, query: str) -> None:
    assert page_of(clinic, signed_in, query).timeline.entries == ()


def test_htmx_gets_the_part_that_changes(clinic: SmallClinic, signed_in: Enter) -> None:
    doctor = signed_in("physician", clinic.site)
    address = f"/patients/{clinic.patient.public_id}/"

    part = doctor.get(address, headers={"HX-Request": "true"}).content.decode()

    assert part.startswith('<div id="history"')
    assert "<html" not in part
