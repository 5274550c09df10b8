"""The board: columns, bars, bands, weeks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

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
    public_id: UUID
    version: int
    url: str
    case_url: str
    move_url: str
    slot: int
    span: int
    legs: tuple[Leg, ...]
    starts_at: datetime
    ends_at: datetime
    minutes: int
    patient: str
    procedure: str
    target: str
    physician: str
    room: str
    device: str
    status: str
    category: str
    family: str
    flags: tuple[Flag, ...]
    is_ready: bool
    is_selected: bool


@dataclass(frozen=True, slots=True)
class HourLine:
    slot: int
    label: str


@dataclass(frozen=True, slots=True)
class Column:
    public_id: UUID
    kind: str
    name: str
    note: str
    load: int
    bands: tuple[Band, ...]
    bars: tuple[Bar, ...]
    book_url: str


@dataclass(frozen=True, slots=True)
class WeekDay:
    day: date
    url: str
    count: int
    is_today: bool


@dataclass(frozen=True, slots=True)
class WeekCell:
    bars: tuple[Bar, ...]
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
