"""The story of a case: who did what, and what it changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from pain_clinic.audit.models import AuditEvent
from procedures.levels import regions_in_words
from scheduling.agenda import words
from scheduling.agenda.shapes import Change, Meanwhile, StoryLine
from scheduling.models import Allocation, CancelReason, Kind, Status

ACT_WORDS = {
    "book": "booked",
    "reschedule": "moved",
    "move": "moved",
    "swap": "swapped",
    "cancel": "cancelled",
    "reinstate": "reinstated",
    "confirm": "confirmed",
    "move_on": "moved on",
    "status": "moved on",
    "mark_no_show": "marked as no-show",
    "no_show": "marked as no-show",
}
# Why something that was tried was not done.
REFUSED = {
    "stale": "Somebody else had changed the case meanwhile",
    "slot_taken": "The time was taken meanwhile",
    "not_free": "The time was not free",
    "rules_refused": "A rule spoke against it",
    "invalid_move": "The case was no longer in a state for that",
    "busy": "Somebody else was changing it at that moment",
    "opening_old": "The time had been offered too long ago",
    "leaving_open": "The leaving checklist was not complete",
}
# Why something was done all the same.
ALL_THE_SAME = {"left_without_checklist": "Without a complete leaving checklist, with a reason"}
# What the row history tells of a case, in the words of the page.
TOLD = {
    "status": "Status",
    "starts_at": "Time",
    "ends_at": "Ends",
    "side": "Side",
    "levels": "Levels",
    "regions": "Where",
    "guidance": "Guidance",
    "sedation": "Sedation",
    "note": "Note",
}


def story(
    *, events: Iterable[AuditEvent], history: Sequence[Any], allocations: Sequence[Allocation], zone: ZoneInfo
) -> tuple[StoryLine, ...]:
    """Join who did what (the trail) with what it changed (row history and allocations), newest first."""
    changes = _changes(history, zone)
    lines = []
    before: datetime | None = None
    for event in events:
        is_done = event.outcome == "done"
        told = changes.pop(event.context_id, ()) if is_done and event.context_id else ()
        if is_done and before is not None:
            told = (*told, *_swapped(allocations, before, event.at))
        if is_done:
            before = event.at
        lines.append(
            StoryLine(
                at=event.at.astimezone(zone),
                who=event.user.shown_name if event.user else event.actor_name,
                act=act_word(event.act),
                changes=told,
                why=_why(event),
                outcome=event.outcome,
            )
        )
    return tuple(reversed(lines))


def meanwhile(
    *, events: Iterable[AuditEvent], history: Sequence[Any], version: int, zone: ZoneInfo, whose: str = ""
) -> tuple[Meanwhile, ...]:
    """Return what was done to a case since it had this version, the latest first."""
    changes = _changes(history, zone)
    return tuple(
        Meanwhile(
            at=event.at.astimezone(zone),
            who=event.user.shown_name if event.user else event.actor_name,
            act=act_word(event.act),
            changes=changes.get(event.context_id, ()),
            whose=whose,
        )
        for event in reversed(list(events))
        if event.outcome == "done" and int(event.details.get("version", 0)) > version
    )


def act_word(act: str) -> str:
    """Return an act of the trail as staff say it."""
    name = act.rpartition(".")[2].removeprefix("appointment_").removesuffix("_appointment")
    return ACT_WORDS.get(name, name.replace("_", " "))


def _why(event: AuditEvent) -> str:
    if not event.reason_code:
        return ""
    if event.reason_code in CancelReason.values:
        return str(CancelReason(event.reason_code).label)
    told = REFUSED | ALL_THE_SAME
    return told.get(event.reason_code, event.reason_code.replace("_", " ").capitalize())


def _changes(history: Sequence[Any], zone: ZoneInfo) -> dict[Any, tuple[Change, ...]]:
    """Return what each act changed in the row, by the context under which it was written."""
    found: dict[Any, list[Change]] = {}
    for previous, row in pairwise(history):
        told = found.setdefault(row.pgh_context_id, [])
        for name, label in TOLD.items():
            old, new = getattr(previous, name), getattr(row, name)
            if old != new and not (name == "ends_at" and previous.starts_at != row.starts_at):
                told.append(Change(label, _said(name, old, zone), _said(name, new, zone)))
    return {context: tuple(told) for context, told in found.items() if context is not None}


def _said(name: str, value: Any, zone: ZoneInfo) -> str:
    if isinstance(value, datetime):
        return words.stamp(value.astimezone(zone))
    if name == "status":
        return str(Status(value).label) if value in Status.values else str(value)
    if name == "regions":
        return regions_in_words(value)
    return ", ".join(value) if isinstance(value, list) else str(value)


def _swapped(rows: Sequence[Allocation], before: datetime, after: datetime) -> tuple[Change, ...]:
    """Return which people, rooms and devices were exchanged between two instants."""
    changes = []
    for kind in dict.fromkeys(row.kind for row in rows):
        old = _standing(rows, kind, before)
        new = _standing(rows, kind, after)
        if old and new and old != new:
            changes.append(Change(str(Kind(kind).label), ", ".join(old), ", ".join(new)))
    return tuple(changes)


def _standing(rows: Sequence[Allocation], kind: str, moment: datetime) -> list[str]:
    names = {
        row.resource.name
        for row in rows
        if row.kind == kind and row.created_at <= moment and (row.released_at is None or row.released_at > moment)
    }
    return sorted(names)
