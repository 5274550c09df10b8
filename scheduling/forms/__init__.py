"""Forms: shape only. What it means is for the verbs to say."""

from scheduling.forms.assess import AssessForm
from scheduling.forms.clearance import ClearanceForm, LastDoseForm
from scheduling.forms.dates import DateForm, DateHoursForm, starting_hours
from scheduling.forms.desk import (
    ALL_LEVELS,
    FIRST_DAY,
    LAST_DAY,
    MOVE_REASONS,
    PARTS,
    WEEKDAYS,
    ActForm,
    BookForm,
    CancelForm,
    DayField,
    MoveForm,
    SpanForm,
    SwapAskForm,
    SwapForm,
    at_in,
    pairs,
    typed_waivers,
    waivers_in,
)
from scheduling.forms.details import DetailsForm, asked_of, details_in, initial
from scheduling.forms.mail import CloseTaskForm, ExceptionForm, StepForm, StopForm, starting_with
from scheduling.forms.privileges import PrivilegeForm
from scheduling.forms.rules import TABLES as RULE_TABLES
from scheduling.forms.rules import RuleCopyForm, RuleFilterForm, RuleForm
from scheduling.forms.setup import AbsenceForm, BlockForm, HoursForm, ResourceForm, SiteForm, read_spans
from scheduling.forms.travel import TravelForm, starting_ways
from scheduling.forms.visits import CompleteForm, FastingForm, LeavingForm, answers_in

__all__ = [
    "ALL_LEVELS",
    "FIRST_DAY",
    "LAST_DAY",
    "MOVE_REASONS",
    "PARTS",
    "RULE_TABLES",
    "WEEKDAYS",
    "AbsenceForm",
    "ActForm",
    "AssessForm",
    "BlockForm",
    "BookForm",
    "CancelForm",
    "ClearanceForm",
    "CloseTaskForm",
    "CompleteForm",
    "DateForm",
    "DateHoursForm",
    "DayField",
    "DetailsForm",
    "ExceptionForm",
    "FastingForm",
    "HoursForm",
    "LastDoseForm",
    "LeavingForm",
    "MoveForm",
    "PrivilegeForm",
    "ResourceForm",
    "RuleCopyForm",
    "RuleFilterForm",
    "RuleForm",
    "SiteForm",
    "SpanForm",
    "StepForm",
    "StopForm",
    "SwapAskForm",
    "SwapForm",
    "TravelForm",
    "answers_in",
    "asked_of",
    "at_in",
    "details_in",
    "initial",
    "pairs",
    "read_spans",
    "starting_hours",
    "starting_ways",
    "starting_with",
    "typed_waivers",
    "waivers_in",
]
