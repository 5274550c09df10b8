"""Home, lists, a patient's panels and the pages of set-up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scheduling.agenda.shapes.cases import MessageLine
from scheduling.agenda.shapes.parts import Act, CaseLine, Choice, Page, Pair, Refusal, Tab


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
    shows_cases: bool
    empty: str
    empty_url: str
    empty_act: str
    alerts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """The part of a patient's page that scheduling fills."""

    upcoming: tuple[CaseLine, ...] = ()
    past: tuple[CaseLine, ...] = ()
    book_url: str = ""
    messages: tuple[MessageLine, ...] = ()
    title: str = ""
    patient_url: str = ""
    page: Page | None = None


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
class MessageGroup:
    """Messages under one heading; without a title they need none."""

    title: str
    lines: tuple[MessageLine, ...]


@dataclass(frozen=True, slots=True)
class MessagePage:
    title: str
    tabs: tuple[Tab, ...]
    kinds: tuple[Choice, ...]
    state: str
    groups: tuple[MessageGroup, ...]
    above: Tab | None  # the way up the line of time, and the way down
    below: Tab | None
    empty: str

    @property
    def messages(self) -> tuple[MessageLine, ...]:
        return tuple(line for group in self.groups for line in group.lines)


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
    back_label: str = "Set-up"
    links: tuple[SettingsLink, ...] = ()


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
class HoursDate:
    """A date with hours of its own."""

    on: str
    told: str
    reason: str
    url: str


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
    dates: tuple[HoursDate, ...] = ()
    day_form: Any = None
    day_url: str = ""
