"""Make the invented clinic that everybody can look at."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from pain_clinic.errors import DomainError
from pain_clinic.web import now
from scheduling import demo

MOST = 200_000


class Command(BaseCommand):
    help = "Make the demo clinic anew: invented sites, staff, patients and appointments. Refuses a database that holds others."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--patients", type=int, default=400, help="how many patients (default 400)")
        parser.add_argument("--seed", type=int, default=1, help="the same seed on the same day gives the same clinic (default 1)")
        parser.add_argument("--erase", action="store_true", help="first delete all other patients, appointments and resources")
        parser.add_argument("--accounts", action="store_true", help="only print the demo's accounts")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["accounts"]:
            lines = demo.accounts()
            if not lines:
                raise CommandError("There is no demo clinic in this database.")
            self.stdout.write("\n".join(lines))
            return
        if not 1 <= options["patients"] <= MOST:
            raise CommandError(f"--patients takes 1 to {MOST:,}.")
        began = time.monotonic()
        try:
            report = demo.build(
                patients=options["patients"], seed=options["seed"], at=now(), may_erase=options["erase"], tell=self._tell(options)
            )
        except DomainError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"{report.summary()}, in {time.monotonic() - began:.1f} s")

    def _tell(self, options: dict[str, Any]) -> Any:
        def tell(text: str) -> None:
            if options["verbosity"]:
                self.stderr.write(text)

        return tell
