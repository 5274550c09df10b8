"""What was chosen of guidance and region goes with the case, and guidance decides device and privilege."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from pain_clinic.accounts.actors import Actor
from procedures.models import Procedure
from procedures.rules import Waiver
from scheduling import booking, free_time, holds, openings
from scheduling.agenda import words
from scheduling.booking import RulesRefused, Target
from scheduling.models import Allocation, Appointment, AppointmentFinding, Kind, Resource, RuleOverride
from scheduling.openings import Options
from tests import factories
from tests.factories import NOW, TOMORROW, SmallClinic, local

ULTRASOUND = Target(side="left", guidance="ultrasound", regions=("knee",))


@pytest.fixture
def probe(clinic: SmallClinic) -> Resource:
    """Give the clinic an ultrasound, and a joint injection that may be done under it."""
    Procedure.objects.filter(pk=clinic.procedure.pk).update(
        regions=["shoulder", "hip", "knee"], guidance_alternatives=["ultrasound"], name="Joint block", short_name="Joint block"
    )
    clinic.procedure.refresh_from_db()
    made = factories.resource(kind=Kind.ULTRASOUND, at_site=clinic.site, name="Ultrasound 1")
    factories.weekly_hours(of=made)
    free_time.rebuild(at=NOW)
    return made


def book(clinic: SmallClinic, by: Actor, target: Target = ULTRASOUND, clock: str = "9:00", **other: Any) -> Appointment:
    fit = openings.fit(
        procedure=clinic.procedure, starts_at=local(TOMORROW, clock), site=clinic.site, at=NOW,
        options=Options(guidance=target.guidance),
    )  # fmt: skip
    assert fit.opening is not None
    who = {"patient": clinic.patient, "procedure": clinic.procedure, "by": by, "at": NOW, **other}
    return booking.book(target=target, opening=fit.opening, **who)


def kinds(case: Appointment) -> set[str]:
    return set(Allocation.objects.filter(appointment=case, released_at=None).values_list("kind", flat=True))


def codes(refusal: pytest.ExceptionInfo[RulesRefused]) -> set[str]:
    return {finding.key for finding in refusal.value.standing}


def test_case_under_ultrasound_takes_an_ultrasound_and_no_c_arm(clinic: SmallClinic, by: Actor, probe: Resource) -> None:
    case = book(clinic, by)

    assert (case.guidance, case.regions) == ("ultrasound", ["knee"])
    assert kinds(case) == {"physician", "nurse", "room", "bay", "ultrasound"}
    assert words.case_title(case) == "Joint block knee left"
    assert words.target(tuple(case.levels), case.side, "", tuple(case.regions), tuple(case.procedure.regions)) == "knee L"


def test_case_without_a_choice_is_done_as_usual(clinic: SmallClinic, by: Actor, probe: Resource) -> None:
    case = book(clinic, by, Target(side="left", regions=("hip",)))

    assert case.guidance == "fluoroscopy"
    assert "c_arm" in kinds(case)
    assert "ultrasound" not in kinds(case)


def test_only_region_there_is_is_taken_without_asking(clinic: SmallClinic, by: Actor) -> None:
    case = book(clinic, by, Target(side="left"))

    assert case.regions == ["lumbar"]
    assert words.case_title(case) == f"{clinic.procedure.short_name} left"  # the procedure's name says where


def test_booking_refuses_units_of_another_guidance(clinic: SmallClinic, by: Actor, probe: Resource) -> None:
    opening = openings.fit(procedure=clinic.procedure, starts_at=local(TOMORROW, "9:00"), site=clinic.site, at=NOW).opening
    assert opening is not None  # with the C-arm

    with pytest.raises(RulesRefused) as refusal:
        booking.book(
            patient=clinic.patient, procedure=clinic.procedure, target=ULTRASOUND, opening=opening, by=by, at=NOW
        )  # fmt: skip

    assert codes(refusal) == {"resource_unfit:ultrasound", f"resource_unfit:{clinic.c_arm.pk}"}


def test_privilege_is_for_the_guidance_chosen(clinic: SmallClinic, by: Actor, probe: Resource) -> None:
    clinic.physician.privileges.update(modalities=["fluoroscopy"])
    assert book(clinic, by, Target(side="left", regions=("knee",))).guidance == "fluoroscopy"

    fit = openings.fit(
        procedure=clinic.procedure, starts_at=local(TOMORROW, "11:00"), site=clinic.site, at=NOW,
        options=Options(guidance="ultrasound"),
    )  # fmt: skip
    assert [finding.code for finding in fit.findings] == ["not_privileged"]
    named = openings.Opening(*[local(TOMORROW, "11:00")] * 4, clinic.site.pk, {"named": (*(
        each.pk for each in clinic.resources if each != clinic.c_arm), probe.pk)})  # fmt: skip
    with pytest.raises(RulesRefused) as refusal:
        booking.book(patient=clinic.patient, procedure=clinic.procedure, target=ULTRASOUND, opening=named, by=by, at=NOW)
    assert refusal.value.standing[0].message == (
        "Dr. Adler does not hold the privilege for Joint block under ultrasound on that day."
    )


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (Target(side="left", guidance="ct", regions=("knee",)), {"guidance_not_offered"}),
        (Target(side="left", regions=("groin",)), {"region_not_offered:groin"}),
        (Target(side="left"), {"region_not_offered"}),
    ],
)
def test_booking_refuses_what_is_not_offered(
    clinic: SmallClinic, by: Actor, probe: Resource, target: Target, found: set[str]
) -> None:
    opening = openings.fit(procedure=clinic.procedure, starts_at=local(TOMORROW, "9:00"), site=clinic.site, at=NOW).opening
    assert opening is not None

    with pytest.raises(RulesRefused) as refusal:
        booking.book(patient=clinic.patient, procedure=clinic.procedure, target=target, opening=opening, by=by, at=NOW)

    assert found <= codes(refusal)


def test_guidance_that_needs_a_reason_books_with_one_and_keeps_it(clinic: SmallClinic, by: Actor, probe: Resource) -> None:
    Procedure.objects.update(guidance_alternatives=["ultrasound_with_documented_reason"])
    clinic.procedure.refresh_from_db()
    with pytest.raises(RulesRefused) as refusal:
        book(clinic, by)
    assert codes(refusal) == {"guidance_reason"}

    case = book(clinic, by, waivers=[Waiver("guidance_reason", "clinical_judgement", "Pregnant, no radiation.")])

    assert RuleOverride.objects.get(appointment=case).text == "Pregnant, no radiation."
    assert AppointmentFinding.objects.get(appointment=case).code == "guidance_reason"


def test_move_keeps_guidance_and_region_and_a_case_without_region_can_be_moved(
    clinic: SmallClinic, by: Actor, probe: Resource
) -> None:
    case = book(clinic, by)
    Appointment.objects.filter(pk=case.pk).update(regions=[])  # booked before regions were asked for
    case.refresh_from_db()
    fit = openings.fit(
        procedure=clinic.procedure, starts_at=local(TOMORROW, "11:00"), site=clinic.site, at=NOW, moving=case,
        options=Options(guidance=case.guidance),
    )  # fmt: skip
    assert fit.opening is not None

    moved = booking.reschedule(appointment=case, opening=fit.opening, by=by, at=NOW)

    assert (moved.guidance, kinds(moved)) == ("ultrasound", {"physician", "nurse", "room", "bay", "ultrasound"})


def test_hold_keeps_what_was_chosen(clinic: SmallClinic, by: Actor, probe: Resource) -> None:
    opening = openings.find_openings(procedure=clinic.procedure, at=NOW, options=Options(guidance="ultrasound")).openings[0]

    held = holds.hold(procedure=clinic.procedure, target=ULTRASOUND, opening=opening, by=by, at=NOW)

    assert (held.guidance, held.regions) == ("ultrasound", ["knee"])


@pytest.mark.usefixtures("_clock")
def test_import_takes_guidance_and_region(clinic: SmallClinic, probe: Resource, tmp_path: Path, capsys: Any) -> None:
    clinic.patient.external_id = "P1"
    clinic.patient.save()
    code = clinic.procedure.code
    path = tmp_path / "a.csv"
    path.write_text(
        "id,patient id,procedure,side,body part,imaging,start,status\n"
        f"A1,P1,{code},left,Knee,US,2026-09-15 09:00,\n"
        f"A2,P1,{code},left,,,2026-09-16 09:00,\n"
        f"A3,P1,{code},left,elbow,,2026-09-17 09:00,\n"
        f"A4,P1,{code},left,hip,moonlight,2026-09-18 09:00,\n"
        f"A5,P1,{code},left,elbow,moonlight,2024-09-18 09:00,done\n"
    )

    call_command("import_appointments", str(path))

    told = capsys.readouterr().err
    case = Appointment.objects.get(external_id="A1")
    assert (case.guidance, case.regions) == ("ultrasound", ["knee"])
    assert "line 3: regions: Where on the body is not chosen." in told
    assert "line 4: regions: is not a region such as knee or low back (row refused)" in told
    assert "line 5: guidance: is not fluoroscopy, CT, ultrasound or none (row refused)" in told
    past = Appointment.objects.get(external_id="A5")
    assert (past.regions, past.guidance) == ([], "")  # not known, so not written


@pytest.fixture
def desk_client(clinic: SmallClinic, signed_in: Callable[..., Client]) -> Client:
    return signed_in("desk", clinic.site)


def send(client: Client, path: str, body: dict[str, Any]) -> Any:
    return client.post(f"/api/v1{path}", json.dumps(body, default=str), content_type="application/json")


@pytest.fixture
def _clock(settings: Any, tmp_path: Path) -> None:
    moved = tmp_path / "clock"
    moved.write_text(str((NOW - datetime.now(tz=UTC)).total_seconds()), encoding="ascii")
    settings.CLINIC_CLOCK = str(moved)


@pytest.mark.usefixtures("_clock")
def test_api_searches_holds_books_and_tells_guidance_and_region(
    clinic: SmallClinic, probe: Resource, desk_client: Client
) -> None:
    chosen = {"procedure": clinic.procedure.code, "side": "left", "guidance": "ultrasound", "regions": ["knee"]}

    found = send(desk_client, "/openings/", chosen).json()["openings"][0]
    place = {"site": found["site"], "starts_at": found["starts_at"]}
    held = send(desk_client, "/holds/", {**chosen, **place})
    answer = send(
        desk_client, "/appointments/", {**chosen, **place, "patient": clinic.patient.public_id, "hold": held.json()["id"]}
    )

    assert "ultrasound" in {unit["kind"] for unit in found["resources"]}
    assert held.status_code == 201, held.content
    assert answer.status_code == 201, answer.content
    assert (answer.json()["guidance"], answer.json()["regions"]) == ("ultrasound", ["knee"])
    assert send(desk_client, "/openings/", {**chosen, "regions": ["elbow"]}).status_code == 400


@pytest.mark.usefixtures("_clock")
def test_booking_page_offers_guidance_and_the_body_and_keeps_what_was_chosen(
    clinic: SmallClinic, probe: Resource, desk_client: Client
) -> None:
    asked = {
        "patient": str(clinic.patient.public_id),
        "procedure": clinic.procedure.code,
        "side": "left",
        "request_key": "key-of-a-form",
    }
    first = desk_client.post("/book/", {**asked, "act": "look"}).context["page"]
    page = desk_client.post("/book/", {**asked, "guidance": "ultrasound", "act": "look"}).context["page"]
    token = page.days[0].openings[0].token
    held = desk_client.post("/book/", {**asked, "guidance": "ultrasound", "choose": token}).context["page"]
    posted = {**asked, "guidance": "ultrasound", "hold": str(held.hold.public_id), "act": "book"}
    without = desk_client.post("/book/", posted)
    booked = desk_client.post("/book/", {**posted, "regions": ["knee"]})

    assert [(choice.value, choice.is_selected) for choice in first.guidances] == [("fluoroscopy", True), ("ultrasound", False)]
    assert [region.label for region in first.regions] == ["Shoulder", "Hip", "Knee"]
    assert (first.days[0].openings[0].devices, page.days[0].openings[0].devices) == ("C-arm 1", "Ultrasound 1")
    assert "Ultrasound" in page.procedure.needs
    assert without.status_code == 422
    assert [error.label for error in without.context["page"].errors] == ["regions"]
    assert booked.status_code == 303, booked.context
    case = Appointment.objects.get()
    assert (case.guidance, case.regions) == ("ultrasound", ["knee"])
    text = desk_client.get(f"/appointments/{case.public_id}/").content.decode()
    assert "<dt>Where</dt><dd>Knee</dd>" in text
    assert "<dt>Guidance</dt><dd>Ultrasound</dd>" in text
    assert "<dt>Where</dt><dd><b>Knee</b></dd>" in desk_client.get(f"/appointments/{case.public_id}/print/").content.decode()
