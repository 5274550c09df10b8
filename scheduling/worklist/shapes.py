"""What the worklist and the pages of courses show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scheduling.agenda.shapes import Page, Pair, Tab
from scheduling.courses import Stop

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class Offered:
    """One opening as a button says it; `value` is what the button sends."""

    value: str
    told: str
    who: str
    also: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One course on the list."""

    key: str
    public_id: str
    patient: str
    patient_url: str
    phone: str
    dial: str
    what: str
    step: str
    course_url: str
    state: str
    when: str
    tone: str
    told: tuple[str, ...]
    conditions: tuple[str, ...]
    waits: str
    openings: tuple[Offered, ...]
    why_none: str
    is_searched: bool
    calls: str
    snoozed: str
    book_url: str
    call_url: str
    snooze_url: str
    form_url: str


@dataclass(frozen=True, slots=True)
class Worklist:
    """The worklist as the page shows it."""

    title: str
    tabs: tuple[Tab, ...]
    rows: tuple[Row, ...]
    page: Page
    empty: str
    outcomes: tuple[Pair, ...]
    tomorrow: str
    may_work: bool
    may_book: bool
    tab: str
    bulk_url: str


@dataclass(frozen=True, slots=True)
class BulkRow:
    """One row of a dry run, or of what became of it."""

    key: str
    patient: str
    what: str
    course_url: str
    told: str
    who: str = ""
    waits: tuple[str, ...] = ()
    why_not: str = ""
    token: str = ""
    case_url: str = ""


@dataclass(frozen=True, slots=True)
class CourseLine:
    """One course in a patient's list."""

    name: str
    what: str
    told: str
    why: tuple[str, ...]
    url: str
    is_running: bool
    key: str


@dataclass(frozen=True, slots=True)
class CourseShown:
    """One course as its page shows it."""

    key: str
    title: str
    name: str
    patient: str
    patient_url: str
    status: str
    status_told: str
    version: int
    stops: tuple[Stop, ...]
    facts: tuple[Pair, ...]
    row: Row | None
    calls: tuple[Pair, ...]
    earlier: tuple[Pair, ...]
    outcomes: tuple[Pair, ...]
    may_order: bool
    may_work: bool
    may_book: bool
    pathway_url: str
    change_url: str
    stop_url: str
    restart_url: str
    series_url: str
    tomorrow: str
