"""Take appointments in from another system's CSV file."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from django.core.management.base import CommandParser

from pain_clinic.web import now
from patients.import_command import ImportCommand
from patients.sheets import Report
from scheduling.importing import REQUIRED, SYNONYMS, AppointmentImport


class Command(ImportCommand):
    name, permission, every = "import_appointments", "scheduling.import_appointments", 1_000
    help = "Take appointments in from a CSV file: those to come are booked, past ones become history, the rest is reported."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--tell-patients", action="store_true", help="send confirmations for what is booked by this import")

    def handle(self, *args: Any, **options: Any) -> None:
        sheet = self.sheet(options, synonyms=SYNONYMS, required=REQUIRED)
        site = self.site(options["site"])
        self.stderr.write(f"Site where a row names none: {site.name}, {site.time_zone}.")
        with ExitStack() as stack:
            report = Report(stack, options["report"], self.stderr)
            run = AppointmentImport(
                site=site, by=self.actor(options["user"]), at=now(), tell=report.tell, date_order=options["date_order"],
                is_dry_run=options["dry_run"], tells_patients=options["tell_patients"],
            )  # fmt: skip
            outcome = run.run(sheet, self.progress)
            report.close()
        self.conclude(outcome, options)
