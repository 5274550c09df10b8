"""Addresses of patients. Names never stand in them."""

from __future__ import annotations

from django.urls import path

from patients import views

app_name = "patients"
urlpatterns = [
    path("patients/", views.patient_list, name="list"),
    path("patients/new/", views.new_patient, name="new"),
    path("patients/<uuid:public_id>/", views.patient, name="patient"),
    path("patients/<uuid:public_id>/edit/", views.edit_patient, name="edit"),
]
