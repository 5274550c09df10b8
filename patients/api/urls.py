from django.urls import path

from patients.api import rest

urlpatterns = [
    path("patients/", rest.Patients.as_view(), name="api_patients"),
    path("patients/search/", rest.PatientSearches.as_view(), name="api_patient_search"),
    path("patients/<uuid:public_id>/", rest.OnePatient.as_view(), name="api_patient"),
]
