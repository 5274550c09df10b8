"""What the doors of everything recorded do alike: add a row, amend it, mark it as written by mistake. Gates stay at the doors."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.errors import DomainError
from patients import records
from patients.forms import ErrorForm
from patients.models import Patient, Recorded
from patients.recorded import Kind
from patients.views import reaching


@dataclass(frozen=True, slots=True)
class Shelf:
    """Kinds of rows that are kept on one page: the word for refused acts, the page's name, and the form of a kind.

    The form is made of request, kind, patient, what was typed and the row that it shows.
    """

    word: str
    page: str
    kinds: Mapping[str, Kind]
    form: Callable[[HttpRequest, str, Patient, Any, Any], Any]

    def kind(self, code: str) -> Kind:
        if code not in self.kinds:
            raise Http404
        return self.kinds[code]

    def add(self, request: HttpRequest, patient: Patient, code: str) -> HttpResponse:
        """Show the empty form, or write a row down."""
        what = self.kind(code)
        form = self.form(request, code, patient, request.POST if request.method == "POST" else None, None)
        if request.method == "GET":
            return self._page(request, patient, what, form)
        if not form.is_valid():
            return self._page(request, patient, what, form, status=422)

        def produce() -> HttpResponse:
            records.record(kind=what.model, patient=patient, values=form.cleaned_data, by=Actor.of(request), at=web.now())
            return self._back(request, patient, "Recorded.")

        try:
            return web.once(request, f"patients.record_{what.model._meta.model_name}", produce)
        except DomainError as error:
            web.refused(request, error, act=f"patients.record_{self.word}", subject=patient, patient=patient.public_id)
            return self._page(request, patient, what, form, error=error, status=error.status)

    def change(self, request: HttpRequest, patient: Patient, code: str, public_id: uuid.UUID) -> HttpResponse:
        """Show a row in its form, amend it, or mark it as written down by mistake."""
        what = self.kind(code)
        row = get_object_or_404(what.model._default_manager.filter(patient=patient, is_in_error=False), public_id=public_id)
        if request.method == "GET":
            return self._page(request, patient, what, self.form(request, code, patient, None, row), row=row)
        if request.POST.get("act") == "mistake":
            return self._mistake(request, patient, what, row)
        form = self.form(request, code, patient, request.POST, None)
        version = request.POST.get("version", "")
        if not form.is_valid() or not version.isdecimal():
            return self._page(request, patient, what, form, row=row, status=422)

        def produce() -> HttpResponse:
            by, at = Actor.of(request), web.now()
            kept = records.amend_fact(row=row, changes=form.cleaned_data, by=by, at=at, version=int(version))
            return self._back(request, patient, "Saved." if kept.version != row.version else "Nothing was different.")

        try:
            return web.once(request, f"patients.amend_{what.model._meta.model_name}", produce)
        except DomainError as error:
            web.refused(request, error, act=f"patients.amend_{self.word}", subject=row, patient=patient.public_id)
            return self._page(request, patient, what, form, row=row, error=error, status=error.status)

    def _mistake(self, request: HttpRequest, patient: Patient, what: Kind, row: Recorded) -> HttpResponse:
        form, shown = ErrorForm(request.POST), self.form(request, what.code, patient, None, row)
        if not form.is_valid():
            return self._page(request, patient, what, shown, row=row, mistake=form, status=422)

        def produce() -> HttpResponse:
            said = form.cleaned_data
            records.mark_in_error(
                row=row, reason=said["error_reason"], by=Actor.of(request), at=web.now(), version=said["version"]
            )  # fmt: skip
            return self._back(request, patient, "Marked as a mistake.")

        try:
            return web.once(request, f"patients.mistake_{what.model._meta.model_name}", produce)
        except DomainError as error:
            web.refused(request, error, act="patients.mark_in_error", subject=row, patient=patient.public_id)
            return self._page(request, patient, what, shown, row=row, mistake=form, error=error, status=error.status)

    def _back(self, request: HttpRequest, patient: Patient, said: str) -> HttpResponse:
        messages.success(request, said)
        return web.redirect_to(request, self.page, patient.public_id)

    def _page(
        self,
        request: HttpRequest,
        patient: Patient,
        what: Kind,
        form: Any,
        *,
        row: Any = None,
        mistake: ErrorForm | None = None,
        error: DomainError | None = None,
        status: int = 200,
    ) -> HttpResponse:
        context = {
            "patient": patient,
            "title": f"Change this {what.one}" if row is not None else f"Add: {what.one}",
            "form": form,
            "row": row,
            "mistake": (mistake or ErrorForm(initial={"version": row.version})) if row is not None else None,
            "version": request.POST.get("version", "") or (row.version if row is not None else ""),
            "action": request.path,
            "request_key": reaching.key_of(request, is_used_up=error is not None and error.code == "key_reused"),
            "refusal": reaching.refusal_of(error) if error else None,
            "back": reverse(self.page, args=[patient.public_id]),
        }
        return web.respond(request, "patients/fact.html", context, status=status)
