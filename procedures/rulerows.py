"""The clinic's rows of the rule tables as its manager reads and changes them: what may be edited, and the verb that does it.

A manager sets what a row weighs, when it holds, whether it is on, and its figures. What a row means is code.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from pain_clinic.errors import Conflict, Forbidden, Refused
from procedures.families import name_of
from procedures.models import RuleRow, RuleSeverity
from procedures.rulelists import chosen
from procedures.rules.book import Book
from procedures.rules.clinic.drugs import SECOND_SET
from procedures.rules.dates import DAY
from procedures.rules.rows import plain
from procedures.tables import MalformedTables, clinic_book, written_as

CHANGE = "procedures.change_rules"
COLUMNS = ("severity", "is_enabled", "effective_from", "effective_to")
# Lists of rows that say something by themselves; the others are words and names that these rows use.
SECTIONS = frozenset({"conventions", "rules", "drugs", "lab_limits", "minimum_hours", "glp1", "escort"})
# Figures that tell about a drug and decide nothing.
TOLD_ONLY = frozenset({"half_life_hours_about"})
PERIODS = frozenset({"months", "weeks", "years"})  # a window of none of them would count nothing and say so to nobody
WORDS = {
    "applies_to": "speaks of", "restart_after": "restart", "hold_before": "hold", "severity": "weight", "is_enabled": "switched",
    "enabled_by_default": "switched", "effective_from": "holds from", "effective_to": "holds until",
}  # fmt: skip
# What kinds of rows are called: the types of payers' rules, and lists of rows that have no words of their own.
KINDS = {
    "combined": "Several conditions together", "coverage_with_study": "Covered only in a study",
    "diagnosis_list": "Diagnosis codes", "documentation": "Scores on file",
    "dose_ceiling_per_session": "Highest dose in a session", "episode_reset": "When a new episode begins",
    "extended_treatment_review": "Review of long treatment", "guidance_prohibited": "Guidance not covered",
    "guidance_required": "Guidance required", "initial_criteria": "Before a first session",
    "level_limit": "Levels in a session", "lifetime_cap": "Limit in a lifetime", "min_interval": "Interval between sessions",
    "modifier_hint": "Billing modifier", "no_predetermined_series": "No series fixed in advance", "noncovered": "Not covered",
    "noncovered_indication": "Indications not covered", "one_region_per_session": "One region a session",
    "prerequisite_procedures": "What must have gone before", "prerequisite_response": "Relief by what went before",
    "prior_authorization": "Authorisation by the payer", "repeat_limit": "Limit on repeats",
    "repeat_response": "Relief before a repeat", "rescue_repeat": "Repeat after too little relief",
    "same_day_exclusion": "Not on the same day", "sedation_review": "Sedation", "session_cap": "Limit on sessions",
    "site_of_service": "Place of service", "staleness": "When earlier blocks no longer count", "technique": "Technique",
    "unit_limit": "Units billed", "window_definition": "How a plan year is counted", "escort": "Driver",
    "lab_limits": "Laboratory limit", "minimum_hours": "Hours of fasting",
}  # fmt: skip
SWITCH = ("is_enabled", "enabled_by_default")
TABLES = "the tables"
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2200, 12, 31)  # on which a new version may begin
Values = Mapping[str, float | str | list[str]]


class MayNotChange(Forbidden):
    def __init__(self) -> None:
        super().__init__("may_not_change_rules", "You may see the rules but not change them.")


class RuleChanged(Conflict):
    def __init__(self, row: RuleRow) -> None:
        super().__init__(
            "stale",
            "Somebody else changed this rule in the meantime, or a newer table was loaded. Look at it again, then save.",
            {"version": row.version},
        )


class UnusableRow(Refused):
    """With these values the rules could not be read."""

    def __init__(self, told: str, field: str = "") -> None:
        super().__init__("unusable", told, {"field": field})


@dataclass(frozen=True, slots=True)
class Choice:
    """A row that chooses between two sets of rules instead of saying something itself: the sets with it off and on."""

    title: str
    off: str
    on: str
    told: str

    def word(self, is_enabled: object) -> str:
        """Return what the set is called that is taken."""
        return self.on if is_enabled else self.off


CHOICES: Mapping[str, Choice] = {
    SECOND_SET: Choice(
        "Rule set for blood thinners: low-risk lumbar and sacral procedures",
        "ASRA guideline",
        "IPSIS",
        "With IPSIS, a blood thinner that the table holds before a low-risk lumbar or sacral procedure is decided on by "
        "clinician and prescriber together, and the case waits until that is recorded. Low-risk is what is still low when "
        "several drugs and the patient's own risk are counted in. Everything else stays as the ASRA guideline has it. "
        "A decision counts for its day: on another it waits again until it is confirmed for that or made anew.",
    )
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a row: where it stands in it, what it is called, what the clinic has and what the table says."""

    path: str
    label: str
    value: int | float
    table: int | float | None


