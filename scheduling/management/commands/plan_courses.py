"""`manage.py plan_courses`: plan every course, or with `--dry-run` say what would change as of a day."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from pain_clinic import clock
from scheduling import courses


class Command(BaseCommand):
    help = "Say what planning all courses as of a day would change (--dry-run), a line per changed course; or plan them now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--as-of", metavar="D", help="the day, such as 2026-11-24 (default: today at each course's site)")
        parser.add_argument("--dry-run", action="store_true", help="write nothing: id, step, earliest, ideal, latest, or reason")
        parser.add_argument("--json", action="store_true", help="the same as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        if not options["dry_run"]:
            if options["as_of"]:
                raise CommandError("--as-of goes with --dry-run: courses are planned as things stand now.")
            tally = courses.plan_all(at=clock.now())
            self.stdout.write(f"{tally.planned} planned, {tally.changed} changed, {tally.failed} failed")
            return
        found = courses.rehearse(at=clock.now(), day=_day(options["as_of"]))
        if options["json"]:
            told = [courses.as_json(fresh) for fresh in found]
            self.stdout.write(json.dumps(told, indent=2))
            return
        count = 0
        for line in courses.lines(found):
            self.stdout.write(line)
            count += 1
        self.stderr.write(f"{count} would change")


def _day(text: str | None) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CommandError("--as-of takes a day such as 2026-11-24.") from error
