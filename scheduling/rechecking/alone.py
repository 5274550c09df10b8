"""Go through patients one by one: whose rules break down stops no other, and what breaks down on all stops the pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from django.db import connection, transaction
from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet

from pain_clinic.accounts.models import Site
from pain_clinic.errors import Busy, sqlstate
from patients.models import FactChange, Patient
from scheduling import desk_tasks, waiting
from scheduling.booking.words import guarded
from scheduling.models import BEFORE_ARRIVAL, Appointment, DeskTask, TaskKind, TaskRole
from scheduling.rechecking.asking import BY, Asked

AGAIN = "recheck"  # the kind of a change that is none: the rules broke down and are asked again
IN_A_ROW = 5  # patients one after another on whom it breaks down: it is not them, and the pass stops
TOO_OFTEN = 3  # times that it took too long, or broke down: after that it is this patient, not the hour
CANCELLED = "57014"  # the database ended a statement that took too long, or somebody had it ended
NOT_ASKED = (
    "The rules could not be asked about this case: the product broke down on what is on file, or took too long. "
    "Look at it by hand."
)
DOWN = (
    f"The rules broke down on {IN_A_ROW} patients one after another, this one among them, so that asking stopped there. Coming "
    "cases may lack what speaks against them; those tried say on their page that they could not be asked about. It is tried "
    "again by itself every minute; whoever runs the product finds the reason in its log (recheck_broke_down)."
)
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Pass:
    """One going through patients. `ended_by` are what else than a cancelled statement says that its time is over.

    `broken` are those, one after another, on whom it broke down and about whom nobody was told yet; `known` those of them
    on whom it did so in a pass before. `is_up`: the rules could be asked about somebody, so the product is not down as such.
    """

    at: datetime
    ended_by: tuple[type[Exception], ...] = ()
    total: Asked = field(default_factory=Asked)
    broken: list[Patient] = field(default_factory=list)
    known: set[int] = field(default_factory=set)
    is_up: bool = False
    is_over: bool = False

    def ask(self, patient: int, ask: Callable[[], Asked]) -> None:
        """Ask about one patient in a transaction of its own; if that fails, leave the word that it is to be done again."""
        try:
            with guarded(), transaction.atomic():
                step = ask()
        except Busy as error:  # somebody has the patient in hand
            log.warning("recheck_failed", code=error.code)
            leave([patient], self.at)
        except Exception as error:  # one patient on whom the rules break down must not stop the others; counted and shown
            if self.is_end(error):
                self.end([patient], error)
                return
            held = Patient.objects.get(pk=patient)
            log.error("recheck_broke_down", patient=str(held.public_id), exc_info=error)
            self._broke_down(held)
        else:
            self.went_well(step)

    def went_well(self, step: Asked) -> None:
        """Count what was asked. If that was about any case, it was them on whom it broke down before, and they are told of."""
        self.total += step
        if step.seen:
            self.is_up = True
            self.tell()

    def is_end(self, error: Exception) -> bool:
        """Say whether this is no fault of a patient's: time is over, or the database is too slow just now."""
        return isinstance(error, self.ended_by) or sqlstate(error) == CANCELLED

    def end(self, patients: Iterable[int], error: Exception) -> None:
        """Stop here; these patients are asked about later, after the others. One on whom it always ends is told of."""
        log.warning("recheck_ended", exc_info=error)
        self.is_over = True
        meant = list(patients)
        is_too_often = len(meant) == 1 and _failures(meant[0]) >= TOO_OFTEN
        leave(meant, self.at, is_last=True)
        if is_too_often:
            with guarded(), transaction.atomic():
                _tell_of(Patient.objects.get(pk=meant[0]), self.at)

    def _broke_down(self, held: Patient) -> None:
        """Count it. Of whom all is told already says nothing new: neither is it counted nor does it end a row."""
        if _failures(held.pk):
            self.known.add(held.pk)
        leave([held.pk], self.at, is_last=True)
        self.total += Asked(failed=1)
        if _is_told(held, self.at):
            return
        self.broken.append(held)
        if len(self.broken) >= IN_A_ROW:
            self._stop()

    def _stop(self) -> None:
        """Tell the managers, not of each case: it is not them. Beside some who are known, it is those who are new.

        Of the known themselves is told once the rules can be asked about anybody else. No case is left that looks ready
        (`FactChange.broken`).
        """
        self.is_over = True
        _tell_managers(self.broken, self.at)
        told = [held for held in self.broken if self.is_up or held.pk not in self.known]
        self.broken = told if any(held.pk in self.known for held in self.broken) else []
        self.tell()

    def tell(self) -> None:
        """Open the tasks about those on whom it broke down: it was them, for it did not break down on the next."""
        for held in self.broken:
            with guarded(), transaction.atomic():
                _tell_of(held, self.at)
        self.broken = []

    def finish(self) -> None:
        """Tell of those who are left; when nobody waits on whom it broke down, the managers' tasks are done."""
        self.tell()
        down = DeskTask.objects.filter(kind=TaskKind.RULES_DOWN, done_at=None)
        if not self.is_over and down.exists() and not FactChange.objects.broken().exists():
            desk_tasks.end(down, by=BY, at=self.at)