def figures(row: RuleRow) -> list[Figure]:
    """Return the figures of a row that decide something, in its order."""
    loaded = dict(_leaves(row.table_values))
    return [Figure(path, label(path), value, loaded.get(path)) for path, value in _leaves(row.data)]


def unheld(row: RuleRow) -> list[str]:
    """Return where a blood thinner's row would hold days if it were held: for the bleeding classes in which it is not."""
    held = row.data.get("hold_before")
    classes = held.items() if isinstance(held, Mapping) else ()
    return [f"hold_before.{name}.days" for name, hold in classes if not {"hours", "days"} & hold.keys()]


def edits(row: RuleRow) -> list[tuple[str, str, str]]:
    """Return what the clinic has otherwise than the table: the name, the clinic's value, the table's."""
    now, loaded = written_as(row), row.table_values
    if not loaded:  # a rule of the clinic's own
        return []
    found = [
        (_named(row, name), _told_of(row, name, now.get(name)), _told_of(row, name, loaded.get(name)))
        for name in ("severity", "enabled_by_default", "effective_from", "effective_to")
        if now.get(name) != loaded.get(name)
    ]
    before = dict(_leaves(loaded))
    here = [(path, value) for path, value in _leaves(row.data) if before.get(path) != value]
    found += [(label(path), _told(value), _told(before.get(path))) for path, value in here]
    said = {path: value for path, value, _ in chosen(loaded)}
    others = [(path, value) for path, value, _ in chosen(row.data) if set(said.get(path, ())) != set(value)]
    return found + [(label(path), _told([*value]), _told([*said.get(path, ())])) for path, value in others]


def title(row: RuleRow) -> str:
    """Return what a row is about, as people say it; its id is for files and lists."""
    if row.row_id in CHOICES:
        return CHOICES[row.row_id].title
    said = row.data.get("rule") or row.data.get("drug") or row.data.get("name")
    if said:
        return str(said).removesuffix(".")
    code = str(row.data.get("type") or row.section)
    kind = KINDS.get(code) or plain(code).capitalize()
    about = ", ".join(families_of(row)) or (plain(row.row_id) if "type" not in row.data else "")
    return f"{kind}: {about}" if about else kind


def state(row: RuleRow) -> str:
    """Return whether a row is on, or which rule set it chooses."""
    return _told_of(row, "is_enabled", row.is_enabled)


def figures_told(row: RuleRow) -> str:
    """Return the first figures of a row in one line."""
    return ", ".join(f"{figure.label} {figure.value}" for figure in figures(row)[:3])


def families_of(row: RuleRow) -> list[str]:
    """Return the names of the families that a row speaks of."""
    return [name_of(str(family)) for family in row.data.get("applies_to", ())]


def proposed(row: RuleRow, changes: Mapping[str, Any], values: Values) -> RuleRow:
    """Return an unsaved copy of a row with changes, of which all can be read.

    Raises:
        UnusableRow: the rules could not be read with it.
    """
    copy = RuleRow(**{field.attname: getattr(row, field.attname) for field in RuleRow._meta.concrete_fields})
    for name in COLUMNS:
        if name in changes:
            setattr(copy, name, changes[name])
    if bool(copy.severity) != bool(row.severity):
        raise UnusableRow("This row has no weight of its own." if copy.severity else "Say how much it weighs.", "severity")
    if copy.effective_from and copy.effective_to and copy.effective_to < copy.effective_from:
        raise UnusableRow("It cannot end before it begins.", "effective_to")
    copy.data = deepcopy(row.data)
    for path, value in values.items():
        if isinstance(value, (int, float)) and value <= 0 and path.rpartition(".")[2] in PERIODS:
            raise UnusableRow(f"{label(path)}: a period is longer than nothing.")
        _put(copy.data, path, value)
    return copy


