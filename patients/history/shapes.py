"""What the history page shows, as its templates receive it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from patients.history.beyond import Beyond

FILTERS = {
    "": "Everything",
    "procedures": "Procedures",
    "scores": "Scores",
    "medicines": "Medicines",
    "facts": "Facts and results",
    "payer": "Payer",
    "visits": "Visits",
    "messages": "Messages",
}
SPANS = {"6m": "6 months", "1y": "1 year", "2y": "2 years", "5y": "5 years", "all": "All"}
USUAL_SPAN = "2y"
PER_PAGE = 10
WHOLE = 10**6  # entries of a page that holds all of them


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a history is asked for: kind of entry, place and side of the body, page, span of the chart, chart or table."""

    what: str = ""
    place: str = ""
    side: str = ""
    page: int = 1
    span: str = USUAL_SPAN
    is_table: bool = False
    per_page: int = PER_PAGE


@dataclass(frozen=True, slots=True)
class Act:
    """Something that can be done from here."""

    label: str
    url: str
    icon: str = ""
    is_main: bool = False


@dataclass(frozen=True, slots=True)
class Chip:
    """One thing that can hurt. `state`: `hurts` is on record, `none` was asked in vain, `unknown` was never asked."""

    kind: str
    label: str
    text: str
    state: str


@dataclass(frozen=True, slots=True)
class Relief:
    """What one session brought: percent at its best, and how long at least half lasted."""

    pct: int | None
    lasted: str
    score_count: int
    tone: str  # most, half, little or none

    @property
    def text(self) -> str:
        """Return it as staff say it."""
        if self.pct is None:
            return "not scored"
        return f"{self.pct} %" + (f" {self.lasted}" if self.lasted else "")


@dataclass(frozen=True, slots=True)
class Target:
    """A place and side that was treated: how often, and what the last session there brought."""

    place: str
    label: str
    side: str
    count: int
    last_on: date
    relief: Relief
    url: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class SpineRow:
    """One level of the drawn spine with what was done on its right, its left and in the middle."""

    level: str
    region: str
    targets: tuple[Target, ...]

    @property
    def marks(self) -> dict[str, str]:
        """Return the tone of each side that was treated."""
        return {target.side or "midline": target.relief.tone for target in self.targets}


@dataclass(frozen=True, slots=True)
class SpineRegion:
    """A region of the spine, drawn whole where anything was done in it."""

    label: str
    rows: tuple[SpineRow, ...]


@dataclass(frozen=True, slots=True)
class Map:
    """The spine and the body with what was treated."""

    regions: tuple[SpineRegion, ...]
    body: tuple[Target, ...]
    chosen: str  # in words; empty when nothing is chosen
    clear_url: str

    @property
    def is_empty(self) -> bool:
        return not self.regions and not self.body

    @property
    def targets(self) -> tuple[Target, ...]:
        """Return every place that was treated, from the head down."""
        rows = (row for region in self.regions for row in region.rows)
        return (*(target for row in rows for target in row.targets), *self.body)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline."""

    on: date
    kind: str
    title: str
    more: str = ""
    category: str = ""
    family: str = ""
    relief: Relief | None = None
    harm: str = ""
    note_url: str = ""
    note_state: str = ""
    url: str = ""
    status: str = ""
    is_bad: bool = False
    performed: UUID | None = None  # what was done, or what a score is about
    note: UUID | None = None
    case: str = ""


@dataclass(frozen=True, slots=True)
class Tab:
    label: str
    url: str
    is_current: bool
    name: str = ""


@dataclass(frozen=True, slots=True)
class Timeline:
    """One page of what happened, the latest first, and the ways to filter it."""

    entries: tuple[Entry, ...]
    tabs: tuple[Tab, ...]
    page: Any  # as `parts/pages.html` reads it
    empty: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """A sum over a window and its limit, if the clinic's tables give one."""

    label: str
    total: str
    limit: str
    share: int | None  # percent of the limit, for the bar
    is_over: bool
    notes: tuple[str, ...] = ()
    months: int = 12
    amount: float = 0
    unit: str = ""
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Medicine:
    name: str
    dose: str
    why: str
    since: date | None
    stopped_on: date | None
    is_opioid: bool
    is_thinner: bool


@dataclass(frozen=True, slots=True)
class Allowance:
    """An authorisation, with what is left of it."""

    what: str
    number: str
    state: str
    until: str
    left: str
    payer: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """The whole page."""

    title: str
    name: str
    born: date
    age: int
    sex: str
    record_number: str
    same_name: str
    died_on: date | None
    speaks: str
    acts: tuple[Act, ...]
    chips: tuple[Chip, ...]
    map: Map
    chart: Any
    spans: tuple[Tab, ...]
    as_table: Tab
    timeline: Timeline
    ledgers: tuple[Ledger, ...]
    medicines: tuple[Medicine, ...]
    past_medicines: tuple[Medicine, ...]
    mme: str
    mme_is_high: bool
    coverage: tuple[Pair, ...]
    allowances: tuple[Allowance, ...]
    beyond: Beyond
    access_url: str
    papers_url: str
    coverage_url: str
    elsewhere_url: str
    person: tuple[Pair, ...]

    @property
    def loud_chips(self) -> tuple[Chip, ...]:
        """Return what can hurt and what nobody asked."""
        return tuple(chip for chip in self.chips if chip.state != "none")

    @property
    def quiet_chips(self) -> tuple[Pair, ...]:
        """Return what was asked and is not there, of one day in one line: "Allergy, implant", "none (asked 17 Oct 2026)"."""
        told: dict[str, list[str]] = {}
        for chip in self.chips:
            if chip.state == "none":
                told.setdefault(chip.text, []).append(chip.label)
        return tuple(Pair(", ".join(labels).capitalize(), text) for text, labels in told.items())
