"""What the clock starts: ask again about whom a fact has changed, and every night and when rules change about all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from pain_clinic import clock
from pain_clinic.accounts.models import Site
from pain_clinic.errors import Busy
from patients.models import FactChange, Patient
from procedures import rulebook
from scheduling import deaths, waiting
from scheduling.booking import staging
from scheduling.booking.words import guarded
from scheduling.models import AWAY, BEFORE_ARRIVAL, NOT_IN_THE_ROOM, Appointment, DeskTask, RuleCheck, TaskOutcome
from scheduling.rechecking.alone import Pass, leave
from scheduling.rechecking.asking import BY, WAITING_IN_HOUSE, Asked, recheck
from scheduling.rechecking.saying import ask_in_house

BATCH = 50  # cases that are asked about in one transaction, whose patients are locked meanwhile
AT_ONCE = 200  # changed facts that are looked at in one go
BUDGET = timedelta(seconds=45)  # for one call; the next goes on
NIGHT = time(2)
LATE = timedelta(days=1)  # who waits in the house longer than that was let go, and nobody said so
Ends = tuple[type[Exception], ...]
log = structlog.get_logger(__name__)


def follow_changes(
    *, at: datetime, budget: timedelta = BUDGET, now: Callable[[], datetime] = clock.now, ended_by: Ends = ()
) -> Asked:
    """Ask again about the cases of everybody about whom a fact has changed; one patient's failure stops no other's.

    Each patient is a transaction; one that broke down keeps its word, comes after the others and is asked again next time.
    What breaks down on several in a row stops here and is told once. `ended_by` is what the caller's time limit raises: like a
    cancelled statement it ends the call, and nobody is said to be at fault.
    """
    was_broken = Exists(FactChange.objects.broken().filter(patient=OuterRef("patient")))
    queue = FactChange.objects.filter(done_at=None).order_by("failures", "pk")[:AT_ONCE]
    ends, going = now() + budget, Pass(at, ended_by)
    for patient, is_again in dict(queue.values_list("patient_id", was_broken)).items():
        going.ask(patient, lambda patient=patient, is_again=is_again: _follow(patient, going, is_again))  # type: ignore[misc]
        if going.is_over or now() >= ends:
            break
    going.finish()
    return going.total


def _follow(patient: int, going: Pass, is_again: bool) -> Asked:
    """Ask about a patient's coming cases; `is_again`, since it broke down before, also about those that are no longer to come."""
    at = going.at
    (locked,) = staging.lock_patients([patient]).values()
    deaths.follow(patient=locked, at=at)
    step = recheck([patient], at=at)
    words = FactChange.objects.filter(patient=patient, done_at=None)
    if not is_again:
        words.filter(failures=0).update(done_at=at)  # should it have broken down elsewhere meanwhile, that is for the next call
    elif _could_be_asked(locked, going):
        words.update(done_at=at)
    else:  # page and board go on saying so
        leave([patient], at, is_last=True)
        step += Asked(failed=1)
    return step


def _could_be_asked(patient: Patient, going: Pass) -> bool:
    """Ask about the cases that `recheck` leaves alone though nobody is in the room yet; say whether that went well for all.

    Where it did not, no task is opened and it is no one of five in a row: page and board say it to who sees the patient.
    """
    went_well = True
    for case in _begun_unasked(patient, going.at):
        try:
            with transaction.atomic():
                ask_in_house(appointment=case, by=BY, at=going.at)
        except Busy:
            raise
        except Exception as error:
            if going.is_end(error):
                raise
            log.error("recheck_broke_down", patient=str(patient.public_id), exc_info=error)
            went_well = False
    return went_well


def _begun_unasked(patient: Patient, at: datetime) -> QuerySet[Appointment]:
    """Return the cases whose patient has arrived, or should have, and is not in the room: also late, but not for ever."""
    is_on = Q(leaves_at__gt=at) | Q(status__in=WAITING_IN_HOUSE, leaves_at__gt=at - LATE)
    not_coming = ~Q(status__in=BEFORE_ARRIVAL) | Q(starts_at__lte=at)
    mine = Appointment.objects.filter(patient=patient, status__in=NOT_IN_THE_ROOM, is_history=False)
    return mine.filter(is_on, not_coming).order_by("pk")


