"""What a patient who will be sedated ate and drank last, written down on the day, and whether that is long enough ago."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError, transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.errors import Conflict, DomainError, Forbidden, Refused
from procedures import fasting, rulebook
from procedures.rules import Finding, Severity, Waiver, unwaived
from procedures.tables import MalformedTables
from scheduling import rechecking
from scheduling.assessing import CLINIC, NOT_ASKED, UNREADABLE, details_row
from scheduling.booking import staging
from scheduling.booking.judging import OVERRIDES
from scheduling.booking.words import guarded
from scheduling.models import (
    NOT_IN_THE_ROOM,
    Appointment,
    CaseDetails,
    Check,
    CheckAnswer,
    CheckMoment,
    RuleOverride,
    SedatedItem,
)

ANSWER = "scheduling.answer_checklist"
CODE = "fasting_"
REASON = "clinical_judgement"  # the code of a reason that is given in words only
LETS_ON = (CheckAnswer.YES, CheckAnswer.NOT_APPLICABLE)  # with these answers nobody is held back
ANSWERED = "Wait, answer with no, or give the reason under the rules of this case."
BEGUN = "Wait until then; a physician may begin all the same, with a reason."
ANSWER_ANEW = "Is that no longer so, answer the checklist anew; a physician may begin all the same, with a reason."
BY_HAND = "Look by hand at what was eaten and drunk, and when; a physician may go on, with a reason, when the patient goes in."
LONGEST = timedelta(days=3)  # nobody fasts longer: a slip of the pen
BROKE_DOWN = "the product broke down on what is on file about this case."
log = structlog.get_logger(__name__)


def _own(code: str, message: str) -> Finding:
    return Finding(CODE + code, Severity.BLOCKER, message, source=CLINIC)


SAID_NO = _own("said_no", "The checklist says that the patient did not fast as told.")
NOT_JUDGED = CODE + "not_judged"


class IntakeUnusable(Refused):
    """What was typed cannot be when something was last eaten or drunk."""

    def __init__(self, message: str, what: str) -> None:
        super().__init__("intake_unusable", message, {"field": what})


class IntakeStale(Conflict):
    """Somebody else wrote down what was eaten or drunk meanwhile."""

    def __init__(self) -> None:
        super().__init__("stale", "Somebody else wrote down food or drink meanwhile: see below. Look, then send again.")


class FastTooShort(Refused):
    """Fasting is to be answered with yes, or the patient to go into the room, and what is written down says otherwise."""

    def __init__(self, findings: tuple[Finding, ...], what: str = ANSWERED) -> None:
        told = " ".join(finding.message for finding in findings)
        super().__init__("fast_too_short", f"{told} {what}", {"findings": [finding.as_json() for finding in findings]})
        self.findings = findings


class FastNotJudged(FastTooShort):
    """The rules cannot be asked whether the fast is long enough."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__(findings, BY_HAND)
        self.code = "fast_not_judged"


@dataclass(frozen=True, slots=True)
class Fast:
    """What is written down of a case, and what is said of it; `standing` is what nobody has waived."""

    intake: Mapping[str, datetime]
    mark: str
    findings: tuple[Finding, ...]
    standing: tuple[Finding, ...]

    @property
    def is_judged(self) -> bool:
        """Say whether the rules could be asked, as far as there was anything to ask."""
        return all(one.code != NOT_JUDGED for one in self.findings)

    def refusal(self, standing: tuple[Finding, ...], what: str) -> FastTooShort:
        """Return what is said to who goes on in spite of what stands."""
        if not self.is_judged:
            return FastNotJudged(standing)
        return FastTooShort(standing, ANSWER_ANEW if SAID_NO in standing else what)


def applies(appointment: Appointment) -> bool:
    """Say whether the patient has to fast for this case."""
    return fasting.applies(appointment.sedation)


def mark_of(intake: Mapping[str, str]) -> str:
    """Return a short text that tells what is written down from anything else that could be."""
    return hashlib.sha256(json.dumps(dict(intake), sort_keys=True).encode()).hexdigest()[:16]


