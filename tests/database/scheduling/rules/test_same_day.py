"""The same procedure at the same place twice on one day is asked about: it may be a mistake."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from pain_clinic.accounts.actors import Actor
from patients.models import PerformedProcedure
from procedures.models import Procedure
from procedures.rules import Waiver
from scheduling import booking
from scheduling.availability import Opening
from scheduling.booking import RulesRefused, Target
from scheduling.models import Appointment, RuleOverride, Status
from tests import factories
from tests.database.scheduling.rules.ruling import put
from tests.factories import NOW, TOMORROW, SmallClinic, local

DAY = timedelta(days=1)
CODE = "same_day_twice"


def opening(clinic: SmallClinic, clock: str = "13:00", days: int = 0) -> Opening:
    start = local(TOMORROW + days * DAY, clock)
    return Opening(start, start, start, start, clinic.site.pk, {"all": tuple(one.pk for one in clinic.resources)})


def first(clinic: SmallClinic, **values: Any) -> Appointment:
    """Return a case at nine in the morning, left at L4-L5."""
    Procedure.objects.update(level_scheme="foramina")
    clinic.procedure.refresh_from_db()
    given = {"for_procedure": clinic.procedure, "side": "left", "levels": ["L4-L5"], **values}
    return factories.appointment(of=clinic.patient, at_site=clinic.site, **given)


def said(clinic: SmallClinic, by: Actor, target: Target, *, days: int = 0, procedure: Procedure | None = None) -> list[str]:
    """Return what is said of the question when another case is tried that day at one."""
    what = procedure or clinic.procedure
    found = booking.preview(
        patient=clinic.patient, procedure=what, target=target, opening=opening(clinic, days=days), by=by, at=NOW
    )  # fmt: skip
    return [one.key for one in found if one.code == CODE]


def message_of(clinic: SmallClinic, by: Actor, target: Target) -> str:
    found = booking.preview(
        patient=clinic.patient, procedure=clinic.procedure, target=target, opening=opening(clinic), by=by, at=NOW
    )  # fmt: skip
    return next(one.message for one in found if one.code == CODE)


@pytest.mark.parametrize(
    ("side", "levels", "is_asked"),
    [
        ("left", ("L4-L5",), True),
        ("left", ("L3-L4", "L4-L5"), True),
        ("bilateral", ("L4-L5",), True),
        ("left", (), True),  # nobody has said where: it may be there
        ("right", ("L4-L5",), False),
        ("left", ("L5-S1",), False),
    ],
)
def test_same_side_and_level_are_asked_about_and_others_are_not(
    clinic: SmallClinic, by: Actor, side: str, levels: tuple[str, ...], is_asked: bool
) -> None:
    case = first(clinic)
    assert said(clinic, by, Target(side=side, levels=levels)) == ([f"{CODE}:{case.pk}"] if is_asked else [])


@pytest.mark.parametrize(("regions", "is_asked"), [(("low_back",), True), (("neck", "low_back"), True), (("neck",), False)])
def test_without_levels_the_region_counts(clinic: SmallClinic, by: Actor, regions: tuple[str, ...], is_asked: bool) -> None:
    first(clinic, levels=[], regions=["low_back"])
    assert bool(said(clinic, by, Target(side="left", regions=regions))) is is_asked


def test_a_case_at_another_site_is_told_of_without_its_hour(clinic: SmallClinic, by: Actor) -> None:
    target = Target(side="left", levels=("L4-L5",))
    case = first(clinic)
    told = [message_of(clinic, by, target)]
    Appointment.objects.filter(pk=case.pk).update(site=factories.site())
    told.append(message_of(clinic, by, target))
    assert ["at 09:00" in one for one in told] == [True, False]
    assert "at another site" in told[1]


def test_another_day_another_procedure_and_a_case_that_is_off_are_not_asked_about(clinic: SmallClinic, by: Actor) -> None:
    case, target = first(clinic), Target(side="left", levels=("L4-L5",))
    assert said(clinic, by, target, days=1) == []
    assert said(clinic, by, target, procedure=factories.procedure()) == []
    assert said(clinic, by, target)
    Appointment.objects.filter(pk=case.pk).update(status=Status.NO_SHOW)
    assert said(clinic, by, target) == []


def test_a_reason_books_it_and_a_move_to_the_day_asks_again(clinic: SmallClinic, by: Actor) -> None:
    case, target = first(clinic), Target(side="left", levels=("L4-L5",))
    wanted: dict[str, Any] = {"patient": clinic.patient, "procedure": clinic.procedure, "target": target, "by": by, "at": NOW}
    with pytest.raises(RulesRefused) as refusal:
        booking.book(opening=opening(clinic), **wanted)
    (standing,) = refusal.value.standing
    assert (standing.code, standing.severity.value) == (CODE, "warn")
    assert "that day already, at 09:00" in standing.message
    waiver = Waiver(standing.key, "clinical_judgement", "A second look in the afternoon.")
    second = booking.book(opening=opening(clinic), waivers=[waiver], **wanted)
    assert RuleOverride.objects.get(appointment=second).code == f"{CODE}:{case.pk}"
    second = booking.reschedule(appointment=second, opening=opening(clinic, days=1), by=by, at=NOW)
    with pytest.raises(RulesRefused, match="that day already"):
        booking.reschedule(appointment=second, opening=opening(clinic), by=by, at=NOW)


def test_an_import_leaves_the_second_one_out_and_says_why(
    clinic: SmallClinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("scheduling.management.commands.import_appointments.now", lambda: NOW)
    first(clinic)
    type(clinic.patient).objects.filter(pk=clinic.patient.pk).update(external_id="P1")
    head, row = "external_id,patient_external_id,procedure,side,levels,starts_at", f"P1,{clinic.procedure.code}"
    (tmp_path / "a.csv").write_text(f"{head}\nA1,{row},left,L4-L5,{TOMORROW} 13:00\nA2,{row},right,L4-L5,{TOMORROW} 15:00\n")
    call_command("import_appointments", str(tmp_path / "a.csv"))
    assert "that day already, at 09:00" in capsys.readouterr().err
    assert list(Appointment.objects.exclude(external_id=None).values_list("external_id", flat=True)) == ["A2"]


NOON = local(TOMORROW, "12:00")
HERE = Target(side="left", levels=("L4-L5",))


def done(clinic: SmallClinic, **values: Any) -> PerformedProcedure:
    """Return what is on record of a case at nine whose patient has gone home."""
    case = first(clinic)
    Appointment.objects.filter(pk=case.pk).update(status=Status.DISCHARGED)
    given = {"procedure": clinic.procedure, "done_on": TOMORROW, "side": "left", "levels": ["L4-L5"], "site": clinic.site}
    return put(PerformedProcedure, clinic.patient, **{**given, "appointment": case.public_id, **values})


def told(clinic: SmallClinic, by: Actor, target: Target = HERE, *, days: int = 0) -> list[str]:
    """Return what is said at noon of another case at one."""
    where = opening(clinic, days=days)
    found = booking.preview(patient=clinic.patient, procedure=clinic.procedure, target=target, opening=where, by=by, at=NOON)
    return [one.message for one in found if one.code == CODE]


def test_a_case_of_the_day_that_is_done_and_gone_is_asked_about(clinic: SmallClinic, by: Actor) -> None:
    done(clinic)
    (message,) = told(clinic, by)
    assert "at the same place that day already, at 09:00: it is done" in message
    with pytest.raises(RulesRefused):
        booking.book(
            patient=clinic.patient, procedure=clinic.procedure, target=HERE, opening=opening(clinic), by=by, at=NOON
        )  # fmt: skip
    assert told(clinic, by, days=1) == []
    assert told(clinic, by, Target(side="right", levels=("L4-L5",))) == []
    assert told(clinic, by, Target(side="left", levels=("L5-S1",))) == []


def test_what_was_done_counts_and_not_what_was_booked(clinic: SmallClinic, by: Actor) -> None:
    done(clinic, side="right")
    assert told(clinic, by) == []
    assert len(told(clinic, by, Target(side="right", levels=("L4-L5",)))) == 1


@pytest.mark.parametrize("side", ["left", "right", "bilateral"])
def test_what_was_done_on_a_side_that_nobody_knows_may_have_been_this_one(clinic: SmallClinic, by: Actor, side: str) -> None:
    done(clinic, side="")
    assert len(told(clinic, by, Target(side=side, levels=("L4-L5",)))) == 1
    assert told(clinic, by, Target(side=side, levels=("L5-S1",))) == []


@pytest.mark.parametrize(("side", "is_asked"), [("midline", True), ("", True), ("left", False)])
def test_what_has_one_side_only_was_done_on_it_where_nobody_says_so(
    clinic: SmallClinic, by: Actor, side: str, is_asked: bool
) -> None:
    Procedure.objects.update(laterality=["midline"])
    done(clinic, side="")
    assert bool(told(clinic, by, Target(side=side, levels=("L4-L5",)))) is is_asked


@pytest.mark.parametrize(
    ("changes", "is_asked"),
    [
        ({"done_on": TOMORROW - DAY}, False),
        ({"is_in_error": True, "error_reason": "Another patient"}, False),
        ({"appointment": None}, True),
    ],
)
def test_only_what_stands_on_record_for_that_day_is_asked_about(
    clinic: SmallClinic, by: Actor, changes: dict[str, Any], is_asked: bool
) -> None:
    row = done(clinic)
    Appointment.objects.update(status=Status.NO_SHOW)
    PerformedProcedure.objects.filter(pk=row.pk).update(**changes)
    assert bool(told(clinic, by)) is is_asked


def test_a_case_that_is_gone_and_not_yet_on_record_is_asked_about_too(clinic: SmallClinic, by: Actor) -> None:
    case = first(clinic)
    Appointment.objects.filter(pk=case.pk).update(status=Status.DISCHARGED)
    assert len(told(clinic, by)) == 1


def test_a_case_whose_patient_is_still_here_is_asked_about_once(clinic: SmallClinic, by: Actor) -> None:
    row = done(clinic)
    Appointment.objects.update(status=Status.RECOVERY)
    Appointment.objects.filter(public_id=row.appointment).update(leaves_at=NOON + DAY / 48)
    assert len(told(clinic, by)) == 1
