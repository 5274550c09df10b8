"""Changing the catalogue: who may, what is refused, what is kept and recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import DomainError
from procedures import catalogue
from procedures.catalogue import needs_under
from procedures.models import Procedure, ProcedureNeed
from tests import factories

BY = Actor.system("tests", catalogue.CHANGE)


def amend(row: Procedure, *, needs: list[dict[str, Any]] | None = None, by: Actor = BY, **changes: Any) -> Procedure:
    return catalogue.amend(procedure=row, changes=changes, needs=needs, version=row.version, by=by, at=factories.NOW)


def need(kind: str, *legs: str, **values: Any) -> dict[str, Any]:
    return {"kind": kind, "attribute": "", "count": 1, "legs": list(legs), **values}


def refused(row: Procedure, **values: Any) -> tuple[str, list[str]]:
    with pytest.raises(DomainError) as refusal:
        amend(row, **values)
    return refusal.value.code, refusal.value.details.get("problems", [])


def test_amend_changes_records_and_keeps_the_old_version() -> None:
    row = factories.procedure(room_minutes=30)
    changed = amend(row, room_minutes=45, short_name="New name")
    assert (changed.room_minutes, changed.short_name, changed.version) == (45, "New name", 2)
    event = AuditEvent.objects.get(act="procedures.amend")
    assert (event.subject_id, event.outcome, event.details) == (
        row.public_id, "done", {"fields": ["room_minutes", "short_name"], "version": 2},
    )  # fmt: skip
    history = Procedure.pgh_event_model.objects.filter(pgh_obj=row).order_by("pgh_id")
    assert [(each.room_minutes, each.version) for each in history] == [(30, 1), (45, 2)]


def test_amend_that_changes_nothing_leaves_no_trace() -> None:
    row = factories.procedure()
    assert amend(row, room_minutes=row.room_minutes, needs=catalogue.needs_now(row)).version == 1
    assert AuditEvent.objects.count() == 0


def test_needs_are_replaced_and_their_history_kept() -> None:
    row = factories.procedure()
    wanted = [
        need("physician", "procedure"),
        need("nurse", "prep", count=2),
        need("room", "turnover", "procedure"),
        need("bay", "recovery"),
    ]
    kept = ProcedureNeed.objects.get(procedure=row, kind="physician").pk
    changed = amend(row, needs=wanted)
    assert changed.version == 2
    assert catalogue.needs_now(row) == [
        need("physician", "procedure"),
        need("nurse", "prep", count=2),
        need("room", "procedure", "turnover"),
        need("bay", "recovery"),
    ]
    assert ProcedureNeed.objects.get(procedure=row, kind="physician").pk == kept
    labels = ProcedureNeed.pgh_event_model.objects.filter(kind="c_arm").order_by("pgh_id").values_list("pgh_label", flat=True)
    assert list(labels)[-1] == "delete"
    assert AuditEvent.objects.get(act="procedures.amend").details["fields"] == ["needs"]


def test_new_need_is_added() -> None:
    row = factories.procedure()
    amend(row, needs=[*catalogue.needs_now(row), need("rf_generator", "procedure")])
    assert ProcedureNeed.objects.filter(procedure=row, kind="rf_generator", legs=["procedure"]).exists()


def test_amend_refuses_who_may_not() -> None:
    row = factories.procedure()
    stranger = replace(BY, permissions=frozenset({"procedures.view_catalogue"}))
    assert refused(row, room_minutes=45, by=stranger) == ("may_not_change_catalogue", [])
    assert Procedure.objects.get().room_minutes == 30


def test_amend_refuses_what_somebody_changed_meanwhile() -> None:
    row = factories.procedure()
    amend(row, room_minutes=45)
    assert refused(row, room_minutes=60) == ("changed_meanwhile", [])
    assert Procedure.objects.get().room_minutes == 45


def test_amend_leaves_the_tables_facts_alone() -> None:
    with pytest.raises(ValueError, match="not for the clinic to change: bleeding_class"):
        amend(factories.procedure(), bleeding_class="low")


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"room_minutes": 31}, "Room minutes must be a multiple of 5."),
        ({"needs": [need("room", "procedure"), need("bay", "recovery")]}, "A physician is needed for the procedure."),
        (
            {"needs": [need("physician", "procedure"), need("room", "turnover"), need("bay", "recovery")]},
            "A room is needed for the procedure.",
        ),
        (
            {"needs": [need("physician", "procedure"), need("room", "procedure")]},
            "Recovery needs a bay; set recovery to 0 minutes if there is none.",
        ),
        ({"recovery_minutes": 0}, "Nothing can be needed for recovery when recovery takes 0 minutes."),
        ({"is_retired": True, "is_offered": True}, "A retired procedure cannot be offered."),
        (
            {"needs": [need("physician", "procedure"), need("nurse"), need("room", "procedure"), need("bay", "recovery")]},
            "Say when the nurse is needed.",
        ),
        (
            {
                "needs": [
                    need("physician", "procedure"),
                    need("room", "procedure"),
                    need("room", "turnover"),
                    need("bay", "recovery"),
                ]
            },
            "Each need stands once; raise its number instead.",
        ),
    ],
)
def test_amend_refuses_a_procedure_that_could_be_booked_wrongly(values: dict[str, Any], problem: str) -> None:
    row = factories.procedure()
    before = catalogue.needs_now(row)
    assert refused(row, **values) == ("unfit_procedure", [problem])
    assert catalogue.needs_now(row) == before
    assert AuditEvent.objects.count() == 0


def test_two_rooms_of_different_make_are_two_needs() -> None:
    row = factories.procedure()
    rooms = [need("room", "procedure"), need("room", "procedure", attribute="or_room")]
    amend(row, needs=[need("physician", "procedure"), *rooms, need("bay", "recovery")])
    assert ProcedureNeed.objects.filter(procedure=row, kind="room").count() == 2


def test_switch_offers_and_withdraws() -> None:
    row = factories.procedure(is_offered=False)
    assert catalogue.switch(procedure=row, is_offered=True, by=BY, at=factories.NOW).is_bookable
    assert not catalogue.switch(procedure=row, is_offered=False, by=BY, at=factories.NOW).is_bookable
    assert [event.details["fields"] for event in AuditEvent.objects.order_by("pk")] == [["is_offered"], ["is_offered"]]


def test_switch_refuses_a_retired_procedure() -> None:
    row = factories.procedure(is_offered=False, is_retired=True)
    with pytest.raises(catalogue.UnfitProcedure):
        catalogue.switch(procedure=row, is_offered=True, by=BY, at=factories.NOW)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"room_minutes": 0}, "procedure_minutes_in_range"),
        ({"prep_minutes": 245}, "procedure_minutes_in_range"),
        ({"room_minutes": 31}, "procedure_minutes_are_multiples_of_five"),
        ({"turnover_minutes": 7}, "procedure_minutes_are_multiples_of_five"),
        ({"is_retired": True}, "procedure_retired_is_not_offered"),
        ({"short_name": ""}, "procedure_has_names"),
    ],
)
def test_database_refuses_it_whatever_the_code_does(values: dict[str, Any], constraint: str) -> None:
    row = factories.procedure()
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Procedure.objects.filter(pk=row.pk).update(**values)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"legs": []}, "procedure_need_has_legs"),
        ({"count": 0}, "procedure_need_count_in_range"),
        ({"kind": "room"}, "procedure_need_once"),
    ],
)
def test_database_refuses_needs_that_make_no_sense(values: dict[str, Any], constraint: str) -> None:
    factories.procedure()
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        ProcedureNeed.objects.filter(kind="nurse").update(**values)


def under(procedure: Procedure, guidance: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(need.kind, tuple(need.legs)) for need in needs_under(procedure, guidance)]


def test_needs_under_the_usual_guidance_are_those_of_the_catalogue() -> None:
    procedure = factories.procedure(guidance_alternatives=["ultrasound", "ct"])

    assert under(procedure, "") == under(procedure, "fluoroscopy")
    assert [kind for kind, _ in under(procedure, "")] == ["physician", "nurse", "room", "bay", "c_arm"]


def test_needs_under_another_guidance_trade_the_imaging_device() -> None:
    procedure = factories.procedure(guidance_alternatives=["ultrasound", "ct"])

    assert under(procedure, "ultrasound") == [*under(procedure, "")[:4], ("ultrasound", ("procedure", "turnover"))]
    assert under(procedure, "ct") == under(procedure, "")[:4]


def test_needs_under_a_guidance_that_the_clinic_equipped_for_both_keep_its_own_row() -> None:
    needs = (*factories.NEEDS, ("ultrasound", "", ("procedure",)))
    procedure = factories.procedure(guidance_alternatives=["ultrasound"], needs=needs)

    assert under(procedure, "ultrasound")[-1] == ("ultrasound", ("procedure",))
    assert "c_arm" not in dict(under(procedure, "ultrasound"))


def test_needs_under_fluoroscopy_where_the_usual_way_has_no_imaging() -> None:
    procedure = factories.procedure(
        guidance_default="optional_fluoroscopy", needs=(("physician", "", ("procedure",)), ("room", "", ("procedure",)))
    )

    assert under(procedure, "none") == under(procedure, "")
    assert under(procedure, "fluoroscopy")[-1] == ("c_arm", ("procedure", "turnover"))
