"""The frozen shapes that pages are drawn from: plain values, no rows, no queries. Instants are in the site's zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    label: str
    is_selected: bool = False
    note: str = ""
    group: str = ""
    search: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    label: str
    value: str = ""
    error: str = ""
    hint: str = ""
    kind: str = "text"
    is_required: bool = False
    choices: tuple[Choice, ...] = ()
    autocomplete: str = "off"

    @property
    def id(self) -> str:
        return f"id_{self.name}"


@dataclass(frozen=True, slots=True)
class Pair:
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Line:
    """One finding as a page shows it; `code` is the name under which it is waived."""

    severity: str
    code: str
    message: str
    evidence: str = ""
    earliest: date | datetime | None = None
    source: str = ""
    can_waive: bool = False
    is_waived: bool = False
    reason: str = ""
    text: str = ""
    reasons: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """What happened, what was kept, what to do."""

    code: str
    title: str
    message: str
    kept: str = ""
    next_act: str = ""
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Flag:
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Tab:
    label: str
    url: str
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    number: int
    of: int
    total: int
    previous_url: str = ""
    next_url: str = ""


@dataclass(frozen=True, slots=True)
class Act:
    key: str
    label: str
    url: str
    method: str = "post"
    is_main: bool = False
    is_danger: bool = False
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class CaseLine:
    """A case in a list."""

    public_id: UUID
    url: str
    starts_at: datetime
    ends_at: datetime
    patient: str
    procedure: str
    where: str
    status: str
    category: str
    family: str
    flags: tuple[Flag, ...] = ()
    day_shown: bool = False


@dataclass(frozen=True, slots=True)
class HomeAct:
    label: str
    url: str
    icon: str
    hint: str = ""
    is_main: bool = False


@dataclass(frozen=True, slots=True)
class Count:
    label: str
    number: int
    url: str
    tone: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Home:
    greeting: str
    title: str
    acts: tuple[HomeAct, ...]
    counts: tuple[Count, ...]
    next_cases: tuple[CaseLine, ...]
    next_title: str
    board_url: str
    empty: str
    empty_url: str
    empty_act: str


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
class PlaceChoice:
    code: str
    label: str
    region: str
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
    patient: Who | None = None
    find_url: str = ""
    change_patient_url: str = ""
    procedures: tuple[Choice, ...] = ()
    procedure: What | None = None
    sides: tuple[Choice, ...] = ()
    levels: tuple[LevelChoice, ...] = ()
    places: tuple[PlaceChoice, ...] = ()
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
    lines: tuple[Line, ...] = ()
    chosen: OpeningLine | None = None
    hold: HoldLine | None = None
    button: str = ""
    can_book: bool = False
    booked: Booked | None = None


@dataclass(frozen=True, slots=True)
class Use:
    what: str
    name: str
    from_: datetime
    to: datetime
    leg: str


@dataclass(frozen=True, slots=True)
class LegLine:
    kind: str
    starts_at: datetime
    ends_at: datetime
    minutes: int


@dataclass(frozen=True, slots=True)
class OverrideLine:
    code: str
    message: str
    reason: str
    text: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    field: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class StoryLine:
    at: datetime
    who: str
    act: str
    changes: tuple[Change, ...] = ()
    why: str = ""
    outcome: str = "done"


@dataclass(frozen=True, slots=True)
class MessageLine:
    public_id: UUID
    kind: str
    to: str
    state: str
    at: datetime
    why: str = ""
    resend_url: str = ""
    url: str = ""
    case_url: str = ""
    patient: str = ""


@dataclass(frozen=True, slots=True)
class MoveForm:
    action: str
    version: int
    request_key: str
    day: str
    time: str
    minutes: str
    site: str
    physician: tuple[Choice, ...] = ()
    room: tuple[Choice, ...] = ()
    device: tuple[Choice, ...] = ()
    reason: str = ""
    reasons: tuple[Choice, ...] = ()
    preview: OpeningLine | None = None
    lines: tuple[Line, ...] = ()
    button: str = ""
    can_move: bool = False
    nearby: tuple[OpeningLine, ...] = ()
    errors: tuple[Pair, ...] = ()
    refusal: Refusal | None = None
    tells_patient: str = ""


@dataclass(frozen=True, slots=True)
class CancelForm:
    action: str
    version: int
    request_key: str
    reasons: tuple[Choice, ...]
    asked_bys: tuple[Choice, ...]
    reason: str = ""
    asked_by: str = ""
    text: str = ""
    is_late: bool = False
    late_note: str = ""
    errors: tuple[Pair, ...] = ()
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class ReinstateForm:
    action: str
    version: int
    request_key: str
    lines: tuple[Line, ...] = ()
    can: bool = True
    text: str = ""
    errors: tuple[Pair, ...] = ()
    refusal: Refusal | None = None
    opening: OpeningLine | None = None


@dataclass(frozen=True, slots=True)
class Case:
    public_id: UUID
    version: int
    title: str
    status: str
    is_late: bool
    url: str
    print_url: str
    patient_url: str
    board_url: str
    book_again_url: str
    patient: Who
    day: date
    starts_at: datetime
    ends_at: datetime
    arrives_at: datetime
    leaves_at: datetime
    site: str
    zone: str
    procedure: str
    category: str
    family: str
    side: str
    levels: tuple[str, ...]
    sedation: str
    guidance: str
    uses: tuple[Use, ...] = ()
    legs: tuple[LegLine, ...] = ()
    lines: tuple[Line, ...] = ()
    overrides: tuple[OverrideLine, ...] = ()
    acts: tuple[Act, ...] = ()
    story: tuple[StoryLine, ...] = ()
    messages: tuple[MessageLine, ...] = ()
    cancelled: str = ""
    notes: str = ""
    refusal: Refusal | None = None
    may_open_patient: bool = False
    move: MoveForm | None = None
    cancel: CancelForm | None = None
    reinstate: ReinstateForm | None = None


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


@dataclass(frozen=True, slots=True)
class Panel:
    """The part of a patient's page that scheduling fills."""

    upcoming: tuple[CaseLine, ...] = ()
    past: tuple[CaseLine, ...] = ()
    book_url: str = ""
    messages: tuple[MessageLine, ...] = ()
    title: str = ""
    patient_url: str = ""


