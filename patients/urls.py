"""Addresses of patients. Names never stand in them."""

from __future__ import annotations

from django.urls import path

from patients.views import (
    amending,
    coverage,
    elsewhere,
    emergencies,
    facts,
    history,
    notes,
    papers,
    people,
    problems,
    reports,
    scores,
)

app_name = "patients"
urlpatterns = [
    path("patients/", people.patient_list, name="list"),
    path("patients/new/", people.new_patient, name="new"),
    path("patients/emergency/", emergencies.break_glass, name="emergency"),
    path("patients/emergencies/", emergencies.emergency_list, name="emergencies"),
    path("patients/emergencies/<uuid:public_id>/seen/", emergencies.review, name="emergency_review"),
    path("patients/<uuid:public_id>/access/", emergencies.access_list, name="access"),
    path("patients/<uuid:public_id>/", people.patient, name="patient"),
    path("patients/<uuid:public_id>/summary.pdf", history.summary, name="summary"),
    path("patients/<uuid:public_id>/edit/", people.edit_patient, name="edit"),
    path("patients/<uuid:public_id>/record/", facts.record, name="record"),
    path("patients/<uuid:public_id>/record/<slug:kind>/new/", facts.new_fact, name="fact_new"),
    path("patients/<uuid:public_id>/record/<slug:kind>/<uuid:fact>/", facts.fact, name="fact"),
    path("patients/<uuid:public_id>/coverage/", coverage.cover, name="cover"),
    path("patients/<uuid:public_id>/coverage/<slug:kind>/new/", coverage.new_cover, name="cover_new"),
    path("patients/<uuid:public_id>/coverage/<slug:kind>/<uuid:fact>/", coverage.change_cover, name="cover_change"),
    path("patients/<uuid:public_id>/payer-papers/", problems.payer_papers, name="payer_papers"),
    path("patients/<uuid:public_id>/elsewhere/new/", elsewhere.new_elsewhere, name="elsewhere_new"),
    path("patients/<uuid:public_id>/scores/new/", scores.new_score, name="score_new"),
    path("patients/<uuid:public_id>/scores/<uuid:score>/", scores.score, name="score"),
    path("patients/<uuid:public_id>/papers/", papers.on_paper, name="papers"),
    path("patients/<uuid:public_id>/papers/new/", papers.new_paper, name="paper_new"),
    path("patients/<uuid:public_id>/consents/new/", papers.new_consent, name="consent_new"),
    path("consents/<uuid:public_id>/", papers.consent, name="consent"),
    path("papers/<uuid:public_id>/", papers.paper, name="paper"),
    path("papers/<uuid:public_id>/file/", papers.paper_file, name="paper_file"),
    path("reports/outcomes/", reports.outcome_report, name="outcomes"),
    path("reports/outcomes.csv", reports.outcome_sheet, name="outcomes_csv"),
    path("performed/<uuid:public_id>/kx/", coverage.kx, name="kx"),
    path("performed/<uuid:public_id>/", amending.performed, name="performed"),
    path("notes/<uuid:public_id>/", notes.note, name="note"),
]