def kinds() -> tuple[str, ...]:
    """Return what is asked about: each intake of the clinic's table that needs time, the shortest first.

    Where that cannot be read it is the table as shipped, so that nothing that people know has no place to be written down.
    """
    try:
        book = rulebook.book()
    except MalformedTables:
        found = fasting.minimum()
        return tuple(sorted((what for what in found if found[what]), key=lambda what: (found[what], what)))
    hours = book.fasting_hours if book is not None else {}
    return tuple(sorted((what for what in hours if hours[what]), key=lambda what: (hours[what], what)))


def fast_of(*, appointment: Appointment, at: datetime, is_begun: bool = False) -> Fast:
    """Return what is written down of a case now, and what is said of it.

    The rules judge it for the case's own start, or for now once that is past; where they cannot be asked, one finding says why.
    `is_begun`: it begins now, however early; then a clear "no" on the checklist speaks, too, where no time does.
    """
    row = CaseDetails.objects.filter(appointment=appointment).first()
    intake = row.intake if row is not None else {}
    written, mark = _moments(intake), mark_of(intake)
    if not applies(appointment) or not (intake or is_begun):
        return Fast(written, mark, (), ())
    answer = _answer(appointment) if is_begun else ""
    found = _judged(appointment, at, is_begun) if intake else () if answer in LETS_ON else _unreadable()
    if answer == CheckAnswer.NO and not found:
        found = (SAID_NO,)
    waived = set(appointment.overrides.filter(ended_at=None).values_list("code", flat=True))
    return Fast(written, mark, found, tuple(one for one in found if one.refuses and one.key not in waived))


def _moments(intake: Mapping[str, str]) -> dict[str, datetime]:
    """Return what is written down, as far as it can be read."""
    found = {}
    for what, ended in intake.items():
        with suppress(ValueError, TypeError):
            found[what] = datetime.fromisoformat(ended)
    return found


def _answer(appointment: Appointment) -> str:
    """Return what the checklist says of fasting."""
    asked = Check.objects.filter(appointment=appointment, moment=CheckMoment.BEFORE, item=SedatedItem.FASTING)
    return asked.values_list("answer", flat=True).first() or ""


def _unreadable() -> tuple[Finding, ...]:
    """Return that the rules cannot be read, if so: then nobody was asked for times by them."""
    try:
        rulebook.book()
    except MalformedTables as error:
        return (_not_judged(f"the clinic's rules cannot be read: {error.problems[0]}"),)
    return ()


def _not_judged(why: str) -> Finding:
    return _own("not_judged", f"The rules could not be asked whether the fast is long enough: {why}")


def _judged(appointment: Appointment, at: datetime, is_begun: bool) -> tuple[Finding, ...]:
    """Return what the rules say of what is written down, or that they could not be asked and why."""
    try:
        with transaction.atomic():
            told = _as_begun(appointment, at)[0] if is_begun else rechecking.look(appointment=appointment, at=at).findings
    except MalformedTables:
        return _unreadable()
    except (DomainError, DatabaseError):
        raise  # told by the door as any other
    except Exception as error:  # whatever is on file: who stands at the door of the room is told, and nobody goes in unasked
        log.error("fast_broke_down", case=str(appointment.public_id), exc_info=error)
        return (_not_judged(BROKE_DOWN),)
    if NOT_ASKED in told:
        return (_not_judged(BROKE_DOWN),)
    unread = [_not_judged(one.message) for one in told if one.code == UNREADABLE]
    return tuple(unread) or tuple(one for one in told if one.code.startswith(CODE))


def _as_begun(appointment: Appointment, at: datetime, keys: Sequence[str] = ()) -> tuple[tuple[Finding, ...], Mapping[str, str]]:
    """Return what the rules say of a case as if it began now, and the fingerprints of some findings."""
    case = Appointment.objects.select_related(*rechecking.JOINED).get(pk=appointment.pk)
    case.starts_at = at  # never saved
    return rechecking.judge_cases([case], at)[case.pk](keys)


