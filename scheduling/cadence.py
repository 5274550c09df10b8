"""When messages leave: the starting values with their sources, and the manager's changes to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from pain_clinic.audit import trail
from pain_clinic.errors import Conflict, DomainError, Refused, translated
from procedures.models import Procedure
from procedures.tables import read
from scheduling import follow_ups, messages
from scheduling.models import CadenceStep, MessageKind, Weekend

OURS = [
    {"title": "Operational starting value", "citation": "Product default, not a published figure; each clinic should set its own"}
]
MOST_DAYS = 730
CHANGEABLE = ("offset_months", "offset_days", "at_time", "weekend", "asks_to_confirm", "is_on")


class Stale(Conflict):
    def __init__(self, step: CadenceStep) -> None:
        super().__init__(
            "stale",
            "Somebody else changed this in the meantime. Look at what is there now, then save again.",
            {"version": step.version},
        )


class StepTaken(Conflict):
    def __init__(self) -> None:
        super().__init__("cadence_step_taken", "There is such an exception already. Change that one instead.")


class StepRefused(Refused):
    """A value that cannot be kept."""


@dataclass(frozen=True, slots=True)
class Default:
    """One starting value."""

    code: str
    kind: str
    at_time: time
    days: int = 0
    months: int = 0
    weekend: str = Weekend.AS_IS
    asks: bool = False
    is_on: bool = True
    family: str = ""
    source: tuple[Mapping[str, str], ...] = ()


def load_defaults(*, by: Actor, at: datetime) -> int:
    """Write the starting values that are missing; what the clinic has changed stays. Return how many are new."""
    with transaction.atomic():
        known = set(CadenceStep.objects.filter(site=None, procedure=None).values_list("code", "family"))
        made = CadenceStep.objects.bulk_create(
            CadenceStep(
                code=one.code, kind=one.kind, family=one.family, offset_months=one.months, offset_days=one.days,
                at_time=one.at_time,
                weekend=one.weekend, asks_to_confirm=one.asks, is_on=one.is_on, position=place, source=list(one.source),
            )
            for place, one in enumerate(defaults(), start=1)
            if (one.code, one.family) not in known
        )  # fmt: skip
        if made:
            messages.want_plan(at=at)
            trail.record(by=by, act="scheduling.load_cadence", details={"new": len(made)})
    return len(made)


def defaults() -> Iterator[Default]:
    """Yield the starting values: the tables' reminders and follow-up contacts, and what the tables leave to us."""
    tables = read()
    for row in tables["pathways"].content["reminders"]["schedule"]:
        days, source = int(row["offset_days"]), tuple(row["source"])
        purpose = str(row["purpose"])
        if purpose.startswith("preparation"):
            yield Default("preparation", MessageKind.PREPARATION, time(10), -days, weekend=Weekend.EARLIER, source=source)
        elif "confirm" in purpose:
            yield Default(
                f"reminder-{days}", MessageKind.REMINDER, time(16), -days, weekend=Weekend.EARLIER, asks=True, source=source
            )
        else:
            yield Default(f"reminder-{days}", MessageKind.REMINDER, time(16), -days, source=source)
    ours = tuple(OURS)
    yield Default("arrival", MessageKind.ARRIVAL, time(8), source=ours)
    yield Default("no-show", MessageKind.NO_SHOW, time(10), 1, weekend=Weekend.LATER, source=ours)
    yield Default("recall", MessageKind.RECALL, time(10), months=6, weekend=Weekend.LATER, is_on=False, source=ours)
    for contact in follow_ups.contacts():
        if contact.is_by_mail and contact.collect:
            # A diary begins at once: its mail leaves with the patient.
            yield Default(
                contact.step, MessageKind.FOLLOW_UP, time(10) if contact.days + contact.months else time(8),
                contact.days, contact.months, family=contact.family, source=contact.source,
            )  # fmt: skip


def change(*, step: CadenceStep, values: Mapping[str, Any], by: Actor, at: datetime, version: int | None = None) -> CadenceStep:
    """Change when a message leaves, or leave it out; the cases still to come are planned anew within a minute.

    Raises:
        Stale: `version` is not the present one.
        StepRefused: the day lies on the wrong side of the visit, or too far from it.
    """
    with transaction.atomic():
        kept = CadenceStep.objects.select_for_update(no_key=True).get(pk=step.pk)
        if version is not None and version != kept.version:
            raise Stale(kept)
        changed = [name for name in CHANGEABLE if name in values and getattr(kept, name) != values[name]]
        if not changed:
            return kept
        for name in changed:
            setattr(kept, name, values[name])
        _check(kept)
        kept.version += 1
        kept.save(update_fields=[*changed, "version"])
        _settled("scheduling.change_cadence", kept, by, at, {"fields": changed})
    return kept


def add_exception(
    *, of: CadenceStep, values: Mapping[str, Any], by: Actor, at: datetime,
    site: Site | None = None, family: str = "", procedure: Procedure | None = None,
) -> CadenceStep:  # fmt: skip
    """Make a row that stands in the place of `of` at a site, for a family or for one procedure.

    Raises:
        StepTaken: there is one already.
        StepRefused: it is for nothing in particular, or its day is not possible.
    """
    if site is None and not family and procedure is None:
        raise StepRefused("no_scope", "Say for which site, family or procedure this is.")
    made = CadenceStep(code=of.code, kind=of.kind, site=site, family=family, procedure=procedure, position=of.position)
    for name in CHANGEABLE:
        setattr(made, name, values[name])
    _check(made)
    with translated({"cadence_step_once": _taken}), transaction.atomic():
        made.save(force_insert=True)
        _settled("scheduling.add_cadence", made, by, at, {"code": of.code})
    return made


def remove_exception(*, step: CadenceStep, by: Actor, at: datetime) -> None:
    """Take an exception away, so that the general row holds there again.

    Raises:
        StepRefused: it is a starting value; that one is switched off, not removed.
    """
    if step.source:
        raise StepRefused("starting_value", "A starting value cannot be removed. Switch it off instead.")
    with transaction.atomic():
        _settled("scheduling.remove_cadence", step, by, at, {"code": step.code})
        step.delete()


def _taken() -> DomainError:
    return StepTaken()


def _check(step: CadenceStep) -> None:
    is_after = step.kind in (MessageKind.FOLLOW_UP, MessageKind.NO_SHOW, MessageKind.RECALL)
    signs = {step.offset_days > 0, step.offset_months > 0} if not is_after else {step.offset_days < 0, step.offset_months < 0}
    if True in signs:
        raise StepRefused(
            "wrong_side", "This message belongs after the visit." if is_after else "This message belongs before the visit."
        )
    if abs(step.offset_days) + 31 * abs(step.offset_months) > MOST_DAYS:
        raise StepRefused("too_far", "At most two years from the visit.")


def _settled(act: str, step: CadenceStep, by: Actor, at: datetime, details: dict[str, Any]) -> None:
    messages.want_plan(at=at)
    trail.record(by=by, act=act, subject=step, site_id=step.site_id, details=details)
