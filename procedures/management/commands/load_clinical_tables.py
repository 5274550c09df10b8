"""`manage.py load_clinical_tables`: bring the catalogue up to the clinical tables and print the difference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from pain_clinic.accounts.actors import Actor
from pain_clinic.web import now
from procedures import tables


class Command(BaseCommand):
    help = "Load the clinical tables, keep the clinic's own edits, and print what changed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="print what would change and change nothing")
        parser.add_argument("--from", dest="folder", type=Path, default=tables.DATA, help="folder with the tables' files")

    def handle(self, *args: Any, **options: Any) -> None:
        by = Actor.system("load_clinical_tables")
        try:
            report = tables.load(by=by, at=now(), folder=options["folder"], is_dry_run=options["dry_run"])
        except tables.MalformedTables as error:
            for problem in error.problems:
                self.stderr.write(str(problem))
            raise CommandError(f"Nothing was loaded: {len(error.problems)} problem(s), listed above.") from error
        lines = report.lines()
        if len(report.added) == report.row_count:
            lines = [line for line in lines if not line.startswith("added")]
        for line in lines if options["verbosity"] else []:
            self.stdout.write(line)
        prefix = "Dry run, nothing changed. " if options["dry_run"] else ""
        self.stdout.write(f"{prefix}{report.rules.summary()}.")
        self.stdout.write(f"{prefix}{report.pathways.summary()}.")
        self.stdout.write(f"{prefix}{report.summary()}.")
