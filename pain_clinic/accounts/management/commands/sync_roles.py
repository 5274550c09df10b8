"""Make the roles in the database equal to those in the code."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from pain_clinic.accounts import roles


class Command(BaseCommand):
    help = "Make groups and their permissions equal to pain_clinic/accounts/roles.py."

    def handle(self, *_args: Any, **_options: Any) -> None:
        changed, unknown = roles.sync_roles()
        if unknown:
            raise CommandError(f"no such permission in the database: {', '.join(unknown)} (run migrate first)")
        self.stdout.write(f"{len(roles.ROLES)} roles, {changed} changed")
