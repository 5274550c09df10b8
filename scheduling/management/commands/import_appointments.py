"""Take appointments in from another system's CSV file."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site, User
from pain_clinic.web import now
from patients.sheets import Report, SheetError, add_file_arguments, mapping_of, open_sheet
from scheduling.importing import FIELDS, REQUIRED, SYNONYMS, AppointmentImport, Outcome

EVERY = 1_000


class Command(BaseCommand):
    help = "Take appointments in from a CSV file: those to come are booked, past ones become history, the rest is reported."

    def add_arguments(self, parser: CommandParser) -> None:
        add_file_arguments(parser)
        parser.add_argument("--tell-patients", action="store_true", help="send confirmations for what is booked by this import")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            sheet = open_sheet(
                Path(options["file"]), synonyms=SYNONYMS, required=REQUIRED, mapping=mapping_of(options["map"], FIELDS),
                encoding=options["encoding"],
            )  # fmt: skip
        except SheetError as error:
            raise CommandError(str(error)) from error
        self.stderr.write(f"Reading {sheet.path.name}: {sheet.encoding}, delimiter {sheet.delimiter!r}.")
        if sheet.ignored:
            self.stderr.write(f"Columns not used: {', '.join(sheet.ignored)}.")
        site = _site(options["site"])
        self.stderr.write(f"Site where a row names none: {site.name}, {site.time_zone}.")
        with ExitStack() as stack:
            report = Report(stack, options["report"], self.stderr)
            run = AppointmentImport(
                site=site, by=_actor(options["user"]), at=now(), tell=report.tell, date_order=options["date_order"],
                is_dry_run=options["dry_run"], tells_patients=options["tell_patients"],
            )  # fmt: skip
            outcome = run.run(sheet, self._progress)
            report.close()
        self.stdout.write(f"import_appointments: {outcome.summary()}{' (dry run, nothing kept)' if options['dry_run'] else ''}")

    def _progress(self, outcome: Outcome) -> None:
        if outcome.rows % EVERY == 0:
            self.stderr.write(f"{outcome.rows:,} rows …")


def _site(slug: str) -> Site:
    sites = Site.objects.active().order_by("pk")
    site = sites.filter(slug=slug).first() if slug else sites.first()
    if site is None:
        raise CommandError(f"No such site. Sites: {', '.join(sites.values_list('slug', flat=True)) or 'none yet'}.")
    return site


def _actor(username: str) -> Actor:
    if not username:
        return Actor.system("import_appointments")
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise CommandError(f"There is no active member of staff named {username}.")
    actor = Actor.of_user(user)
    if not actor.may("scheduling.import_appointments"):
        raise CommandError(f"{username} may not import.")
    return actor