def renewed(row: RuleRow, changes: Mapping[str, Any], values: Values, *, starts_on: date) -> tuple[RuleRow, RuleRow]:
    """Return unsaved copies: the row as it ends, and its new version with changes for cases from a date of service on.

    Raises:
        UnusableRow: it cannot begin then, or the rules could not be read with it.
    """
    if not FIRST_DAY <= starts_on <= LAST_DAY:
        raise UnusableRow(f"Choose a day from {FIRST_DAY.year} to {LAST_DAY.year}.", "starts_on")
    if row.effective_from is not None and starts_on <= row.effective_from:
        told = f"This version itself begins on {row.effective_from}. Choose a later day, or correct it."
        raise UnusableRow(told, "starts_on")
    if row.effective_to is not None and starts_on > row.effective_to:
        raise UnusableRow(
            f"This version ends on {row.effective_to}. Choose a day before, or change the one after it.", "starts_on"
        )
    new = proposed(row, {**changes, "effective_from": starts_on}, values)
    new.pk, new.public_id, new.version = None, uuid.uuid4(), 1
    return proposed(row, {"effective_to": starts_on - DAY}, {}), new


def wanted(row: RuleRow, changes: Mapping[str, Any], values: Values, *, starts_on: date | None) -> tuple[RuleRow, ...]:
    """Return unsaved copies of a row as it is to be: two where it is followed by a new version, else one.

    Raises:
        UnusableRow: the rules could not be read with it.
    """
    return (proposed(row, changes, values),) if starts_on is None else renewed(row, changes, values, starts_on=starts_on)


def book_with(rows: Sequence[RuleRow]) -> Book:
    """Return the clinic's book of rules with rows as they are proposed.

    Raises:
        UnusableRow: the rules could not be read with it; the first field that is wrong is named.
    """
    try:
        return clinic_book(instead=rows)
    except MalformedTables as error:
        first = error.problems[0]
        raise UnusableRow(f"{first.row} {first.field}: expected {first.expected}.", first.field) from error


def change(
    *, row: RuleRow, changes: Mapping[str, Any], values: Values, version: int, by: Actor, at: datetime,
    starts_on: date | None = None,
) -> RuleRow:  # fmt: skip
    """Change a row of the rules; the row history keeps what it was, and a newer table keeps what the clinic has.

    `values` holds what is set within the row by where it stands: figures, lists of words, single words.

    With a first date of service the present version ends the day before and a new one is returned: what was decided before
    stays decided by what held then. Without one the version itself is corrected. Without any difference nothing is written.
    Coming cases are asked again by the worker, since the rules are others.

    Raises:
        MayNotChange: the actor may not.
        RuleChanged: `version` is not the present one.
        UnusableRow: the rules could not be read with it.
    """
    if not by.may(CHANGE):
        raise MayNotChange
    with transaction.atomic():
        kept = RuleRow.objects.select_for_update(no_key=True).get(pk=row.pk)
        if kept.version != version:
            raise RuleChanged(kept)
        changed = _changed(kept, proposed(kept, changes, values))
        if not changed:
            return kept
        now, *later = wanted(kept, changes, values, starts_on=starts_on)
        book_with([now, *later])
        written = _changed(kept, now)
        for name in written:
            setattr(kept, name, getattr(now, name))
        kept.owner_id, kept.version = by.user_id, kept.version + 1
        kept.save(update_fields=[*written, "owner", "version"])
        for new in later:
            new.owner_id = by.user_id
            new.save(force_insert=True)
        last = later[0] if later else kept
        details = {"rule": kept.row_id, "fields": changed, "version": kept.version, "from": starts_on and starts_on.isoformat()}
        trail.record(by=by, act="procedures.change_rule", subject=last, details=details)
        return last


