"""What was done where and what it brought: the map, the timeline and the chart."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from patients import notes, outcomes
from patients.models import Allergy, Authorization, Complication, Coverage, Implant, Medication, Score
from tests.database.patients.history.making import TODAY, Enter, page_of
from tests.factories import SmallClinic


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


def test_a_note_is_linked_with_its_state_and_a_complication_is_told(
    clinic: SmallClinic, signed_in: Enter, session: Callable[..., Any], tell: Callable[..., Any], doctor: Actor, at: datetime
) -> None:
    done = session(date(2026, 6, 1))
    note = notes.write(performed=done, sections={"plan": "See"}, by=doctor, at=at)
    tell(Complication, performed=done, kind="vasovagal", severity="minor", noticed_on=date(2026, 6, 1))

    entry = page_of(clinic, signed_in, "?what=procedures").timeline.entries[0]

    assert (entry.note_url, entry.note_state) == (f"/notes/{note.public_id}/", "not signed")
    assert entry.harm == "Vasovagal reaction (minor)"


@pytest.mark.parametrize(("origin", "is_told"), [("patient", True), ("import", False), ("clinic", False)])
def test_only_what_a_patient_told_is_said_to_be_told_by_the_patient(
    clinic: SmallClinic, signed_in: Enter, at: datetime, origin: str, is_told: bool
) -> None:
    Score.objects.create(
        patient=clinic.patient, measure="odi", aspect="total", value=30, scored_on=TODAY, phase="routine", origin=origin,
        recorded_at=at,
    )  # fmt: skip

    entry = page_of(clinic, signed_in, "?what=scores").timeline.entries[0]

    assert ("told by the patient" in entry.more) == is_told
