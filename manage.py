#!/usr/bin/env python
"""Run Django's commands; those that change the schema run as the database's owner."""

import os
import sys

OWNER_COMMANDS = frozenset(
    {
        "migrate",
        "makemigrations",
        "prepare",
        "demo",
        "test",
        "flush",
        "sqlflush",
        "pgtrigger",
        "showmigrations",
        "squashmigrations",
    }
)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pain_clinic.settings")
    if len(sys.argv) > 1 and sys.argv[1] in OWNER_COMMANDS:
        os.environ.setdefault("CLINIC_DATABASE_ROLE", "owner")
    if len(sys.argv) > 1 and sys.argv[1] == "assess" and any(word.split("=")[0] == "--tables" for word in sys.argv[2:]):
        # Judging cases by files needs no database; the address only has to be there, nothing is ever asked of it.
        os.environ.setdefault("DATABASE_URL", "postgres://nobody@%2Fnonexistent/none")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
