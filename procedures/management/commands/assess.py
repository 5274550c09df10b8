"""`manage.py assess CASES.yaml [--tables DIR]`: judge written cases by the rule tables and print one JSON document."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import BaseCommand, CommandParser

from pain_clinic.accounts.models import Site
from procedures import cases, tables
from procedures.rules.book import Book

MALFORMED = 2
# Where nothing else says so: no time zone in the file, and no clinic to ask.
ZONE = "America/New_York"


class Command(BaseCommand):
    help = "Judge written cases by the rule tables; the format is that of docs/cases.md."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="a YAML file of cases")
        parser.add_argument("--tables", type=Path, help="a folder with the tables' files, instead of the clinic's own rows")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            book, zone = self._book(options["tables"])
            answer = cases.assess_file(options["file"], book, zone=zone)
        except (cases.MalformedCases, tables.MalformedTables) as error:
            for problem in error.problems:
                self.stderr.write(str(problem))
            sys.exit(MALFORMED)
        self.stdout.write(json.dumps(answer, indent=2, ensure_ascii=False))

    def _book(self, folder: Path | None) -> tuple[Book, ZoneInfo]:
        if folder is not None:
            return tables.book_of_files(folder), ZoneInfo(ZONE)
        site = Site.objects.order_by("pk").first()
        zone = ZoneInfo(site.time_zone if site else ZONE)
        try:
            return tables.clinic_book(), zone
        except tables.NoTables as nothing:
            self.stderr.write(f"{nothing.message} Judged by the tables that come with the program.")
            return tables.book_of_files(), zone
