"""One message, what the desk has to do by telephone, and who has not confirmed."""

from __future__ import annotations

import uuid
from zoneinfo import ZoneInfo

from django.contrib import messages as toasts
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET, require_POST

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.audit import trail
from pain_clinic.errors import DomainError
from scheduling import agenda, desk_tasks, messages
from scheduling.forms import CloseTaskForm
from scheduling.models import DeskTask, Message, MessageState, TaskKind, TaskRole
from scheduling.views.pages import day_of


@require_GET
@requires("scheduling.view_messages")
def message(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show one message: as it was sent, or when it will be."""
    rows = Message.objects.visible_to(web.member(request)).select_related(
        "patient", "appointment__site", "appointment__procedure"
    )
    row = get_object_or_404(rows, public_id=public_id)
    by = Actor.of(request)
    trail.record(
        by=by, act="scheduling.message_read", subject=row, patient=row.patient.public_id, site_id=row.appointment.site_id
    )
    draft = messages.draft(message=row, at=web.now()) if row.state == MessageState.DUE else None
    shown = agenda.one_message(
        message=row, reasons=messages.reason_in_words, may_resend=by.may("scheduling.view_messages"), draft=draft
    )
    return web.respond(request, "scheduling/message.html", {"mail": shown})


@require_GET
@requires("scheduling.work_tasks")
def tasks(request: HttpRequest) -> HttpResponse:
    """List what is to be done by hand, by whose work it is."""
    return _tasks(request)


def _tasks(request: HttpRequest, status: int = 200) -> HttpResponse:
    kind = request.GET.get("kind", "")
    known = (*TaskKind.values, agenda.AFTER, agenda.CASES, agenda.DONE)
    page = agenda.tasks(
        user=web.member(request), at=web.now(), kind=kind if kind in known else "",
        number=request.GET.get("page", "1"), role=request.GET.get("role", ""),
        may_see_all=Actor.of(request).may("patients.view_safety"), reasons=messages.reason_in_words,
    )  # fmt: skip
    return web.respond(request, "scheduling/tasks.html", {"page": page}, status=status)


@require_POST
@requires("scheduling.work_tasks")
def task_take(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Make a task one's own."""
    row = _the_task(request, public_id)
    try:
        desk_tasks.take(task=row, by=Actor.of(request), at=web.now())
    except DomainError as error:
        return _not_done(request, row, error, "scheduling.take_task")
    return web.redirect_to(request, "scheduling:tasks")


@require_POST
@requires("scheduling.work_tasks")
def task_close(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Close a task with what came of it."""
    row, form = _the_task(request, public_id), CloseTaskForm(request.POST)
    if not form.is_valid():
        toasts.error(request, "Say what came of it.")
        return _tasks(request, status=422)
    try:
        desk_tasks.close_task(
            task=row, outcome=form.cleaned_data["outcome"], note=form.cleaned_data["note"], by=Actor.of(request), at=web.now()
        )
    except DomainError as error:
        return _not_done(request, row, error, "scheduling.close_task")
    toasts.success(request, "Done.")
    return web.redirect_to(request, "scheduling:tasks")


def _the_task(request: HttpRequest, public_id: uuid.UUID) -> DeskTask:
    rows = DeskTask.objects.visible_to(web.member(request)).select_related("patient", "site")
    if not Actor.of(request).may("patients.view_safety"):
        rows = rows.filter(role=TaskRole.BILLER)
    found: DeskTask = get_object_or_404(rows, public_id=public_id)
    return found


def _not_done(request: HttpRequest, row: DeskTask, error: DomainError, act: str) -> HttpResponse:
    web.refused(request, error, act=act, subject=row, patient=row.patient.public_id, site_id=row.site_id)
    toasts.error(request, error.message)
    return _tasks(request, status=web.status_of(error))


@require_GET
@requires("scheduling.view_messages")
def unconfirmed(request: HttpRequest) -> HttpResponse:
    """List the cases of a day that nobody has confirmed; of the next day with cases if none is named."""
    sites = agenda.sites_of(web.member(request))
    if not sites:
        return web.respond(request, "scheduling/no_site.html", {})
    slug = request.GET.get("site", "")
    site = next((each for each in sites if each.slug == slug), None) if slug else sites[0]
    if site is None:
        raise Http404
    today = web.now().astimezone(ZoneInfo(site.time_zone)).date()
    day = day_of(request.GET.get("day", "")) or agenda.next_day(site=site, today=today)
    trail.record(by=Actor.of(request), act="scheduling.unconfirmed_read", site_id=site.pk)
    return web.respond(request, "scheduling/unconfirmed.html", {"page": agenda.unconfirmed(sites=sites, site=site, day=day)})
