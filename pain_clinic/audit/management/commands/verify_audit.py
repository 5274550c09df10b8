"""Prove that the trail is as it was written."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from pain_clinic.audit import sealing


class Command(BaseCommand):
    help = "Walk the chain of seals and compare it with the head file; exit 1 and name the place when it does not hold."

    def handle(self, *_args: Any, **_options: Any) -> None:
        verdict = sealing.verify()
        seconds = round(verdict.unsealed_for.total_seconds())
        self.stdout.write(f"{verdict.sealed} sealed, {verdict.unsealed} unsealed, oldest unsealed for {seconds} s")
        if verdict.fault:
            raise CommandError(f"the audit trail does not hold: {verdict.fault}", returncode=1)
        self.stdout.write("the audit trail holds")
