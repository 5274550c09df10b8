"""The lists and words of a rule as a manager chooses them: only what rules know, and never none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from pain_clinic.accounts.actors import Actor
from procedures import rulebook, rulelists, rulerows, tables
from procedures.models import RuleRow
from procedures.rules.book import Book
from tests.database.procedures.test_rule_versions import typed
from tests.factories import NOW, SmallClinic


@pytest.fixture
def manager(stand_at: Callable[[datetime], None], clinic: SmallClinic, signed_in: Callable[..., Client]) -> Client:
    stand_at(NOW)
    tables.load(by=Actor.system("tests"), at=NOW)
    return signed_in("manager", clinic.site)


def row(row_id: str) -> RuleRow:
    found = RuleRow.objects.filter(row_id=row_id, section__in=rulerows.SECTIONS).in_order().last()
    assert found is not None
    return found


def book() -> Book:
    held = rulebook.book()
    assert held is not None
    return held


class Page:
    """The page on which a rule is changed, as a browser has it."""

    def __init__(self, client: Client, row_id: str) -> None:
        self.client, self.address = client, f"/rules/{row(row_id).public_id}/change/"
        self.page = client.get(self.address)
        self.form = self.page.context["form"]

    def field(self, path: str) -> str:
        places = {one.path: name for name, one in self.form.lists.items()} | {path: name for name, path in self.form.days.items()}
        return places[path]

    def save(self, **values: Any) -> Any:
        return self.client.post(self.address, typed(self.page, act="save", **values))


def test_every_list_and_word_of_every_row_may_be_what_it_is(manager: Client) -> None:
    for one in RuleRow.objects.filter(section__in=rulerows.SECTIONS):
        for held in rulelists.listed(one):
            assert held.shape is not None or set(held.value) <= dict(held.options).keys(), (one.row_id, held.path)
            assert held.shape is None or all(held.shape.fullmatch(word) for word in held.value), (one.row_id, held.path)
            assert held.kept(held.value) == (held.value[0] if held.is_one else list(held.value))


@pytest.mark.parametrize("row_id", ["mcr_esi_cap", "clopidogrel", "mcr_tpi_dx", "diabetes_a1c", "light_meal"])
def test_a_form_sent_back_as_it_is_changes_nothing(manager: Client, row_id: str) -> None:
    found = RuleRow.objects.filter(section__in=rulerows.SECTIONS, row_id=row_id).first()
    if found is None:
        pytest.fail(f"the tables have no row {row_id}")
    answer = Page(manager, row_id).save()
    assert answer.status_code == 303, answer.context["form"].errors
    assert RuleRow.objects.filter(row_id=row_id).count() == 1


def test_a_rule_speaks_of_other_families_from_today_on(manager: Client) -> None:
    page = Page(manager, "mcr_tpi_guidance")

    assert page.save(**{page.field("applies_to"): ["tpi", "joint_injection"]}).status_code == 303

    assert row("mcr_tpi_guidance").data["applies_to"] == ["tpi", "joint_injection"]
    assert ("speaks of", "trigger point injections, joint injections", "trigger point injections") in rulerows.edits(
        row("mcr_tpi_guidance")
    )
    shown = manager.get(f"/rules/{row('mcr_tpi_guidance').public_id}/").content.decode()
    assert "Joint injections, Trigger point injections" in shown or "Trigger point injections, Joint injections" in shown


@pytest.mark.parametrize("chosen", [[], ["leeches"]])
def test_a_rule_speaks_of_something_that_is_known(manager: Client, chosen: list[str]) -> None:
    page = Page(manager, "mcr_tpi_guidance")

    answer = page.save(**{page.field("applies_to"): chosen})

    assert (answer.status_code, list(answer.context["form"].errors)) == (422, [page.field("applies_to")])
    assert row("mcr_tpi_guidance").data["applies_to"] == ["tpi"]


def test_codes_are_typed_and_looked_at(manager: Client) -> None:
    code = "G44.20"
    rows = [one for one in RuleRow.objects.filter(section="rules") if any(held.shape for held in rulelists.listed(one))]
    one = next(one for one in rows if code in str(one.data))
    path = next(held.path for held in rulelists.listed(one) if held.shape and code in held.value)
    page = Page(manager, one.row_id)
    name = page.field(path)

    wrong = page.save(**{name: "G44.20, leeches"})
    assert "leeches is none of these" in wrong.context["form"].errors[name][0]
    assert page.save(**{name: "G44.20; M79.18"}).status_code == 303

    held = next(held for held in rulelists.listed(row(one.row_id)) if held.path == path)
    assert held.value == ("G44.20", "M79.18")


def test_a_drug_is_held_where_it_was_decided_together(manager: Client) -> None:
    page = Page(manager, "clopidogrel")
    word, days = page.field("hold_before.low.action"), page.field("hold_before.low.days")

    alone = page.save(**{word: "hold"})
    assert alone.status_code == 422
    assert "hours or days" in str(alone.context["form"].errors)
    assert page.save(**{word: "hold", days: "5"}).status_code == 303

    assert book().thinners_on(NOW.date()).drugs["clopidogrel"].holds["low"].days == 5
    assert [name for name, _, _ in rulerows.edits(row("clopidogrel"))] == ["holds from", "hold low days", "hold low action"]


def test_a_typed_list_of_commas_is_none(manager: Client) -> None:
    rows = [one for one in RuleRow.objects.filter(section="rules") if any(held.shape for held in rulelists.listed(one))]
    page = Page(manager, rows[0].row_id)
    name = page.field(next(held.path for held in rulelists.listed(rows[0]) if held.shape))
    assert list(page.save(**{name: " , ; "}).context["form"].errors) == [name]
