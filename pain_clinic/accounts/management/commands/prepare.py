"""Bring the database to what this release needs; run by the schema's owner."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand, CommandError

from pain_clinic.audit import grants


class Command(BaseCommand):
    help = "Migrate, give the application's role exactly what it needs, sync the roles, load the clinical tables and the cadence."

    def handle(self, *_args: Any, **options: Any) -> None:
        verbosity = int(options["verbosity"])
        if not settings.IS_OWNER:
            raise CommandError("prepare runs as the schema's owner: set CLINIC_DATABASE_ROLE=owner and DATABASE_OWNER_URL")
        call_command("migrate", interactive=False, verbosity=max(0, verbosity - 1))
        granted = grants.give(grants.application_role())
        call_command("sync_roles", stdout=self.stdout)
        for name in ("load_clinical_tables", "load_cadence"):
            if name in get_commands():
                call_command(name, stdout=self.stdout)
        self.stdout.write(f"prepared: {granted} tables granted")
