"""Take facts about patients, their coverage and authorisations in from another system's CSV file."""

from __future__ import annotations

from patients.importing_facts import PERMISSIONS, REQUIRED, SYNONYMS, FactImport
from patients.management.commands import import_history


class Command(import_history.Command):
    name, synonyms, required, permissions, imports = "import_facts", SYNONYMS, REQUIRED, PERMISSIONS, FactImport
    help = (
        "Take facts, coverage or authorisations in from a CSV file; what is there already stays as it is, the rest is reported."
    )
