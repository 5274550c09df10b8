"""Say which languages patients are offered and how much of each is translated; compile a translation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import to_locale

from pain_clinic import catalogues, languages


class Command(BaseCommand):
    help = "List the languages of patients, how much of each is translated, and why one is not offered."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--missing", metavar="CODE", help="print the texts that a language has not translated")
        parser.add_argument(
            "--compile", metavar="CODE", help="make locale/CODE/LC_MESSAGES/django.mo from its django.po; restart to offer it"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["compile"]:
            self._compile(options["compile"])
            return
        found = languages.look()
        if options["missing"]:
            one = next((each for each in found if each.language.code == options["missing"]), None)
            if one is None:
                raise CommandError(f"There is no translation for {options['missing']}.")
            for text in one.missing:
                self.stdout.write(text)
            self.stderr.write(f"{len(one.missing)} of {one.total} not translated")
            return
        if all(one.language.code != languages.ENGLISH for one in found):
            self.stdout.write("en  English  as written  offered")
        for one in found:
            done = f"{one.total - len(one.missing)} of {one.total}, {one.percent} %"
            state = "offered" if one.is_offered else f"not offered: {'; '.join(one.problems)}"
            self.stdout.write(f"{one.language.code}  {one.language.name}  {done}  {state}")
            if one.remark:
                self.stderr.write(f"{one.language.code}: {one.remark}; compile it with --compile {one.language.code}")

    def _compile(self, code: str) -> None:
        places = [Path(path) / to_locale(code) / languages.FILE for path in settings.LOCALE_PATHS]
        place = next((one for one in places if one.with_suffix(".po").is_file()), None)
        if place is None:
            raise CommandError(f"There is no {places[0].with_suffix('.po')}.")
        try:
            words = catalogues.read_source(place.with_suffix(".po").read_text(encoding="utf-8"))
        except (catalogues.Unreadable, UnicodeDecodeError) as error:
            raise CommandError(f"{place.with_suffix('.po')}: {error}") from error
        if wrong := catalogues.faults(words):
            raise CommandError("Not compiled; what is there stays:\n" + "\n".join(wrong))
        place.write_bytes(catalogues.compiled(words))
        self.stdout.write(f"{place}: {sum(1 for key in words if key)} texts. Restart web, worker and beat.")
