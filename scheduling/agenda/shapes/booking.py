"""The booking page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from scheduling.agenda.shapes.parts import CaseLine, Choice, Flag, Line, Pair, Refusal, Wait


@dataclass(frozen=True, slots=True)
class Who:
    """A person and what matters about them, in one line."""

    public_id: UUID
    url: str
    name: str
    born: date
    age: int
    sex: str
    record_number: str
    facts: tuple[Flag, ...] = ()
    same_name: str = ""
    last_session: str = ""
    upcoming: tuple[CaseLine, ...] = ()


@dataclass(frozen=True, slots=True)
class What:
    """The chosen procedure."""

    code: str
    name: str
    short_name: str
    category: str
    family: str
    minutes: int
    prep: int
    recovery: int
    turnover: int
    needs: tuple[str, ...]
    driver: str
    fasting: str
    notes: str
    max_levels: int


@dataclass(frozen=True, slots=True)
class LevelChoice:
    code: str
    label: str
    region: str
    is_selected: bool = False
    is_allowed: bool = True


@dataclass(frozen=True, slots=True)
class RegionChoice:
    """A part of the body that may be chosen where no level says it."""

    code: str
    label: str
    is_selected: bool = False


@dataclass(frozen=True, slots=True)
class OpeningLine:
    """A free place as a page offers it; `token` is its signed form."""

    token: str
    starts_at: datetime
    ends_at: datetime
    arrives_at: datetime
    leaves_at: datetime
    site: str
    physician: str
    room: str
    devices: str = ""
    others: str = ""
    why: str = ""
    is_chosen: bool = False
    line_count: int = 0
    worst: str = ""


@dataclass(frozen=True, slots=True)
class OpeningDay:
    day: date
    openings: tuple[OpeningLine, ...]


@dataclass(frozen=True, slots=True)
class HoldLine:
    public_id: UUID
    ends_at: datetime
    seconds_left: int


@dataclass(frozen=True, slots=True)
class Booked:
    url: str
    title: str
    case: CaseLine
    mail: str
    print_url: str
    again_url: str
    board_url: str


@dataclass(frozen=True, slots=True)
class BookPage:
    title: str
    request_key: str
    refusal: Refusal | None = None
    course: str = ""  # the id of the course for which it is booked
    course_name: str = ""
    course_problem: Any = None  # the problem on record that the course is for
    as_ordered: tuple[str, ...] = ()  # what stands in the form as the course ordered it
    patient: Who | None = None
    q: str = ""
    people: Any = None  # whom the search for a person found, as the patients' page lists them
    may_register: bool = False
    procedures: tuple[Choice, ...] = ()
    procedure: What | None = None
    sides: tuple[Choice, ...] = ()
    levels: tuple[LevelChoice, ...] = ()
    regions: tuple[RegionChoice, ...] = ()
    levels_hint: str = ""
    sedations: tuple[Choice, ...] = ()
    guidances: tuple[Choice, ...] = ()
    errors: tuple[Pair, ...] = ()
    sites: tuple[Choice, ...] = ()
    physicians: tuple[Choice, ...] = ()
    earliest: str = ""
    latest: str = ""
    weekdays: tuple[Choice, ...] = ()
    parts: tuple[Choice, ...] = ()
    searched: bool = False
    days: tuple[OpeningDay, ...] = ()
    nothing: str = ""
    helps: tuple[str, ...] = ()
    after: str = ""
    first_free: OpeningLine | None = None
    first_covered: OpeningLine | None = None
    waits: tuple[Wait, ...] = ()
    said: tuple[Any, ...] = ()  # fields of what may be said about the case beyond its target
    reasons: tuple[Any, ...] = ()  # fields of the reasons that some payers ask for
    has_reasons: bool = False  # one is written
    covered: str = ""  # from when on no rule stands in the way, where that is not the first free time
    uncovered: tuple[Line, ...] = ()  # what stands in the way of the first free time
    only_covered: bool = False
    lines: tuple[Line, ...] = ()
    chosen: OpeningLine | None = None
    hold: HoldLine | None = None
    button: str = ""
    can_book: bool = False
    mails: str = ""  # which planned mails the patient will get, and when
    booked: Booked | None = None
