"""Take past procedures or scores in from another system's CSV file."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.web import now
from patients.importing_history import PERMISSIONS, REQUIRED, SYNONYMS, HistoryImport
from patients.sheets import Report, SheetError, add_file_arguments, mapping_of, open_sheet


class Command(BaseCommand):
    name, permissions = "import_history", PERMISSIONS
    synonyms: Mapping[str, Mapping[str, tuple[str, ...]]] = SYNONYMS
    required: Mapping[str, tuple[str, ...]] = REQUIRED
    imports: type[HistoryImport] = HistoryImport
    help = "Take past procedures, or scores, in from a CSV file; what is there already stays as it is, the rest is reported."

    def add_arguments(self, parser: CommandParser) -> None:
        add_file_arguments(parser)
        parser.add_argument("--what", choices=sorted(self.synonyms), required=True, help="what the rows of the file are")

    def handle(self, *args: Any, **options: Any) -> None:
        what = options["what"]
        try:
            sheet = open_sheet(
                Path(options["file"]), synonyms=self.synonyms[what], required=self.required[what],
                mapping=mapping_of(options["map"], tuple(self.synonyms[what])), encoding=options["encoding"],
            )  # fmt: skip
        except SheetError as error:
            raise CommandError(str(error)) from error
        self.stderr.write(f"Reading {sheet.path.name}: {sheet.encoding}, delimiter {sheet.delimiter!r}.")
        if sheet.ignored:
            self.stderr.write(f"Columns not used: {', '.join(sheet.ignored)}.")
        with ExitStack() as stack:
            report = Report(stack, options["report"], self.stderr)
            run = self.imports(
                what=what, by=self._actor(options["user"]), at=now(), tell=report.tell, date_order=options["date_order"],
                is_dry_run=options["dry_run"],
            )  # fmt: skip
            outcome = run.run(sheet)
            report.close()
        self.stdout.write(f"{self.name}: {outcome.summary()}{' (dry run, nothing kept)' if options['dry_run'] else ''}")

    def _actor(self, username: str) -> Actor:
        if not username:
            return Actor.system(self.name, *self.permissions)
        user = User.objects.filter(username=username, is_active=True).first()
        if user is None:
            raise CommandError(f"There is no active member of staff named {username}.")
        actor = Actor.of_user(user)
        if not actor.may("patients.import_history"):
            raise CommandError(f"{username} may not import.")
        return replace(actor, permissions=actor.permissions | set(self.permissions))
