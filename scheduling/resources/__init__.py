"""Change what the clinic has: sites, people, rooms and devices, their hours, absences,
blocks, privileges, and the ways between sites.

Every verb is one transaction: it locks the resource, writes, records itself, and brings the free time in line. While a
booking holds the resource it waits, at most the lock time-out, and then refuses as `Busy`.
"""

from scheduling.resources.absences import add_absence, cases_during, end_absence
from scheduling.resources.blocks import save_block
from scheduling.resources.dates import DateHours, DateOver, Spans, dates_ahead, hours_on, remove_date_hours, save_date_hours
from scheduling.resources.hours import save_hours
from scheduling.resources.privileges import NOT_HELD, NotAPhysician, Terms, remove_privilege, save_privilege, terms_of
from scheduling.resources.shared import CasesInTheWay, Changed, NameTaken, Span
from scheduling.resources.sites import save_site
from scheduling.resources.travel import Way, save_travel, ways_between, ways_version
from scheduling.resources.units import save_resource

__all__ = [
    "NOT_HELD",
    "CasesInTheWay",
    "Changed",
    "DateHours",
    "DateOver",
    "NameTaken",
    "NotAPhysician",
    "Span",
    "Spans",
    "Terms",
    "Way",
    "add_absence",
    "cases_during",
    "dates_ahead",
    "end_absence",
    "hours_on",
    "remove_date_hours",
    "remove_privilege",
    "save_block",
    "save_date_hours",
    "save_hours",
    "save_privilege",
    "save_resource",
    "save_site",
    "save_travel",
    "terms_of",
    "ways_between",
    "ways_version",
]
