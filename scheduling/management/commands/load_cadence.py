"""`manage.py load_cadence`: write the starting values of when messages leave that are missing."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from pain_clinic import clock
from pain_clinic.accounts.actors import Actor
from scheduling import cadence


class Command(BaseCommand):
    help = "Write the starting values of the cadence that are missing; what the clinic changed stays."

    def handle(self, *_args: Any, **_options: Any) -> None:
        made = cadence.load_defaults(by=Actor.system("load_cadence"), at=clock.now())
        self.stdout.write(f"cadence: {made} steps new")
