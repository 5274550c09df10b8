"""Make an API token for a member of staff."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from pain_clinic import clock
from pain_clinic.accounts import staff
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User


class Command(BaseCommand):
    help = "Make an API token and print its secret once, on standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", metavar="USER", help="user name")
        parser.add_argument("--label", default="command line", help="what the token is for")

    def handle(self, *_args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"], is_active=True).first()
        if user is None:
            raise CommandError(f"there is no active user {options['user']}")
        label = options["label"][:60]
        token, secret = staff.make_token(user=user, label=label, by=Actor.system("create_token"), at=clock.now())
        self.stderr.write(f"Token {token} for {user.username}; it is shown this once.")
        self.stdout.write(secret)
