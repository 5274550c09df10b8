"""The worklist and the pages of a course."""

from __future__ import annotations

import uuid
from datetime import datetime
from zoneinfo import ZoneInfo

from django.contrib import messages as toasts
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.accounts.models import Site
from pain_clinic.audit import trail
from pain_clinic.errors import DomainError
from patients.models import Patient, PerformedProcedure, Presentation
from procedures import pathwaybook
from procedures.pathways import Pathway
from scheduling import booking, courses, worklist
from scheduling.agenda.shapes import Line
from scheduling.courses import TermsRefused
from scheduling.forms.courses import CallForm, CourseForm, PathwayForm, ReasonForm, SnoozeForm, default_since
from scheduling.models import Appointment, Course, Kind, PlannedSession, Resource
from scheduling.views import doors


@require_GET
@requires("scheduling.view_course")
def the_list(request: HttpRequest) -> HttpResponse:
    """Show whom to book by when, who waits for what and on whom."""
    return _list(request)


def _list(request: HttpRequest, status: int = 200, error: DomainError | None = None) -> HttpResponse:
    sites = web.sites_of(request)
    zone = ZoneInfo(sites[0].time_zone if sites else "UTC")
    by = Actor.of(request)
    page = worklist.worklist(
        user=web.member(request), by=by, at=web.now(), zone=zone,
        tab=request.GET.get("tab", ""), number=request.GET.get("page", "1"),
    )  # fmt: skip
    trail.record(by=by, act="scheduling.worklist_read", details={"rows": len(page.rows)})
    return web.respond(request, "scheduling/worklist.html", {"page": page, **_refusal(request, error)}, status=status)


def _refusal(request: HttpRequest, error: DomainError | None) -> dict[str, object]:
    found: dict[str, object] = {"refusal": None, "lines": (), "key": doors.new_key()}
    if error is None:
        return found
    lines: tuple[Line, ...] = ()
    if isinstance(error, booking.RulesRefused):
        lines = tuple(doors.line_of(finding, Actor.of(request), {}) for finding in error.findings)
    return {**found, "refusal": doors.refusal_of(error, kept="Nothing was booked.", lines=lines), "lines": lines}


# --- what is planned -------------------------------------------------------------------------------------------------


