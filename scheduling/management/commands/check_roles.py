"""List completed cases whose record has another role than their booking, and let the records say what the booking said."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from pain_clinic import clock
from pain_clinic.accounts.actors import Actor
from patients import amending
from scheduling import visits


class Command(BaseCommand):
    help = "List sessions on record as diagnostic that were booked as therapeutic, or the other way round; --apply amends them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--apply", action="store_true", help="amend them, with the reason; without it nothing is changed")

    def handle(self, *args: Any, **options: Any) -> None:
        by, at = Actor.system("check_roles", amending.RECORD), clock.now()
        found = list(visits.other_roles())
        if options["apply"]:
            found = [visits.take_over(found=one, by=by, at=at) for one in found]
        for one in found:
            said = f"{one.said}{' (usual)' if one.is_usual else ''}"
            stays = f"; stays: {one.why_not}" if one.why_not else ""
            where = f"{one.case} {one.record_number} {one.on} {one.procedure}"
            self.stdout.write(f"{where}: booked as {said}, on record as {one.recorded}{stays}")
        left = sum(1 for one in found if one.why_not)
        done = "amended" if options["apply"] else "would be amended"
        self.stderr.write(f"{len(found) - left} sessions {done}; {left} stay as they are.")
