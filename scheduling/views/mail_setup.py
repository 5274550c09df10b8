"""Set-up: when messages leave, in whose words, and the switch that stops them."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages as toasts
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from pain_clinic import languages, web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.errors import DomainError
from procedures import families
from scheduling import cadence, messages, wording
from scheduling.agenda.shapes import Act, Field, FormPage, SettingsLink, Tab
from scheduling.forms import ExceptionForm, StepForm, StopForm, starting_with
from scheduling.letters import PASSAGES
from scheduling.models import AFTER_VISIT, CadenceStep, MessageKind
from scheduling.views import doors
from scheduling.views.mailbox import MAIL_POLICY
from scheduling.views.setup import form_page, key

MANAGE = "scheduling.manage_messages"


@require_GET
@requires(MANAGE)
def overview(request: HttpRequest) -> HttpResponse:
    """Show every message that a case gets, when, and whether messages leave at all."""
    rows = CadenceStep.objects.visible_to(web.member(request)).select_related("site", "procedure").in_order()
    state = messages.state()
    steps = [_row(row) for row in rows]
    context = {"page": {"steps": steps, "state": state, "form": StopForm(), "at_once": AT_ONCE}}
    return web.respond(request, "scheduling/settings/messages.html", context)


AT_ONCE = tuple(MessageKind(kind).label for kind in ("confirmation", "change", "cancellation", "plan_ready"))


def _row(row: CadenceStep) -> dict[str, Any]:
    scope = ", ".join(part for part in (
        row.procedure.name if row.procedure else "", f"all {families.name_of(row.family)}" if row.family else "",
        row.site.name if row.site else "") if part)  # fmt: skip
    return {
        "url": reverse("scheduling:cadence_step", args=[row.public_id]),
        "kind": row.get_kind_display() + (", asks to confirm" if row.asks_to_confirm else ""),
        "scope": scope or "every case",
        "when": when(row),
        "weekend": row.get_weekend_display(),
        "is_on": row.is_on,
        "source": "; ".join(str(source.get("title", "")) for source in row.source),
    }


def when(step: CadenceStep) -> str:
    """Return a step's day and hour in words."""
    months, days = abs(step.offset_months), abs(step.offset_days)
    parts = [f"{number} {unit}{'s' if number > 1 else ''}" for number, unit in ((months, "month"), (days, "day")) if number]
    side = "after" if step.kind in AFTER_VISIT else "before"
    return f"{' and '.join(parts)} {side}, {step.at_time:%H:%M}" if parts else f"the same day, {step.at_time:%H:%M}"


