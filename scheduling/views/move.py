"""Move a case: the server's answer first, then the move."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.errors import Conflict, DomainError, Refused
from procedures.catalogue import needs_under
from procedures.rules import Finding
from scheduling import agenda, booking, openings
from scheduling.agenda import words
from scheduling.agenda.shapes import Choice, OpeningLine, Pair, Refusal
from scheduling.agenda.shapes import MoveForm as MovePage
from scheduling.availability import Opening
from scheduling.forms import MOVE_REASONS, MoveForm, at_in, pairs, typed_waivers, waivers_in
from scheduling.intervals import exists, instant, local_day
from scheduling.models import BEFORE_ARRIVAL, Allocation, Appointment, Kind, Resource
from scheduling.models.appointments import InvalidMove
from scheduling.openings import FoundUnit, OpeningsFound
from scheduling.views import covered, doors
from scheduling.views.cases import form_key

NEARBY, FIRST, PER_DAY, GRID = 6, 9, 3, 15
ANYBODY = " any"  # ends the value of an opening that was looked for with whichever physician
BY_FIELD: dict[str, tuple[str, ...]] = {"physician": (Kind.PHYSICIAN,), "room": (Kind.ROOM,), "device": words.DEVICES}


class NotFree(Conflict):
    def __init__(self, message: str) -> None:
        super().__init__("not_free", message)


class NotFitting(Refused):
    def __init__(self, message: str) -> None:
        super().__init__("not_free", message)


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
    is_move = request.POST.get("act") == "move" and not at_in(request.POST) and mover.is_as_checked()
    try:
        if not is_move:
            mover.find(given)
            return mover.page()
        done = doors.once(request, "scheduling.move", lambda: mover.carry_out(given))
    except DomainError as error:
        doors.refused(request, error, act="scheduling.move" if is_move else agenda.PREVIEWED, case=row)
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
        needs = needs_under(self.row.procedure, self.row.guidance)
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
        return Resource.objects.at_sites([self.row.site_id]).values("pk")

    def _typed(self) -> dict[str, Any]:
        starts = self.row.starts_at.astimezone(self.zone)
        now = {
            "version": str(self.row.version),
            "day": starts.date().isoformat(),
            "time": f"{starts:%H:%M}",
            "later": "1" if starts.fold else "",
            "minutes": str(self._minutes()),
            "reason": "",
            **{field: str(self.options.current.get(field, "")) for field in BY_FIELD},
        }
        if self.request.method == "GET":
            return now
        posted = {name: self.request.POST.get(name, "" if name in BY_FIELD else now[name]) for name in now}
        pressed = at_in(self.request.POST)
        if pressed:
            posted["day"], posted["time"] = f"{pressed:%Y-%m-%d}", f"{pressed:%H:%M}"
            posted["later"] = "1" if self._is_later(pressed) else ""
            posted["room"] = posted["device"] = ""  # the opening near by was offered with whatever is free
            if self.request.POST.get("at", "").endswith(ANYBODY):
                posted["physician"] = ""
        return posted

    def _is_later(self, moment: datetime) -> bool:
        """Say whether an instant with its offset lies in the second of two equal hours of this site."""
        return moment.tzinfo is not None and moment.astimezone(self.zone).fold == 1

    def is_as_checked(self) -> bool:
        """Say whether the button's words still hold: what was edited after the check is checked again first."""
        return self.request.POST.get("checked", self._checked(self.typed)) == self._checked(self.typed)

    @staticmethod
    def _checked(values: Mapping[str, Any]) -> str:
        return " ".join(str(values[name] or "any") for name in ("day", "time", "later", *BY_FIELD))

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
        starts_at = instant(given["day"], given["time"], self.zone, later=given["later"])
        fit = self._fit(starts_at, self._wanted(given))
        if fit.opening is None:
            unpinned = self._wanted(given, only_changed=True)
            again = self._fit(starts_at, unpinned)
            fit = again if again.opening is not None else fit
        if fit.opening is None:
            message = " ".join(finding.message for finding in fit.findings) or "Not everything needed is free at this time."
            is_taken = any(finding.code in ("taken", "patient_elsewhere") for finding in fit.findings)
            raise NotFree(message) if is_taken or not fit.findings else NotFitting(message)
        self.findings = doors.previewed(self.row, fit.opening, self.by)
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
            procedure=self.row.procedure,
            starts_at=starts_at,
            site=self.row.site,
            at=self.at,
            units=units,
            patient=self.row.patient,
            moving=self.row,
            options=doors.options_of(self.row),
        )

    def carry_out(self, given: dict[str, Any]) -> Appointment:
        self.find(given)  # inside the act: a repeated request is answered from its key before anything is looked up
        assert self.opening is not None
        return booking.reschedule(
            appointment=self.row,
            opening=self.opening,
            by=self.by,
            at=web.now(),
            version=given["version"],
            waivers=waivers_in(self.request.POST),
            reason=given["reason"],
        )

    def page(self, *, errors: tuple[Pair, ...] = (), error: DomainError | None = None, status: int = 200) -> HttpResponse:
        if error is not None and error.code == "stale":
            self.row = doors.the_case(self.request, self.row.public_id)
        findings = error.findings if isinstance(error, booking.RulesRefused) else self.findings
        lines = tuple(doors.line_of(finding, self.by, typed_waivers(self.request.POST)) for finding in findings)
        is_open = error is None or isinstance(error, booking.RulesRefused)
        preview = (
            doors.offer(self.opening, self.units, {self.opening.site: doors.site_of(self.row)})
            if self.opening is not None and is_open
            else None
        )
        choices = {field: self._choices(field) for field in BY_FIELD}
        shown = {field: next((each.value for each in given if each.is_selected), "") for field, given in choices.items()}
        title, times = self._offers(error, is_checked=preview is not None)
        form = MovePage(
            checked=self._checked({**self.typed, **shown}),
            action=reverse("scheduling:move", args=[self.row.public_id]),
            version=self.row.version,
            request_key=form_key(self.request, error.code if error else ""),
            day=self.typed["day"],
            time=self.typed["time"],
            later=self.typed["later"] == "1",
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
            nearby=times.lines,
            nearby_title=title,
            covered=times.told,
            uncovered=times.against,
            length=self._length(preview),
            errors=errors,
            refusal=self._refusal(error) if error else None,
            tells_patient=self._tells(),
            **choices,
        )
        return web.respond(
            self.request, "scheduling/move.html", {"case": doors.shown(self.request, self.row, move=form)}, status=status
        )

    def _refusal(self, error: DomainError) -> Refusal:
        seen = self.typed["version"]
        changes = doors.changes_since(self.row, int(seen)) if seen.isdecimal() else ()
        return doors.refusal_of(error, kept="The case stays where it was; what you typed is still here.", changes=changes)

    def _tells(self) -> str:
        patient = self.row.patient
        if patient.email and patient.accepts_email:
            if self.opening is None:
                return "The patient gets an e-mail with the new time."
            then = doors.mails_of(
                patient=patient, procedure=self.row.procedure, opening=self.opening, zone=self.row.site.time_zone, at=web.now()
            )
            return f"The patient gets an e-mail with the new time. {then}".strip()
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

    def _length(self, preview: OpeningLine | None) -> str:
        """Say how long it takes, and when that is no longer what it took when it was booked."""
        now = self._minutes()
        new = (preview.ends_at - preview.starts_at) // timedelta(minutes=1) if preview else now
        if new == now:
            return f"It takes {now} minutes in the room."
        return f"It will take {new} minutes in the room instead of {now}, by what procedure and physician take now."

    def _offers(self, error: DomainError | None, *, is_checked: bool) -> tuple[str, covered.Times]:
        """Return free times to choose from: near by when a time was refused, else the first there are."""
        if is_checked and not isinstance(error, booking.RulesRefused):
            return "", covered.Times()
        if error is not None and error.code in ("not_free", "slot_taken", "rules_refused"):
            return "Free near by", self._nearby()
        if self.row.status not in BEFORE_ARRIVAL or (error is not None and error.code != "stale"):
            return "", covered.Times()
        return "First free", self._first()

    def _first(self) -> covered.Times:
        """Return the first free times with the physician chosen, or with anybody when that one has none."""
        physician = self._physician()
        found = self._elsewhere(physician)
        is_anybody = physician is None or not found.openings
        if physician is not None and not found.openings:
            physician, found = None, self._elsewhere(None)
        times = covered.of_case(
            self.row,
            found,
            by=self.by,
            at=self.at,
            search=lambda day: self._elsewhere(physician, local_day(day, self.zone).starts_at),
        )
        return self._marked(times, is_anybody=is_anybody)

    def _elsewhere(self, physician: Resource | None, earliest: datetime | None = None) -> OpeningsFound:
        """Return the first free times, from an instant on, other than the one that the case has."""
        found = self._search(physician, earliest=earliest, per_day=PER_DAY, limit=FIRST)
        return replace(found, openings=tuple(each for each in found.openings if each.starts_at != self.row.starts_at))

    @staticmethod
    def _marked(times: covered.Times, *, is_anybody: bool) -> covered.Times:
        token = ANYBODY if is_anybody else ""
        return replace(times, lines=tuple(replace(line, token=token, why="") for line in times.lines))

    def _physician(self) -> Resource | None:
        rows = self.options.by_field["physician"]
        return next((each for each in rows if str(each.public_id) == self.typed["physician"]), None)

    def _search(self, physician: Resource | None, **other: Any) -> OpeningsFound:
        return openings.find_openings(
            procedure=self.row.procedure,
            at=self.at,
            site=self.row.site,
            physician=physician,
            patient=self.row.patient,
            moving=self.row,
            options=doors.options_of(self.row),
            grid_minutes=GRID,
            with_reasons=False,
            **other,
        )

    def _nearby(self) -> covered.Times:
        """Return the free times nearest to the one asked for, on that day and the two after it."""
        form = MoveForm(self.typed)
        if not form.is_valid():
            return covered.Times()
        day = form.cleaned_data["day"]
        wished = instant(day, form.cleaned_data["time"], self.zone)
        around = {
            "earliest": local_day(day, self.zone).starts_at,
            "latest": local_day(day + timedelta(days=2), self.zone).ends_at,
            "limit": 200,
        }
        physician = self._physician()
        found = self._search(physician, **around)
        is_anybody = physician is None or not found.openings
        if physician is not None and not found.openings:
            found = self._search(None, **around)
        nearest = sorted(found.openings, key=lambda each: (abs(each.starts_at - wished), each.starts_at))[:NEARBY]
        near = replace(found, openings=tuple(sorted(nearest, key=lambda each: each.starts_at)))
        return self._marked(covered.of_case(self.row, near, by=self.by, at=self.at), is_anybody=is_anybody)
