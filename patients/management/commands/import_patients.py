"""Take patients in from another system's CSV file."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site, User
from pain_clinic.web import now
from patients.importing import FIELDS, REQUIRED, SYNONYMS, Outcome, PatientImport
from patients.sheets import Report, SheetError, add_file_arguments, mapping_of, open_sheet

EVERY = 5_000


class Command(BaseCommand):
    help = "Take patients in from a CSV file; who is known by external id is amended, what cannot go in is reported."

    def add_arguments(self, parser: CommandParser) -> None:
        add_file_arguments(parser)
        parser.add_argument(
            "--same-person", choices=("refuse", "link", "new"), default="refuse",
            help="a row with the name and birth date of somebody known under another id: refuse it (default), link it to a "
            "record that has no external id, or take it as a new person",
        )  # fmt: skip

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
        site = site_of(options["site"])
        self.stderr.write(f"Home site where a row names none: {site.name}.")
        with ExitStack() as stack:
            report = Report(stack, options["report"], self.stderr)
            run = PatientImport(
                home_site=site, by=actor_of(options["user"], "import_patients"), at=now(), tell=report.tell,
                date_order=options["date_order"], same_person=options["same_person"], is_dry_run=options["dry_run"],
            )  # fmt: skip
            outcome = run.run(sheet, progress_to(self.stderr))
            report.close()
        self.stdout.write(f"import_patients: {outcome.summary()}{' (dry run, nothing kept)' if options['dry_run'] else ''}")


def site_of(slug: str) -> Site:
    sites = Site.objects.active().order_by("pk")
    site = sites.filter(slug=slug).first() if slug else sites.first()
    if site is None:
        there = ", ".join(sites.values_list("slug", flat=True)) or "none yet; make one in the set-up"
        raise CommandError(f"No such site. Sites: {there}.")
    return site


def actor_of(username: str, command: str) -> Actor:
    if not username:
        return Actor.system(command)
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise CommandError(f"There is no active member of staff named {username}.")
    actor = Actor.of_user(user)
    if not actor.may("patients.import_patients"):
        raise CommandError(f"{username} may not import.")
    return actor


def progress_to(stderr: Any) -> Any:
    def progress(outcome: Outcome) -> None:
        if outcome.rows % EVERY == 0:
            stderr.write(f"{outcome.rows:,} rows …")

    return progress
