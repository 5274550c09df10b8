"""Take past procedures or scores in from another system's CSV file."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from django.core.management.base import CommandParser

from pain_clinic.web import now
from patients.import_command import ImportCommand
from patients.importing_history import PERMISSIONS, REQUIRED, SYNONYMS, HistoryImport
from patients.sheets import Report


class Command(ImportCommand):
    name, permission, permissions = "import_history", "patients.import_history", PERMISSIONS
    synonyms: Mapping[str, Mapping[str, tuple[str, ...]]] = SYNONYMS
    required: Mapping[str, tuple[str, ...]] = REQUIRED
    imports: type[HistoryImport] = HistoryImport
    help = "Take past procedures, or scores, in from a CSV file; what is there already stays as it is, the rest is reported."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--what", choices=sorted(self.synonyms), required=True, help="what the rows of the file are")

    def handle(self, *args: Any, **options: Any) -> None:
        what = options["what"]
        sheet = self.sheet(options, synonyms=self.synonyms[what], required=self.required[what])
        actor = self.actor(options["user"], *self.permissions)
        with ExitStack() as stack:
            report = Report(stack, options["report"], self.stderr)
            run = self.imports(
                what=what, by=replace(actor, permissions=actor.permissions | set(self.permissions)), at=now(), tell=report.tell,
                date_order=options["date_order"], is_dry_run=options["dry_run"],
                site=self.site(options["site"]) if options["site"] else None,
            )  # fmt: skip
            outcome = run.run(sheet, self.progress)
            report.close()
        self.conclude(outcome, options)
