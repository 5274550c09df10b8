"""A manager chooses the second rule set for blood thinners: looked at first, kept, followed by coming cases, and left again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from pain_clinic.accounts.actors import Actor
from patients.models import Clearance, Medication
from procedures import rulebook, rulerows, tables
from procedures.models import Procedure, RuleRow
from procedures.rules.clinic.drugs import SECOND_SET
from scheduling import clearing, holdplan, rechecking
from scheduling.models import Appointment
from tests import factories
from tests.database.scheduling.rules.ruling import IN_TWO_WEEKS, put, said, settle, tasks
from tests.factories import NOW, SmallClinic, local

GUIDELINE = {"antithrombotic_hold", "antithrombotic_clearance", "antithrombotic_restart"}


@pytest.fixture(autouse=True)
def _loaded(db: None) -> None:
    tables.load(by=Actor.system("tests"), at=NOW)


@pytest.fixture
def case(clinic: SmallClinic) -> Appointment:
    """Return a coming lumbar block, of low risk, of somebody who takes to the day what the table holds at every risk."""
    Procedure.objects.filter(code="mbb_lumbar").update(code="the_catalogues_own")
    values = {"code": "mbb_lumbar", "family": "mbb_diagnostic", "regions": ["lumbar", "sacral"], "bleeding_class": "low"}
    Procedure.objects.filter(pk=clinic.procedure.pk).update(**values)
    clinic.procedure.refresh_from_db()
    rulebook._kept.stamp = None
    settle(clinic)
    drug = {"kind": "antithrombotic", "drug": "enoxaparin_ther", "name": "Enoxaparin"}
    put(Medication, clinic.patient, **drug, last_dose_at=local(IN_TWO_WEEKS, "8:00"))
    return factories.appointment(
        of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, starts_at=local(IN_TWO_WEEKS, "9:00"),
        resources=clinic.resources, side="left", levels=["L4-L5"],
    )  # fmt: skip


def row() -> RuleRow:
    return RuleRow.objects.filter(row_id=SECOND_SET).in_order().last()  # type: ignore[return-value]


def typed(page: Any, **changes: Any) -> dict[str, Any]:
    form = page.context["form"]
    return {name: form[name].value() for name in form.fields if form[name].value() is not None} | changes


def told(case: Appointment, at: Any = NOW) -> set[str]:
    rechecking.check_all(at=at)
    return {code.partition(":")[0] for code in said(case) if code.startswith("antithrombotic_")}


def plan(case: Appointment) -> list[tuple[str, object]]:
    fresh = Appointment.objects.select_related("patient", "procedure", "site").get(pk=case.pk)
    return [(line.held.action, line.held.last_dose) for line in holdplan.plan_of(case=fresh, at=NOW).lines]


def test_chosen_on_its_page_it_is_followed_by_coming_cases_until_it_is_left(
    case: Appointment, clinic: SmallClinic, signed_in: Callable[..., Client]
) -> None:
    manager = signed_in("manager", clinic.site)
    assert told(case) == GUIDELINE
    assert plan(case)[0][0] == "hold"
    address = f"/rules/{row().public_id}/change/"
    page = manager.get(address)
    assert page.context["form"].fields["is_enabled"].choices == [("no", "ASRA guideline"), ("yes", "IPSIS")]
    assert page.context["form"]["is_enabled"].value() == "no"

    looked = manager.post(address, typed(page, is_enabled="yes", act="look"))

    effect = looked.context["effect"]
    assert (effect.coming, effect.stopped, [one.case.pk for one in effect.newly_freed]) == (1, 0, [case.pk])
    assert not row().is_enabled

    assert manager.post(address, typed(page, is_enabled="yes", act="save")).status_code == 303

    assert (row().is_enabled, row().owner is not None, rulerows.state(row())) == (True, True, "IPSIS")
    assert told(case, NOW + timedelta(minutes=1)) == {"antithrombotic_shared_decision"}
    assert plan(case) == [("shared_decision", None)]
    assert "clearance" in tasks(case)
    nurse = signed_in("nurse", clinic.site)
    assert "IPSIS rule set" in nurse.get(f"/appointments/{case.public_id}/medicines/").content.decode()

    new = f"/rules/{row().public_id}/change/"
    assert manager.post(new, typed(manager.get(new), is_enabled="no", act="save")).status_code == 303

    assert rulerows.state(row()) == "ASRA guideline"
    assert ("rule set", "IPSIS", "ASRA guideline") in [one for version in rulerows.versions(row()) for one in version.changes]
    assert told(case, NOW + timedelta(minutes=2)) == GUIDELINE
    assert plan(case)[0][0] == "hold"


def test_a_newer_load_of_the_tables_keeps_what_is_chosen(clinic: SmallClinic) -> None:
    by = Actor.of_user(factories.user(role="manager", sites=(clinic.site,)))
    assert RuleRow.objects.filter(section="conventions").count() == 1
    rulerows.change(row=row(), changes={"is_enabled": True}, values={}, version=1, by=by, at=NOW)

    report = tables.load(by=Actor.system("tests"), at=NOW).rules

    assert (report.added, report.changed, row().is_enabled) == ([], [], True)
    assert rulerows.edits(row()) == [("rule set", "IPSIS", "ASRA guideline")]
    assert rulerows.title(row()) == "Rule set for blood thinners: low-risk lumbar and sacral procedures"


@pytest.fixture
def decided(case: Appointment, clinic: SmallClinic) -> Clearance:
    """Return what was decided together about hours before the case, where the second rule set is chosen."""
    RuleRow.objects.filter(row_id=SECOND_SET).update(is_enabled=True)
    nurse = Actor.of_user(factories.user(role="nurse", sites=(clinic.site,)))
    said = {"answered_by": "Dr. Heart", "how": "telephone", "note": "Last dose the day before at 9, again at 14"}
    return clearing.answer(appointment=case, drug="enoxaparin_ther", is_agreed=True, by=nurse, at=NOW, **said)


def move(case: Appointment, **shift: int) -> None:
    """Move a case from the time at which it was decided."""
    moments = ("arrives_at", "starts_at", "ends_at", "leaves_at")
    Appointment.objects.filter(pk=case.pk).update(**{name: getattr(case, name) + timedelta(**shift) for name in moments})


def line(case: Appointment) -> holdplan.Line:
    fresh = Appointment.objects.select_related("patient", "procedure", "site").get(pk=case.pk)
    return holdplan.plan_of(case=fresh, at=NOW).lines[0]


def severity(case: Appointment) -> str:
    rechecking.recheck([case.patient_id], at=NOW)
    return next(weight for code, weight in said(case).items() if code.startswith("antithrombotic_shared_decision"))


@pytest.mark.parametrize(("shift", "is_kept"), [(-120, False), (-5, False), (0, True), (5, False), (240, False)])
def test_what_was_decided_about_hours_stays_only_while_the_case_begins_at_that_hour(
    case: Appointment, decided: Clearance, shift: int, is_kept: bool
) -> None:
    move(case, minutes=shift)

    assert severity(case) == ("info" if is_kept else "pending")
    assert (line(case).held.is_agreed, line(case).is_old_decision) == (True if is_kept else None, not is_kept)
    assert ("clearance" in tasks(case)) is not is_kept
    assert is_kept or f'for {IN_TWO_WEEKS} 09:00 ("Last dose the day before at 9, again at 14")' in tasks(case)["clearance"].note


@pytest.mark.parametrize("shift", [-5, 240])
def test_another_hour_is_confirmed_on_the_page_with_one_press(
    case: Appointment, decided: Clearance, clinic: SmallClinic, signed_in: Callable[..., Client], shift: int
) -> None:
    address, client = f"/appointments/{case.public_id}/medicines/", signed_in("nurse", clinic.site)
    assert "counts no more" not in client.get(address).content.decode()
    move(case, minutes=shift)

    page = client.get(address).content.decode()

    assert all(words in page for words in ("Decided for another hour", "until it is confirmed for this hour"))
    slot = Appointment.objects.get(pk=case.pk).starts_at
    press = {"act": "keep", "word": str(decided.public_id), "slot": slot.isoformat()}
    assert client.post(f"{address}enoxaparin_ther/", press).status_code == 303
    assert (severity(case), line(case).held.is_agreed, line(case).decided_for) == ("info", True, slot)
    assert "decided for another time and confirmed for this one" in client.get(address).content.decode()


@pytest.mark.parametrize("shift", [-5, 5])
def test_who_was_asked_about_another_hour_may_be_asked_about_this(case: Appointment, decided: Clearance, shift: int) -> None:
    Clearance.objects.filter(pk=decided.pk).update(answer="asked")
    assert line(case).is_asked
    move(case, minutes=shift)
    assert (line(case).is_asked, line(case).is_old_decision) == (False, False)
