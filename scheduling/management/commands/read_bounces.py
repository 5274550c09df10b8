"""`manage.py read_bounces`: read what has come back to the bounce mailbox."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from pain_clinic import clock
from scheduling import bounces


class Command(BaseCommand):
    help = "Read the bounce mailbox (BOUNCE_MAILBOX, or --mailbox) once, as the worker does every five minutes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--mailbox", default="", metavar="ADDRESS", help="maildir:///path or imaps://user:password@host/INBOX"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        if not (options["mailbox"] or settings.BOUNCE_MAILBOX):
            raise CommandError("BOUNCE_MAILBOX is not set; name a mailbox with --mailbox.")
        tally = bounces.sweep(at=clock.now(), address=options["mailbox"])
        if tally["trouble"]:
            raise CommandError("The mailbox cannot be read; the log says why.")
        self.stdout.write(", ".join(f"{count} {outcome}" for outcome, count in sorted(tally.items())) or "nothing unread")