def ask_alone(patient: int, at: datetime, ask: Callable[[], Asked]) -> Asked:
    """Ask about one patient; if that breaks down, leave the word that it is to be done again, and the tasks that say so."""
    going = Pass(at)
    going.ask(patient, ask)
    going.tell()
    return going.total


def leave(patients: Iterable[int], at: datetime, *, is_last: bool = False) -> None:
    """Leave the word that patients are to be asked about again; `is_last`: after all others."""
    wanted = list(patients)
    with guarded(), transaction.atomic():
        held = FactChange.objects.filter(patient__in=wanted, done_at=None)
        there = set(held.values_list("patient_id", flat=True))
        FactChange.objects.bulk_create(  # for the rules, not for the planner
            FactChange(patient_id=patient, kind=AGAIN, at=at, planned_at=at) for patient in wanted if patient not in there
        )
        if is_last:
            held.update(failures=F("failures") + 1)


def _failures(patient: int) -> int:
    """Return how often the rules could not be asked about a patient since something changed."""
    return FactChange.objects.broken().filter(patient=patient).aggregate(most=Max("failures"))["most"] or 0


def _told_already(at: datetime) -> Q:
    """Return which tasks say it already: open ones, and those that somebody closed within a day."""
    return Q(done_at=None) | Q(done_by__isnull=False, done_at__gt=at - waiting.AT_LEAST)


def _coming(patients: Iterable[Patient], at: datetime) -> QuerySet[Appointment]:
    return Appointment.objects.filter(patient__in=patients, status__in=BEFORE_ARRIVAL, is_history=False, starts_at__gt=at)


def _untold(patient: Patient, at: datetime) -> QuerySet[Appointment]:
    """Return the coming cases of a patient of which no task says that they could not be asked about."""
    told = DeskTask.objects.filter(_told_already(at), kind=TaskKind.RULES, appointment=OuterRef("pk"), note__contains=NOT_ASKED)
    return _coming([patient], at).exclude(Exists(told))


def _is_told(patient: Patient, at: datetime) -> bool:
    return _coming([patient], at).exists() and not _untold(patient, at).exists()


def _tell_of(patient: Patient, at: datetime) -> None:
    """Open a task for each coming case of a patient; it closes once the rules can be asked."""
    for case in _untold(patient, at).select_related("site").order_by("pk"):
        due = min(at + waiting.AT_LEAST, case.arrives_at)
        desk_tasks.open_task(
            kind=TaskKind.RULES, patient=patient, appointment=case, by=BY, at=at, due_at=due, reason="not_asked", note=NOT_ASKED
        )


def _tell_managers(broken: Sequence[Patient], at: datetime) -> None:
    """Leave one task for the managers of each site that expects any of these patients, whatever the number of cases."""
    with guarded(), transaction.atomic():
        with connection.cursor() as cursor:  # both passes may come to this at once
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [TaskKind.RULES_DOWN.value])
        down = DeskTask.objects.filter(_told_already(at), kind=TaskKind.RULES_DOWN)
        told = set(down.values_list("site", flat=True))
        coming = _coming(broken, at).filter(site__in=Site.objects.active()).select_related("site", "patient")
        first: dict[int, Appointment] = {}
        for case in coming.order_by("pk"):
            first.setdefault(case.site_id, case)
        found: list[tuple[int, Patient, Appointment | None]] = [(site, case.patient, case) for site, case in first.items()]
        # Whom no site expects has a home all the same: somebody has to know.
        found = found or [(broken[0].home_site_id, broken[0], None)]
        for site, patient, expected in found:
            if site not in told:
                desk_tasks.open_task(
                    kind=TaskKind.RULES_DOWN, role=TaskRole.MANAGER, patient=patient, appointment=expected, by=BY, at=at,
                    reason="rules_down", note=DOWN,
                )  # fmt: skip
