"""The booking page: who, what and when on one page that keeps what was typed, down to the booked case."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from pain_clinic import web
from pain_clinic.accounts.gates import requires
from pain_clinic.accounts.models import Site
from pain_clinic.errors import DomainError
from scheduling import booking, courses, holds, openings
from scheduling.agenda import words
from scheduling.agenda.shapes import BookPage, Pair
from scheduling.availability import Opening
from scheduling.forms import BookForm, pairs, waivers_in
from scheduling.models import Allocation, Appointment, Hold
from scheduling.openings import FoundUnit
from scheduling.views import doors
from scheduling.views.desk import NOON, Chosen, Desk

FIELD_OF = {
    "side_not_offered": "side",
    "level_not_offered": "levels",
    "region_not_offered": "regions",
    "guidance_not_offered": "guidance",
    "procedure_not_offered": "procedure",
}


@require_http_methods(["GET", "POST"])
@requires("scheduling.book_appointment")
@sensitive_post_parameters("q")
def book(request: HttpRequest) -> HttpResponse:
    """Find an opening, keep it for ten minutes, book it."""
    data = request.POST.copy() if request.method == "POST" else _kept(request) or _from_address(request)
    form = BookForm(data)
    is_valid = form.is_valid()
    desk = Booker(request, data, form.cleaned_data)
    desk.form = form
    if request.headers.get("HX-Target") == "people":
        return web.respond(
            request, "scheduling/_people.html", {"page": BookPage("", "", q=data.get("q", ""), people=desk.found())}
        )
    if not is_valid:
        return desk.page(errors=pairs(form), status=422)
    try:
        return desk.act()
    except DomainError as error:
        doors.refused(request, error, act=f"scheduling.{desk.doing}", patient=desk.patient)
        return desk.page(error=error, status=error.status)


def _kept(request: HttpRequest) -> QueryDict | None:
    """Take up what was chosen before the sign-in ended or somebody was registered, for the person of the address.

    What was pressed is not pressed again, and the hold is gone.
    """
    data = web.kept_input(request)
    for name in ("q", "pick", "act", "choose", "hold", "opening", "request_key", "csrfmiddlewaretoken"):
        if data is not None:
            data.pop(name, None)
    if data is not None and request.GET.get("patient"):
        data["pick"] = request.GET["patient"]
    return data


def _from_address(request: HttpRequest) -> QueryDict:
    """Read what a link to the page may say: the patient, what is planned, and the board's empty place."""
    data = QueryDict(mutable=True)
    names = ("patient", "physician", "site", "procedure", "side", "course")
    for name, there in (("day", "earliest"), *((name, name) for name in names)):
        if request.GET.get(name):
            data[there] = request.GET[name]
    for name in ("levels", "regions"):
        if request.GET.get(name):
            data.setlist(name, request.GET[name].split(",")[:40])
    hour = request.GET.get("time", "").partition(":")[0]
    if hour.isdigit():
        data["part"] = "morning" if int(hour) < NOON.hour else "afternoon"
    return data


