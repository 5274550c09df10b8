"""Tasks of staff accounts."""

from __future__ import annotations

from celery import shared_task

from pain_clinic import clock
from pain_clinic.accounts import tidying


@shared_task(name="pain_clinic.accounts.tasks.tidy", ignore_result=True)
def tidy() -> None:
    """Remove ended sessions, old request keys and old kept input."""
    tidying.tidy(at=clock.now())
