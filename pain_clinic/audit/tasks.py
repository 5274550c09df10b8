"""Tasks of the trail."""

from __future__ import annotations

from celery import shared_task

from pain_clinic.audit import sealing


@shared_task(name="pain_clinic.audit.tasks.seal", ignore_result=True)
def seal() -> None:
    """Chain the events that no seal holds yet."""
    sealing.seal()
