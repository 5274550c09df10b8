"""Swap two cases: choose the other, see both new places and what speaks against them, then do it."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.errors import DomainError
from procedures.rules import Waiver
from scheduling import agenda, booking
from scheduling.agenda import words
from scheduling.agenda.shapes import Line, Pair, SwapSide
from scheduling.agenda.shapes import SwapForm as SwapPage
from scheduling.booking import Traded
from scheduling.forms import SwapAskForm, SwapForm, pairs, typed_waivers, waivers_in
from scheduling.models import BEFORE_ARRIVAL, Appointment
from scheduling.models.appointments import InvalidMove
from scheduling.views import doors
from scheduling.views.cases import form_key

MARKS = ("one", "other")  # what the fields of the two cases' findings begin with


@require_http_methods(["GET", "POST"])
@requires("scheduling.move_appointment")
def swap(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Let two cases trade places: first the answer what that would mean, then the swap itself."""
    row = doors.the_case(request, public_id)
    if request.method == "GET":
        asked = SwapAskForm(request.GET)
        is_valid = asked.is_valid()
        with_id = asked.cleaned_data.get("with")
        other = doors.the_case(request, with_id) if with_id else None
        swapper = _Swapper(request, row, other, asked.cleaned_data.get("day"))
        return swapper.page(errors=() if is_valid else pairs(asked), status=200 if is_valid else 422)
    form = SwapForm(request.POST)
    if not form.is_valid():
        return _Swapper(request, row, None, None).page(errors=pairs(form), status=422)
    given = form.cleaned_data
    other = doors.the_case(request, given["other"])
    swapper = _Swapper(request, row, other, None, (given["version"], given["other_version"]))
    try:
        done = doors.once(request, "scheduling.swap", swapper.carry_out)
    except DomainError as error:
        doors.refused(request, error, act="scheduling.swap", case=row)
        return swapper.page(error=error, status=error.status)
    return doors.changed(request, done)


def _waivers(data: QueryDict, mark: str) -> tuple[Waiver, ...]:
    """Return the waivers of one of the two cases; a waiver lifts nothing of the other's."""
    given = [(each.code.partition(".")[2], each) for each in waivers_in(data) if each.code.startswith(f"{mark}.")]
    return tuple(Waiver(code, each.reason_code, each.text) for code, each in given)


class _Swapper:
    """One request to swap two cases: which, what was found, and the page that says so."""

    def __init__(
        self,
        request: HttpRequest,
        row: Appointment,
        other: Appointment | None,
        day: date | None,
        versions: tuple[int, int] | None = None,
    ) -> None:
        self.request, self.row, self.other = request, row, other
        self.by, self.at = Actor.of(request), web.now()
        self.zone = ZoneInfo(row.site.time_zone)
        self.day = day or row.starts_at.astimezone(self.zone).date()
        self.versions = versions or (row.version, other.version if other else row.version)

    def carry_out(self) -> Appointment:
        assert self.other is not None
        done, _ = booking.swap(
            first=self.row,
            second=self.other,
            by=self.by,
            at=web.now(),
            versions=self.versions,
            waivers=_waivers(self.request.POST, MARKS[0]),
            second_waivers=_waivers(self.request.POST, MARKS[1]),
        )
        return done

    def page(self, *, errors: tuple[Pair, ...] = (), error: DomainError | None = None, status: int = 200) -> HttpResponse:
        seen = self.versions
        self.row = doors.the_case(self.request, self.row.public_id)
        problem: DomainError | None = error
        sides: tuple[SwapSide, ...] = ()
        if self.other is not None:
            self.other = doors.the_case(self.request, self.other.public_id)
            try:
                sides = self._sides()
            except DomainError as refusal:
                problem = problem or refusal
        elif self.row.status not in BEFORE_ARRIVAL:
            problem = problem or InvalidMove(
                "invalid_move",
                f"This case is {self.row.get_status_display().lower()}; only one that has not begun can be swapped.",
            )
        form = SwapPage(
            action=reverse("scheduling:swap", args=[self.row.public_id]),
            version=self.row.version,
            request_key=form_key(self.request, error.code if error else ""),
            day=self.day.isoformat(),
            sides=sides,
            other=str(self.other.public_id) if self.other else "",
            other_version=self.other.version if self.other else 0,
            candidates=() if sides or (problem and not self.other) else self._candidates(),
            button=f"Swap: {' and '.join(f'{side.patient} to {words.stamp(side.after.starts_at)}' for side in sides)}",
            can_swap=bool(sides) and all(_can_pass(line) for side in sides for line in side.lines),
            errors=errors,
            refusal=doors.refusal_of(
                problem,
                kept="Both cases stay where they were.",
                changes=(
                    *doors.changes_since(self.row, seen[0]),
                    *(doors.changes_since(self.other, seen[1]) if self.other else ()),
                ),
            )
            if problem
            else None,
        )
        return web.respond(
            self.request, "scheduling/swap.html", {"case": doors.shown(self.request, self.row, swap=form)}, status=status
        )

    def _candidates(self) -> tuple[agenda.CaseLine, ...]:
        return agenda.swappable(appointment=self.row, user=web.member(self.request), day=self.day)

    def _sides(self) -> tuple[SwapSide, ...]:
        """Return what the swap would mean for either, asked of the verb itself."""
        assert self.other is not None
        traded = booking.preview_swap(first=self.row, second=self.other, at=self.at)
        return tuple(self._side(mark, case, each) for mark, case, each in zip(MARKS, (self.row, self.other), traded, strict=True))

    def _side(self, mark: str, case: Appointment, traded: Traded) -> SwapSide:
        typed = {
            code.partition(".")[2]: what for code, what in typed_waivers(self.request.POST).items() if code.startswith(f"{mark}.")
        }
        lines = tuple(
            replace(line, code=f"{mark}.{line.code}")
            for line in (doors.line_of(finding, self.by, typed) for finding in traded.findings)
        )
        there = self.other if case is self.row and self.other is not None else self.row
        patient = case.patient
        is_written_to = bool(patient.email) and patient.accepts_email
        return SwapSide(
            patient=patient.short_name,
            title=words.case_title(case),
            before=case.starts_at.astimezone(ZoneInfo(case.site.time_zone)),
            after=doors.offer_of(traded.opening, there),
            lines=lines,
            tells="gets an e-mail with the new time" if is_written_to else "has no e-mail or wants none: call",
        )


def _can_pass(line: Line) -> bool:
    return line.severity in ("info", "pending") or line.can_waive
