"""What a history says in words of things that are seldom there: done elsewhere, off the spine, diaries, old operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from patients import history, outcomes, records
from patients.history import charts, opening, targets
from patients.history.reading import Done
from patients.models import (
    Authorization,
    Complication,
    Condition,
    Coverage,
    GivenDrug,
    LabResult,
    Medication,
    Patient,
    PlannedSurgery,
    Vaccination,
)
from tests.database.patients.history.making import TODAY, page_of
from tests.factories import EVENING, SmallClinic

Enter = Callable[..., Any]
DAY = timedelta(days=1)


def entries(page: history.HistoryPage) -> list[tuple[str, str]]:
    return [(one.title, one.more) for one in page.timeline.entries]


def test_what_was_told_in_the_evening_stands_under_that_day(clinic: SmallClinic, signed_in: Enter, doctor: Actor) -> None:
    for kind, values in ((Medication, {"kind": "other", "name": "Gabapentin"}), (Condition, {"kind": "osteoporosis"})):
        records.record(kind=kind, patient=clinic.patient, values=values, by=doctor, at=EVENING)
    for what in ("medicines", "facts"):
        assert [one.on for one in page_of(clinic, signed_in, f"?what={what}").timeline.entries] == [TODAY]


# --- what was done -----------------------------------------------------------------------------------------------------


def test_how_something_was_done_is_told(
    clinic: SmallClinic,
    signed_in: Enter,
    session: Callable[..., Any],
    tell: Callable[..., Any],
) -> None:
    first = session(
        date(2026, 6, 1), role="diagnostic", operator_name="Dr. Adler", guidance="fluoroscopy", fluoroscopy_seconds=42
    )  # fmt: skip
    for kind, drug, dose in (
        ("steroid", "dexamethasone", 10),
        ("steroid", "triamcinolone", None),
        ("local_anaesthetic", "lidocaine", 2),
    ):
        tell(GivenDrug, performed=first, kind=kind, drug=drug, dose_mg=dose, given_on=first.done_on)
    tell(Complication, performed=first, kind="vasovagal", severity="minor", noticed_on=first.done_on)
    session(date(2026, 5, 1), is_elsewhere=True, where_elsewhere="Riverside")
    session(date(2026, 4, 1), is_elsewhere=True, levels=[], side="", body_site="left_knee")
    told = [more for _, more in entries(page_of(clinic, signed_in, "?what=procedures"))]
    assert told[0].startswith("Dr. Adler, diagnostic, fluoroscopy 42 s, dexamethasone 10 mg, triamcinolone, dose not recorded")
    assert "lidocaine" not in told[0]
    assert (told[1].split(",")[0], told[2].split(",")[0]) == ("elsewhere: Riverside", "elsewhere")
    assert entries(page_of(clinic, signed_in, "?what=procedures"))[2][0].endswith("left knee")


def test_results_operations_and_vaccines_are_told_by_their_day(
    clinic: SmallClinic,
    signed_in: Enter,
    tell: Callable[..., Any],
) -> None:
    tell(LabResult, test="inr", value=Decimal("1.10"), taken_on=TODAY - 5 * DAY)
    tell(PlannedSurgery, kind="arthroplasty", site="right_knee", planned_on=TODAY + 30 * DAY)
    tell(Vaccination, kind="inactivated", given_on=TODAY - 3 * DAY)
    told = dict(entries(page_of(clinic, signed_in, "?what=facts")))
    assert told["INR: 1.1"] == ""
    assert told["Joint replacement planned"] == "right knee"
    assert [title for title in told if title.startswith("Vaccine: ")]


def test_the_payers_word_is_told_and_what_was_withdrawn_is_not(
    clinic: SmallClinic,
    signed_in: Enter,
    tell: Callable[..., Any],
) -> None:
    plan = tell(Coverage, payer="Medicare", payer_rules="none", plan_type="original_medicare")
    given = {"coverage": plan, "covers": "mbb_diagnostic"}
    tell(Authorization, **given, status="approved", asked_on=TODAY - 9 * DAY, decided_on=TODAY - 5 * DAY, number="A1")
    titles = [title for title, _ in entries(page_of(clinic, signed_in, "?what=payer"))]
    assert [title.split(":")[0] for title in titles] == ["Authorisation approved", "Authorisation asked for"]


# --- where -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body_site", "side", "place"),
    [("left_knee", "", ("knee", "left")), ("neck", "right", ("neck", "right")), ("left", "right", ("left", "right"))],
)
def test_a_part_of_the_body_brings_its_own_side(
    clinic: SmallClinic,
    signed_in: Enter,
    session: Callable[..., Any],
    body_site: str,
    side: str,
    place: tuple[str, str],
) -> None:
    session(date(2026, 6, 1), levels=[], side=side, body_site=body_site)
    shown = page_of(clinic, signed_in).map
    assert [(one.place, one.side) for one in shown.body] == [place]


@pytest.mark.parametrize(
    ("days", "told"),
    [(13, "13 d"), (14, "2 w"), (91, "13 w"), (92, "3 mo"), (730, "24 mo"), (731, "2.0 y")],
)
def test_a_length_is_told_in_the_unit_that_suits_it(days: int, told: str) -> None:
    assert targets.in_words(days) == told


# --- relief by the block diary -----------------------------------------------------------------------------------------


@pytest.fixture
def diary(session: Callable[..., Any], doctor: Actor, at: datetime) -> Callable[..., None]:
    """Return a function that writes a block's diary: minutes after it, and the pain."""

    def write(*told: tuple[int, int | None], done_at: datetime | None = at) -> None:
        block = session(at.date(), before=8, done_at=done_at, role="diagnostic")
        for minutes, value in told:
            given = {
                "measure": "nrs", "aspect": "index", "performed": block, "phase": "diary", "value": value,
                "scored_on": at.date(), "scored_at": at + timedelta(minutes=minutes),
            }  # fmt: skip
            outcomes.record_score(patient=block.patient, values=given, by=doctor, at=at)

    return write


