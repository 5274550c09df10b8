"""One case: look, move, cancel, reinstate, confirm, and through the day."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.errors import Conflict, DomainError, Refused
from procedures.rules import Finding
from scheduling import booking, openings, visits
from scheduling.agenda import words
from scheduling.agenda.shapes import CancelForm as CancelPage
from scheduling.agenda.shapes import Choice, OpeningLine, Pair, Refusal
from scheduling.agenda.shapes import MoveForm as MovePage
from scheduling.agenda.shapes import ReinstateForm as ReinstatePage
from scheduling.availability import Opening
from scheduling.booking import staging
from scheduling.forms import MOVE_REASONS, ActForm, CancelForm, MoveForm, at_in, pairs, typed_waivers, waivers_in
from scheduling.intervals import exists, instant, local_day
from scheduling.models import AWAY, BEFORE_ARRIVAL, Allocation, Appointment, AskedBy, CancelReason, Kind, Resource, Status
from scheduling.models.appointments import InvalidMove
from scheduling.openings import FoundSite, FoundUnit
from scheduling.views import doors

NEARBY = 6
BY_FIELD: dict[str, tuple[str, ...]] = {"physician": (Kind.PHYSICIAN,), "room": (Kind.ROOM,), "device": words.DEVICES}


class NotFree(Conflict):
    def __init__(self, message: str) -> None:
        super().__init__("not_free", message)


class NotFitting(Refused):
    def __init__(self, message: str) -> None:
        super().__init__("not_free", message)


@require_GET
@requires("scheduling.view_appointment")
def appointment(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show a case, as a page or in the board's panel."""
    row = doors.the_case(request, public_id)
    doors.read(request, row)
    context = {"case": doors.shown(request, row)}
    if request.htmx and request.htmx.target == "case-panel":  # type: ignore[attr-defined]
        return render(request, "scheduling/_case_panel.html", context)
    return web.respond(request, "scheduling/appointment.html", context)


