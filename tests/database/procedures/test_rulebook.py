"""The rules in force: one book for each state of the clinic's rows, whoever wrote them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from procedures import rulebook, tables
from procedures.models import Procedure, RuleRow
from procedures.rules import Facts, Request, assess
from procedures.rules.facts import Coverage, Wanted
from procedures.rules.offers import want
from tests import factories

ON = date(2027, 3, 9)


@pytest.fixture
def loaded(db: None) -> None:
    tables.load(by=Actor.system("tests"), at=factories.NOW)


def asked(**facts: Any) -> Facts:
    book = rulebook.book()
    assert book is not None
    wanted = want(book.offers["tpi"], book.offers.values(), side="midline", levels=(), guidance="ultrasound")
    request = Request(ON, "tpi", "tpi", several=(wanted,))
    return Facts(request, coverage=Coverage("medicare_multi_mac_2026", "original_medicare"), **facts)


def found(on: date = ON) -> dict[str, str]:
    facts = asked()
    findings = assess(rulebook.in_force(rulebook.book(), facts, on), facts, on)
    return {finding.code: finding.severity.value for finding in findings if not finding.pending}


def test_without_tables_there_is_no_book_and_no_rule(db: None) -> None:
    assert rulebook.book() is None
    wanted = Request(ON, "tpi", "tpi", several=(Wanted("tpi", "tpi"),))
    assert rulebook.in_force(None, Facts(wanted), ON) == ()


def test_one_book_serves_until_a_row_changes(loaded: None, django_assert_num_queries: Any) -> None:
    first = rulebook.book()
    with django_assert_num_queries(1):
        assert rulebook.book() is first
    RuleRow.objects.filter(row_id="mcr_tpi_cap").update(is_enabled=False)  # past every verb, and still seen
    assert rulebook.book() is not first
    second = rulebook.book()
    Procedure.objects.filter(code="tpi").update(notes="x")
    assert rulebook.book() is not second


def test_switch_severity_and_days_of_the_clinic_are_honoured_by_date_of_service(loaded: None) -> None:
    assert found()["mcr_tpi_guidance"] == "deny"
    row = RuleRow.objects.get(row_id="mcr_tpi_guidance")
    row.severity = "warn"
    row.save(update_fields=["severity"])
    assert found()["mcr_tpi_guidance"] == "warn"
    row.effective_to = ON
    row.save(update_fields=["effective_to"])
    assert "mcr_tpi_guidance" in found(ON)
    assert "mcr_tpi_guidance" not in found(ON + timedelta(days=1))
    row.effective_to, row.is_enabled = None, False
    row.save(update_fields=["effective_to", "is_enabled"])
    assert "mcr_tpi_guidance" not in found()


def test_book_with_an_unusable_row_is_none_for_who_only_wants_names(loaded: None) -> None:
    assert rulebook.usable_book() is not None
    RuleRow.objects.filter(row_id="mcr_tpi_cap").update(data={})
    assert rulebook.usable_book() is None
    with pytest.raises(tables.MalformedTables):
        rulebook.book()


def test_row_that_comes_and_one_that_goes_are_seen(loaded: None) -> None:
    stamp = rulebook.read_stamp()
    row = RuleRow.objects.get(row_id="mcr_tpi_guidance")
    fields = {field.name: getattr(row, field.name) for field in RuleRow._meta.fields if field.name not in ("id", "public_id")}
    row.delete()
    gone = rulebook.read_stamp()
    RuleRow.objects.create(**fields)
    assert len({stamp, gone, rulebook.read_stamp()}) == 3
