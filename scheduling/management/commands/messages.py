"""`manage.py messages`: what is in the queue, as a plan or in numbers; `--send` sends what is due; `--restored` keeps it back."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import UTC, date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Count, Q

from pain_clinic.accounts.models import Site
from scheduling import messages
from scheduling.intervals import local_day, zone_of
from scheduling.models import Message


def meant(text: str) -> date | datetime:
    """Return the day, or the ISO instant with its offset, that a text names."""
    try:
        if len(text) == len("2026-11-24"):
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError("--as-of takes a day such as 2026-11-24 or an instant such as 2026-11-24T09:00:00+00:00.") from error
    if moment.tzinfo is None:
        raise CommandError("--as-of: an instant needs its offset, such as 2026-11-24T09:00:00-05:00.")
    return moment.astimezone(UTC)


def waiting(as_of: date | datetime | None) -> Q:
    """Say which messages would go out: those not done before and due until then; without a day all that are not done.

    A day is that of each case's site: what is due there until its midnight, and was not done before it began.
    """
    if as_of is None:
        return Q(done_at=None)
    if isinstance(as_of, datetime):
        return Q(due_at__lte=as_of) & (Q(done_at=None) | Q(done_at__gte=as_of))
    found = Q(pk__in=[])
    for zone in Site.objects.order_by("time_zone").values_list("time_zone", flat=True).distinct():
        day = local_day(as_of, zone_of(zone))
        unfinished = Q(done_at=None) | Q(done_at__gte=day.starts_at)
        found |= Q(appointment__site__time_zone=zone, due_at__lt=day.ends_at) & unfinished
    return found


class Command(BaseCommand):
    help = "Show the messages that are due (--plan, --json), or send what is due now (--send)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--plan", action="store_true", help="a line per message: instant, kind, appointment id, state")
        parser.add_argument(
            "--as-of",
            metavar="D",
            help="what goes out until the end of this day at its site, or until this instant (default: all that waits)",
        )
        parser.add_argument("--json", action="store_true", help="the plan as JSON")
        parser.add_argument(
            "--restored", action="store_true",
            help="after restoring a back-up, before the worker starts: what is due now counts as not sent and waits for the desk",
        )  # fmt: skip
        parser.add_argument("--send", action="store_true", help="send what is due now")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["send"]:
            tally = messages.sweep()
            self.stdout.write(", ".join(f"{count} {outcome}" for outcome, count in sorted(tally.items())) or "nothing due")
        elif options["restored"]:
            self.stdout.write(f"{messages.skip_due(until=messages.database_now())} messages left to the desk")
        elif options["plan"]:
            self.plan(meant(options["as_of"]) if options["as_of"] else None, as_json=options["json"])
        else:
            counts = Message.objects.order_by("state").values_list("state").annotate(count=Count("pk"))
            self.stdout.write(", ".join(f"{count} {state}" for state, count in counts) or "no messages")

    def plan(self, as_of: date | datetime | None, *, as_json: bool) -> None:
        rows = Message.objects.filter(waiting(as_of)).order_by("due_at", "pk")
        found = [
            {
                "at": due_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
                "kind": kind,
                "appointment": str(appointment),
                "state": state,
            }
            for due_at, kind, appointment, state in rows.values_list("due_at", "kind", "appointment__public_id", "state")
        ]
        if as_json:
            self.stdout.write(json.dumps(found, indent=2))
            return
        for row in found:
            self.stdout.write(f"{row['at']} {row['kind']} {row['appointment']} {row['state']}")
        self.stderr.write(f"{len(found)} messages")
