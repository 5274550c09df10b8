"""The clinic's own rows of the rule tables: loaded from the files with its edits kept, and made into a book of rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from pain_clinic.errors import Refused
from procedures.models import Procedure, RuleRow
from procedures.rules.book import Book
from procedures.rules.clinic.drugs import SECOND_SET
from procedures.rules.dates import DAY
from procedures.rules.shapes import MalformedRows, date_of
from procedures.tables.files import MalformedTables, Problem, Table
from procedures.tables.reports import Change, RuleReport

# The lists of rows that rules are made of, with what names a row in each; and what stands beside the lists.
LISTS: Mapping[str, Mapping[str, str]] = {
    "payer_rules": {"payer_rule_sets": "id", "rules": "id"},
    "antithrombotics": {"conventions": "id", "drugs": "id", "lab_limits": "lab"},
    "steroids": {"drugs": "id", "rules": "id"},
    "fasting": {"minimum_hours": "intake", "glp1": "id", "escort": "id"},
}
# Conventions tell people how rows are read. This one is a choice of the clinic's, which begins as not taken.
CHOICES: Mapping[str, frozenset[str]] = {"conventions": frozenset({SECOND_SET})}
VALUES: Mapping[str, tuple[str, ...]] = {"antithrombotics": ("finding_ids", "upgrade_drug_classes")}
VALUE_SECTION = "values"
# What a row writes and a column holds.
COLUMNS = {
    "severity": "severity",
    "enabled_by_default": "is_enabled",
    "effective_from": "effective_from",
    "effective_to": "effective_to",
    "source": "source",
    "verified": "verified",
}
Key = tuple[str, str, str]


class NoTables(Refused):
    """The clinic has no rule rows yet."""


def load_rules(found: Mapping[str, Table], report: RuleReport, on: date | None = None) -> None:
    """Bring the clinic's rule rows up to the tables inside the caller's transaction; the clinic's edits stay.

    What a table corrects reaches each version of its row that has not ended on `on`; without a day, the last one.
    """
    rows: dict[Key, list[RuleRow]] = {}
    for row in RuleRow.objects.select_for_update(no_key=True).in_order():
        rows.setdefault(_key(row), []).append(row)
    fresh: list[RuleRow] = []
    written: set[Key] = set()
    listed = [*_written(found)]
    days = {(key, _first_day(values)) for key, _, values in listed}
    for key, position, values in listed:
        report.row_count += 1
        written.add(key)
        versions = rows.setdefault(key, [])
        same = [row for row in versions if _first_day(row.table_values) == _first_day(values)]
        if not versions:
            fresh.append(_put(RuleRow(table=key[0], section=key[1], row_id=key[2], table_values=values), values, position))
            report.added.append(_name(key))
        elif same:
            for row in same:
                if row is same[-1] or (on is not None and (row.effective_to is None or row.effective_to >= on)):
                    _merge(row, values, position, report)
        elif all(_first_day(row.table_values) < _first_day(values) for row in versions):
            is_named = (key, _first_day(versions[-1].table_values)) in days
            if not is_named and on is not None and _postpone(versions, values, position, report, on):
                continue
            if not _renew(versions, values, position, report):
                _merge(versions[-1], values, position, report)
        else:
            _bring_forward(versions, values, report)
            _merge(versions[-1], values, position, report)
    RuleRow.objects.bulk_create(fresh)
    left = (key for key in sorted(rows.keys() - written) if any(row.table_values for row in rows[key]))  # not the clinic's own
    report.missing.extend(map(_name, left))


def _first_day(values: Mapping[str, Any]) -> date:
    return date_of(values.get("effective_from")) or date.min


def _bring_forward(versions: Sequence[RuleRow], values: Mapping[str, Any], report: RuleReport) -> None:
    """End the version before earlier, where a newer table lets the last one begin earlier than the one loaded did."""
    begins = _first_day(values)
    if len(versions) < 2 or versions[-1].effective_from != _first_day(versions[-1].table_values):
        return  # there is none before, or the clinic has chosen the day
    before, ends = versions[-2], versions[-2].effective_to
    if ends is not None and begins <= ends and (before.effective_from or date.min) < begins:
        report.changed.append(Change(_name(_key(before)), "effective_to", ends, begins - DAY))
        before.effective_to = begins - DAY
        before.version += 1
        before.save(update_fields=["effective_to", "version"])


def _postpone(versions: Sequence[RuleRow], values: dict[str, Any], position: int, report: RuleReport, on: date) -> bool:
    """Let the last version begin later, where a newer table puts off what has not begun on `on`; say whether that was so."""
    last, old, begins = versions[-1], _first_day(versions[-1].table_values), _first_day(values)
    if not (on < old < begins and last.effective_from == old):
        return False
    _merge(last, values, position, report)
    before = versions[-2] if len(versions) > 1 else None
    if before is not None and before.effective_to == old - DAY:
        report.changed.append(Change(_name(_key(before)), "effective_to", before.effective_to, begins - DAY))
        before.effective_to = begins - DAY
        before.version += 1
        before.save(update_fields=["effective_to", "version"])
    return True


def _renew(versions: list[RuleRow], values: dict[str, Any], position: int, report: RuleReport) -> bool:
    """Take a policy with a later first day over as a new version; the last one ends the day before. Say whether there was room.

    The clinic's own values of the last version stay in the new one. There is no room where the clinic has a version of its own
    from that day on: then the table's is compared with it.
    """
    last, begins = versions[-1], _first_day(values)
    if last.effective_from is not None and begins <= last.effective_from:
        return False
    name = _name(_key(last))
    current = {key: value for key, value in written_as(last).items() if key not in ("effective_from", "effective_to")}
    loaded = {key: value for key, value in last.table_values.items() if key not in ("effective_from", "effective_to")}
    wanted = _merged(name, "", loaded, current, values, report)
    if last.effective_to is None or begins <= last.effective_to:
        report.changed.append(Change(name, "effective_to", last.effective_to, begins - DAY))
        last.effective_to = begins - DAY
        last.version += 1
        last.save(update_fields=["effective_to", "version"])
    row = RuleRow(table=last.table, section=last.section, row_id=last.row_id, table_values=values, owner=last.owner)
    _put(row, wanted, position).save()
    versions.append(row)
    report.added.append(f"{name} from {begins}")
    return True


def _written(found: Mapping[str, Table]) -> Iterator[tuple[Key, int, dict[str, Any]]]:
    for table, lists in LISTS.items():
        content = found[table].content
        for section, identity in lists.items():
            placed = enumerate(_rows(content, section, identity), start=1)
            for position, row in sorted(
                placed, key=lambda pair: (_first_day(pair[1]), pair[0])
            ):  # of a row the earlier version first
                yield (table, section, row[identity]), position, row
        for position, name in enumerate(VALUES.get(table, ()), start=1):
            yield (table, VALUE_SECTION, name), position, {"value": _plain(content[name])}


def _rows(content: Mapping[str, Any], section: str, identity: str) -> list[dict[str, Any]]:
    rows = [_plain(row) for row in content.get(section) or ()]
    if section not in CHOICES:
        return rows
    return [{"enabled_by_default": False, **row} for row in rows if row[identity] in CHOICES[section]]


def _merge(row: RuleRow, values: dict[str, Any], position: int, report: RuleReport) -> None:
    """Take over what the clinic left alone: compare the row as last loaded, as the clinic has it, and as it is now."""
    loaded = row.table_values
    wanted = _merged(_name(_key(row)), "", loaded, written_as(row), values, report)
    if loaded != values:
        row.table_values = values
        row.version += 1
        _put(row, wanted, position).save()
    elif row.position != position:  # a row that only moved down says what it said
        row.position = position
        row.save(update_fields=["position"])


def _merged(
    code: str, path: str, loaded: Mapping[str, Any], current: Mapping[str, Any], values: Mapping[str, Any], report: RuleReport
) -> dict[str, Any]:
    """Return what a row is to be: of each value the table's, unless the clinic has its own. Parts are merged for themselves."""
    wanted = dict(current)
    for name in sorted({*values, *loaded}):
        was, old, new = loaded.get(name), current.get(name), values.get(name)
        if new == old:
            continue
        place = f"{path}.{name}" if path else name
        if isinstance(was, dict) and isinstance(old, dict) and isinstance(new, dict):
            wanted[name] = _merged(code, place, was, old, new, report)
            continue
        change = Change(code, place, old, new)
        if old != was:
            report.kept.append(change)
            continue
        report.changed.append(change)
        if name in values:
            wanted[name] = new
        else:
            wanted.pop(name, None)
    return wanted


