"""A physician gives a pathway another shape: steps, ways and gates added, moved and taken away, looked at, kept as a version."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from pain_clinic.accounts.actors import Actor
from procedures import pathwaybook, pathwayrows, tables
from procedures.models import ClinicPathway
from procedures.pathwayrows.shaping import new_id, reshaped
from procedures.tables.courses import leaves, row_of
from scheduling import courses
from tests.database.scheduling.courses.conftest import FACET, Ward, current
from tests.database.scheduling.courses.test_pathway_pages import Enter, typed, words
from tests.factories import NOW, TODAY


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pain_clinic.web.now", lambda: NOW)


@pytest.fixture
def row(ward: Ward) -> ClinicPathway:
    return ClinicPathway.objects.get(code=FACET.pathway)


@pytest.fixture
def doctor(ward: Ward, signed_in: Enter) -> Client:
    return signed_in("physician", ward.clinic.site)


def press(client: Client, row: ClinicPathway, page: Any, act: str, **typing: Any) -> Any:
    """Press a button of the form on a page."""
    return client.post(f"/pathways/{row.public_id}/change/", typed(page, act=act, **typing))


def begin(client: Client, row: ClinicPathway) -> Any:
    return client.get(f"/pathways/{row.public_id}/change/")


def steps(page: Any) -> list[str]:
    return [step["id"] for step in page.context["form"].base["steps"]]


def test_a_step_with_its_way_and_gate_is_added_looked_at_and_kept(ward: Ward, row: ClinicPathway, doctor: Client) -> None:
    course = ward.start(since=TODAY)
    page = press(doctor, row, begin(doctor, row), "add_step", new_name="Injection", new_family="facet_injection")
    assert (page.status_code, steps(page)) == (200, ["block_1", "block_2", "ablation", "injection"])
    assert "nothing is saved yet" in words(page)
    lost = press(doctor, row, page, "look")
    assert (lost.status_code, "No way leads to Injection" in words(lost)) == (422, True)
    page = press(doctor, row, page, "add_way:ablation", **{"ablation.to": "injection"})
    page = press(doctor, row, page, "add_gate:ablation.2", **{"ablation.2.more": "too_little"})
    page = press(doctor, row, page, "look", **{"ablation.2.gates.0.pct": "40", "ablation.2.earliest": "3 weeks"})
    assert "0 running courses would be planned otherwise" in words(page)
    row.refresh_from_db()
    assert row.version == 1
    done = press(doctor, row, page, "save", reason="Some need an injection in between")
    assert done.status_code == 303
    row.refresh_from_db()
    assert row.version == 2
    way = pathwaybook.pathways()[row.code].step("ablation").then[2]
    assert (way.to, str(way.earliest), [type(gate).__name__ for gate in way.gates]) == ("injection", "21 days", ["TooLittle"])
    told = words(doctor.get(f"/pathways/{row.public_id}/"))
    assert "order of the steps: Block 1, Block 2, Ablation → Block 1, Block 2, Ablation, Injection" in told
    courses.sweep(at=NOW)
    assert current(course).step == "block_1"


def test_a_step_is_taken_away_with_the_ways_to_it_and_its_courses_go_on(ward: Ward, row: ClinicPathway, doctor: Client) -> None:
    course = ward.start(since=TODAY)
    page = press(doctor, row, begin(doctor, row), "remove_step:block_1")
    assert steps(page) == ["block_2", "ablation"]
    assert page.context["form"].base["steps"][0]["then"][0]["gates"][0]["after"] == ["block_2"]
    page = press(doctor, row, page, "look")
    assert "1 running course would be planned otherwise" in words(page)
    assert press(doctor, row, page, "save", reason="One block is enough here").status_code == 303
    page = words(doctor.get(f"/courses/{course.public_id}/"))  # still planned as it was: what is next is no step any more
    assert "Block 1" in page
    courses.sweep(at=NOW)
    assert current(course).step == "block_2"


def test_steps_and_ways_are_moved(row: ClinicPathway, doctor: Client) -> None:
    page = press(doctor, row, begin(doctor, row), "down:block_1")
    assert steps(page) == ["block_2", "block_1", "ablation"]
    page = press(doctor, row, page, "up:block_1")
    assert steps(page) == ["block_1", "block_2", "ablation"]
    page = press(doctor, row, page, "way_down:ablation.0")
    ways = page.context["form"].base["steps"][2]["then"]
    assert [way["to"] for way in ways] == ["block_1", "ablation"]
    assert press(doctor, row, page, "save", reason="Blocks first").status_code == 303
    row.refresh_from_db()
    assert row_of(leaves(row.data)) == row.data
    (edit,) = [one for one in pathwayrows.edits(row) if "order" in one[0]]
    assert edit == ("Ablation, order of the ways on", "Block 1, Ablation", "Ablation, Block 1")
    assert tables.load(by=Actor.system("tests"), at=NOW).pathways.changed == []
    row.refresh_from_db()
    assert [way["to"] for way in row.data["steps"][2]["then"]] == ["block_1", "ablation"]


def test_gates_are_taken_away_and_every_kind_can_be_added(row: ClinicPathway, doctor: Client) -> None:
    page = press(doctor, row, begin(doctor, row), "remove_gate:block_2.0.gates.1")
    for kind in pathwayrows.MORE:
        if kind not in ("too_little", "relief"):
            page = press(doctor, row, page, "add_gate:block_2.0", **{"block_2.0.more": kind})
            assert page.status_code == 200, words(page)
    gates = page.context["form"].base["steps"][1]["then"][0]["gates"]
    assert [gate["kind"] for gate in gates] == [
        "relief", "changed", "same_target", "longer", "on_file", "authorised", "no_more_medicine", "review",
    ]  # fmt: skip
    looked = press(
        doctor, row, page, "look",
        **{"block_2.0.gates.1.of": ["level"], "block_2.0.gates.7.of": "the pictures", "block_2.0.gates.4.owner": "nurse"},
    )  # fmt: skip
    assert looked.status_code == 200, words(looked)
    assert press(doctor, row, looked, "save", reason="More is asked").status_code == 303
    row.refresh_from_db()
    kept = row.data["steps"][1]["then"][0]["gates"]
    assert (kept[1]["of"], kept[3]["than"], kept[4]["owner"], kept[7]["of"]) == (["level"], "block_1", "nurse", "the pictures")
    page = press(doctor, row, begin(doctor, row), "add_gate:block_1.begins", **{"block_1.begins.more": "authorised"})
    assert page.context["form"].base["steps"][0]["begins"] == {"gates": [{"kind": "authorised"}]}
    page = press(doctor, row, page, "remove_gate:block_1.begins.gates.0")
    assert "begins" not in page.context["form"].base["steps"][0]


@pytest.mark.parametrize(
    ("act", "typing", "told"),
    [
        ("add_step", {}, "Give the step a name."),
        ("add_step", {"new_name": "More"}, "Choose what is done in the step."),
        ("add_way:block_1", {}, "Choose where the way leads."),
        ("add_gate:block_1.0", {}, "Choose what the gate asks."),
        ("remove_step:gone", {}, "no such place any more"),
        ("remove_way:block_1.7", {}, "no such place any more"),
        ("remove_gate:block_1.0.gates.9", {}, "no such place any more"),
        ("dance:block_1", {}, "no such place any more"),
        ("look", {"shape": "{"}, "cannot be read"),
        ("look", {"shape": '{"id": "x"}'}, "expected"),
        ("save", {"shape": "[]"}, "cannot be read"),
    ],
)
def test_what_cannot_be_done_to_a_shape_is_said(
    row: ClinicPathway, doctor: Client, act: str, typing: dict[str, Any], told: str
) -> None:
    answer = press(doctor, row, begin(doctor, row), act, **typing)
    assert (answer.status_code, told in words(answer)) == (422, True), words(answer)[:600]
    row.refresh_from_db()
    assert row.version == 1


def test_what_is_booked_together_stays_together(ward: Ward, doctor: Client) -> None:
    row = ClinicPathway.objects.get(code="scs_trial_to_implant")
    page = begin(doctor, row)
    for act in ("remove_step:lead_removal", "remove_way:trial.0"):
        answer = press(doctor, row, page, act)
        assert (answer.status_code, "What is booked together stays together" in words(answer)) == (422, True)
    answer = press(doctor, row, page, "remove_step:trial")
    assert (answer.status_code, "This gate asks about the step" in words(answer)) == (422, True)
    shape = json.loads(typed(page)["shape"])
    del shape["steps"][0]["pairs_with"]
    assert press(doctor, row, page, "look", shape=json.dumps(shape)).status_code == 422
    shape["steps"][0] |= {"id": "trial_2", "name": "Another trial"}
    answer = press(doctor, row, page, "add_step", new_name="Trial again", new_family="scs_trial")
    answer = press(doctor, row, answer, "look")
    assert "could not be booked without its second part" in words(answer)


def test_the_limit_may_count_some_kinds_and_a_carried_shape_changes_no_more_than_its_own(
    row: ClinicPathway, doctor: Client
) -> None:
    page = begin(doctor, row)
    shape = json.loads(typed(page)["shape"])
    shape |= {"id": "other", "match": "family"}
    looked = press(doctor, row, page, "save", shape=json.dumps(shape), counted=[], reason="All of it counts")
    assert looked.status_code == 303, looked.context["form"].errors
    row.refresh_from_db()
    assert (row.data["id"], row.data["match"], row.data["limit"]) == (row.code, "site", {"most": 2, "months": 12, "per": "site"})


def test_the_last_step_stays_and_new_ids_differ() -> None:
    data = {"steps": [{"id": "one", "name": "One", "families": ["esi"], "then": []}]}
    with pytest.raises(pathwayrows.UnusablePathway, match="at least one step"):
        reshaped(data, "remove_step:one")
    grown = reshaped(data, "add_step", name="One", families=["esi"])
    assert [step["id"] for step in grown["steps"]] == ["one", "one_2"]
    assert grown["steps"][0]["then"][0]["to"] == "one_2"
    assert data["steps"][0]["then"] == []
    assert (new_id("Épidural № 2!", ()), new_id("!!", ("step",))) == ("pidural_2", "step_2")