def _changed(row: RuleRow, wanted: RuleRow) -> list[str]:
    return sorted(name for name in (*COLUMNS, "data") if getattr(row, name) != getattr(wanted, name))


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a row as its history tells it. `by` is who made it: a person, or the tables when they were loaded."""

    at: datetime
    version: int
    by: str
    changes: tuple[tuple[str, str, str], ...]


def versions(row: RuleRow) -> list[Version]:
    """Return how a row became what it is, newest first: each version with who made it, when, and what it changed."""
    history: Any = RuleRow._meta.get_field("events").related_model
    events = history._default_manager.filter(pgh_obj_id=row.pk).select_related("owner").order_by("pgh_created_at", "pgh_id")
    found: list[Version] = []
    last: Any = None
    for event in events:
        now, before = _all_of(event), _all_of(last)
        changes = () if last is None else tuple(
            (_named(row, name), _told_of(row, name, before.get(name)), _told_of(row, name, now.get(name)))
            for name in dict.fromkeys((*before, *now))
            if before.get(name) != now.get(name)
        )  # fmt: skip
        # A load of the tables moves what they say; who edits never does.
        is_loaded = event.owner is None if last is None else event.table_values != last.table_values
        if last is None or changes:
            who = TABLES if is_loaded or event.owner is None else event.owner.shown_name
            found.append(Version(event.pgh_created_at, event.version, who, changes))
        last = event
    return found[::-1]


def _all_of(event: Any) -> dict[str, Any]:
    """Return everything in one version of a row that may differ from another, by where it stands."""
    if event is None:
        return {}
    columns = {name: getattr(event, name) for name in (*COLUMNS, "verified")}
    sources = "; ".join(str(one.get("title") or "") for one in event.source or ())
    return columns | dict(_everything(event.data)) | {"source": sources}


def _everything(held: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Give every value in a row with where it stands; a list of words is one value."""
    if isinstance(held, Mapping):
        for name, inner in held.items():
            yield from _everything(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(held, list) and any(isinstance(one, (Mapping, list)) for one in held):
        for place, inner in enumerate(held):
            yield from _everything(inner, f"{path}.{place}")
    else:
        yield path, held


def _leaves(held: Any, path: str = "") -> Iterator[tuple[str, int | float]]:
    """Give every figure in a row with where it stands."""
    if isinstance(held, Mapping):
        for name, inner in held.items():
            if name not in TOLD_ONLY:
                yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(held, list):
        for place, inner in enumerate(held):
            yield from _leaves(inner, f"{path}.{place}")
    elif isinstance(held, (int, float)) and not isinstance(held, bool):
        yield path, held


def _put(data: dict[str, Any], path: str, value: float | str | list[str]) -> None:
    *steps, last = path.split(".")
    held: Any = data
    for step in steps:
        held = held[int(step)] if isinstance(held, list) else held[step]
    key: Any = int(last) if isinstance(held, list) else last
    # What the table writes as a whole number stays one, so that nothing differs without a difference.
    held[key] = int(value) if isinstance(value, float) and value.is_integer() else value


def label(path: str) -> str:
    """Return how people read where something stands in a row."""
    parts = [WORDS.get(part, plain(part)) for part in path.split(".") if part != "params"]
    return " ".join(f"({int(part) + 1})" if part.isdigit() else part for part in parts)


def _named(row: RuleRow, name: str) -> str:
    return "rule set" if name in SWITCH and row.row_id in CHOICES else label(name)


def _told_of(row: RuleRow, name: str, value: Any) -> str:
    choice = CHOICES.get(row.row_id) if name in SWITCH else None
    return _told(value, name) if choice is None else choice.word(value)


def _told(value: Any, name: str = "") -> str:
    if name == "severity" and value:
        return str(RuleSeverity(value).label).lower()
    if isinstance(value, bool):
        return ("on" if value else "off") if name in SWITCH else "yes" if value else "no"
    if value is None or value in ("", []):
        return "none"
    if isinstance(value, list):
        return ", ".join(name_of(str(one)) for one in value)  # what is no family is told by its own words
    return value.isoformat() if isinstance(value, date) else str(value)
