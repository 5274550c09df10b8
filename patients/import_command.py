"""What the commands that take CSV files in have in common: the file, its site, who acts, and what is said meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

from django.core.management.base import BaseCommand, CommandError, CommandParser

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site, User
from patients.sheets import Sheet, SheetError, add_file_arguments, mapping_of, open_sheet


class Counted(Protocol):
    """What an import has done so far."""

    rows: int

    def summary(self) -> str:
        """Return it in words."""


class ImportCommand(BaseCommand):
    """A command that reads one CSV file and reports every row that it refuses."""

    name: ClassVar[str]
    permission: ClassVar[str]  # of who is named by --user
    every: ClassVar[int] = 5_000  # rows between two lines about the progress

    def add_arguments(self, parser: CommandParser) -> None:
        add_file_arguments(parser)

    def sheet(self, options: Mapping[str, Any], *, synonyms: Mapping[str, tuple[str, ...]], required: tuple[str, ...]) -> Sheet:
        """Open the file and say how it is read.

        Raises:
            CommandError: it cannot be read, or lacks a column.
        """
        try:
            sheet = open_sheet(
                Path(options["file"]), synonyms=synonyms, required=required, mapping=mapping_of(options["map"], tuple(synonyms)),
                encoding=options["encoding"],
            )  # fmt: skip
        except SheetError as error:
            raise CommandError(str(error)) from error
        self.stderr.write(f"Reading {sheet.path.name}: {sheet.encoding}, delimiter {sheet.delimiter!r}.")
        if sheet.ignored:
            self.stderr.write(f"Columns not used: {', '.join(sheet.ignored)}.")
        return sheet

    def site(self, slug: str) -> Site:
        """Return the site that is named, or the first.

        Raises:
            CommandError: there is none.
        """
        sites = Site.objects.active().order_by("pk")
        site = sites.filter(slug=slug).first() if slug else sites.first()
        if site is None:
            there = ", ".join(sites.values_list("slug", flat=True)) or "none yet; make one in the set-up"
            raise CommandError(f"No such site. Sites: {there}.")
        return site

    def actor(self, username: str, *permissions: str) -> Actor:
        """Return who acts; the clinic itself, with these permissions, where nobody is named.

        Raises:
            CommandError: nobody of that name works here, or may import.
        """
        if not username:
            return Actor.system(self.name, *permissions)
        user = User.objects.filter(username=username, is_active=True).first()
        if user is None:
            raise CommandError(f"There is no active member of staff named {username}.")
        actor = Actor.of_user(user)
        if not actor.may(self.permission):
            raise CommandError(f"{username} may not import.")
        return actor

    def progress(self, outcome: Counted) -> None:
        """Say now and then how far it is."""
        if outcome.rows % self.every == 0:
            self.stderr.write(f"{outcome.rows:,} rows …")

    def conclude(self, outcome: Counted, options: Mapping[str, Any]) -> None:
        """Say what became of the rows."""
        self.stdout.write(f"{self.name}: {outcome.summary()}{' (dry run, nothing kept)' if options['dry_run'] else ''}")
