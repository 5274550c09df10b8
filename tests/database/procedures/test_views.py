"""The pages of the catalogue: who sees what, what is found, what saving does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from pain_clinic.audit.models import AuditEvent
from procedures import catalogue, listing
from procedures.models import Procedure
from tests import factories

Enter = Callable[..., Client]
LIST = "/settings/procedures/"


def page_of(row: Procedure, name: str = "detail") -> str:
    return reverse(f"procedures:{name}", args=[row.public_id])


def form_of(row: Procedure, *, needs: list[dict[str, Any]] | None = None, **values: Any) -> dict[str, Any]:
    """Return what a browser sends for the edit form of a procedure."""
    fields = (
        "version",
        "short_name",
        "prep_minutes",
        "room_minutes",
        "recovery_minutes",
        "turnover_minutes",
        "planned_sedation",
        "instructions",
    )
    sent: dict[str, Any] = {name: getattr(row, name) for name in fields}
    sent["max_levels"] = row.max_levels or ""
    if row.is_offered:
        sent["is_offered"] = "on"
    rows = [*(catalogue.needs_now(row) if needs is None else needs), {"kind": "", "attribute": "", "count": "", "legs": []}]
    sent.update({"needs-TOTAL_FORMS": len(rows), "needs-INITIAL_FORMS": 0, "needs-MIN_NUM_FORMS": 0, "needs-MAX_NUM_FORMS": 20})
    for place, need in enumerate(rows):
        sent.update({f"needs-{place}-{name}": value for name, value in need.items()})
    return {**sent, **values}


@pytest.mark.parametrize(
    ("role", "status"), [("desk", 200), ("nurse", 200), ("physician", 200), ("biller", 200), ("manager", 200), ("admin", 200)]
)
def test_staff_may_read_the_catalogue(signed_in: Enter, role: str, status: int) -> None:
    row = factories.procedure()
    client = signed_in(role)
    assert (client.get(LIST).status_code, client.get(page_of(row)).status_code) == (status, status)


@pytest.mark.parametrize(
    ("role", "status"), [("desk", 403), ("physician", 403), ("auditor", 403), ("manager", 200), ("admin", 200)]
)
def test_only_managers_and_admins_may_change_it(signed_in: Enter, role: str, status: int) -> None:
    row = factories.procedure()
    client = signed_in(role)
    assert client.get(page_of(row, "edit")).status_code == status
    assert client.post(page_of(row, "switch"), {"is_offered": "0"}).status_code == (303 if status == 200 else 403)
    assert Procedure.objects.get().is_offered == (status == 403)


def test_strangers_are_sent_to_sign_in() -> None:
    row = factories.procedure()
    for address in (LIST, page_of(row), page_of(row, "edit")):
        answer = Client().get(address)
        assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/sign-in/")


def test_unknown_procedure_is_not_found(signed_in: Enter) -> None:
    assert signed_in("manager").get(f"{LIST}00000000-0000-0000-0000-000000000000/").status_code == 404


def names(client: Client, **asked: str) -> list[str]:
    page = client.get(LIST, asked).context["page"]
    return [row.short_name for group in page.groups for row in group.rows]


def test_list_finds_by_words_family_code_and_offer(signed_in: Enter) -> None:
    factories.procedure(name="Knee block", family="genicular_block", category="nerve_block", cpt_primary=["64454"])
    factories.procedure(name="Neck epidural", is_offered=False)
    factories.procedure(name="Old epidural", is_offered=False, is_retired=True)
    client = signed_in("manager")
    assert names(client) == ["Neck epidural", "Old epidural", "Knee block"]
    assert names(client, q="neck EPI") == ["Neck epidural"]
    assert names(client, q="64454") == ["Knee block"]
    assert names(client, q="6445") == []
    assert names(client, family="esi") == ["Neck epidural", "Old epidural"]
    assert names(client, offered="yes") == ["Knee block"]
    assert names(client, offered="no") == ["Neck epidural"]
    assert names(client, offered="retired") == ["Old epidural"]
    assert client.get(LIST, {"family": "nobody"}).status_code == 422


def test_empty_states_say_what_to_do_next(signed_in: Enter) -> None:
    client = signed_in("manager")
    assert b"load_clinical_tables" in client.get(LIST).content
    assert b"Show all procedures" in client.get(LIST, {"q": "nothing"}).content


def test_list_asks_the_same_number_of_queries_for_one_row_and_for_three() -> None:
    counts = []
    for _ in range(3):
        factories.procedure()
        with CaptureQueriesContext(connection) as asked:
            listing.listing(may_change=True)
        counts.append(len(asked))
    assert counts == [1, 1, 1]


def test_switch_in_the_list_is_there_for_managers_only(signed_in: Enter) -> None:
    row = factories.procedure()
    assert page_of(row, "switch").encode() in signed_in("manager").get(LIST).content
    assert page_of(row, "switch").encode() not in signed_in("desk").get(LIST).content


def test_switch_offers_and_returns_to_where_it_was_pressed(signed_in: Enter) -> None:
    row = factories.procedure(is_offered=False)
    client = signed_in("manager")
    answer = client.post(page_of(row, "switch"), {"is_offered": "1", "next": f"{LIST}?family=esi"})
    assert (answer.status_code, answer["Location"]) == (303, f"{LIST}?family=esi")
    assert Procedure.objects.get().is_offered
    assert AuditEvent.objects.get(act="procedures.amend").actor_kind == "user"
    assert client.post(page_of(row, "switch"), {"is_offered": "0", "next": "https://elsewhere.example/"})["Location"] == "/"
    assert client.post(page_of(row, "switch"), {"is_offered": "perhaps"}).status_code == 422
    assert client.get(page_of(row, "switch")).status_code == 405


def test_switch_refuses_a_retired_procedure_and_says_why(signed_in: Enter) -> None:
    row = factories.procedure(is_offered=False, is_retired=True)
    answer = signed_in("manager").post(page_of(row, "switch"), {"is_offered": "1"})
    assert (answer.status_code, b"A retired procedure cannot be offered." in answer.content) == (422, True)
    event = AuditEvent.objects.get(act="procedures.amend")
    assert (event.outcome, event.reason_code) == ("refused", "unfit_procedure")


def test_sheet_says_what_the_clinic_changed() -> None:
    row = factories.procedure(
        table_values={"room_minutes": 25, "is_offered": True, "needs": [], "max_levels": 2, "instructions": "x"}
    )
    edits = listing.sheet(row, may_change=False).edits
    assert [(edit.name, edit.clinic, edit.table) for edit in edits[:2]] == [
        ("room minutes", "30", "25"),
        ("instructions", "not set", "x"),
    ]
    assert (edits[2].name, edits[2].table) == ("needs", "")


def test_sheet_tells_target_facts_and_sources(signed_in: Enter) -> None:
    row = factories.procedure(
        level_scheme="foramina",
        levels_note="L1 to S1",
        bleeding_alternative={"system": "IPSIS", "value": "low"},
        guidance_alternatives=["ct", "ultrasound"],
        source=[{"title": "A document", "url": "https://example.org/"}, {"title": "From memory", "citation": "confirm it"}],
        unverified_fields=["room_minutes"],
        notes="A remark.",
        instructions="Come early.\nBring a list.",
    )
    page = listing.sheet(row, may_change=False)
    assert ("Levels", "Low back: L1-L2, L2-L3, L3-L4, L4-L5, L5-S1") in page.target
    assert ("Bleeding class", "Intermediate (IPSIS: low)") in page.facts
    assert ("Guidance", "Fluoroscopy, or CT, ultrasound") in page.facts
    answer = signed_in("desk").get(page_of(row))
    for text in (b"A document", b"confirm it", b"room minutes", b"A remark.", b"Bring a list.", b"1 h 15"):
        assert text in answer.content
    assert page_of(row, "edit").encode() not in answer.content


def test_level_that_may_be_left_open_is_said_so() -> None:
    row = factories.procedure(level_scheme="interspaces", family="discography", max_levels=None)
    target = dict(listing.sheet(row, may_change=False).target)
    assert (target["Levels"].endswith("(may be left open)"), target["Usual most at once"]) == (True, "No usual limit")


def test_edit_form_shows_what_holds_now(signed_in: Enter) -> None:
    row = factories.procedure(room_minutes=35)
    answer = signed_in("manager").get(page_of(row, "edit"))
    assert (answer.context["form"]["room_minutes"].value(), len(answer.context["needs"])) == (35, 7)


def test_edit_saves_and_returns_to_the_procedure(signed_in: Enter) -> None:
    row = factories.procedure()
    needs = [{**need, "count": 0} if need["kind"] == "c_arm" else need for need in catalogue.needs_now(row)]
    sent = form_of(row, needs=needs, room_minutes=45, max_levels="", instructions="Come early.\r\nBring a list.")
    answer = signed_in("manager").post(page_of(row, "edit"), sent)
    assert (answer.status_code, answer["Location"]) == (303, page_of(row))
    saved = Procedure.objects.get()
    assert (saved.room_minutes, saved.max_levels, saved.instructions, saved.is_offered) == (
        45,
        None,
        "Come early.\nBring a list.",
        True,
    )
    assert [need["kind"] for need in catalogue.needs_now(saved)] == ["physician", "nurse", "room", "bay"]


def test_need_without_a_number_means_one(signed_in: Enter) -> None:
    row = factories.procedure()
    needs = [*catalogue.needs_now(row), {"kind": "ultrasound", "attribute": "", "count": "", "legs": ["procedure"]}]
    assert signed_in("manager").post(page_of(row, "edit"), form_of(row, needs=needs)).status_code == 303
    assert catalogue.needs_now(row)[-1] == {"kind": "ultrasound", "attribute": "", "count": 1, "legs": ["procedure"]}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"room_minutes": "33"}, b"Use a multiple of 5 minutes."),
        ({"room_minutes": "0"}, b"Ensure this value is greater than or equal to 5."),
        ({"short_name": ""}, b"This field is required."),
        ({"planned_sedation": "lots"}, b"Select a valid choice."),
        ({"needs-5-kind": "ultrasound", "needs-5-count": "1"}, b"Tick at least one."),
        ({"needs-5-kind": "room", "needs-5-attribute": "OR room", "needs-5-legs": "procedure"}, b"Use lower-case letters"),
        ({"recovery_minutes": "0"}, b"Nothing can be needed for recovery when recovery takes 0 minutes."),
        ({"is_retired": "on"}, b"A retired procedure cannot be offered."),
    ],
)
def test_edit_refuses_and_keeps_what_was_typed(signed_in: Enter, values: dict[str, str], text: bytes) -> None:
    row = factories.procedure()
    answer = signed_in("manager").post(page_of(row, "edit"), form_of(row, **{"instructions": "Typed.", **values}))
    assert (answer.status_code, text in answer.content, b"Typed." in answer.content) == (422, True, True)
    assert Procedure.objects.get().version == 1


def test_edit_of_an_old_page_is_a_conflict(signed_in: Enter) -> None:
    row = factories.procedure()
    client = signed_in("manager")
    old = form_of(row, room_minutes=60)
    assert client.post(page_of(row, "edit"), form_of(row, room_minutes=45)).status_code == 303
    answer = client.post(page_of(row, "edit"), old)
    assert (answer.status_code, b"Someone else changed this procedure meanwhile." in answer.content) == (409, True)
    assert Procedure.objects.get().room_minutes == 45
    assert AuditEvent.objects.filter(act="procedures.amend", outcome="refused", reason_code="changed_meanwhile").count() == 1


def test_sheet_names_what_a_need_must_have(signed_in: Enter) -> None:
    row = factories.procedure(needs=[("room", "or_room", ("procedure", "turnover"))])
    assert listing.sheet(row, may_change=False).needs == (listing.Need("Room (or room)", 1, "procedure, turnover", 40),)
    assert b"It needs nobody" in signed_in("desk").get(page_of(factories.procedure(needs=()))).content


def test_sheet_tells_a_switch_as_yes_or_no() -> None:
    row = factories.procedure(is_offered=True, table_values={"is_offered": False})
    assert listing.sheet(row, may_change=False).edits == (listing.Edit("offered", "yes", "no"),)
