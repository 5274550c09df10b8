"""What a case was booked for is what its record says: role and steroid, so that limits count it as they judged it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from pain_clinic.accounts.actors import Actor
from patients.models import GivenDrug, PerformedProcedure
from procedures.rules import offers
from scheduling import rechecking, visits
from scheduling.assessing import session_of
from scheduling.models import Appointment, CaseDetails, Completion, Status
from tests import factories
from tests.database.scheduling.rules.ruling import DAY, IN_TWO_WEEKS, settle
from tests.factories import TODAY, SmallClinic, local

SI = {"code": "si_joint_ia", "family": "si_injection", "category": "sacroiliac", "steroid": "optional", "regions": ["sacral"]}
KINDS: dict[str, dict[str, Any]] = {
    "si_joint_ia": SI,
    "facet_ia_lumbar": {"code": "facet_ia_lumbar", "family": "facet_injection", "category": "facet", "steroid": "optional"},
    "snrb": {"code": "snrb", "family": "esi", "steroid": "no"},
    "si_lateral_branch_block": {**SI, "code": "si_lateral_branch_block", "steroid": "no"},
    "mbb_lumbar": {"code": "mbb_lumbar", "family": "mbb_diagnostic", "category": "facet", "steroid": "no"},
    "genicular_block": {"code": "genicular_block", "family": "genicular_block", "category": "nerve_block", "steroid": "no"},
    "esi_il_lumbar": {"code": "esi_il_lumbar"},
}


def case_of(clinic: SmallClinic, code: str, clock: str = "9:00", days: int = 0, **said: Any) -> Appointment:
    """Return a case of today of which this much was said when it was booked, its patient in recovery."""
    known = type(clinic.procedure).objects.filter(code=code).first()
    case = factories.appointment(
        of=clinic.patient, at_site=clinic.site, for_procedure=known or factories.procedure(**KINDS[code], needs=()),
        starts_at=local(TODAY + timedelta(days=days), clock), resources=(clinic.physician,), status=Status.RECOVERY, side="left",
    )  # fmt: skip
    if said:
        CaseDetails.objects.create(appointment=case, **said)
    return Appointment.objects.select_related("details", "procedure", "site", "patient").get(pk=case.pk)


def completed(case: Appointment, by: Actor, **otherwise: Any) -> tuple[PerformedProcedure, list[str]]:
    done = replace(visits.as_booked(case), **otherwise)
    row: Completion = visits.complete(appointment=case, done=done, by=by, at=case.ends_at, reason="On paper")
    return PerformedProcedure.objects.get(public_id=row.performed), row.differs


@pytest.mark.parametrize(
    ("code", "role"),
    [
        ("si_joint_ia", "diagnostic"), ("si_joint_ia", "therapeutic"), ("facet_ia_lumbar", "diagnostic"),
        ("snrb", ""), ("snrb", "therapeutic"), ("si_lateral_branch_block", ""), ("mbb_lumbar", ""), ("genicular_block", ""),
        ("esi_il_lumbar", ""),
    ],
)  # fmt: skip
def test_the_record_has_the_role_by_which_the_booking_was_judged(
    ruled: SmallClinic, physician: Actor, code: str, role: str
) -> None:
    case = case_of(ruled, code, **({"role": role} if role else {}))
    judged = session_of(case, None).role

    performed, differs = completed(case, physician)

    assert performed.role == judged == (role or offers.default_role(code, case.procedure.family))
    assert differs == []


@pytest.mark.parametrize(
    ("code", "role"), [("snrb", "diagnostic"), ("genicular_block", "diagnostic"), ("esi_il_lumbar", "therapeutic")]
)
def test_a_procedure_has_its_usual_role_where_nobody_says_one(code: str, role: str) -> None:
    assert offers.default_role(code, KINDS[code].get("family", "esi")) == role


def test_a_role_that_the_booking_left_open_has_to_be_said(ruled: SmallClinic, physician: Actor) -> None:
    case = case_of(ruled, "si_joint_ia")

    with pytest.raises(visits.RoleNotSaid) as refusal:
        completed(case, physician)
    assert (refusal.value.code, refusal.value.details) == ("role_not_said", {"field": "role"})
    assert not PerformedProcedure.objects.exists()
    performed, differs = completed(case, physician, role="diagnostic")
    assert (performed.role, differs) == ("diagnostic", [])


def test_another_role_than_booked_is_named(ruled: SmallClinic, physician: Actor) -> None:
    performed, differs = completed(case_of(ruled, "si_joint_ia", role="diagnostic"), physician, role="therapeutic")

    assert (performed.role, differs) == ("therapeutic", ["role"])


def test_the_payers_limit_counts_a_completed_session_by_its_role(ruled: SmallClinic, physician: Actor) -> None:
    settle(ruled, payer_rules="medicare_multi_mac_2026", plan_type="original_medicare")
    for clock, role in (("9:00", "diagnostic"), ("10:00", "diagnostic"), ("11:00", "therapeutic")):
        completed(case_of(ruled, "si_joint_ia", clock, days=-{"9:00": 40, "10:00": 20, "11:00": 3}[clock], role=role), physician)
    coming = factories.appointment(
        of=ruled.patient, at_site=ruled.site, for_procedure=type(ruled.procedure).objects.get(code="si_joint_ia"),
        starts_at=local(IN_TWO_WEEKS + 30 * DAY, "9:00"), side="left",
    )  # fmt: skip
    planned = CaseDetails.objects.create(appointment=coming, role="diagnostic")

    def counted() -> dict[str, tuple[int, int]]:
        found = rechecking.look(appointment=coming, at=local(TODAY, "12:00")).findings
        return {one.code: (one.facts["counted"], one.facts["limit"]) for one in found if one.code.endswith("x_cap")}

    assert counted() == {"mcr_si_dx_cap": (2, 2)}
    planned.role = "therapeutic"
    planned.save(update_fields=["role"])
    assert counted() == {"mcr_si_tx_cap": (1, 4)}


def drugs(performed: PerformedProcedure) -> list[tuple[str, str, Decimal | None]]:
    return list(GivenDrug.objects.filter(performed=performed).order_by("pk").values_list("kind", "drug", "dose_mg"))


def test_the_planned_steroid_comes_before_the_one_of_last_time(ruled: SmallClinic, physician: Actor) -> None:
    usual = (visits.Given("local_anaesthetic", "lidocaine", Decimal(40), Decimal(2)), visits.Given("steroid", "dexamethasone",
             Decimal(10), Decimal(1)))  # fmt: skip
    completed(case_of(ruled, "esi_il_lumbar", "8:00"), physician, drugs=usual)
    anaesthetic = ("local_anaesthetic", "lidocaine", Decimal(40))

    unplanned, _ = completed(case_of(ruled, "esi_il_lumbar", "9:30"), physician)
    other, differs = completed(
        case_of(ruled, "esi_il_lumbar", "11:00", drug="triamcinolone_acetonide", dose_mg=Decimal(20)), physician
    )
    none, _ = completed(case_of(ruled, "esi_il_lumbar", "12:30", drug="none"), physician)
    same, _ = completed(case_of(ruled, "esi_il_lumbar", "14:00", drug="dexamethasone", dose_mg=Decimal(4)), physician)

    assert drugs(unplanned) == [anaesthetic, ("steroid", "dexamethasone", Decimal(10))]
    assert drugs(other) == [("steroid", "triamcinolone_acetonide", Decimal(20)), anaesthetic]
    assert differs == []
    assert drugs(none) == [anaesthetic]
    assert drugs(same) == [("steroid", "dexamethasone", Decimal(4)), anaesthetic]


@pytest.mark.parametrize(
    ("planned", "given", "differs"),
    [
        ({"drug": "dexamethasone", "dose_mg": 4}, [("dexamethasone", 4)], []),
        ({"drug": "dexamethasone", "dose_mg": 4}, [("dexamethasone", 8)], ["steroid"]),
        ({"drug": "dexamethasone"}, [("dexamethasone", 8)], []),
        ({"drug": "dexamethasone"}, [], ["steroid"]),
        ({"drug": "none"}, [("dexamethasone", 4)], ["steroid"]),
        ({"role": "therapeutic"}, [("dexamethasone", 4)], []),
    ],
)
def test_another_steroid_than_planned_is_named(
    ruled: SmallClinic, physician: Actor, planned: dict[str, Any], given: list[tuple[str, int]], differs: list[str]
) -> None:
    told = tuple(visits.Given("steroid", drug, Decimal(dose)) for drug, dose in given)

    assert completed(case_of(ruled, "esi_il_lumbar", **planned), physician, drugs=told)[1] == differs


# --- the page --------------------------------------------------------------------------------------------------------

Enter = Callable[..., Client]


def typed(form: Any) -> dict[str, Any]:
    values = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in values.items() if value not in (None, False)} | {
        "request_key": "k" * 16, "reason": "On paper",
    }  # fmt: skip


def test_the_page_asks_for_the_role_where_one_is_needed_and_starts_from_the_booking(ruled: SmallClinic, signed_in: Enter) -> None:
    doctor, plain = signed_in("physician", ruled.site), case_of(ruled, "esi_il_lumbar", "8:00")
    case = case_of(ruled, "si_joint_ia", "10:00", role="diagnostic", drug="triamcinolone_acetonide", dose_mg=Decimal(20))
    address = f"/appointments/{case.public_id}/complete/"

    assert "role" not in doctor.get(f"/appointments/{plain.public_id}/complete/").context["form"].fields
    form = doctor.get(address).context["form"]
    assert [form[name].value() for name in ("role", "drug_0", "dose_0")] == [
        "diagnostic", "steroid:triamcinolone_acetonide", Decimal(20),
    ]  # fmt: skip
    assert doctor.post(address, typed(form) | {"dose_0": "40"}).status_code == 303
    performed = PerformedProcedure.objects.get(appointment=case.public_id)
    assert (performed.role, drugs(performed)) == (
        "diagnostic", [("steroid", "triamcinolone_acetonide", Decimal(40))],
    )  # fmt: skip
    assert "Otherwise than booked</dt><dd>Steroid" in doctor.get(f"/appointments/{case.public_id}/").content.decode()
    assert "Otherwise than booked" not in signed_in("desk", ruled.site).get(f"/appointments/{case.public_id}/").content.decode()


def test_the_page_refuses_a_role_left_open_and_follows_another_procedure(ruled: SmallClinic, signed_in: Enter) -> None:
    doctor = signed_in("physician", ruled.site)
    case, block = case_of(ruled, "si_joint_ia", "9:00"), case_of(ruled, "snrb", "11:00")
    address, other = f"/appointments/{case.public_id}/complete/", f"/appointments/{block.public_id}/complete/"

    refused = doctor.post(address, typed(doctor.get(address).context["form"]))
    assert (refused.status_code, list(refused.context["form"].errors)) == (422, ["role"])
    start = typed(doctor.get(other).context["form"])
    assert start["role"] == "diagnostic"
    asked = doctor.post(other, start | {"procedure": "si_joint_ia", "role": ""})
    assert list(asked.context["form"].errors) == ["role"]
    assert doctor.post(other, start | {"procedure": factories.procedure(needs=()).code}).status_code == 303
    assert PerformedProcedure.objects.get(appointment=block.public_id).role == "therapeutic"


def test_the_api_records_the_usual_role_and_asks_for_one_where_it_may_be_either(ruled: SmallClinic, signed_in: Enter) -> None:
    nurse = signed_in("nurse", ruled.site)
    for code in ("snrb", "si_joint_ia"):
        factories.procedure(**KINDS[code], needs=())
    address = f"/api/v1/patients/{ruled.patient.public_id}/performed/procedures/"
    body = {"done_on": "2026-09-01", "site": str(ruled.site.public_id), "side": "left"}

    def sent(**more: str) -> Any:
        return nurse.post(address, body | more, content_type="application/json")

    assert sent(procedure="snrb").json()["role"] == "diagnostic"
    refused = sent(procedure="si_joint_ia")
    assert (refused.status_code, refused.json()["code"]) == (422, "missing")
    assert sent(procedure="si_joint_ia", role="diagnostic").json()["role"] == "diagnostic"