class Booker(Desk):
    """The page together with what its buttons do."""

    __slots__ = ()

    def act(self) -> HttpResponse:
        """Do what the pressed button says; anything else is a look."""
        if self.request.method == "GET":
            return self.page()
        self._find_hold()
        if self.data.get("choose"):
            self.doing = "hold"
            self._choose(str(self.data["choose"]))
        elif self.data.get("act") == "release":
            self._let_go()
        elif self.data.get("act") == "register":
            self._let_go()
            web.keep_typed(self.request)
            return web.redirect_to(self.request, f"{reverse('patients:new')}?for=book")
        elif self.data.get("act") == "book":
            self.doing = "book"
            return self._book()
        elif self.chosen is None and self.given.get("opening") and self.data.get("act") != "more":
            self._take_up(self.given["opening"])
        return self.page()

    def _find_hold(self) -> None:
        """Take up the hold that the form names, if it stands, is this person's and still is what is asked for."""
        if not self.given.get("hold"):
            return
        hold = (
            Hold.objects.visible_to(web.member(self.request))
            .filter(public_id=self.given["hold"], released_at=None)
            .select_related("site")
            .first()
        )
        if hold is None:
            return
        if hold.ends_at <= self.at:  # over, but not yet swept: what it kept is free, and may be taken up again
            holds.release(hold=hold, by=self.by, at=self.at)
            return
        kept = (hold.procedure_id, hold.sedation, hold.guidance)
        if self.procedure is None or kept != (self.procedure.pk, self.target.sedation, self.target.guidance):
            holds.release(hold=hold, by=self.by, at=self.at)
            self.given["opening"] = ""
            return
        self.chosen = _held(hold)

    def _let_go(self) -> None:
        if self.chosen is not None and self.chosen.hold is not None:
            holds.release(hold=self.chosen.hold, by=self.by, at=self.at)
        self.chosen = None
        self.given["opening"] = ""

    def _choose(self, token: str) -> None:
        """Keep the opening for ten minutes; the one kept before is let go first, since both may want the same room."""
        self._let_go()
        site, opening, units = self._fitting(token)
        hold = holds.hold(
            procedure=self._the_procedure(), target=self.target, opening=opening, by=self.by, at=self.at, patient=self.patient
        )
        self.chosen = Chosen(opening, units, site, hold)

    def _take_up(self, token: str) -> None:
        """Go on with an opening whose hold has run out, if it is still free."""
        site, opening, units = self._fitting(token)
        self.chosen = Chosen(opening, units, site)

    def _fitting(self, token: str) -> tuple[Site, Opening, dict[int, FoundUnit]]:
        site, starts_at, wanted = doors.from_token(self.request, token)
        fit = openings.fit(
            procedure=self._the_procedure(),
            starts_at=starts_at,
            site=site,
            at=self.at,
            units=wanted,
            patient=self.patient,
            options=self._options(),
        )
        if fit.opening is None:
            raise booking.SlotTaken()
        return site, fit.opening, dict(fit.units)

    def _book(self) -> HttpResponse:
        errors = self._missing()
        if errors:
            return self.page(errors=errors, status=422)
        try:
            self.booked = doors.once(self.request, "scheduling.book", self._carry_out)
        except booking.SlotTaken:
            self.chosen = None
            raise
        except (courses.CourseNotRunning, courses.ProblemChanged):
            self.look()
            raise
        if not web.wants_fragment(self.request):
            return web.redirect_to(self.request, words.case_url(self.booked.public_id))
        response = self.page()
        response["HX-Push-Url"] = words.case_url(self.booked.public_id)
        response["HX-Trigger"] = doors.trigger(self.booked.public_id)
        return response

    def _missing(self) -> tuple[Pair, ...]:
        found = []
        if self.patient is None:
            found.append(Pair("patient", "Find the person first."))
        if self.procedure is None:
            found.append(Pair("procedure", "Choose a procedure."))
        else:
            problems = self.problems(self.procedure)
            found += [Pair(FIELD_OF.get(finding.code, "procedure"), finding.message) for finding in problems]
        if self.chosen is None and not self.given.get("opening"):
            found.append(Pair("earliest", "Choose a time."))
        return tuple(found)

    def _carry_out(self) -> Appointment:
        if self.chosen is None:  # looked up inside the act: a repeated request is answered from its key before that
            self._take_up(self.given["opening"])
        assert self.patient is not None
        assert self.procedure is not None
        assert self.chosen is not None
        asked: dict[str, Any] = {
            "procedure": self.procedure,
            "target": self.target,
            "opening": self.chosen.opening,
            "by": self.by,
            "at": web.now(),
            "hold": self.chosen.hold,
            "waivers": waivers_in(self.request.POST),
        }
        if not self.given.get("course"):
            return booking.book(patient=self.patient, **asked)
        if self.named is None:
            raise courses.NotOfThisCourse
        return courses.book_by_hand(course=self.named, problem=self.given.get("problem"), **asked)


def _held(hold: Hold) -> Chosen:
    """Return a hold as the opening it keeps."""
    rows = list(Allocation.objects.filter(hold=hold, released_at=None).select_related("resource").order_by("pk"))
    units: dict[str, tuple[int, ...]] = {}
    for row in rows:
        units[row.kind] = tuple(dict.fromkeys((*units.get(row.kind, ()), row.resource_id)))
    names = {
        row.resource_id: FoundUnit(
            row.resource_id, row.resource.public_id, row.resource.kind, row.resource.name, row.resource.short_name
        )
        for row in rows
    }
    opening = Opening(hold.arrives_at, hold.starts_at, hold.procedure_ends_at, hold.leaves_at, hold.site_id, units)
    return Chosen(opening, names, hold.site, hold)
