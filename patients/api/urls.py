from django.urls import URLPattern, path

from patients.api import facts, history, notes, papers, problems, reports, rest

urlpatterns = [
    path("patients/", rest.Patients.as_view(), name="api_patients"),
    path("patients/search/", rest.PatientSearches.as_view(), name="api_patient_search"),
    path("patients/<uuid:public_id>/", rest.OnePatient.as_view(), name="api_patient"),
    path("patients/emergency/", history.Emergencies.as_view(), name="api_emergency"),
    path("patients/<uuid:public_id>/history/", history.PatientHistory.as_view(), name="api_history"),
    path("patients/<uuid:public_id>/access/", history.PatientAccess.as_view(), name="api_access"),
    path("patients/<uuid:public_id>/notes/", notes.PatientNotes.as_view(), name="api_notes"),
    path("patients/<uuid:public_id>/papers/", papers.PatientPapers.as_view(), name="api_papers"),
    path("papers/<uuid:public_id>/", papers.OnePaper.as_view(), name="api_paper"),
    path("patients/<uuid:public_id>/payer-papers/", problems.PatientPayerPapers.as_view(), name="api_payer_papers"),
    path("payer-papers/<uuid:public_id>/", problems.OnePayerPapers.as_view(), name="api_payer_papers_one"),
    path("patients/<uuid:public_id>/outcomes/", reports.PatientOutcomes.as_view(), name="api_outcomes"),
    path("notes/<uuid:public_id>/", notes.OneNote.as_view(), name="api_note"),
    path("notes/<uuid:public_id>/sign/", notes.Sign.as_view(), name="api_note_sign"),
    path("notes/<uuid:public_id>/cosign/", notes.Cosign.as_view(), name="api_note_cosign"),
    path("notes/<uuid:public_id>/addenda/", notes.Addenda.as_view(), name="api_note_addenda"),
    path("reports/outcomes/", reports.OutcomeReport.as_view(), name="api_outcome_report"),
]


def _of(group: facts.Group) -> list[URLPattern]:
    """Return the addresses of a group; where it has one kind, no word for it stands in them."""
    of_patient, one = facts.doors(group)
    word, fixed = ("", {"kind": group.code}) if len(group.kinds) == 1 else ("<slug:kind>/", {})
    return [
        path(f"patients/<uuid:public_id>/{group.code}/{word}", of_patient.as_view(), fixed, name=f"api_{group.code}"),
        path(f"{group.code}/{word}<uuid:public_id>/", one.as_view(), fixed, name=f"api_{group.code}_one"),
    ]


for _group in facts.GROUPS:
    urlpatterns += _of(_group)
