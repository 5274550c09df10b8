"""Change what the clinic has: sites, people, rooms and devices, their hours, absences and blocks.

Every verb is one transaction: it locks the resource, writes, records itself, and brings the free time in line. While a
booking holds the resource it waits, at most the lock time-out, and then refuses as `Busy`.
"""

from scheduling.resources.absences import add_absence, cases_during, end_absence
from scheduling.resources.blocks import save_block
from scheduling.resources.dates import DateHours, DateOver, Spans, dates_ahead, hours_on, remove_date_hours, save_date_hours
from scheduling.resources.hours import save_hours
from scheduling.resources.shared import CasesInTheWay, Changed, NameTaken, Span
from scheduling.resources.sites import save_site
from scheduling.resources.units import save_resource

__all__ = [
    "CasesInTheWay",
    "Changed",
    "DateHours",
    "DateOver",
    "NameTaken",
    "Span",
    "Spans",
    "add_absence",
    "cases_during",
    "dates_ahead",
    "end_absence",
    "hours_on",
    "remove_date_hours",
    "save_block",
    "save_date_hours",
    "save_hours",
    "save_resource",
    "save_site",
]
