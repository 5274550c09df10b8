"""The booking page as it is drawn: what was typed, what is chosen, what is free."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from pain_clinic.errors import DomainError
from patients import pages as patients
from patients.models import Patient
from patients.pages import Results
from procedures import levels as anatomy
from procedures import rulebook
from procedures.guidance import MODALITIES, guidance_offered, usual
from procedures.models import Procedure, Sedation
from procedures.rules import Finding
from scheduling import agenda, booking, openings
from scheduling.agenda import words
from scheduling.agenda.shapes import (
    Booked,
    BookPage,
    Choice,
    HoldLine,
    LevelChoice,
    OpeningDay,
    OpeningLine,
    Pair,
    Refusal,
)
from scheduling.assessing import Covering
from scheduling.availability import Opening
from scheduling.booking import Target
from scheduling.forms import PARTS, WEEKDAYS, BookForm, asked_of, typed_waivers
from scheduling.forms.details import REASONS, SaidFields
from scheduling.intervals import local_day
from scheduling.models import Appointment, Course, Hold, Kind, Resource, Side
from scheduling.openings import FoundSite, FoundUnit, OpeningsFound
from scheduling.views import covered, doors, ordered
from scheduling.views.offered import procedures_offered, regions_to_choose
from scheduling.views.wanted import levels_hint, what

PER_DAY, SHOWN, GRID = 6, 24, 15
NOON = time(12)
NO_SITE = "You belong to no site yet, so there is nothing to book. An administrator ticks your sites under Staff."
PART_TIMES = {"morning": (time(0), NOON), "afternoon": (NOON, time(0))}


@dataclass(slots=True)
class Chosen:
    """The opening on the table: the held one, or one that a token names and that is still free."""

    opening: Opening
    units: dict[int, FoundUnit]
    site: Site
    hold: Hold | None = None

    @property
    def sites(self) -> dict[int, FoundSite]:
        return {self.site.pk: FoundSite(self.site.pk, self.site.public_id, self.site.name, self.site.time_zone)}


@dataclass(slots=True)
class Desk:
    """One request of the booking page: what was typed, what is chosen, and the page that says so."""

    request: HttpRequest
    data: QueryDict
    given: dict[str, Any]
    doing: str = "look"
    booked: Appointment | None = None
    chosen: Chosen | None = None
    by: Actor = field(init=False)
    at: datetime = field(init=False)
    sites: tuple[Site, ...] = field(init=False)
    patient: Patient | None = field(init=False)
    procedure: Procedure | None = field(init=False)
    named: Course | None = field(init=False)  # the course for which it is to be booked, running or not
    target: Target = field(init=False)
    covering: Covering | None = field(init=False, default=None)
    form: BookForm | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        request = self.request
        self.by, self.at = Actor.of(request), web.now()
        self.sites = agenda.sites_of(request.user)  # type: ignore[arg-type]
        ordered.forget(self.data, self.given)
        wanted = self.given.get("pick") or self.given.get("patient")
        self.patient = doors.the_patient(request, wanted) if wanted and self.data.get("act") != "someone" else None
        code = self.given.get("procedure")
        self.procedure = Procedure.objects.offered().filter(code=code).prefetch_related("needs").first() if code else None
        self.look()

    def look(self) -> None:
        """Read the course, and with it what is asked for."""
        self.named = ordered.course_of(self)
        self.target = self._target()

    def _target(self) -> Target:
        procedure, given = self.procedure, self.given
        details = ordered.details_of(self)
        if procedure is None:
            return Target()
        offered = {level for group in anatomy.levels_offered(procedure) for level in group.levels}
        side = given.get("side") if given.get("side") in procedure.laterality else anatomy.default_side(procedure)
        regions = anatomy.regions_offered(procedure)
        typed = given.get("guidance") or ""
        return Target(
            side=side or "",
            levels=anatomy.in_order(level for level in given.get("levels") or () if level in offered),
            sedation=given.get("sedation") or procedure.planned_sedation,
            guidance=typed if typed in guidance_offered(procedure) else usual(procedure),
            regions=tuple(region for region in regions if region in (given.get("regions") or ()))
            or anatomy.default_regions(procedure),
            details=details,
        )

    def _the_procedure(self) -> Procedure:
        if self.procedure is None:
            raise doors.OpeningOld
        return self.procedure

    def _options(self) -> openings.Options:
        return openings.Options(sedation=self.target.sedation, guidance=self.target.guidance)

    def page(self, *, errors: tuple[Pair, ...] = (), error: DomainError | None = None, status: int = 200) -> HttpResponse:
        page = BookPage(
            title="Booked" if self.booked else "Book a procedure",
            request_key=doors.new_key()
            if self.request.method == "GET" or (error is not None and error.code == "key_reused")
            else doors.key_of(self.request),
            errors=errors,
            refusal=self._refusal(error),
        )
        page = ordered.told(page, self, self.target.details)
        if self.booked is not None:
            page = replace(page, booked=self._booked(self.booked))
        else:
            page = self._who(self._what(self._when(page, error)))
        return web.respond(self.request, "scheduling/book.html", {"page": page}, status=status)

    @staticmethod
    def _refusal(error: DomainError | None) -> Refusal | None:
        if error is None:
            return None
        nothing = "" if error.code == "slot_taken" else "Nothing was booked. "  # which says so itself
        return doors.refusal_of(error, kept=f"{nothing}Everything you typed is still here.")

    def _who(self, page: BookPage) -> BookPage:
        if self.patient is None:
            return replace(
                page, q=self.given.get("q") or "", people=self.found(), may_register=self.by.may("patients.register_patient")
            )
        return replace(page, patient=agenda.person(patient=self.patient, user=self.request.user, by=self.by, at=self.at))  # type: ignore[arg-type]

    def found(self) -> Results | None:
        """Return whom the typed words find; nobody is looked for before something is typed."""
        text = self.given.get("q")
        return patients.search(text=text, user=web.member(self.request), by=self.by, today=self._today()) if text else None

    def _today(self) -> date:
        return self.at.astimezone(self._zone()).date() if self.sites else web.today(self.request)

    def _what(self, page: BookPage) -> BookPage:
        chosen = self.procedure
        page = replace(page, procedures=procedures_offered(chosen))
        if chosen is None:
            return page
        groups = anatomy.levels_offered(chosen)
        levels = tuple(
            LevelChoice(level, level, group.region, level in self.target.levels) for group in groups for level in group.levels
        )
        return replace(
            page,
            procedure=what(chosen, self.target.guidance),
            sides=tuple(
                Choice(side, str(Side(side).label), side == self.target.side) for side in chosen.laterality if side in Side.values
            ),
            levels=levels,
            levels_hint=levels_hint(chosen, levels),
            regions=regions_to_choose(chosen, self.target),
            said=self._said(chosen),
            reasons=self._reasons(),
            has_reasons=any(self.given.get(name) for name in REASONS),
            sedations=tuple(Choice(str(value), str(label), value == self.target.sedation) for value, label in Sedation.choices),
            guidances=tuple(
                Choice(value, MODALITIES[value], value == self.target.guidance) for value in guidance_offered(chosen)
            ),
        )

    def _said(self, procedure: Procedure) -> tuple[Any, ...]:
        """Return the fields of what may be said beyond the target, where it matters for this procedure."""
        asks = self.covering.asks() if self.covering is not None else ()
        said = self.target.details
        asked = asked_of(procedure, self.target.sedation, rulebook.usable_book(), asks=asks, said=said)
        return tuple(self.form[name] for name in SaidFields.base_fields if name in asked) if self.form is not None else ()

    def _reasons(self) -> tuple[Any, ...]:
        """Return the fields of the reasons that some payers ask for; that of both sides where both are chosen."""
        names = [name for name in REASONS if name != "bilateral_reason" or self.target.side == Side.BILATERAL]
        return tuple(self.form[name] for name in names) if self.form is not None else ()

    def _when(self, page: BookPage, error: DomainError | None) -> BookPage:
        page = replace(page, **self._narrowed())
        page = self._with_chosen(page, error)
        if not self.sites:
            return replace(page, nothing=NO_SITE)
        if self.procedure is None:
            return page
        found = self._search()
        self.covering = covered.covering_of(self, found)
        page, found = covered.told(self, page, found, self._search)
        lines = [
            replace(doors.offer(each, found.units, found.sites, is_first=place == 0), **covered.against(self, each))
            for place, each in enumerate(found.openings)
        ]
        if self.chosen is not None:
            start = self.chosen.opening.starts_at
            lines = [replace(line, is_chosen=line.starts_at == start) for line in lines]
        days: dict[date, list[OpeningLine]] = {}
        for line in lines:
            days.setdefault(line.starts_at.date(), []).append(line)
        explanation = found.explanation
        return replace(
            page,
            searched=True,
            days=tuple(OpeningDay(day, tuple(members)) for day, members in days.items()),
            first_free=lines[0] if lines and not self._after() else None,
            after=max(days).isoformat() if days else self._typed_day("after"),
            nothing=(explanation.text if explanation else "There is nothing free in this time.") if not lines else "",
            helps=tuple(self._help(each) for each in explanation.helps) if explanation and not lines else (),
        )

    def _help(self, help_: Any) -> str:
        zones = {site.pk: ZoneInfo(site.time_zone) for site in self.sites}
        start = help_.opening.starts_at.astimezone(zones.get(help_.opening.site, self._zone()))
        return f"{help_.label}: first {words.stamp(start)}"

    def _zone(self) -> ZoneInfo:
        return ZoneInfo((self._site() or self.sites[0]).time_zone)

    def _site(self) -> Site | None:
        return next((site for site in self.sites if site.slug == self.given.get("site")), None)

    def _after(self) -> date | None:
        """Return the last day already shown, when later times are asked for."""
        after: date | None = self.given.get("after") if self.data.get("act") == "more" else None
        return after

    def _typed_day(self, name: str) -> str:
        value = self.given.get(name)
        return value.isoformat() if value else str(self.data.get(name, ""))

    def _search(self, covered: date | None = None) -> OpeningsFound:
        given, zone, procedure = self.given, self._zone(), self._the_procedure()
        after = self._after()
        froms = (given.get("earliest"), after + timedelta(days=1) if after else None, covered)
        first = max(filter(None, froms), default=None)
        asked: dict[str, Any] = {
            "procedure": procedure,
            "at": self.at,
            "earliest": local_day(first, zone).starts_at if first else None,
            "latest": local_day(given["latest"], zone).ends_at if given.get("latest") else None,
            "site": self._site(),
            "sites": [site.pk for site in self.sites],
            "physician": self._physician(),
            "weekdays": given.get("weekday") or (),
            "part_of_day": PART_TIMES.get(given.get("part") or ""),
            "patient": self.patient,
            "options": self._options(),
        }
        found = openings.find_openings(**asked, grid_minutes=GRID, per_day=PER_DAY, limit=SHOWN, with_reasons=False)
        if found.openings:
            return found
        return openings.find_openings(**asked, per_day=PER_DAY, limit=SHOWN)

    def _physicians(self) -> Sequence[Resource]:
        rows = Resource.objects.visible_to(self.request.user).active().filter(kind=Kind.PHYSICIAN)  # type: ignore[arg-type]
        if self.procedure is not None:
            rows = rows.filter(privileges__procedure=self.procedure)
        return list(rows.distinct().in_order())

    def _physician(self) -> Resource | None:
        wanted: uuid.UUID | None = self.given.get("physician")
        return next((each for each in self._physicians() if each.public_id == wanted), None) if wanted else None

    def _narrowed(self) -> dict[str, Any]:
        """Return the filters as they were typed."""
        given = self.given
        part = given.get("part") or "any"
        return {
            "sites": (
                Choice("", "Any site"),
                *(Choice(site.slug, site.name, site.slug == given.get("site")) for site in self.sites),
            ),
            "physicians": (
                Choice("", "Any physician"),
                *(
                    Choice(str(each.public_id), each.name, each.public_id == given.get("physician"))
                    for each in self._physicians()
                ),
            ),
            "earliest": self._typed_day("earliest"),
            "latest": self._typed_day("latest"),
            "weekdays": tuple(Choice(str(n), name[:3], n in (given.get("weekday") or ())) for n, name in enumerate(WEEKDAYS)),
            "parts": tuple(Choice(key, label, key == part) for key, label in PARTS.items()),
        }

    def _with_chosen(self, page: BookPage, error: DomainError | None) -> BookPage:
        """Add the chosen opening, its hold and what speaks against it."""
        if self.chosen is None or self.procedure is None:
            return page
        findings, taken = self._findings(error)
        if taken is not None:
            self.chosen = None
            return replace(page, refusal=page.refusal or self._refusal(taken))
        typed = typed_waivers(self.data)
        lines = tuple(doors.line_of(finding, self.by, typed) for finding in findings if not finding.pending)
        zone = ZoneInfo(self.chosen.site.time_zone)
        opening = doors.offer(self.chosen.opening, self.chosen.units, self.chosen.sites, is_chosen=True)
        hold = self.chosen.hold
        return replace(
            page,
            chosen=opening,
            hold=HoldLine(
                hold.public_id,
                hold.ends_at.astimezone(ZoneInfo(self.chosen.site.time_zone)),
                max(int((hold.ends_at - self.at).total_seconds()), 0),
            )
            if hold
            else None,
            lines=lines,
            waits=doors.waits_of(findings, self.chosen.opening.arrives_at, self.at, zone),
            button=f"Book {doors.told(opening)}",
            mails=self._mails(),
            can_book=self.patient is not None and all(line.can_waive or line.severity in ("info", "pending") for line in lines),
        )

    def _mails(self) -> str:
        """Return which mails the patient would get: nobody is asked about who has no address or wants none."""
        patient = self.patient
        if self.chosen is None or self.procedure is None or patient is None or not (patient.email and patient.accepts_email):
            return ""
        then = doors.mails_of(
            patient=patient, procedure=self.procedure, opening=self.chosen.opening, zone=self.chosen.site.time_zone, at=self.at
        )
        return f"The patient gets a confirmation at once. {then}".strip()

    def _findings(self, error: DomainError | None) -> tuple[tuple[Finding, ...], DomainError | None]:
        assert self.chosen is not None
        assert self.procedure is not None
        if isinstance(error, booking.RulesRefused):
            return error.findings, None
        if self.patient is None:
            return tuple(self.problems(self.procedure)), None
        try:
            return (
                booking.preview(
                    patient=self.patient,
                    procedure=self.procedure,
                    target=self.target,
                    opening=self.chosen.opening,
                    by=self.by,
                    at=self.at,
                    hold=self.chosen.hold,
                ),
                None,
            )
        except DomainError as refusal:
            return (), refusal

    def problems(self, procedure: Procedure) -> list[Finding]:
        target = self.target
        return anatomy.validate_target(procedure, target.side, target.levels, target.regions, target.guidance)

    def _booked(self, row: Appointment) -> Booked:
        case = agenda.lines_of([row], with_patient=True, day_shown=False)[0]
        patient = row.patient
        told = f"A confirmation will go to {words.masked(patient.email)}." if patient.email and patient.accepts_email else ""
        return Booked(
            url=case.url,
            title=f"Booked: {words.stamp(case.starts_at)}, {case.where}",
            case=case,
            mail=told or "No e-mail will go out: there is no address on file or the patient wants none. Call instead.",
            print_url=reverse("scheduling:print", args=[row.public_id]),
            again_url=words.book_url(patient=patient.public_id),
            board_url=words.board_url(site=row.site.slug, day=case.starts_at.date(), case=row.public_id),
        )
