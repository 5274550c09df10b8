"""The board: columns, bars, bands, weeks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from django.utils.safestring import SafeString

from scheduling.agenda.shapes.cases import Case
from scheduling.agenda.shapes.parts import Choice, Flag, Tab


@dataclass(frozen=True, slots=True)
class Leg:
    kind: str
    slot: int
    span: int
    is_held: bool


@dataclass(frozen=True, slots=True)
class Band:
    kind: str
    slot: int
    span: int
    label: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """A case on the board, in words that are ready to be drawn."""

    public_id: UUID
    version: int
    url: str
    case_url: str
    slot: int
    span: int
    legs: tuple[Leg, ...]
    starts_at: datetime
    clock: str
    until: str
    minutes: int
    patient: str
    procedure: str
    target: str
    physician: str
    room: str
    device: str
    status: str
    hue: str
    flags: tuple[Flag, ...]
    is_waiting: bool  # for something that is not on file yet
    is_refused: bool  # a rule stands against it
    is_unasked: bool  # the rules could not be asked about it, so nobody knows
    is_selected: bool


@dataclass(frozen=True, slots=True)
class HourLine:
    slot: int
    label: str


@dataclass(frozen=True, slots=True)
class Column:
    """A lane; `drawn` is what `bands` and `bars` look like, and stands for them in the board's mark."""

    public_id: UUID
    kind: str
    name: str
    note: str
    load: int
    bands: tuple[Band, ...] = field(repr=False)
    bars: tuple[Bar, ...] = field(repr=False)
    drawn: SafeString
    book_url: str


@dataclass(frozen=True, slots=True)
class WeekDay:
    day: date
    url: str
    count: int
    is_today: bool


@dataclass(frozen=True, slots=True)
class Chip:
    """A case in a week."""

    public_id: UUID
    url: str
    case_url: str
    clock: str
    patient: str
    procedure: str
    target: str
    status: str
    hue: str


@dataclass(frozen=True, slots=True)
class WeekCell:
    """One resource's day; `drawn` is what `chips` look like, and stands for them in the board's mark."""

    chips: tuple[Chip, ...] = field(repr=False)
    drawn: SafeString
    note: str
    is_closed: bool


@dataclass(frozen=True, slots=True)
class WeekRow:
    name: str
    note: str
    cells: tuple[WeekCell, ...]


@dataclass(frozen=True, slots=True)
class Board:
    title: str
    day: date
    view: str
    by: str
    url: str
    previous_url: str
    next_url: str
    today_url: str
    day_url_base: str
    views: tuple[Tab, ...]
    bys: tuple[Tab, ...]
    sites: tuple[Choice, ...]
    site: str
    first_slot: int
    slot_count: int
    hours: tuple[HourLine, ...]
    now_slot: int | None
    columns: tuple[Column, ...]
    rows: tuple[WeekRow, ...]
    week_days: tuple[WeekDay, ...]
    cases: tuple[Bar, ...]
    count: int
    loaded_at: datetime
    book_url: str
    may_move: bool
    empty: str
    close_url: str
    etag: str = ""
    selected: Case | None = None
