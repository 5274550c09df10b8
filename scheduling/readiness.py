"""What is said about a case now, what of it stands, and the tasks that have to be done before the case is ready.

Every judging of a case ends here: what is new is written, what is no longer said is marked as gone, a waiver whose facts
have changed ends, and each kind of waiting finding has one open task, which closes when the last of its kind is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pain_clinic import statements
from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from procedures.rules import Finding, Waiver, matured
from scheduling.models import (
    Appointment,
    AppointmentFinding,
    DeskTask,
    RuleOverride,
    TaskKind,
    TaskOutcome,
)
from scheduling.waiting import AT_LEAST, BOOKING, PENDING, READINESS, RULES, Work, due_at, work_of


@dataclass(slots=True)
class Said:
    """What is on file about one case before it is judged anew: findings that are said, waivers that hold, open tasks."""

    findings: list[AppointmentFinding] = field(default_factory=list)
    overrides: list[RuleOverride] = field(default_factory=list)
    tasks: list[DeskTask] = field(default_factory=list)

    def dues(self) -> Mapping[str, datetime]:
        """Return by when each waiting finding is due, as it was said."""
        return {row.code: row.due_at for row in self.findings if row.due_at is not None}


def read_said(cases: Iterable[Appointment]) -> dict[int, Said]:
    """Return what is on file about some cases, by key, in three statements."""
    keys = [case.pk for case in cases]
    said = {pk: Said() for pk in keys}
    for finding in AppointmentFinding.objects.filter(appointment__in=keys, gone_at=None).order_by("pk"):
        said[finding.appointment_id].findings.append(finding)
    for override in RuleOverride.objects.filter(appointment__in=keys, ended_at=None).order_by("pk"):
        said[override.appointment_id].overrides.append(override)
    for task in DeskTask.objects.filter(appointment__in=keys, done_at=None, kind__in=READINESS).order_by("pk"):
        said[task.appointment_id or 0].tasks.append(task)
    return said


NOTHING = Said()


def dated(findings: Iterable[Finding], case: Appointment, at: datetime, dues: Mapping[str, datetime]) -> tuple[Finding, ...]:
    """Give every waiting finding the day by which it is due, the one said before if any; one whose day has come waits no more."""
    told = [
        replace(finding, due_at=dues.get(finding.key) or due_at(finding, case.arrives_at, at)) if finding.pending else finding
        for finding in findings
    ]
    return matured(told, at)


def keep(
    case: Appointment,
    findings: Sequence[Finding],
    lifted: Sequence[Waiver],
    by: Actor,
    at: datetime,
    *,
    fingerprints: Mapping[str, str],
    said: Said = NOTHING,
    is_elsewhere: bool = False,
) -> int:
    """Keep what is said about a case from now on, with what was waived and the tasks that follow; return how much changed.

    `said` is what was on file before; for a case that is new there is nothing. Waivers given before that are not among
    `lifted` end, unless they were given for the same facts (`fingerprints` has those of all waived keys) at the same place.
    `is_elsewhere`: the case has just come to its place, so earlier waivers and days count no more.
    """
    findings = dated(findings, case, at, {} if is_elsewhere else said.dues())
    held = _held(said.overrides, lifted, None if is_elsewhere else fingerprints, at)
    waived = {override.code for override in held} | {waiver.code for waiver in lifted}
    standing = {finding.key for finding in findings if finding.refuses and finding.key not in waived}
    changed = _keep_findings(case, findings, standing, said.findings, at)
    changed += _keep_waivers(case, findings, lifted, fingerprints, by, at)
    changed += sum(override.ended_at is not None for override in said.overrides)
    ended = [override for override in said.overrides if override.ended_at is not None]
    if ended:
        RuleOverride.objects.filter(pk__in=[override.pk for override in ended]).update(ended_at=at)
    return changed + _keep_tasks(case, findings, standing, said.tasks, by, at)


def drop(case: Appointment, by: Actor, at: datetime) -> int:
    """Close the tasks of a case that is cancelled or over; return how many."""
    return _close(list(DeskTask.objects.filter(appointment=case, done_at=None, kind__in=READINESS).order_by("pk")), case, by, at)


def _held(
    overrides: Sequence[RuleOverride], lifted: Sequence[Waiver], fingerprints: Mapping[str, str] | None, at: datetime
) -> list[RuleOverride]:
    """Return the earlier waivers that still hold; the others are marked as ended."""
    again = {waiver.code for waiver in lifted}
    held = []
    for override in overrides:
        is_same = fingerprints is not None and override.fingerprint == fingerprints.get(override.code, "")
        if is_same and override.code not in again:
            held.append(override)
        else:
            override.ended_at = at
    return held


def _keep_findings(
    case: Appointment, findings: Sequence[Finding], standing: Iterable[str], before: Sequence[AppointmentFinding], at: datetime
) -> int:
    stands = frozenset(standing)
    rows = [
        AppointmentFinding(
            appointment=case,
            code=finding.key[:160],
            severity=PENDING if finding.pending else finding.severity.value,
            message=finding.message,
            evidence=finding.facts,
            source=finding.source[:400],
            earliest=finding.earliest.isoformat()[:16] if finding.earliest is not None else "",
            due_at=finding.due_at,
            stands=finding.key in stands,
            found_at=at,
            context_id=trail.context_id(),
        )
        for finding in findings
    ]
    left = {_told(row): row for row in before}
    fresh = [row for row in rows if left.pop(_told(row), None) is None]
    if left:
        AppointmentFinding.objects.filter(pk__in=[row.pk for row in left.values()]).update(gone_at=at)
    statements.insert_all(fresh)
    return len(left) + len(fresh)


def _told(row: AppointmentFinding) -> tuple[str, str, str, str, str, datetime | None, bool]:
    return row.code, row.severity, row.message, row.source, row.earliest, row.due_at, row.stands


def _keep_waivers(
    case: Appointment,
    findings: Sequence[Finding],
    lifted: Sequence[Waiver],
    fingerprints: Mapping[str, str],
    by: Actor,
    at: datetime,
) -> int:
    by_key = {finding.key: finding for finding in findings}
    waived = [
        RuleOverride(
            appointment=case,
            code=waiver.code[:160],
            fingerprint=fingerprints.get(waiver.code, ""),
            severity=by_key[waiver.code].severity.value,
            message=by_key[waiver.code].message,
            reason_code=waiver.reason_code,
            text=waiver.text,
            by_id=by.user_id,
            at=at,
        )
        for waiver in lifted
    ]
    statements.insert_all(waived)
    return len(waived)


# --- tasks -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Wanted:
    """A task that a case should have open."""

    work: Work
    due_at: datetime
    told: list[str] = field(default_factory=list)


def _wanted(case: Appointment, findings: Sequence[Finding], standing: Iterable[str], at: datetime) -> dict[str, _Wanted]:
    stands = frozenset(standing)
    found: dict[str, _Wanted] = {}
    for finding in findings:
        if finding.structural or finding.source == BOOKING:
            continue
        is_waiting = finding.severity.refuses and (finding.pending or finding.due_at is not None)
        if is_waiting:
            work, due = work_of(finding), finding.due_at or case.arrives_at
            task = found.setdefault(work.kind, _Wanted(work, due))
            task.due_at = min(task.due_at, due)
            task.told.append(finding.message)
        if finding.key in stands:
            found.setdefault(TaskKind.RULES, _Wanted(RULES, min(at + AT_LEAST, case.arrives_at))).told.append(finding.message)
    return found


def _keep_tasks(
    case: Appointment, findings: Sequence[Finding], standing: Iterable[str], before: Sequence[DeskTask], by: Actor, at: datetime
) -> int:
    wanted = _wanted(case, findings, standing, at)
    changed = _close([task for task in before if task.kind not in wanted], case, by, at)
    for task in before:
        want = wanted.pop(task.kind, None)
        if want is None:
            continue
        due = task.due_at if task.kind == TaskKind.RULES else want.due_at
        if (task.note, task.due_at) != (_note(want), due):
            task.note, task.due_at = _note(want), due
            task.save(update_fields=["note", "due_at"])
            changed += 1
    statements.insert_all([
        DeskTask(
            kind=kind, role=want.work.role, patient_id=case.patient_id, appointment=case, site_id=case.site_id, opened_at=at,
            due_at=want.due_at, reason="rules", note=_note(want),
        )
        for kind, want in wanted.items()
    ])  # fmt: skip
    if wanted:
        _record("scheduling.open_tasks", case, by, sorted(wanted))
    return changed + len(wanted)


def _note(want: _Wanted) -> str:
    return "\n".join(dict.fromkeys(want.told))[:500]


def _close(tasks: Sequence[DeskTask], case: Appointment, by: Actor, at: datetime) -> int:
    if not tasks:
        return 0
    keys = [task.pk for task in tasks]
    DeskTask.objects.filter(pk__in=keys, done_at=None).update(outcome=TaskOutcome.NOT_NEEDED, done_at=at)
    _record("scheduling.close_tasks", case, by, sorted(task.kind for task in tasks))
    return len(tasks)


def _record(act: str, case: Appointment, by: Actor, kinds: Sequence[str]) -> None:
    trail.record(
        by=by, act=act, subject=case, patient=case.patient.public_id, site_id=case.site_id, details={"kinds": list(kinds)},
    )  # fmt: skip