@require_http_methods(["GET", "POST"])
@requires(MANAGE)
def step(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Change when one message leaves."""
    row = _the_step(request, public_id)
    data = request.POST if request.method == "POST" else None
    form = StepForm(data, initial=starting_with(row), kind=row.kind)
    if request.method == "GET":
        return _step_page(request, row, form)
    if not form.is_valid():
        return _step_page(request, row, form, status=422)
    try:
        doors.act_once(
            request, "scheduling.change_cadence",
            lambda: cadence.change(
                step=row, values=form.values(), version=form.cleaned_data["version"], by=Actor.of(request), at=web.now()
            ),
        )  # fmt: skip
    except DomainError as error:
        web.refused(request, error, act="scheduling.change_cadence", subject=row)
        return _step_page(request, row, form, error=error, status=error.status)
    toasts.success(request, "Saved. The cases to come are planned anew within a minute.")
    return web.redirect_to(request, "scheduling:message_settings")


@require_http_methods(["GET", "POST"])
@requires(MANAGE)
def exception(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Make an exception to one message's time for a site, a family or a procedure."""
    row = _the_step(request, public_id)
    data = request.POST if request.method == "POST" else None
    form = ExceptionForm(data, initial=starting_with(row), kind=row.kind, user=request.user)
    if request.method == "GET":
        return _step_page(request, row, form, is_exception=True)
    if not form.is_valid():
        return _step_page(request, row, form, status=422, is_exception=True)
    given = form.cleaned_data
    try:
        doors.act_once(
            request, "scheduling.add_cadence",
            lambda: cadence.add_exception(
                of=row, values=form.values(), site=given["site"], family=given["family"], procedure=given["procedure"],
                by=Actor.of(request), at=web.now(),
            ),
        )  # fmt: skip
    except DomainError as error:
        web.refused(request, error, act="scheduling.add_cadence", subject=row)
        return _step_page(request, row, form, error=error, status=error.status, is_exception=True)
    toasts.success(request, "The exception is saved.")
    return web.redirect_to(request, "scheduling:message_settings")


@require_POST
@requires(MANAGE)
def exception_remove(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Take an exception away."""
    row = _the_step(request, public_id)
    try:
        cadence.remove_exception(step=row, by=Actor.of(request), at=web.now())
    except DomainError as error:
        web.refused(request, error, act="scheduling.remove_cadence", subject=row)
        return _step_page(request, row, StepForm(initial=starting_with(row), kind=row.kind), error=error, status=error.status)
    toasts.success(request, "The exception is gone; the general time holds there again.")
    return web.redirect_to(request, "scheduling:message_settings")


def _the_step(request: HttpRequest, public_id: uuid.UUID) -> CadenceStep:
    rows = CadenceStep.objects.visible_to(web.member(request)).select_related("site", "procedure")
    found: CadenceStep = get_object_or_404(rows, public_id=public_id)
    return found


def _step_page(
    request: HttpRequest, row: CadenceStep, form: StepForm, *, error: DomainError | None = None, status: int = 200,
    is_exception: bool = False,
) -> HttpResponse:  # fmt: skip
    told = _row(row)
    is_general = row.site_id is None and row.procedure_id is None and not row.family
    links: tuple[SettingsLink, ...] = ()
    danger = None
    if not is_exception and is_general:
        links = (SettingsLink("Make an exception", reverse("scheduling:cadence_exception", args=[row.public_id])),)
    elif not is_exception and not row.source:
        danger = Act(
            "remove", "Remove this exception", reverse("scheduling:cadence_remove", args=[row.public_id]), is_danger=True
        )
    page = FormPage(
        title=f"{row.get_kind_display()}: exception" if is_exception else f"{row.get_kind_display()}, {told['scope']}",
        form=form,
        action=request.path,
        cancel_url=reverse("scheduling:message_settings"),
        request_key=key(request, error),
        hint=f"Now: {told['when']}." + (f" Source: {told['source']}." if told["source"] else ""),
        refusal=doors.refusal_of(error) if error else None,
        links=links,
        danger=danger,
    )
    return form_page(request, page, status)


# --- the switch ------------------------------------------------------------------------------------------------------


@require_POST
@requires(MANAGE)
def switch(request: HttpRequest) -> HttpResponse:
    """Stop all sending, or let it go on."""
    form = StopForm(request.POST)
    by, at = Actor.of(request), web.now()
    if request.POST.get("act") == "resume":
        messages.resume(by=by, at=at)
        toasts.success(request, "Messages leave again.")
    else:
        messages.stop(reason=form.cleaned_data["reason"] if form.is_valid() else "", by=by, at=at)
        toasts.success(request, "Sending is stopped. What is due waits.")
    return web.redirect_to(request, "scheduling:message_settings")


# --- wording ---------------------------------------------------------------------------------------------------------


@require_GET
@requires(MANAGE)
def passages(request: HttpRequest, language: str = languages.ENGLISH) -> HttpResponse:
    """List every passage in one language, with what is the clinic's own."""
    _known(language)
    own = wording.changed()
    groups: dict[str, list[dict[str, Any]]] = {}
    for each in PASSAGES.values():
        row = own.get((each.key, language))
        groups.setdefault(each.group, []).append({
            "label": each.label, "url": reverse("scheduling:passage", args=[language, each.key]),
            "text": row.text if row else each.as_shipped(language), "is_own": row is not None,
            "is_english": row is None and not each.is_translated(language),
        })  # fmt: skip
    tabs = tuple(Tab(label, reverse("scheduling:passages", args=[code]), code == language) for code, label in languages.choices())
    mails = [
        (str(label), reverse("scheduling:passage_preview", args=[language, f"opening_{kind}"]))
        for kind, label in MessageKind.choices
    ]
    return web.respond(request, "scheduling/settings/passages.html", {"page": {"groups": groups, "tabs": tabs, "mails": mails}})


@require_http_methods(["GET", "POST"])
@requires(MANAGE)
def passage(request: HttpRequest, language: str, name: str) -> HttpResponse:
    """Change one passage's words, or have those shipped again."""
    _known(language, name)
    newest = wording.current(name, language)
    shipped = PASSAGES[name].as_shipped(language)
    text = newest.text if newest and newest.text else shipped
    error: DomainError | None = None
    if request.method == "POST":
        typed = request.POST.get("text", "")
        version = _number(request.POST.get("version", ""))
        by, at = Actor.of(request), web.now()
        try:
            if request.POST.get("act") == "reset":
                wording.reset(key=name, language=language, version=version, by=by, at=at)
            else:
                wording.save(key=name, language=language, text=typed, version=version, by=by, at=at)
        except DomainError as refusal:
            web.refused(request, refusal, act="scheduling.change_wording")
            error, text = refusal, typed
        else:
            toasts.success(request, "Saved. The next mail has these words.")
            return web.redirect_to(request, reverse("scheduling:passages", args=[language]))
    each = PASSAGES[name]
    hint = "Keep: " + ", ".join(f"{{{need}}}" for need in sorted(each.needs)) if each.needs else ""
    page = {
        "title": f"{each.group}: {each.label}", "language": languages.name(language), "name": name, "shipped": shipped,
        "version": newest.version if newest else 0, "is_own": bool(newest and newest.text),
        "back_url": reverse("scheduling:passages", args=[language]),
        "preview_url": reverse("scheduling:passage_preview", args=[language, name]),
        "field": Field("text", "Words", text, error=error.message if error else "", hint=hint, kind="textarea", is_required=True),
        "refusal": doors.refusal_of(error) if error and error.code == "stale" else None,
    }  # fmt: skip
    context = {"page": page, **_previewed(language, name, text)}
    return web.respond(request, "scheduling/settings/passage.html", context, status=error.status if error else 200)


@require_http_methods(["GET", "POST"])
@requires(MANAGE)
def passage_preview(request: HttpRequest, language: str, name: str) -> HttpResponse:
    """Show an example mail with the words as they are being typed, or as they hold: its text, or `as=html` the mail itself."""
    _known(language, name)
    newest = wording.current(name, language)
    held = newest.text if newest and newest.text else PASSAGES[name].as_shipped(language)
    found = _previewed(language, name, request.POST.get("text", held))
    if (request.POST if request.method == "POST" else request.GET).get("as") == "html":
        return HttpResponse(found["letter"].html, headers={"Content-Security-Policy": MAIL_POLICY})
    return web.respond(request, "scheduling/settings/passage_preview.html", found)


def _previewed(language: str, name: str, text: str) -> dict[str, Any]:
    kept, problem = wording.cleaned(text)[: wording.LONGEST], ""
    try:
        wording.check(name, wording.cleaned(text))
    except DomainError as refusal:
        problem = refusal.message
    letter = wording.preview(key=name, language=language, text=kept, at=web.now())
    return {"letter": letter, "problem": problem}


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 9 else -1


def _known(language: str, name: str = "") -> None:
    if language not in languages.codes() or (name and name not in PASSAGES):
        raise Http404