def check_all(*, at: datetime, budget: timedelta = BUDGET, now: Callable[[], datetime] = clock.now, ended_by: Ends = ()) -> Asked:
    """Ask about every coming case once a night, and once more when rules were changed; go on where the last call stopped.

    Batch by batch, each its own transaction with the place it came to, so a kill costs one batch and memory stays flat.
    `ended_by` is as for `follow_changes`.
    """
    run = _under_way(at)
    ends, going = now() + budget, Pass(at, ended_by)
    while run is not None and _next_batch(run.pk, going) and not going.is_over and now() < ends:
        pass
    going.finish()
    return going.total


def _under_way(at: datetime) -> RuleCheck | None:
    """Return the run under way, or begin one if the night's is due or the rules are not those of the last one."""
    with transaction.atomic():
        last = RuleCheck.objects.select_for_update(skip_locked=True).order_by("-pk").first()
        if last is not None and last.done_at is None:
            return last
        if last is None and RuleCheck.objects.exists():
            return None  # another worker has it
        stamp = repr(rulebook.read_stamp())
        is_night = last is None or last.begun_at < _last_night(at)
        if last is not None and not is_night and last.stamp == stamp:
            return None
        return RuleCheck.objects.create(begun_at=at, because="night" if is_night else "rules", stamp=stamp)


def _last_night(at: datetime) -> datetime:
    site = Site.objects.active().order_by("pk").first()
    zone = ZoneInfo(site.time_zone if site is not None else "UTC")
    local = at.astimezone(zone)
    begins = datetime.combine(local.date(), NIGHT, tzinfo=zone)
    return begins if begins <= local else datetime.combine(local.date() - timedelta(days=1), NIGHT, tzinfo=zone)


def _next_batch(run: int, going: Pass) -> bool:
    """Ask about the next cases of a run; False when there are none left or another worker has it."""
    at = going.at
    with guarded(), transaction.atomic():
        row = RuleCheck.objects.select_for_update(skip_locked=True).filter(pk=run, done_at=None).first()
        if row is None:
            return False
        coming = Appointment.objects.filter(status__in=BEFORE_ARRIVAL, is_history=False, starts_at__gt=at, pk__gt=row.cursor)
        batch = list(coming.order_by("pk").values_list("pk", "patient_id")[:BATCH])
        if not batch:
            row.done_at = at
            row.save(update_fields=["done_at"])
            _tidy(at)
            return False
        before = going.total
        _ask_batch(batch, going)
        row.cursor = batch[-1][0]
        row.seen += going.total.seen - before.seen
        row.changed += going.total.changed - before.changed
        row.failed += going.total.failed - before.failed
        row.save(update_fields=["cursor", "seen", "changed", "failed"])
        return True


def _ask_batch(batch: Sequence[tuple[int, int]], going: Pass) -> None:
    """Ask about cases (key and patient) at once; if that breaks down, patient by patient, and note on whom it does.

    Of whom nobody was asked when the pass ends, a word is left: the next call goes on behind them.
    """
    cases: dict[int, list[int]] = defaultdict(list)
    for case, patient in batch:
        cases[patient].append(case)
    try:
        with transaction.atomic():
            step = recheck(cases, at=going.at, cases=[case for case, _ in batch])
    except Exception as error:  # on one of them; on whom shows when each is asked about alone
        if going.is_end(error):
            going.end(cases, error)
            return
        log.warning("recheck_batch_broke_down", count=len(batch), exc_info=error)
    else:
        going.went_well(step)
        return
    left = sorted(cases)  # in key order, as patients are locked
    while left and not going.is_over:
        patient = left.pop(0)
        going.ask(patient, lambda patient=patient: recheck([patient], at=going.at, cases=cases[patient]))  # type: ignore[misc]
    leave(left, going.at)


def _tidy(at: datetime) -> None:
    """Close what cases that are over or away still had open."""
    left = DeskTask.objects.filter(done_at=None, kind__in=waiting.READINESS)
    for over in (left.filter(appointment__status__in=AWAY), left.filter(appointment__leaves_at__lte=at)):
        DeskTask.objects.filter(pk__in=list(over.values_list("pk", flat=True))).update(outcome=TaskOutcome.NOT_NEEDED, done_at=at)