def let_in(*, appointment: Appointment, reason: str, by: Actor, at: datetime) -> tuple[str, ...]:
    """Return which fasts are too short for a start now and were waived by this reason, which is kept with the case.

    Joins the caller's transaction, which holds patient and case. A reason that nothing needs is not kept.

    Raises:
        FastTooShort: a fast is too short, by its times or by the checklist, and there is no reason of somebody who may override
            it. FastNotJudged: likewise where the rules cannot be asked.
    """
    if not applies(appointment):
        return ()
    fast = fast_of(appointment=appointment, at=at, is_begun=True)
    standing = fast.standing
    keys = [finding.key for finding in standing]
    left = unwaived(standing, [Waiver(key, REASON, reason) for key in keys], lambda severity: by.may(OVERRIDES[severity]))
    if left:
        raise fast.refusal(left, BEGUN)
    if standing:
        prints = _as_begun(appointment, at, keys)[1] if fast.is_judged and SAID_NO not in standing else {}
        RuleOverride.objects.bulk_create(
            RuleOverride(
                appointment=appointment, code=one.key, fingerprint=prints.get(one.key, ""), severity=one.severity.value,
                message=one.message, reason_code=REASON, text=reason[:500], by_id=by.user_id, at=at,
            )
            for one in standing
        )  # fmt: skip
    return tuple(keys)


def record_intake(
    *, appointment: Appointment, intake: Mapping[str, datetime | None], shown: str | None = None, by: Actor, at: datetime
) -> CaseDetails:
    """Write down when what was last eaten or drunk ended, by the table's names; None takes back what was written.

    `shown` is the mark (`mark_of`) of what stood there when it was typed; left out, nobody looked.

    Raises:
        Forbidden: the actor may not answer checklists.
        IntakeStale: somebody wrote down something else meanwhile.
        IntakeUnusable: there is no such intake, or its time lies ahead or days ago.
        Refused: the patient is in the room already, or away.
    """
    if not by.may(ANSWER):
        raise Forbidden("not_allowed", "You may not answer the checklists.")
    known = kinds()
    for what, ended_at in intake.items():
        if what not in known:
            raise IntakeUnusable("There is no such kind of food or drink in the clinic's table.", what)
        if ended_at is not None and not at - LONGEST <= ended_at <= at:
            raise IntakeUnusable("Give the time of what was eaten or drunk last: not ahead, and not days ago.", what)
    with guarded(), transaction.atomic():
        staging.lock_patients([appointment.patient_id])
        case = staging.locked_case(appointment, None)
        row = details_row(case) or CaseDetails(appointment=case)
        before = _moments(row.intake)
        written = {  # the same instant, however it is written, is no change
            what: row.intake[what] if what in before and before[what] == ended_at else ended_at.isoformat()
            for what, ended_at in intake.items()
            if ended_at is not None
        }
        told = {**{what: ended for what, ended in row.intake.items() if what not in intake}, **written}
        changed = sorted(what for what in {*told, *row.intake} if told.get(what) != row.intake.get(what))
        if not changed:
            return row
        if shown is not None and shown != mark_of(row.intake):
            raise IntakeStale
        if case.status not in NOT_IN_THE_ROOM:
            raise Refused("too_late", "This is written down before the patient goes into the room.")
        row.intake = told
        row.save()
        staging.record("scheduling.record_intake", case, by, details={"intake": changed})
        rechecking.ask_alone(case.patient_id, at, lambda: rechecking.recheck([case.patient_id], at=at, by=by, cases=[case.pk]))
        case.overrides.filter(code__in=[*(CODE + what for what in changed), NOT_JUDGED], ended_at=None).update(ended_at=at)
        fast = fast_of(appointment=case, at=at)
        if fast.standing and fast.is_judged:  # what was answered before is not true of this
            fasted = Check.objects.filter(appointment=case, item=SedatedItem.FASTING, answer__in=LETS_ON)
            fasted.update(answer=CheckAnswer.NO, answered_at=at, answered_by_id=by.user_id)
        return row
