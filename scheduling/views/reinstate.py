"""Bring a cancelled or missed case back: at its old place while that is free, else at another time."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.errors import DomainError
from procedures.rules import Finding
from scheduling import booking, openings
from scheduling.agenda.shapes import OpeningLine, Pair, Refusal
from scheduling.agenda.shapes import ReinstateForm as ReinstatePage
from scheduling.availability import Opening
from scheduling.booking import staging
from scheduling.forms import ActForm, pairs, typed_waivers, waivers_in
from scheduling.intervals import local_day
from scheduling.models import AWAY, Appointment
from scheduling.models.appointments import InvalidMove
from scheduling.views import covered, doors
from scheduling.views.cases import form_key

OFFERED, PER_DAY, GRID = 9, 3, 15


@require_http_methods(["GET", "POST"])
@requires("scheduling.reinstate_appointment")
def reinstate(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Bring a cancelled or missed case back at its old place, or at the opening chosen instead."""
    row = doors.the_case(request, public_id)
    back = _Back(request, row)
    if request.method == "GET":
        return back.page()
    form = ActForm(request.POST)
    if not form.is_valid():
        return back.page(errors=pairs(form), status=422)
    version = form.cleaned_data["version"]
    try:
        if request.POST.get("choose"):
            back.take_up(request.POST["choose"])
            return back.page()
        done = doors.once(request, "scheduling.reinstate", lambda: back.carry_out(version))
    except DomainError as error:
        doors.refused(request, error, act="scheduling.reinstate", case=row)
        return back.page(error=error, status=error.status)
    return doors.changed(request, done)


class _Back:
    """One request to bring one case back, and the page that says where it may go."""

    def __init__(self, request: HttpRequest, row: Appointment) -> None:
        self.request, self.row = request, row
        self.by, self.at = Actor.of(request), web.now()
        self.opening: Opening | None = None  # none: its old place
        self.line: OpeningLine | None = None

    def take_up(self, token: str) -> None:
        """Take up an opening that the page offered.

        Raises:
            OpeningOld, SlotTaken.
        """
        site, starts_at, units = doors.from_token(self.request, token)
        fit = openings.fit(
            procedure=self.row.procedure, starts_at=starts_at, site=site, at=self.at, units=units, patient=self.row.patient,
            options=doors.options_of(self.row),
        )  # fmt: skip
        if fit.opening is None:
            raise booking.SlotTaken()
        self.opening = fit.opening
        found = openings.FoundSite(site.pk, site.public_id, site.name, site.time_zone)
        self.line = doors.offer(fit.opening, dict(fit.units), {site.pk: found}, is_chosen=True)

    def carry_out(self, version: int) -> Appointment:
        token = self.request.POST.get("opening", "")
        if token:  # looked up inside the act: a repeated request is answered from its key before that
            self.take_up(token)
        return booking.reinstate(
            appointment=self.row, opening=self.opening, by=self.by, at=web.now(), waivers=waivers_in(self.request.POST),
            version=version,
        )  # fmt: skip

    def page(self, *, errors: tuple[Pair, ...] = (), error: DomainError | None = None, status: int = 200) -> HttpResponse:
        self.row = doors.the_case(self.request, self.row.public_id)
        findings, problem = self._judged(error)
        lines = tuple(doors.line_of(finding, self.by, typed_waivers(self.request.POST)) for finding in findings)
        is_away = self.row.status in AWAY
        can = is_away and not any(line.severity == "structural" for line in lines) and not isinstance(problem, booking.SlotTaken)
        is_refused = any(line.severity == "deny" for line in lines)
        is_offered = is_away and (self.line is not None or not can or is_refused)
        times = self._others() if is_offered else covered.Times()
        form = ReinstatePage(
            action=reverse("scheduling:reinstate", args=[self.row.public_id]),
            version=self.row.version,
            request_key=form_key(self.request, error.code if error else ""),
            lines=lines,
            can=can,
            errors=errors,
            refusal=self._refusal(problem) if problem else None,
            opening=self.line or doors.offer_of(staging.old_place(self.row), self.row),
            is_old_place=self.line is None,
            others=times.lines,
            covered=times.told,
            uncovered=times.against,
        )
        shown = doors.shown(self.request, self.row, reinstate=form)
        return web.respond(self.request, "scheduling/reinstate.html", {"case": shown}, status=status)

    def _judged(self, error: DomainError | None) -> tuple[tuple[Finding, ...], DomainError | None]:
        """Return what speaks against the place on the table, and why it cannot be had at all."""
        if self.row.status not in AWAY:
            return (), error or InvalidMove("invalid_move", "This case stands already; there is nothing to reinstate.")
        if isinstance(error, booking.RulesRefused):
            return error.findings, error
        if error is not None:
            return (), error
        try:
            return doors.previewed(self.row, self.opening or staging.old_place(self.row), self.by), None
        except DomainError as refusal:
            return (), refusal

    def _refusal(self, problem: DomainError) -> Refusal:
        typed = self.request.POST.get("version", "")
        seen = int(typed) if typed.isdecimal() else self.row.version
        changes = doors.changes_since(self.row, seen)
        told = doors.refusal_of(problem, kept="The case stays as it is.", changes=changes)
        if not isinstance(problem, booking.SlotTaken):
            return told
        is_chosen = self.request.POST.get("choose") or self.request.POST.get("opening")
        which = "This time" if is_chosen else "Its old time"
        return replace(told, message=f"{which} was taken meanwhile.", next_act="Choose another time below.")

    def _others(self) -> covered.Times:
        """Return the first free times at the case's site, whoever has them, and from when on the rules let it be."""
        zone = ZoneInfo(self.row.site.time_zone)
        search = lambda day: self._free(local_day(day, zone).starts_at)  # noqa: E731
        return covered.of_case(self.row, self._free(), by=self.by, at=self.at, search=search)

    def _free(self, earliest: datetime | None = None) -> openings.OpeningsFound:
        return openings.find_openings(
            procedure=self.row.procedure, at=self.at, earliest=earliest, site=self.row.site, patient=self.row.patient,
            options=doors.options_of(self.row), grid_minutes=GRID, per_day=PER_DAY, limit=OFFERED, with_reasons=False,
        )  # fmt: skip
