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
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
