"""Doors of the rules: the list, one row with its source, its change with a look at what that does to coming cases."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.clock import days_in_words
from pain_clinic.errors import DomainError
from procedures import rulebook, rulecopies, rulelists, rulerows
from procedures.models import RuleRow, RuleRowQuerySet
from scheduling import effects
from scheduling.agenda import words
from scheduling.agenda.shapes import CaseLine
from scheduling.forms import RULE_TABLES as TABLES
from scheduling.forms import RuleCopyForm, RuleFilterForm, RuleForm
from scheduling.views import doors

KINDS = dict(TABLES[1:])
SAVED = "Saved. Coming cases are asked again within minutes."


@dataclass(frozen=True, slots=True)
class Line:
    """One row in the list."""

    row: RuleRow
    title: str
    numbers: str
    payer: str
    holds: str
    state: str
    is_edited: bool


@require_GET
@requires("procedures.view_rules")
def rules(request: HttpRequest) -> HttpResponse:
    """List the rows of the rules as filtered."""
    form = RuleFilterForm(request.GET or None)
    asked = form.cleaned_data if form.is_bound and form.is_valid() else {}
    payers = rulebook.payer_names()
    lines = [_line(row, payers) for row in _asked_for(RuleRow.objects.filter(section__in=rulerows.SECTIONS), asked)]
    if asked.get("edited"):
        lines = [line for line in lines if line.is_edited == (asked["edited"] == "yes")]
    groups = [(title, [line for line in lines if line.row.table == table]) for table, title in KINDS.items()]
    context = {"form": form, "groups": [group for group in groups if group[1]], "count": len(lines), "is_filtered": bool(asked)}
    return web.respond(request, "scheduling/rules.html", context, status=422 if form.is_bound and form.errors else 200)


@require_GET
@requires("procedures.view_rules")
def rule(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show one row with its source and how it became what it is."""
    return _page(request, _row(public_id))


@require_http_methods(["GET", "POST"])
@requires("procedures.change_rules")
def change_rule(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Change one row; first look at what it would do to the coming cases."""
    row, today = _row(public_id), web.today(request)
    if request.method == "GET":
        return _page(request, row, form=RuleForm(row=row, today=today))
    form = RuleForm(request.POST, row=row, today=today)
    if not form.is_valid():
        return _page(request, row, form=form, status=422)
    by, at = Actor.of(request), web.now()
    try:
        if request.POST.get("act") != "save":
            wanted = rulerows.wanted(row, form.changes(), form.values(), starts_on=form.first_day())
            return _page(request, row, form=form, effect=effects.effect_of(rows=wanted, user=web.member(request), at=at))
        kept = rulerows.change(
            row=row, changes=form.changes(), values=form.values(), version=form.cleaned_data["version"],
            starts_on=form.first_day(), by=by, at=at,
        )  # fmt: skip
    except DomainError as refusal:
        web.refused(request, refusal, act="procedures.change_rule", subject=row)
        field = str(refusal.details.get("field", ""))
        form.add_error(field if field in form.fields else None, days_in_words(refusal.message))
        return _page(request, row, form=form, status=refusal.status)
    messages.success(
        request,
        "Nothing was different." if (kept.pk, kept.version) == (row.pk, row.version) else SAVED,
    )
    return web.redirect_to(request, "scheduling:rule", kept.public_id)


@require_POST
@requires("procedures.change_rules")
def copy_rule(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Make a rule like one of a payer, switched off, and go on to set it."""
    row = _row(public_id)
    form = RuleCopyForm(request.POST, row=row)
    if not form.is_valid():
        return _page(request, row, copying=form, status=422)
    try:
        new = rulecopies.copy(row=row, by=Actor.of(request), at=web.now(), **form.cleaned_data)
    except DomainError as refusal:
        web.refused(request, refusal, act="procedures.copy_rule", subject=row)
        field = str(refusal.details.get("field", ""))
        form.add_error(field if field in form.fields else None, days_in_words(refusal.message))
        return _page(request, row, copying=form, status=refusal.status)
    messages.success(request, "Made, and switched off. Set it, look what it would do, then switch it on.")
    return web.redirect_to(request, "scheduling:rule_change", new.public_id)


def _row(public_id: uuid.UUID) -> RuleRow:
    found: RuleRow = get_object_or_404(RuleRow.objects.select_related("owner"), public_id=public_id)
    return found


def _asked_for(rows: RuleRowQuerySet, asked: dict[str, Any]) -> RuleRowQuerySet:
    for word in str(asked.get("q", "")).split():
        rows = rows.filter(Q(row_id__icontains=word) | Q(data__icontains=word))
    if asked.get("table"):
        rows = rows.filter(table=asked["table"])
    if asked.get("payer"):
        rows = rows.filter(data__payer_rule_set=asked["payer"])
    if asked.get("severity"):
        rows = rows.filter(severity=asked["severity"])
    for name, field in (("verified", "verified"), ("enabled", "is_enabled")):
        if asked.get(name):
            yes = Q(**{field: True})
            rows = rows.filter(yes if asked[name] == "yes" else ~yes)
    on: date | None = asked.get("on")
    if on is not None:
        rows = rows.filter(Q(effective_from=None) | Q(effective_from__lte=on), Q(effective_to=None) | Q(effective_to__gte=on))
    return rows.in_order()


def _line(row: RuleRow, payers: Mapping[str, str]) -> Line:
    begins, ends = row.effective_from, row.effective_to
    parts = [f"from {begins}" if begins else "", f"until {ends}" if ends else ""]
    code = str(row.data.get("payer_rule_set", ""))
    return Line(
        row,
        rulerows.title(row),
        rulerows.figures_told(row),
        payers.get(code, code),
        " ".join(filter(None, parts)),
        rulerows.state(row),
        bool(rulerows.edits(row)) or not row.table_values,
    )


def _days(row: RuleRow) -> list[Line]:
    """Return the versions of a row by the dates of service on which they hold, where there are several."""
    found = [_line(one, {}) for one in RuleRow.objects.versions_of(row)]
    return found if len(found) > 1 else []


def _page(
    request: HttpRequest,
    row: RuleRow,
    *,
    form: RuleForm | None = None,
    copying: RuleCopyForm | None = None,
    effect: effects.Effect | None = None,
    status: int = 200,
) -> HttpResponse:
    may_change = Actor.of(request).may(rulerows.CHANGE)
    if copying is None and form is None and may_change and rulecopies.may_be_copied(row):
        copying = RuleCopyForm(row=row)
    context = {
        "row": row,
        "copying": copying,
        "line": _line(row, rulebook.payer_names()),
        "kind": KINDS.get(row.table, row.table),
        "figures": rulerows.figures(row),
        "lists": [(rulerows.label(one.path), one.told()) for one in rulelists.listed(row)] if form is None else (),
        "edits": rulerows.edits(row),
        "versions": doors.on_the_wall(request, rulerows.versions(row)) if form is None else (),
        "choice": rulerows.CHOICES.get(row.row_id),
        "notes": row.data.get("notes") or row.data.get("note") or "",
        "days": _days(row) if form is None else (),
        "may_change": may_change,
        "form": form,
        "effect": effect,
        "stopped": [] if effect is None else [(_case_line(one.case), one.messages) for one in effect.newly_stopped],
        "freed": [] if effect is None else [(_case_line(one.case), one.messages) for one in effect.newly_freed],
    }
    return web.respond(request, "scheduling/rule.html", context, status=status)


def _case_line(case: Any) -> CaseLine:
    return words.case_line(case, zone=ZoneInfo(case.site.time_zone), where=case.site.name, day_shown=True)
