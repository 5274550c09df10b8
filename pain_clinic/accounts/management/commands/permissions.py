"""Print who may what: the content of `docs/permissions.csv`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from pain_clinic.accounts import matrix


class Command(BaseCommand):
    help = "Print docs/permissions.csv as the code has it: role x permission, then role x operation. With --check, compare."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="print nothing; exit 1 when the file differs")

    def handle(self, *_args: Any, **options: Any) -> None:
        wanted = matrix.table()
        if not options["check"]:
            self.stdout.write(wanted, ending="")
            return
        kept = Path(settings.BASE_DIR) / "docs" / "permissions.csv"
        differing = set(wanted.splitlines()) ^ set(kept.read_text(encoding="utf-8").splitlines())
        if differing:
            shown = "\n".join(sorted(differing)[:20])
            remedy = "python3 dev.py manage permissions > docs/permissions.csv"
            raise CommandError(f"docs/permissions.csv is not what the code says; after looking, run `{remedy}`:\n{shown}")
