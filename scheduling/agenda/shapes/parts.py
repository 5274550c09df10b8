"""Small parts that many pages share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
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
class Wait:
    """What a case waits for of one kind: whose work it is, by when, and each thing in words."""

    title: str
    role: str
    due: datetime
    texts: tuple[str, ...]
    ways: tuple[Pair, ...] = ()  # label and address of the pages on which whoever looks can see to it


@dataclass(frozen=True, slots=True)
class Change:
    field: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What somebody else did to a case while it was on this person's screen."""

    at: datetime
    who: str
    act: str
    changes: tuple[Change, ...] = ()
    whose: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What happened, what was kept, what to do."""

    code: str
    title: str
    message: str
    kept: str = ""
    next_act: str = ""
    lines: tuple[Line, ...] = ()
    changes: tuple[Meanwhile, ...] = ()


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
