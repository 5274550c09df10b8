"""Compare the stored free time with hours and allocations, and rebuild what differs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from pain_clinic import clock
from scheduling import free_time


class Command(BaseCommand):
    help = "Compare stored free time with hours and allocations; rebuild what differs. Exits 1 when something did."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="name the differences, change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            found = free_time.check_all(at=clock.now(), repair=not options["dry_run"])
        for each in found:
            stored = "missing" if each.stored is None else f"{each.stored.bit_count()} slots free"
            self.stdout.write(
                f"resource {each.resource_id} at site {each.site_id} on {each.day}: {stored}, truly {each.true.bit_count()}"
            )
        done = "left as they are" if options["dry_run"] else "rebuilt"
        self.stderr.write(f"{len(found)} rows differed{f' and were {done}' if found else ''}.")
        if found:
            raise SystemExit(1)