def _put(row: RuleRow, values: Mapping[str, Any], position: int) -> RuleRow:
    row.position = position
    row.data = {name: value for name, value in values.items() if name not in COLUMNS}
    row.severity = values.get("severity", "")
    row.is_enabled = values.get("enabled_by_default", True)
    row.effective_from, row.effective_to = date_of(values.get("effective_from")), date_of(values.get("effective_to"))
    row.source, row.verified = values.get("source", []), values.get("verified")
    return row


def written_as(row: RuleRow) -> dict[str, Any]:
    """Return a row in the form of the tables, with the clinic's edits."""
    written = dict(row.data)
    if row.severity:
        written["severity"] = row.severity
    if not row.is_enabled or "enabled_by_default" in row.table_values:
        written["enabled_by_default"] = row.is_enabled
    for name, day in (("effective_from", row.effective_from), ("effective_to", row.effective_to)):
        if day is not None:
            written[name] = day.isoformat()
    if row.source:
        written["source"] = row.source
    if row.verified is not None:
        written["verified"] = row.verified
    return written


def clinic_book(instead: Sequence[RuleRow] = ()) -> Book:
    """Return the book of rules that the clinic's own rows make, with `instead` in the place of the rows that they change.

    What is new among them (not yet saved) comes last in its list.

    Raises:
        NoTables: nothing was loaded yet.
        MalformedTables: an edit made a row that cannot be used; it is named.
    """
    tables: dict[str, dict[str, Any]] = {name: {section: [] for section in lists} for name, lists in LISTS.items()}
    rows = list(RuleRow.objects.in_order())
    if not rows:
        raise NoTables("no_tables", "The clinic has no rule tables yet: run manage.py load_clinical_tables.")
    changed, held = {row.pk: row for row in instead}, {row.pk for row in rows}
    for row in (*(changed.get(kept.pk, kept) for kept in rows), *(row for row in instead if row.pk not in held)):
        written = written_as(row)
        if row.section == VALUE_SECTION:
            tables[row.table][row.row_id] = written["value"]
        else:
            tables[row.table][row.section].append(written)
    tables["catalogue"] = {"procedures": [_procedure(row) for row in Procedure.objects.in_order()]}
    try:
        return Book(tables)
    except MalformedRows as error:
        problems = [Problem(fault.table, fault.row, fault.field, fault.expected) for fault in error.faults]
        raise MalformedTables(problems) from error


def _procedure(row: Procedure) -> dict[str, Any]:
    return {
        "id": row.code,
        "short_name": row.short_name,
        "family": row.family,
        "category": row.category,
        "approach": row.approach,
        "cpt": {"primary": row.cpt_primary, "add_on": row.cpt_add_on, "hcpcs": row.hcpcs},
        "regions": row.regions,
        "laterality": row.laterality,
        "guidance": {"default": row.guidance_default},
        "equipment": row.equipment,
        "steroid": row.steroid,
        "bleeding_risk": {"asra_2018": row.bleeding_class},
        "driver": row.driver,
    }


def _key(row: RuleRow) -> Key:
    return row.table, row.section, row.row_id


def _name(key: Key) -> str:
    table, section, row_id = key
    return f"{table} {section} {row_id}"


def _plain(value: Any) -> Any:
    """Return a value as JSON keeps it: dates as texts."""
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value
