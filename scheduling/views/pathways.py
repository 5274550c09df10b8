"""Doors of the pathways: the list, one drawn and told, its change with a look at what that does to running courses."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET, require_http_methods

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.errors import DomainError
from procedures import families, pathwayrows
from procedures.models import ClinicPathway
from procedures.pathwaydrawing import draw
from scheduling.agenda import words
from scheduling.courses import previewing
from scheduling.courses.previewing import Effect, Touched
from scheduling.forms.pathways import PathwayEditForm
from scheduling.models import Course, PlanState
from scheduling.views import doors


@dataclass(frozen=True, slots=True)
class Line:
    """One pathway in the list."""

    row: ClinicPathway
    steps: str
    running: int
    is_edited: bool


@dataclass(frozen=True, slots=True)
class WayTold:
    """One way in words, with the number that it has in the picture."""

    number: int
    to: str
    why: str
    when: tuple[str, ...]
    gates: tuple[str, ...]
    only_if: str
    is_off: bool


@dataclass(frozen=True, slots=True)
class StepTold:
    """One step in words."""

    name: str
    families: str
    begins: tuple[str, ...]
    ways: tuple[WayTold, ...]


@dataclass(frozen=True, slots=True)
class ChangeTold:
    """One course that a change would touch, as the page says it."""

    patient: str
    course: Course
    before: str
    after: str


@require_GET
@requires("procedures.view_pathways")
def pathways(request: HttpRequest) -> HttpResponse:
    """List the clinic's pathways with how many courses run on each."""
    running: dict[str, int] = {}
    for code in Course.objects.visible_to(web.member(request)).planned().values_list("pathway", flat=True):
        running[code] = running.get(code, 0) + 1
    lines = [
        Line(row, " → ".join(step["name"] for step in row.data["steps"]), running.get(row.code, 0), bool(pathwayrows.edits(row)))
        for row in ClinicPathway.objects.in_order()
    ]
    return web.respond(request, "scheduling/pathways.html", {"lines": lines})