@require_POST
@requires("scheduling.work_course")
def plan_book(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Book a planned session at one of the openings found for it."""
    row = _the_plan(request, public_id)

    def carry_out() -> Appointment:
        opening, companion = courses.chosen(row, _pressed(request), web.now())
        return courses.book_next(planned=row, opening=opening, companion=companion, by=Actor.of(request), at=web.now())

    try:
        case = doors.once(request, "scheduling.plan_book", carry_out)
    except DomainError as error:
        web.refused(
            request,
            error,
            act="scheduling.plan_book",
            subject=row,
            patient=row.course.patient.public_id,
            site_id=row.course.site_id,
        )
        return _list(request, status=web.status_of(error), error=error)
    toasts.success(request, f"Booked: {case.local_date:%d %B}, {case.local_time:%H:%M}.")
    return web.redirect_to(request, "scheduling:appointment", case.public_id)


def _pressed(request: HttpRequest) -> datetime:
    """Return the start that a button sends.

    Raises:
        SlotTaken: it is none.
    """
    try:
        found = datetime.fromisoformat(request.POST.get("starts_at", ""))
    except ValueError as error:
        raise booking.SlotTaken from error
    if found.tzinfo is None:
        raise booking.SlotTaken
    return found


@require_POST
@requires("scheduling.work_course")
def plan_call(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Write down a call about a course."""
    row, form = _the_plan(request, public_id), CallForm(request.POST)
    if not form.is_valid():
        toasts.error(request, "Say what came of the call.")
        return _list(request, status=422)
    courses.note_call(course=row.course, by=Actor.of(request), at=web.now(), **form.cleaned_data)
    toasts.success(request, "Written down.")
    return _back(request, row.course)


@require_POST
@requires("scheduling.work_course")
def plan_snooze(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Put a course off, or bring it back."""
    row, form = _the_plan(request, public_id), SnoozeForm(request.POST)
    if not form.is_valid() or not (form.cleaned_data["until"] or row.course.snoozed_until):
        toasts.error(request, "Give the day and say why.")
        return _list(request, status=422)
    courses.snooze(course=row.course, by=Actor.of(request), at=web.now(), **form.cleaned_data)
    toasts.success(request, "Put off." if form.cleaned_data["until"] else "Back on the list.")
    return _back(request, row.course)


def _back(request: HttpRequest, course: Course) -> HttpResponse:
    """Go back to where the form stood: the list or the course's page."""
    if request.POST.get("from") == "course":
        return web.redirect_to(request, "scheduling:course", course.public_id)
    return web.redirect_to(request, "scheduling:worklist")


def _the_plan(request: HttpRequest, public_id: uuid.UUID) -> PlannedSession:
    rows = PlannedSession.objects.filter(course__site__in=web.member(request).sites.all())
    rows = rows.select_related("course__patient", "course__site")
    found: PlannedSession = get_object_or_404(rows, public_id=public_id)
    return found


# --- a course --------------------------------------------------------------------------------------------------------


@require_GET
@requires("scheduling.view_course")
def course(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show a course as a line: done, next and what may follow."""
    return _course(request, _the_course(request, public_id))


def _course(request: HttpRequest, row: Course, status: int = 200, error: DomainError | None = None) -> HttpResponse:
    by = Actor.of(request)
    trail.record(by=by, act="scheduling.course_read", subject=row, patient=row.patient.public_id, site_id=row.site_id)
    shown = worklist.course_page(course=row, by=by, at=web.now())
    return web.respond(request, "scheduling/course.html", {"course": shown, **_refusal(request, error)}, status=status)


@require_http_methods(["GET", "POST"])
@requires("scheduling.order_course")
def course_start(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Start a course for a patient: first which pathway, then what is meant in it."""
    patient = doors.the_patient(request, public_id)
    pathway = pathwaybook.pathways().get(request.GET.get("pathway", ""))
    performed, problem = _performed(request, patient), _problem(request, patient)
    if pathway is None or not pathway.is_on:
        asked = PathwayForm(initial={"pathway": _likely(performed)})
        shown = {"patient": patient, "form": asked, "action": request.path, "performed": performed, "problem": problem}
        return web.respond(request, "scheduling/course_pathway.html", shown)
    site = site_for(request, patient)
    since = performed.done_on if performed else default_since(web.now().astimezone(ZoneInfo(site.time_zone)).date())
    form = CourseForm(
        request.POST or None,
        pathway=pathway,
        physicians=physicians(request),
        problems=problems_of(patient),
        initial=_as_problem(problem) | _as_performed(performed, pathway) | {"since": since},
    )
    error = None
    if request.method == "POST" and form.is_valid():
        try:
            made = doors.act_once(
                request,
                "scheduling.start_course",
                lambda: courses.start(
                    patient=patient, site=site, terms=form.terms(), by=Actor.of(request), at=web.now(),
                    since=form.cleaned_data["since"], started_from=performed,
                ),
            )  # fmt: skip
        except DomainError as refusal:
            error = refusal
            _put_error(form, refusal)
            web.refused(request, refusal, act="scheduling.start_course", patient=patient.public_id, site_id=site.pk)
        else:
            toasts.success(request, "The course is started and planned.")
            return web.redirect_to(request, "scheduling:course", made)
    return _form_page(request, form, patient, pathway.name, "Start the course", error)


@require_http_methods(["GET", "POST"])
@requires("scheduling.order_course")
def course_change(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Change what a course asks for."""
    row = _the_course(request, public_id)
    pathway = pathwaybook.pathways().get(row.pathway)
    if pathway is None:
        raise Http404
    form = CourseForm(
        request.POST or None,
        pathway=pathway,
        physicians=physicians(request),
        problems=problems_of(row.patient, kept=row.problem_id),
        initial=CourseForm.starting_with(row),
    )
    del form.fields["since"]
    error = None
    if request.method == "POST" and form.is_valid():
        try:
            courses.change(
                course=row, terms=form.terms(), by=Actor.of(request), at=web.now(), version=form.cleaned_data["version"]
            )
        except DomainError as refusal:
            error = refusal
            _put_error(form, refusal)
            web.refused(
                request, refusal, act="scheduling.change_course", subject=row, patient=row.patient.public_id, site_id=row.site_id
            )
        else:
            toasts.success(request, "Changed, and planned anew.")
            return web.redirect_to(request, "scheduling:course", row.public_id)
    return _form_page(request, form, row.patient, pathway.name, "Save", error)


@require_POST
@requires("scheduling.order_course")
def course_stop(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Stop a course, with the reason."""
    row, form = _the_course(request, public_id), ReasonForm(request.POST)
    if not form.is_valid():
        toasts.error(request, "Say why.")
        return _course(request, row, status=422)
    try:
        courses.stop(course=row, by=Actor.of(request), at=web.now(), **form.cleaned_data)
    except DomainError as error:
        return _not_done(request, row, error, "scheduling.stop_course")
    return web.redirect_to(request, "scheduling:course", row.public_id)


@require_POST
@requires("scheduling.order_course")
def course_restart(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Take a course up again, where it stood or from the beginning."""
    row = _the_course(request, public_id)
    today = web.now().astimezone(ZoneInfo(row.site.time_zone)).date()
    try:
        courses.restart(course=row, by=Actor.of(request), at=web.now(), on=today, is_anew=request.POST.get("anew") == "1")
    except DomainError as error:
        return _not_done(request, row, error, "scheduling.restart_course")
    return web.redirect_to(request, "scheduling:course", row.public_id)


def _not_done(request: HttpRequest, row: Course, error: DomainError, act: str) -> HttpResponse:
    web.refused(request, error, act=act, subject=row, patient=row.patient.public_id, site_id=row.site_id)
    return _course(request, row, status=web.status_of(error), error=error)


def _form_page(
    request: HttpRequest, form: CourseForm, patient: Patient, name: str, act: str, error: DomainError | None
) -> HttpResponse:
    status = 200 if request.method == "GET" else 422 if error is None else web.status_of(error)
    shown = {
        "form": form, "title": name, "patient": patient, "patient_url": reverse("patients:patient", args=[patient.public_id]),
        "act": act, "action": request.get_full_path(), "key": doors.key_of(request),
        "refusal": None if error is None or isinstance(error, TermsRefused) else doors.refusal_of(error),
    }  # fmt: skip
    return web.respond(request, "scheduling/course_form.html", shown, status=status)


def _put_error(form: CourseForm, error: DomainError) -> None:
    name = getattr(error, "field", "")
    if isinstance(error, TermsRefused):
        form.add_error(name if name in form.fields else None, error.message)


def _the_course(request: HttpRequest, public_id: uuid.UUID) -> Course:
    rows = Course.objects.visible_to(web.member(request)).select_related("patient", "site", "physician", "problem")
    found: Course = get_object_or_404(rows, public_id=public_id)
    return found


def site_for(request: HttpRequest, patient: Patient) -> Site:
    """Return the site that plans a new course: the patient's own where this person works there, else this person's first."""
    sites = web.sites_of(request)
    if not sites:
        raise Http404
    return next((site for site in sites if site.pk == patient.home_site_id), sites[0])


def physicians(request: HttpRequest) -> object:
    mine = web.member(request).sites.all()
    return Resource.objects.filter(kind=Kind.PHYSICIAN, is_active=True, site__in=mine).order_by("name", "pk")


def _performed(request: HttpRequest, patient: Patient) -> PerformedProcedure | None:
    """Return the performed procedure from which a course is to start, where the address names one."""
    try:
        named = uuid.UUID(request.GET.get("performed", ""))
    except ValueError:
        return None
    return PerformedProcedure.objects.of(patient).filter(public_id=named).select_related("procedure").first()


def problems_of(patient: Patient, kept: int | None = None) -> QuerySet[Presentation]:
    """Return a patient's problems on record that have not ended, and the one that a course has already."""
    rows = Presentation.objects.filter(patient=patient)
    return rows.filter(Q(is_in_error=False, ended_on=None) | Q(pk=kept)).order_by("name", "pk")


def _problem(request: HttpRequest, patient: Patient) -> Presentation | None:
    """Return the problem on record from which a course is to start, where the address names one."""
    try:
        named = uuid.UUID(request.GET.get("problem", ""))
    except ValueError:
        return None
    return problems_of(patient).filter(public_id=named).first()


def _as_problem(problem: Presentation | None) -> dict[str, object]:
    if problem is None:
        return {}
    return {"problem": problem.pk, "side": problem.side, "levels": " ".join(problem.levels)}


def _likely(performed: PerformedProcedure | None) -> str:
    """Return the first pathway of which what was performed may be a step, empty where there is none."""
    if performed is None or performed.procedure is None:
        return ""
    family = performed.procedure.family
    return next((one.id for one in pathwaybook.pathways().values() if one.is_on and family in one.families), "")


def _as_performed(performed: PerformedProcedure | None, pathway: Pathway) -> dict[str, object]:
    if performed is None or performed.procedure is None:
        return {}
    step = next((step for step in pathway.steps if performed.procedure.family in step.families), None)
    found: dict[str, object] = {"side": performed.side, "levels": " ".join(performed.levels), "regions": performed.regions}
    return found | ({f"work_{step.id}": performed.procedure.code} if step else {})
