"""Reports over all patients: how sessions turned out, by procedure, target, physician, payer and quarter."""

from patients.reports import sheet, showing
from patients.reports.answering import NotShown, outcomes
from patients.reports.shapes import EDGES, MEASURES, By, Choice, Figures, Group, OutcomeReport

__all__ = ["EDGES", "MEASURES", "By", "Choice", "Figures", "Group", "NotShown", "OutcomeReport", "outcomes", "sheet", "showing"]