@require_GET
@requires("procedures.view_pathways")
def pathway(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show one pathway drawn and in words, with its source and its versions."""
    return _page(request, _row(public_id))


@require_http_methods(["GET", "POST"])
@requires("procedures.change_pathways")
def change_pathway(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Make a new version; first look at what it would do to running courses."""
    row = _row(public_id)
    if request.method == "GET":
        return _page(request, row, form=PathwayEditForm(row=row))
    try:
        form = PathwayEditForm.sent(request.POST, row=row)
    except DomainError as refusal:
        return _page(request, row, form=PathwayEditForm(row=row), refusal=refusal.message, status=refusal.status)
    act = request.POST.get("act", "look")
    if act != "save":
        form.fields["reason"].required = False
    if not form.is_valid():
        return _page(request, row, form=form, status=422)
    try:
        if act == "look":
            return _looked(request, row, form)
        return _saved(request, row, form) if act == "save" else _reshaped(request, row, form, act)
    except DomainError as refusal:
        if act in ("look", "save"):
            web.refused(request, refusal, act="procedures.change_pathway", subject=row)
        field = str(refusal.details.get("field", ""))
        form.add_error(field if field in form.fields else None, refusal.message)
        return _page(request, row, form=form, status=refusal.status)


def _looked(request: HttpRequest, row: ClinicPathway, form: PathwayEditForm) -> HttpResponse:
    wanted = pathwayrows.proposed(row, form.wish())
    effect = previewing.effect_of(pathway=pathwayrows.compiled(wanted), user=web.member(request), at=web.now())
    return _page(request, row, form=form, effect=effect, drawn=wanted.data)


def _saved(request: HttpRequest, row: ClinicPathway, form: PathwayEditForm) -> HttpResponse:
    given = form.cleaned_data
    kept = pathwayrows.change(
        row=row, wish=form.wish(), reason=given["reason"], version=given["version"], by=Actor.of(request), at=web.now()
    )
    is_new = kept.version != row.version
    messages.success(
        request,
        f"Version {kept.version} holds. Running courses are planned anew within minutes." if is_new else "Nothing was different.",
    )
    return web.redirect_to(request, "scheduling:pathway", row.public_id)


def _reshaped(request: HttpRequest, row: ClinicPathway, form: PathwayEditForm, act: str) -> HttpResponse:
    """Answer with the form of another shape; nothing is saved."""
    given, (what, _, where) = form.cleaned_data, act.partition(":")
    shape = pathwayrows.applied(row, form.wish())
    if what != "add_gate":
        shape = pathwayrows.reshaped(
            shape, act, name=given["new_name"], families=[given["new_family"]] if given["new_family"] else [],
            to=given.get(f"{where}.to", ""),
        )  # fmt: skip
    elif not given.get(f"{where}.more"):
        raise pathwayrows.UnusablePathway("Choose what the gate asks.", f"{where}.more")
    touched = shape["steps"][-1]["id"] if what == "add_step" else where.partition(".")[0]
    return _page(request, row, form=PathwayEditForm(row=row, base=shape, start=form.kept(), touched=touched))


def _row(public_id: uuid.UUID) -> ClinicPathway:
    found: ClinicPathway = get_object_or_404(ClinicPathway.objects.select_related("changed_by"), public_id=public_id)
    return found


def _page(
    request: HttpRequest,
    row: ClinicPathway,
    *,
    form: PathwayEditForm | None = None,
    effect: Effect | None = None,
    drawn: Mapping[str, Any] | None = None,
    refusal: str = "",
    status: int = 200,
) -> HttpResponse:
    limit = row.data.get("limit")
    context: dict[str, Any] = {
        "row": row,
        "picture": draw(drawn if drawn is not None else row.data if form is None else form.base),
        "refusal": refusal,
        "steps": _steps(row),
        "limit": f"{limit['most']} sessions in {limit['months']} months for {pathwayrows.PER[limit['per']]}" if limit else "",
        "staging": pathwayrows.span_told(row.data.get("staging")),
        "stops": pathwayrows.stops_of(row),
        "ours": row.data.get("ours", ()),
        "edits": pathwayrows.edits(row),
        "versions": doors.on_the_wall(request, pathwayrows.versions(row)) if form is None else (),
        "may_change": Actor.of(request).may(pathwayrows.CHANGE),
        "form": form,
        "effect": effect,
        "touched": [_touched(one) for one in effect.touched] if effect is not None else [],
    }
    return web.respond(request, "scheduling/pathway.html", context, status=status)


def _steps(row: ClinicPathway) -> list[StepTold]:
    names = pathwayrows.step_names(row.data)
    number = 0
    found = []
    for step in row.data["steps"]:
        ways = []
        for way in step["then"]:
            number += 1
            ways.append(_way(number, way, names))
        role = f", {step['role']}" if step.get("role") else ""
        begins = tuple(_gate(gate, names) for gate in step.get("begins", {}).get("gates", ()))
        found.append(StepTold(step["name"], families.told(step["families"]) + role, begins, tuple(ways)))
    return found


def _way(number: int, way: dict[str, Any], names: dict[str, str]) -> WayTold:
    told = pathwayrows.span_told
    when = [
        f"not before {told(way.get('earliest', {'days': 1}))}",
        f"best {told(way['ideal'])}" if "ideal" in way else "best a week after that",
        f"until {told(way['latest'])}" if "latest" in way else "until six weeks after that",
        *([f"lapses after {told(way['expires'])}"] if "expires" in way else []),
    ]
    gates = tuple(_gate(gate, names) for gate in way["gates"])
    only_if = str(way.get("only_if", "")).replace("_", " ")
    return WayTold(number, names[way["to"]], way["why"], tuple(when), gates, only_if, bool(way.get("is_off")))


def _gate(gate: dict[str, Any], names: Mapping[str, str]) -> str:
    return f"{pathwayrows.gate_told(gate, names)}{' (not asked here)' if gate.get('is_off') else ''}"


def _touched(one: Touched) -> ChangeTold:
    today = one.course.site.day_at(web.now())
    return ChangeTold(words.full_name(one.course.patient), one.course, _said(one.before, today), _said(one.after, today))


def _said(values: Any, today: date) -> str:
    state = values["state"]
    if state == PlanState.PROPOSED:
        days = [
            f"{word} {words.short_day(values[name], today)}"
            for word, name in (("from", "earliest"), ("best", "ideal"), ("until", "latest"))
        ]
        return f"{values['name']}: {', '.join(days)}"
    if state == PlanState.WAITING:
        due: date | None = values["due_on"]
        return f"{values['name']}: waits for {values['for_what']}{f', due {words.short_day(due, today)}' if due else ''}"
    return f"stopped: {values['for_what']}" if state == PlanState.STOPPED else "finished"