@dataclass(frozen=True, slots=True)
class FindingRow:
    at: datetime
    who: str
    case_url: str
    patient_url: str
    patient: str
    procedure: str
    severity: str
    code: str
    message: str
    reason: str
    text: str
    outcome: str


@dataclass(frozen=True, slots=True)
class MessagePage:
    title: str
    tabs: tuple[Tab, ...]
    messages: tuple[MessageLine, ...]
    page: Page | None
    empty: str


@dataclass(frozen=True, slots=True)
class FindingPage:
    title: str
    from_: str
    to: str
    rows: tuple[FindingRow, ...]
    page: Page | None
    errors: tuple[Pair, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    url: str
    cells: tuple[str, ...]
    is_off: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    title: str
    hint: str
    new_url: str
    new_label: str
    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    tabs: tuple[Tab, ...] = ()
    page: Page | None = None
    empty: str = ""
    back_url: str = ""


@dataclass(frozen=True, slots=True)
class SettingsLink:
    label: str
    url: str
    hint: str = ""
    count: int | None = None


@dataclass(frozen=True, slots=True)
class SettingsGroup:
    title: str
    links: tuple[SettingsLink, ...]


@dataclass(frozen=True, slots=True)
class SettingsPage:
    groups: tuple[SettingsGroup, ...]


@dataclass(frozen=True, slots=True)
class FormPage:
    title: str
    form: Any
    action: str
    cancel_url: str
    request_key: str
    hint: str = ""
    submit: str = "Save"
    refusal: Refusal | None = None
    danger: Act | None = None
    links: tuple[SettingsLink, ...] = ()
    affected: tuple[CaseLine, ...] = ()
    affected_title: str = ""


@dataclass(frozen=True, slots=True)
class HoursSpan:
    starts: str
    ends: str
    breaks: str = ""


@dataclass(frozen=True, slots=True)
class HoursDay:
    weekday: str
    spans: tuple[HoursSpan, ...] = ()


@dataclass(frozen=True, slots=True)
class HoursPage:
    title: str
    resource: str
    site_tabs: tuple[Tab, ...]
    days: tuple[HoursDay, ...]
    valid_from: str
    history: tuple[str, ...]
    form: Any
    action: str
    back_url: str
    refusal: Refusal | None = None
    formset: Any = None