@pytest.mark.parametrize(
    ("told", "lasted"),
    [
        (((30, 2), (60, 2), (240, 3), (300, 7), (360, 2)), "for 4 h"),  # what comes back later is another relief
        (((15, 6), (30, 2), (45, 2)), "for 45 min or more"),  # it took a while to begin
        (((30, 2), (59, 2)), "for 59 min or more"),
    ],
)
def test_relief_of_one_day_is_told_in_hours_by_the_diary(
    clinic: SmallClinic, signed_in: Enter, diary: Callable[..., None], told: tuple[tuple[int, int], ...], lasted: str
) -> None:
    diary(*told)
    page = page_of(clinic, signed_in, "?what=procedures")
    assert page.timeline.entries[0].relief is not None
    assert lasted.removesuffix(" or more") in page.timeline.entries[0].relief.lasted


def done_on_a_day(**told: Any) -> Done:
    """Return a block of today with a baseline, and what else is told of it."""
    empty: dict[str, Any] = dict.fromkeys(one.name for one in fields(Done))
    usual = {"pk": 1, "done_on": TODAY, "levels": [], "regions": [], "side": "left", "body_site": "", "baseline": Decimal(8)}
    return Done(**{**empty, **usual, **told})


def test_relief_that_was_never_half_is_told_without_a_length() -> None:
    told = targets.relief_of(done_on_a_day(best_pct=Decimal(40), later_pct=Decimal(30), score_count=3), [])
    assert (told.pct, told.lasted, told.score_count, told.tone) == (30, "", 3, "little")


@pytest.mark.parametrize("values", [(), (7, 6, 8), (None,)])
def test_relief_that_no_line_of_the_diary_shows_is_told_of_that_day(at: datetime, values: tuple[int | None, ...]) -> None:
    block = done_on_a_day(done_at=at, best_pct=Decimal(75), later_pct=Decimal(75), held_50_until=TODAY)
    diary: Any = [
        SimpleNamespace(phase="diary", value=value, scored_at=at + timedelta(minutes=30 * place))
        for place, value in enumerate(values, start=1)
    ]
    assert targets.relief_of(block, diary).lasted == "that day"


def test_of_the_thorax_only_what_was_treated_and_its_neighbours_are_drawn() -> None:
    held = done_on_a_day(levels=["T6-T7"])
    shown = targets.map_of([held], {1: targets.relief_of(held, [])}, chosen=None, url="?", clear_url="?")
    assert [[row.level for row in region.rows] for region in shown.regions] == [["T5-T6", "T6-T7", "T7-T8"]]


# --- the chart ---------------------------------------------------------------------------------------------------------


def scored(on: date, measure: str, value: float | None, aspect: str = "index", phase: str = "follow_up") -> Any:
    class Row:
        scored_on = on

    Row.measure, Row.value, Row.aspect, Row.phase = measure, value, aspect, phase  # type: ignore[attr-defined]
    return Row


def test_of_several_answers_of_a_day_the_average_counts_and_of_equal_ones_the_last() -> None:
    rows = [
        scored(TODAY, "nrs", 4, "average"), scored(TODAY, "nrs", 9, "worst"), scored(TODAY, "nrs", 5, "average"),
        scored(TODAY, "vas", 30, phase="before"), scored(TODAY, "nrs", None), scored(TODAY, "nrs", 1, phase="diary"),
        scored(TODAY, "peg", 7),
    ]  # fmt: skip
    assert [(one.on, one.value) for one in opening.pain_of(rows)] == [(TODAY, 5.0), (TODAY, 3.0)]


def test_the_band_of_opioids_ends_below_the_plot() -> None:
    drawn = charts.draw(first=TODAY - 90 * DAY, last=TODAY, pain=(), function=(), opioids=(), events=())
    assert drawn.mme_end - drawn.mme_top == charts.MME_HEIGHT


# --- standing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "told"), [((), "HbA1c not on file"), ((("2026-01-05", "7.9"), ("2026-08-05", "8.20")), "HbA1c 8.2 %")]
)
def test_diabetes_is_told_with_the_newest_value(
    clinic: SmallClinic,
    signed_in: Enter,
    tell: Callable[..., Any],
    values: tuple[tuple[str, str], ...],
    told: str,
) -> None:
    tell(Condition, kind="diabetes")
    for on, value in values:
        tell(LabResult, test="hba1c", value=Decimal(value), taken_on=date.fromisoformat(on))
    assert told in str([one.text for one in page_of(clinic, signed_in).chips])


def test_who_pays_is_told_as_at_registration_until_a_plan_is_on_file(
    clinic: SmallClinic,
    signed_in: Enter,
    tell: Callable[..., Any],
) -> None:
    Patient.objects.filter(pk=clinic.patient.pk).update(payer="Northern Mutual")
    assert "as said at registration" in str(page_of(clinic, signed_in))
    tell(Coverage, payer="Medicare", payer_rules="none", plan_type="original_medicare")
    assert "as said at registration" not in str(page_of(clinic, signed_in))
