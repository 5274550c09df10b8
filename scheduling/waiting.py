"""What a booked case waits for: whose work each waiting finding is, and by when it has to be done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from procedures.rules import Finding, Severity
from scheduling.models import AppointmentFinding, TaskKind, TaskRole

PENDING, BOOKING = "pending", "booking"
AT_LEAST = timedelta(days=1)  # from finding something out to when it is due, unless the patient comes before
DAYS = timedelta(days=1)
TO_CONFIRM = "to_confirm"  # evidence of a finding that waits for the patient's word on a hold that has begun


@dataclass(frozen=True, slots=True)
class Work:
    """Who settles a kind of waiting finding, and how long before the patient arrives."""

    kind: TaskKind
    role: TaskRole
    before: timedelta


ASK = Work(TaskKind.ASK, TaskRole.NURSE, 7 * DAYS)
CONFIRM = Work(TaskKind.ASK, TaskRole.NURSE, 1 * DAYS)  # that what was to be stopped was stopped
CLEARANCE = Work(TaskKind.CLEARANCE, TaskRole.NURSE, 10 * DAYS)
LAB = Work(TaskKind.LAB, TaskRole.NURSE, timedelta())
EARLY_LAB = Work(TaskKind.LAB, TaskRole.NURSE, 3 * DAYS)
DRIVER = Work(TaskKind.DRIVER, TaskRole.DESK, 1 * DAYS)
CONSENT = Work(TaskKind.CONSENT, TaskRole.PHYSICIAN, timedelta())
PREMEDICATION = Work(TaskKind.PREMEDICATION, TaskRole.NURSE, 2 * DAYS)
PLAN = Work(TaskKind.PLAN, TaskRole.PHYSICIAN, 2 * DAYS)
DEVICE_PLAN = Work(TaskKind.DEVICE_PLAN, TaskRole.NURSE, 5 * DAYS)
AUTHORIZATION = Work(TaskKind.AUTHORIZATION, TaskRole.BILLER, 5 * DAYS)
PAPERS = Work(TaskKind.PAPERS, TaskRole.BILLER, 5 * DAYS)
RULES = Work(TaskKind.RULES, TaskRole.DESK, timedelta())
WAITING = (ASK, CLEARANCE, LAB, DRIVER, CONSENT, PREMEDICATION, PLAN, DEVICE_PLAN, AUTHORIZATION, PAPERS)
READINESS = tuple(work.kind for work in (*WAITING, RULES))

_BY_CODE: Mapping[str, Work] = {
    "antithrombotic_hold": ASK,
    "antithrombotic_stent": ASK,
    "pregnancy_fluoro": ASK,
    "cumulative_bone_risk": ASK,
    "cumulative_bone_risk_3y": ASK,
    "antithrombotic_clearance": CLEARANCE,
    "antithrombotic_shared_decision": CLEARANCE,
    "antithrombotic_lab": LAB,
    "escort_sedation": DRIVER,
    "escort_catalogue": DRIVER,
    "consent_missing": CONSENT,
    "coverage_unknown": PAPERS,
    "steroid_not_said": PLAN,
    "role_not_said": PLAN,
    "cied_rfa": DEVICE_PLAN,
    "stim_rfa": DEVICE_PLAN,
}
_BY_ABOUT: Mapping[str, Work] = {
    "not yet asked": ASK,
    "not yet graded": ASK,
    "not yet planned": PREMEDICATION,
    "not yet said": PLAN,
}


def work_of(finding: Finding) -> Work:
    """Return whose work a waiting finding is."""
    if TO_CONFIRM in finding.facts:
        return CONFIRM
    found = _BY_ABOUT.get(finding.about) or _BY_CODE.get(finding.code)
    if found is not None:
        return found
    if finding.code == "diabetes_a1c":
        return EARLY_LAB
    return AUTHORIZATION if "authorizations" in finding.facts else PAPERS


@dataclass(frozen=True, slots=True)
class Group:
    """What a case waits for of one kind, as pages tell it."""

    kind: TaskKind
    role: TaskRole
    due_at: datetime
    texts: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


def grouped(findings: Iterable[Finding], arrives_at: datetime, at: datetime) -> tuple[Group, ...]:
    """Return what of these findings waits, by kind, the first due first."""
    found: dict[TaskKind, Group] = {}
    for finding in findings:
        if not finding.pending:
            continue
        work, due = work_of(finding), finding.due_at or due_at(finding, arrives_at, at)
        held = found.get(work.kind) or Group(work.kind, work.role, due, ())
        texts = tuple(dict.fromkeys((*held.texts, finding.message)))
        found[work.kind] = replace(held, due_at=min(held.due_at, due), texts=texts, findings=(*held.findings, finding))
    return tuple(sorted(found.values(), key=lambda group: (group.due_at, group.kind)))


def as_finding(row: AppointmentFinding) -> Finding:
    """Return a kept finding as it was said."""
    code, _, about = row.code.partition(":")
    is_pending = row.severity == PENDING
    severity = Severity.NEEDS_OVERRIDE if is_pending else Severity(row.severity)
    return Finding(
        code, severity, row.message, tuple(row.evidence.items()), pending=is_pending, due_at=row.due_at, source=row.source,
        about=about,
    )  # fmt: skip


def due_at(finding: Finding, arrives_at: datetime, at: datetime) -> datetime:
    """Return by when a waiting finding has to be settled: some days before the patient arrives, never at once."""
    return min(arrives_at, max(arrives_at - work_of(finding).before, at + AT_LEAST))


def is_payers(code: str, payer_codes: Set[str]) -> bool:
    """Say whether a finding is about what the payer asks, not about the patient's body or medicines."""
    return code.partition(":")[0] in payer_codes or code == "coverage_unknown"
