"""Take patients in from another system's CSV file."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml
from django.core.management.base import BaseCommand, CommandError, CommandParser

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site, User
from pain_clinic.web import now
from patients.importing import FIELDS, REQUIRED, SYNONYMS, Outcome, PatientImport
from patients.sheets import Names, Problem, SheetError, open_sheet, read_mapping, write_report

EVERY = 5_000
SHOWN = 200


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
            report = Report(stack, options["report"])
            run = PatientImport(
                home_site=site, by=actor_of(options["user"], "import_patients"), at=now(), tell=report.tell,
                date_order=options["date_order"], same_person=options["same_person"], is_dry_run=options["dry_run"],
            )  # fmt: skip
            outcome = run.run(sheet, progress_to(self.stderr))
            report.close(self.stderr)
        self.stdout.write(f"import_patients: {outcome.summary()}{' (dry run, nothing kept)' if options['dry_run'] else ''}")


def add_file_arguments(parser: CommandParser) -> None:
    parser.add_argument("file", help="CSV file with a header line")
    parser.add_argument("--dry-run", action="store_true", help="do everything, keep nothing")
    parser.add_argument("--map", default="", help="YAML or JSON file: our field to their column; and 'values' per field")
    parser.add_argument("--date-order", choices=("dmy", "mdy"), default="", help="decides dates such as 03/04/1958")
    parser.add_argument("--encoding", default="", help="encoding of the file, where the guess is wrong")
    parser.add_argument("--site", default="", help="site (its short name in addresses) where a row names none")
    parser.add_argument("--report", default="", help="CSV file for everything that was refused or left out")
    parser.add_argument("--user", default="", help="name of the member of staff who answers for this import")


def mapping_of(path: str, fields: tuple[str, ...]) -> Names | None:
    """Read the `--map` file, YAML or JSON.

    Raises:
        SheetError: it cannot be read.
    """
    if not path:
        return None
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        data = json.loads(text) if path.endswith(".json") else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SheetError(f"{path} cannot be read as a map: {error.__class__.__name__}") from error
    return read_mapping(data, fields)


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


class Report:
    """Says every problem: the first ones on standard error, all of them in the report file."""

    def __init__(self, stack: ExitStack, path: str) -> None:
        self.count = 0
        self.path = path
        self.file = stack.enter_context(Path(path).open("w", encoding="utf-8-sig", newline="")) if path else None
        self.kept: list[Problem] = []

    def tell(self, problem: Problem) -> None:
        self.count += 1
        if self.count <= SHOWN or not self.file:
            state = "row refused" if problem.is_refused else "field left out"
            print(f"line {problem.line}: {problem.field}: {problem.reason} ({state})", file=sys.stderr)
        if self.file:
            self.kept.append(problem)

    def close(self, stderr: Any) -> None:
        if self.file:
            write_report(self.file, self.kept)
            stderr.write(f"{self.count} problems written to {self.path}.")


def progress_to(stderr: Any) -> Any:
    def progress(outcome: Outcome) -> None:
        if outcome.rows % EVERY == 0:
            stderr.write(f"{outcome.rows:,} rows …")

    return progress
