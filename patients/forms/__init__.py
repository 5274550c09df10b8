"""Forms of patients: shape only. What it means is for the verbs to say."""

from patients.forms.amending import AmendForm
from patients.forms.brought import BroughtForm
from patients.forms.coverage import COVER_FORMS, AuthorizationForm, KxForm, PlanForm
from patients.forms.elsewhere import ElsewhereForm
from patients.forms.emergencies import EmergencyForm, SpanForm
from patients.forms.facts import ErrorForm, FactForm, form_for
from patients.forms.papers import ConsentForm, PaperForm
from patients.forms.people import PatientForm, starting_with
from patients.forms.problems import PapersForm, ProblemForm
from patients.forms.reports import OutcomesForm
from patients.forms.scores import NoteForm, ScoreForm

__all__ = [
    "COVER_FORMS",
    "AmendForm",
    "AuthorizationForm",
    "BroughtForm",
    "ConsentForm",
    "ElsewhereForm",
    "EmergencyForm",
    "ErrorForm",
    "FactForm",
    "KxForm",
    "NoteForm",
    "OutcomesForm",
    "PaperForm",
    "PapersForm",
    "PatientForm",
    "PlanForm",
    "ProblemForm",
    "ScoreForm",
    "SpanForm",
    "form_for",
    "starting_with",
]
