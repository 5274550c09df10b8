"""Bring the instants of cases to come back to their promised wall time, after new zone data."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from pain_clinic import clock
from pain_clinic.accounts.actors import Actor
from scheduling import retiming


class Command(BaseCommand):
    help = "Recompute the instants of cases to come from local date, time and zone; list what changes. Exits 1 on a clash."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="list what would change, change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        found = retiming.retime(by=Actor.system("retime"), at=clock.now(), is_dry_run=options["dry_run"])
        for each in found:
            before, after = (moment.astimezone(UTC).isoformat(timespec="minutes") for moment in (each.before, each.after))
            why = f"; left as it is: {each.why_not}" if each.why_not else ""
            self.stdout.write(f"{each.public_id} {each.on} {each.clock} {each.zone}: {before} -> {after}{why}")
        left = sum(1 for each in found if each.why_not)
        done = "would change" if options["dry_run"] else "changed, their patients are told"
        self.stderr.write(f"{len(found) - left} cases {done}; {left} clash and stay.")
        if left:
            raise SystemExit(1)
