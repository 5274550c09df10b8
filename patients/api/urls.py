from django.urls import path

from patients.api import coverage, rest

urlpatterns = [
    path("patients/", rest.Patients.as_view(), name="api_patients"),
    path("patients/search/", rest.PatientSearches.as_view(), name="api_patient_search"),
    path("patients/<uuid:public_id>/", rest.OnePatient.as_view(), name="api_patient"),
    path("patients/<uuid:public_id>/coverage/", coverage.Plans.as_view(), name="api_coverage"),
    path("patients/<uuid:public_id>/authorizations/", coverage.Authorizations.as_view(), name="api_authorizations"),
    path("coverage/<uuid:public_id>/", coverage.OnePlan.as_view(), name="api_one_coverage"),
    path("authorizations/<uuid:public_id>/", coverage.OneAuthorization.as_view(), name="api_authorization"),
]
