"""Load the clinical tables into the clinic's own rows, keeping what the clinic changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from procedures.catalogue import needs_now, put_needs, tidy
from procedures.models import ClinicalTable, Procedure
from procedures.tables.courses import load_pathways
from procedures.tables.derived import values_of
from procedures.tables.files import DATA, MalformedTables, Problem, Table, book_of_files, read
from procedures.tables.reports import Change, Report, told
from procedures.tables.rows import NoTables, clinic_book, load_rules, written_as

__all__ = [
    "DATA",
    "Change",
    "MalformedTables",
    "NoTables",
    "Problem",
    "Report",
    "book_of_files",
    "clinic_book",
    "load",
    "read",
    "told",
    "written_as",
]

# Held to the end of the transaction, so that two loads stand in line. Any fixed number will do.
LOAD_LOCK = 7_305_501


LAST_TO_END = timezone(timedelta(hours=-12))  # where a day ends last: what has ended there is over everywhere


class _DryRun(Exception):
    """Carries a dry run out of its transaction, which is thereby undone."""


def load(*, by: Actor, at: datetime, folder: Path = DATA, is_dry_run: bool = False) -> Report:
    """Bring the clinic's rows up to the tables of a folder, all or nothing, and say what changed.

    A field that the clinic changed stays as the clinic has it, until the table agrees with it. Running it again
    changes nothing. A dry run does the same work and undoes it.

    Raises:
        MalformedTables: a file cannot be read as it is; nothing is loaded.
    """
    found = read(folder)
    report = Report()
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOAD_LOCK])
            _load_catalogue(found["catalogue"], found["short_names"], report)
            load_rules(found, report.rules, at.astimezone(LAST_TO_END).date())
            families = frozenset(row["family"] for row in found["catalogue"].content["procedures"])
            load_pathways(found["pathways"], folder, families, report.pathways, at)
            for table in found.values():
                _record_table(table, at, report)
            if report.did_something and not is_dry_run:
                counts = {"added": len(report.added), "changed": len(report.changed), "kept": len(report.kept)}
                counts |= {"rules_added": len(report.rules.added), "rules_changed": len(report.rules.changed)}
                counts |= {"pathways_added": len(report.pathways.added), "pathways_changed": len(report.pathways.changed)}
                digests = {table.name: table.digest[:16] for table in found.values()}
                trail.record(by=by, act="procedures.load_tables", details={**counts, "digests": digests})
            if is_dry_run:
                raise _DryRun
    except _DryRun:
        pass
    return report


def _load_catalogue(table: Table, ours: Table, report: Report) -> None:
    names: Mapping[str, str] = ours.content["short_names"]
    extra: Mapping[str, list[str]] = ours.content.get("extra_equipment", {})
    rows = {row.code: row for row in Procedure.objects.select_for_update(no_key=True).order_by("pk")}
    report.row_count = len(table.content["procedures"])
    for position, entry in enumerate(table.content["procedures"], start=1):
        code = entry["id"]
        values = values_of(
            entry,
            position=position,
            short_name=names.get(code) or entry["name"][:32],
            extra_equipment=extra.get(code, ()),
        )
        values["needs"] = tidy(values["needs"])
        row = rows.pop(code, None)
        if row is None:
            _add(code, values)
            report.added.append(code)
        else:
            _merge(row, values, report)
    report.missing.extend(code for code, row in sorted(rows.items()) if not row.is_retired)


def _add(code: str, values: dict[str, Any]) -> None:
    fields = {name: value for name, value in values.items() if name != "needs"}
    put_needs(Procedure.objects.create(code=code, table_values=values, **fields), values["needs"])


def _merge(row: Procedure, values: dict[str, Any], report: Report) -> None:
    """Take over what the clinic left alone: compare the table as last loaded, the row, and the table now."""
    loaded = row.table_values
    touched: list[str] = []
    for name, new in values.items():
        current = needs_now(row) if name == "needs" else getattr(row, name)
        if current == new:
            continue
        is_edited = name in loaded and current != loaded[name]
        # Offering a retired procedure is nobody's wish, whatever the table says.
        if is_edited or (name == "is_offered" and row.is_retired):
            report.kept.append(Change(row.code, name, current, new))
            continue
        report.changed.append(Change(row.code, name, current, new))
        if name == "needs":
            put_needs(row, new)
        else:
            setattr(row, name, new)
            touched.append(name)
    if loaded != values:
        row.table_values = values
        row.version += 1
        row.save(update_fields=[*touched, "table_values", "version"])


def _record_table(table: Table, at: datetime, report: Report) -> None:
    values = {
        "version": table.version,
        "reviewed_on": table.reviewed_on,
        "digest": table.digest,
        "row_count": table.row_count,
    }
    row = ClinicalTable.objects.filter(name=table.name).first()
    if row is None:
        ClinicalTable.objects.create(name=table.name, loaded_at=at, **values)
        report.tables.append(f"{table.name} {table.version}, {table.row_count} rows, {table.digest[:12]} (new)")
    elif row.digest != table.digest:
        report.tables.append(f"{table.name} {row.version} {row.digest[:12]} -> {table.version} {table.digest[:12]}")
        for name, value in {**values, "loaded_at": at}.items():
            setattr(row, name, value)
        row.save(update_fields=[*values, "loaded_at"])
