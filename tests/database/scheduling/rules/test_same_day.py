"""The same procedure at the same place twice on one day is asked about: it may be a mistake."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from pain_clinic.accounts.actors import Actor
from procedures.models import Procedure
from procedures.rules import Waiver
from scheduling import booking
from scheduling.availability import Opening
from scheduling.booking import RulesRefused, Target
from scheduling.models import Appointment, RuleOverride, Status
from tests import factories
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
