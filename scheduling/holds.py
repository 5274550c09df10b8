"""Keep an opening for ten minutes while somebody fills in the form."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from patients.models import Patient
from procedures.models import Procedure
from scheduling.availability import Opening
from scheduling.booking import RulesRefused, Target, staging, taking
from scheduling.booking.words import guarded
from scheduling.models import Allocation, Hold


def hold(
    *,
    procedure: Procedure,
    target: Target,
    opening: Opening,
    by: Actor,
    at: datetime,
    patient: Patient | None = None,
) -> Hold:
    """Take the opening's resources until ten minutes from now; others see them taken.

    Raises:
        SlotTaken: somebody has one of them.
        RulesRefused: the opening does not fit the procedure, or lies outside hours.
        Busy: a lock was not to be had within two seconds.
    """
    with guarded(), transaction.atomic():
        stage = staging.stage(patient, procedure, target, opening, at)
        board = staging.look(stage, at)
        findings = staging.fitness(stage, board.lacking, at)
        if findings:
            raise RulesRefused(findings, findings)
        times = stage.times
        made = Hold.objects.create(
            procedure=procedure,
            patient=patient,
            site=stage.site,
            side=target.side,
            levels=list(target.levels),
            regions=list(stage.regions),
            guidance=stage.guidance,
            sedation=target.sedation,
            arrives_at=times.arrives_at,
            starts_at=times.starts_at,
            procedure_ends_at=times.ends_at,
            leaves_at=times.leaves_at,
            held_by_id=by.user_id,
            held_at=at,
            ends_at=at + timedelta(minutes=settings.HOLD_MINUTES),
        )
        taking.take(board, at=at, hold=made)
        _record("scheduling.hold", made, by)
        return made


def release(*, hold: Hold, by: Actor, at: datetime) -> Hold:
    """Give a hold's resources back. Releasing it twice, or after it was booked, changes nothing."""
    with guarded(), transaction.atomic():
        kept = _give_back(hold.pk, at)
        if kept is not None:
            _record("scheduling.release", kept, by)
        return kept or Hold.objects.get(pk=hold.pk)


def sweep(*, at: datetime, limit: int = 200) -> int:
    """Tidy up holds that have ended, each in its own transaction; return how many."""
    ended = Hold.objects.filter(released_at__isnull=True, ends_at__lte=at).order_by("ends_at", "pk")
    swept = 0
    for pk in list(ended.values_list("pk", flat=True)[:limit]):
        with guarded(), transaction.atomic():
            swept += _give_back(pk, at) is not None
    return swept


def _give_back(pk: int, at: datetime) -> Hold | None:
    own = Allocation.objects.filter(hold=pk, released_at__isnull=True, appointment__isnull=True).order_by("pk")
    staging.lock_resources(own.values_list("resource_id", flat=True))
    kept = Hold.objects.select_for_update(no_key=True).get(pk=pk)
    if kept.released_at is not None:
        return None
    kept.released_at = at
    kept.save(update_fields=["released_at"])
    taking.give_back(list(own), at)
    return kept


def _record(act: str, hold: Hold, by: Actor) -> None:
    trail.record(by=by, act=act, subject=hold, patient=hold.patient.public_id if hold.patient else None, site_id=hold.site_id)
