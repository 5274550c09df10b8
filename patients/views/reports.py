"""Doors of the reports over all patients: what works in this clinic, as a page and as a table file."""

from __future__ import annotations

import csv
import io
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.errors import DomainError
from patients.forms import OutcomesForm
from patients.reports import By, OutcomeReport, outcomes, sheet, showing
from patients.views import reaching


@require_safe
@requires("patients.view_outcomes")
def outcome_report(request: HttpRequest) -> HttpResponse:
    """Show how sessions turned out, by what was asked for."""
    form = OutcomesForm(request.GET)
    if not form.is_valid():
        return _page(request, form, status=422)
    try:
        report = _report(request, form, "page")
    except DomainError as error:
        web.refused(request, error, act="patients.read_outcomes")
        return _page(request, form, error=error, status=error.status)
    return _page(request, form, report=report)


@require_safe
@requires("patients.view_outcomes")
def outcome_sheet(request: HttpRequest) -> HttpResponse:
    """Give the same report as a CSV file."""
    form = OutcomesForm(request.GET)
    if not form.is_valid():
        return _page(request, form, status=422)
    try:
        report = _report(request, form, "csv")
    except DomainError as error:
        web.refused(request, error, act="patients.read_outcomes")
        return _page(request, form, error=error, status=error.status)
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(sheet.rows(report))
    name = f"outcomes-{report.by}-{report.first_on:%Y-%m}-{report.last_on:%Y-%m}.csv"
    head = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse("\ufeff" + out.getvalue(), content_type="text/csv; charset=utf-8", headers=head)


def _report(request: HttpRequest, form: OutcomesForm, kind: str) -> OutcomeReport:
    return outcomes(
        **form.asked(), today=reaching.today_of(request), actor=Actor.of(request),
        sites=[site.pk for site in web.sites_of(request)], kind=kind,
    )  # fmt: skip


def _page(
    request: HttpRequest,
    form: OutcomesForm,
    *,
    report: OutcomeReport | None = None,
    error: DomainError | None = None,
    status: int = 200,
) -> HttpResponse:
    context: dict[str, Any] = {
        "form": form,
        "report": report,
        "columns": showing.COLUMNS,
        "years": str(report.years) if report else request.GET.get("years", ""),
        "refusal": reaching.refusal_of(error) if error else None,
        "csv_url": f"{reverse('patients:outcomes_csv')}?{request.GET.urlencode()}",
    }
    if report is not None:
        context |= {
            "lines": showing.lines(report, lambda code: _address(report, code)),
            "total": showing.total(report),
            "curve": showing.curve(report.total.duration if report.total else None),
            "by_choices": [(str(value), str(word), value == report.by) for value, word in By.choices],
            "all_url": f"{reverse('patients:outcomes')}?{urlencode({'by': report.by, 'years': report.years})}",
        }
    return web.respond(request, "patients/outcomes.html", context, status=status)


def _address(report: OutcomeReport, code: str) -> str:
    """Return where a procedure's own report is: its quarters."""
    if report.by is not By.PROCEDURE:
        return ""
    asked = {"by": str(By.PERIOD), "years": report.years, "procedure": code}
    return f"{reverse('patients:outcomes')}?{urlencode(asked)}"
