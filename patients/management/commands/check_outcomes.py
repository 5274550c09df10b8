"""Compute anew what the scores say of each performed procedure, and write what differs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from patients import outcomes


class Command(BaseCommand):
    help = "Compute the outcome of every performed procedure anew from its scores; say how many were otherwise."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{outcomes.check()} outcomes were otherwise and have been written.")