@require_GET
@requires("scheduling.view_appointment")
def print_case(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show a case as it goes on paper."""
    row = doors.the_case(request, public_id)
    doors.read(request, row)
    return web.respond(request, "scheduling/print.html", {"case": doors.shown(request, row)})


# --- one-button acts -------------------------------------------------------------------------------------------------


@require_POST
@requires("scheduling.confirm_appointment")
def confirm(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Note that the patient will come."""
    row, by = doors.the_case(request, public_id), Actor.of(request)
    form = ActForm(request.POST)
    if not form.is_valid():
        return doors.not_changed(request, row, Refused("malformed", "Reload the page and try again."))
    version = form.cleaned_data["version"]
    try:
        done = doors.once(
            request, "scheduling.confirm", lambda: booking.confirm(appointment=row, by=by, at=web.now(), version=version)
        )
    except DomainError as error:
        doors.refused(request, error, act="scheduling.confirm", case=row)
        return doors.not_changed(request, row, error)
    return doors.changed(request, done)


@require_POST
@requires("scheduling.check_in")
def status(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Take a case to its next status of the day."""
    row, by = doors.the_case(request, public_id), Actor.of(request)
    form = ActForm(request.POST)
    to = request.POST.get("to", "")
    if not form.is_valid() or to not in Status.values:
        return doors.not_changed(request, row, Refused("malformed", "Reload the page and try again."))
    version = form.cleaned_data["version"]
    try:
        done = doors.once(
            request, "scheduling.status", lambda: visits.move_on(appointment=row, to=to, by=by, at=web.now(), version=version)
        )
    except DomainError as error:
        doors.refused(request, error, act=f"scheduling.{to}", case=row)
        return doors.not_changed(request, row, error)
    return doors.changed(request, done)


# --- cancel ----------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@requires("scheduling.cancel_appointment")
def cancel(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Cancel a case with a reason and who asked."""
    row, by = doors.the_case(request, public_id), Actor.of(request)
    if request.method == "GET":
        return _cancel_page(request, row)
    form = CancelForm(request.POST)
    if not form.is_valid():
        return _cancel_page(request, row, errors=pairs(form), status=422)
    given = form.cleaned_data
    try:
        done = doors.once(
            request,
            "scheduling.cancel",
            lambda: booking.cancel(
                appointment=row, reason=given["reason"], asked_by=given["asked_by"], note=given["text"], version=given["version"],
                by=by, at=web.now(),
            ),
        )  # fmt: skip
    except DomainError as error:
        doors.refused(request, error, act="scheduling.cancel", case=row)
        return _cancel_page(request, row, refusal=doors.refusal_of(error), status=error.status, code=error.code)
    return doors.changed(request, done)


def _cancel_page(
    request: HttpRequest,
    row: Appointment,
    *,
    errors: tuple[Pair, ...] = (),
    refusal: Refusal | None = None,
    status: int = 200,
    code: str = "",
) -> HttpResponse:
    row = doors.the_case(request, row.public_id)
    typed = request.POST
    late = timedelta(hours=settings.LATE_CANCEL_HOURS)
    form = CancelPage(
        action=reverse("scheduling:cancel", args=[row.public_id]),
        version=row.version,
        request_key=_key(request, code),
        reasons=tuple(Choice(str(value), str(label), typed.get("reason") == value) for value, label in CancelReason.choices),
        asked_bys=tuple(Choice(str(value), str(label), typed.get("asked_by") == value) for value, label in AskedBy.choices),
        reason=typed.get("reason", ""),
        asked_by=typed.get("asked_by", ""),
        text=typed.get("text", ""),
        is_late=row.starts_at - web.now() < late,
        late_note=f"It begins in less than {settings.LATE_CANCEL_HOURS} hours. If the patient asked, this counts as a late cancellation.",
        errors=errors,
        refusal=refusal,
    )
    return web.respond(request, "scheduling/cancel.html", {"case": doors.shown(request, row, cancel=form)}, status=status)


def _key(request: HttpRequest, code: str = "") -> str:
    """Return the form's key, a new one when the old one is used up."""
    return doors.new_key() if request.method == "GET" or code == "key_reused" else doors.key_of(request)


# --- reinstate -------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@requires("scheduling.reinstate_appointment")
def reinstate(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Bring a cancelled or missed case back at its old place."""
    row, by = doors.the_case(request, public_id), Actor.of(request)
    if request.method == "GET":
        return _reinstate_page(request, row)
    form = ActForm(request.POST)
    if not form.is_valid():
        return _reinstate_page(request, row, errors=pairs(form), status=422)
    version = form.cleaned_data["version"]
    try:
        done = doors.once(
            request,
            "scheduling.reinstate",
            lambda: booking.reinstate(appointment=row, by=by, at=web.now(), waivers=waivers_in(request.POST), version=version),
        )
    except DomainError as error:
        doors.refused(request, error, act="scheduling.reinstate", case=row)
        return _reinstate_page(request, row, error=error, status=error.status)
    return doors.changed(request, done)


def _reinstate_page(
    request: HttpRequest, row: Appointment, *, errors: tuple[Pair, ...] = (), error: DomainError | None = None, status: int = 200
) -> HttpResponse:
    row, by = doors.the_case(request, row.public_id), Actor.of(request)
    place = staging.old_place(row)
    findings: tuple[Finding, ...] = ()
    problem = error
    if row.status not in AWAY:
        problem = problem or InvalidMove("invalid_move", "This case stands already; there is nothing to reinstate.")
    elif isinstance(error, booking.RulesRefused):
        findings = error.findings
    elif error is None:
        try:
            findings = _previewed(row, place, by)
        except DomainError as refusal:
            problem = refusal
    lines = tuple(doors.line_of(finding, by, typed_waivers(request.POST)) for finding in findings)
    can = (
        row.status in AWAY
        and not any(line.severity == "structural" for line in lines)
        and not isinstance(problem, booking.SlotTaken)
    )
    form = ReinstatePage(
        action=reverse("scheduling:reinstate", args=[row.public_id]),
        version=row.version,
        request_key=_key(request, error.code if error else ""),
        lines=lines,
        can=can,
        errors=errors,
        refusal=doors.refusal_of(problem, kept="The case stays as it is.") if problem else None,
        opening=_offer(place, row),
    )
    return web.respond(request, "scheduling/reinstate.html", {"case": doors.shown(request, row, reinstate=form)}, status=status)


def _previewed(row: Appointment, opening: Opening, by: Actor) -> tuple[Finding, ...]:
    return booking.preview(
        patient=row.patient,
        procedure=row.procedure,
        target=staging.target_of(row),
        opening=opening,
        by=by,
        at=web.now(),
        appointment=row,
    )


def _offer(opening: Opening, row: Appointment) -> OpeningLine:
    """Return an opening of a case's own site as a page shows it, names read for it."""
    wanted = {pk for pks in opening.units.values() for pk in pks}
    units = {
        each.pk: FoundUnit(each.pk, each.public_id, each.kind, each.name, each.short_name)
        for each in Resource.objects.filter(pk__in=wanted)
    }
    return doors.offer(opening, units, {opening.site: _site(row)})


def _site(row: Appointment) -> FoundSite:
    return FoundSite(row.site_id, row.site.public_id, row.site.name, row.site.time_zone)


# --- move ------------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@requires("scheduling.move_appointment")
def move(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Move a case: first the answer what that would mean, then the move itself."""
    row = doors.the_case(request, public_id)
    mover = _Mover(request, row)
    if request.method == "GET":
        return mover.page()
    form = MoveForm(mover.typed)
    if not form.is_valid():
        return mover.page(errors=pairs(form), status=422)
    given = form.cleaned_data
    try:
        mover.find(given)
        if request.POST.get("act") != "move" or at_in(request.POST):
            return mover.page()
        done = doors.once(request, "scheduling.move", lambda: mover.carry_out(given))
    except DomainError as error:
        doors.refused(request, error, act="scheduling.move", case=row)
        return mover.page(error=error, status=error.status)
    return doors.changed(request, done)


@dataclass(frozen=True, slots=True)
class _Options:
    """Who and what could serve the case at its site, and what it has now."""

    by_field: dict[str, list[Resource]]
    current: dict[str, uuid.UUID]


class _Mover:
    """One request to move one case: what was typed, what was found, and the page that says so."""

    def __init__(self, request: HttpRequest, row: Appointment) -> None:
        self.request, self.row = request, row
        self.by, self.at = Actor.of(request), web.now()
        self.zone = ZoneInfo(row.site.time_zone)
        self.options = self._options()
        self.typed = self._typed()
        self.opening: Opening | None = None
        self.units: dict[int, FoundUnit] = {}
        self.findings: tuple[Finding, ...] = ()

    def _options(self) -> _Options:
        needs = list(self.row.procedure.needs.all())
        kinds = {need.kind for need in needs}
        rows = list(Resource.objects.active().filter(kind__in=kinds).filter(pk__in=self._pool()).in_order())
        held = (
            Allocation.objects.filter(appointment=self.row, released_at=None)
            .order_by("pk")
            .values_list("kind", "resource__public_id")
        )
        current: dict[str, uuid.UUID] = {}
        for kind, public_id in held:
            for field, members in BY_FIELD.items():
                if kind in members:
                    current.setdefault(field, public_id)
        by_field = {field: [each for each in rows if each.kind in members] for field, members in BY_FIELD.items()}
        privileged = set(self.row.procedure.privileges.values_list("resource_id", flat=True))
        by_field["physician"] = [each for each in by_field["physician"] if each.pk in privileged]
        return _Options(by_field, current)

    def _pool(self) -> Any:
        """Return the resources that have hours at the case's site."""
        return Resource.objects.filter(site=self.row.site).values("pk").union(
            Resource.objects.filter(weekly_hours__site=self.row.site).values("pk")
        )  # fmt: skip

    def _typed(self) -> dict[str, Any]:
        starts = self.row.starts_at.astimezone(self.zone)
        now = {
            "version": str(self.row.version),
            "day": starts.date().isoformat(),
            "time": f"{starts:%H:%M}",
            "minutes": str(self._minutes()),
            "reason": "",
            **{field: str(self.options.current.get(field, "")) for field in BY_FIELD},
        }
        if self.request.method == "GET":
            return now
        posted = {name: self.request.POST.get(name, "" if name in BY_FIELD else now[name]) for name in now}
        pressed = at_in(self.request.POST)
        if pressed:
            posted["day"], posted["time"] = pressed
            posted["room"] = posted["device"] = ""  # the opening near by was offered with whatever is free
        return posted

    def _minutes(self) -> int:
        return (self.row.ends_at - self.row.starts_at) // timedelta(minutes=1)

    def find(self, given: dict[str, Any]) -> None:
        """Find what the wanted time would take, and judge it.

        Raises:
            InvalidMove, Stale, NotFree, NotFitting, SlotTaken.
        """
        self._must_be_movable(given)
        if not exists(given["day"], given["time"], self.zone):
            raise NotFitting("Clocks change that night, and this time does not exist. Choose another.")
        starts_at = instant(given["day"], given["time"], self.zone)
        fit = self._fit(starts_at, self._wanted(given))
        if fit.opening is None:
            unpinned = self._wanted(given, only_changed=True)
            again = self._fit(starts_at, unpinned)
            fit = again if again.opening is not None else fit
        if fit.opening is None:
            message = " ".join(finding.message for finding in fit.findings) or "Not everything needed is free at this time."
            is_taken = any(finding.code in ("taken", "patient_elsewhere") for finding in fit.findings)
            raise NotFree(message) if is_taken or not fit.findings else NotFitting(message)
        self.findings = _previewed(self.row, fit.opening, self.by)
        self.opening, self.units = fit.opening, dict(fit.units)

    def _must_be_movable(self, given: dict[str, Any]) -> None:
        if given["version"] != self.row.version:
            raise booking.Stale(self.row.version)
        if self.row.status not in BEFORE_ARRIVAL:
            raise InvalidMove(
                "invalid_move", f"This case is {self.row.get_status_display().lower()}; only one that has not begun can be moved."
            )
        if given["minutes"] and given["minutes"] != self._minutes():
            raise NotFitting(
                f"The length comes from the procedure and the physician: {self._minutes()} minutes. It cannot be changed here."
            )

    def _wanted(self, given: dict[str, Any], *, only_changed: bool = False) -> set[int]:
        """Return the people and things asked for; with `only_changed`, the physician and what differs from now."""
        wanted = set()
        for field, rows in self.options.by_field.items():
            chosen = given[field]
            if chosen is None or (only_changed and field != "physician" and chosen == self.options.current.get(field)):
                continue
            match = next((each.pk for each in rows if each.public_id == chosen), None)
            if match is None:
                raise NotFitting(f"The {field} chosen does not serve this procedure at {self.row.site.name}.")
            wanted.add(match)
        return wanted

    def _fit(self, starts_at: datetime, units: set[int]) -> openings.Fit:
        return openings.fit(
            procedure=self.row.procedure, starts_at=starts_at, site=self.row.site, at=self.at, units=units, patient=self.row.patient,
            moving=self.row, options=openings.Options(sedation=self.row.sedation),
        )  # fmt: skip

    def carry_out(self, given: dict[str, Any]) -> Appointment:
        assert self.opening is not None
        return booking.reschedule(
            appointment=self.row, opening=self.opening, by=self.by, at=web.now(), version=given["version"],
            waivers=waivers_in(self.request.POST), reason=given["reason"],
        )  # fmt: skip

    def page(self, *, errors: tuple[Pair, ...] = (), error: DomainError | None = None, status: int = 200) -> HttpResponse:
        if error is not None and error.code == "stale":
            self.row = doors.the_case(self.request, self.row.public_id)
        findings = error.findings if isinstance(error, booking.RulesRefused) else self.findings
        lines = tuple(doors.line_of(finding, self.by, typed_waivers(self.request.POST)) for finding in findings)
        is_open = error is None or isinstance(error, booking.RulesRefused)
        preview = _line(self.opening, self.units, self.row) if self.opening is not None and is_open else None
        form = MovePage(
            action=reverse("scheduling:move", args=[self.row.public_id]),
            version=self.row.version,
            request_key=_key(self.request, error.code if error else ""),
            day=self.typed["day"],
            time=self.typed["time"],
            minutes=self.typed["minutes"],
            site=self.row.site.name,
            reason=self.typed["reason"],
            reasons=(
                Choice("", "Choose"),
                *(Choice(code, label, code == self.typed["reason"]) for code, label in MOVE_REASONS.items()),
            ),
            preview=preview,
            lines=lines,
            button=f"Move to {doors.told(preview)}" if preview else "",
            can_move=preview is not None
            and all(
                line.severity not in ("structural",) and (line.can_waive or line.severity in ("info", "pending"))
                for line in lines
            ),
            nearby=self._nearby() if error is not None and error.code in ("not_free", "slot_taken") else (),
            errors=errors,
            refusal=doors.refusal_of(error, kept="The case stays where it was; what you typed is still here.") if error else None,
            tells_patient=self._tells(),
            **{field: self._choices(field) for field in BY_FIELD},
        )
        return web.respond(
            self.request, "scheduling/move.html", {"case": doors.shown(self.request, self.row, move=form)}, status=status
        )

    def _tells(self) -> str:
        patient = self.row.patient
        if patient.email and patient.accepts_email:
            return "The patient gets an e-mail with the new time."
        return "The patient has no e-mail on file or wants none: call with the new time."

    def _choices(self, field: str) -> tuple[Choice, ...]:
        """Return who could serve, the one found by the preview or else the one typed selected."""
        rows = self.options.by_field[field]
        if not rows:
            return ()
        selected = self.typed[field]
        if self.opening is not None:
            found = {
                self.units[pk].public_id
                for pks in self.opening.units.values()
                for pk in pks
                if pk in self.units and self.units[pk].kind in BY_FIELD[field]
            }
            if selected not in {str(each) for each in found}:
                selected = next((str(each.public_id) for each in rows if each.public_id in found), "")
        free = Choice("", "Any that is free", not selected)
        return (free, *(Choice(str(each.public_id), each.name, str(each.public_id) == selected) for each in rows))

    def _nearby(self) -> tuple[OpeningLine, ...]:
        """Return the free times nearest to the one asked for, on that day and the two after it."""
        form = MoveForm(self.typed)
        if not form.is_valid():
            return ()
        day = form.cleaned_data["day"]
        wished = instant(day, form.cleaned_data["time"], self.zone)
        physician = next(
            (each for each in self.options.by_field["physician"] if str(each.public_id) == self.typed["physician"]), None
        )
        found = openings.find_openings(
            procedure=self.row.procedure, at=self.at, earliest=local_day(day, self.zone).starts_at,
            latest=local_day(day + timedelta(days=2), self.zone).ends_at, site=self.row.site, physician=physician, patient=self.row.patient,
            moving=self.row, options=openings.Options(sedation=self.row.sedation), grid_minutes=15, limit=200, with_reasons=False,
        )  # fmt: skip
        nearest = sorted(found.openings, key=lambda each: (abs(each.starts_at - wished), each.starts_at))[:NEARBY]
        lines = [doors.offer(each, found.units, found.sites) for each in sorted(nearest, key=lambda each: each.starts_at)]
        return tuple(replace(line, why="") for line in lines)


def _line(opening: Opening, units: dict[int, FoundUnit], row: Appointment) -> OpeningLine:
    return doors.offer(opening, units, {opening.site: _site(row)})
