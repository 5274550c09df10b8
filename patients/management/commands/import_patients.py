"""Take patients in from another system's CSV file."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from django.core.management.base import CommandParser

from pain_clinic.web import now
from patients.import_command import ImportCommand
from patients.importing import REQUIRED, SYNONYMS, PatientImport
from patients.sheets import Report


class Command(ImportCommand):
    name, permission = "import_patients", "patients.import_patients"
    help = "Take patients in from a CSV file; who is known by external id is amended, what cannot go in is reported."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--same-person", choices=("refuse", "link", "new"), default="refuse",
            help="a row with the name and birth date of somebody known under another id: refuse it (default), link it to a "
            "record that has no external id, or take it as a new person",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        sheet = self.sheet(options, synonyms=SYNONYMS, required=REQUIRED)
        site = self.site(options["site"])
        self.stderr.write(f"Home site where a row names none: {site.name}.")
        with ExitStack() as stack:
            report = Report(stack, options["report"], self.stderr)
            run = PatientImport(
                home_site=site, by=self.actor(options["user"]), at=now(), tell=report.tell, date_order=options["date_order"],
                same_person=options["same_person"], is_dry_run=options["dry_run"],
            )  # fmt: skip
            outcome = run.run(sheet, self.progress)
            report.close()
        self.conclude(outcome, options)
