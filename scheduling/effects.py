"""What a change of one rule would do to the coming cases: which it would stop, which it would free. Nothing is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pain_clinic import clock
from pain_clinic.accounts.models import User
from patients import facts
from procedures.models import RuleRow
from procedures.rulerows import book_with
from procedures.rules import Finding
from scheduling.assessing import RulesNotAsked, asking_of, is_fixed_ahead, judge, open_cases, wish_of
from scheduling.models import BEFORE_ARRIVAL, Appointment

CHUNK = 200
BUDGET = timedelta(seconds=6)  # for one look; what is not asked about then is said to be left
MOST_SHOWN = 50
JOINED = ("procedure", "site", "patient", "details")


@dataclass(frozen=True, slots=True)
class Touched:
    """One case that a change would touch, and what would be said of it."""

    case: Appointment
    messages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change would do. `asked` of `coming` cases were looked at; the lists show the first of each."""

    coming: int
    asked: int
    stopped: int
    freed: int
    waiting: int
    newly_stopped: tuple[Touched, ...]
    newly_freed: tuple[Touched, ...]

    @property
    def is_whole(self) -> bool:
        """Say whether every coming case was looked at."""
        return self.asked == self.coming


def effect_of(*, rows: Sequence[RuleRow], user: User, at: datetime, budget: timedelta = BUDGET) -> Effect:
    """Return what the rules would say about coming cases with the versions of one row as proposed, beside what they say now.

    Cases are those that this person sees, soonest first, and only of the families that a payer's row speaks of.

    Raises:
        UnusableRow: the rules could not be read with it.
    """
    book, ends = book_with(rows), clock.now() + budget
    coming = Appointment.objects.visible_to(user).filter(status__in=BEFORE_ARRIVAL, is_history=False, starts_at__gt=at)
    spoken_of = [row.data.get("applies_to") or () for row in (*RuleRow.objects.filter(pk=rows[0].pk), *rows)]
    if all(spoken_of):
        coming = coming.filter(procedure__family__in={family for families in spoken_of for family in families})
    keys = list(coming.order_by("starts_at", "pk").values_list("pk", flat=True))
    asked = waiting = 0
    stopped: list[Touched] = []
    freed: list[Touched] = []
    for begins in range(0, len(keys), CHUNK):
        if clock.now() >= ends:
            break
        cases = list(coming.filter(pk__in=keys[begins : begins + CHUNK]).select_related(*JOINED).order_by("starts_at", "pk"))
        held = facts.read(case.patient for case in cases)
        other_held = replace(held, book=book, problem="")
        others: dict[int, list[Appointment]] = defaultdict(list)
        for other in open_cases({case.patient_id for case in cases}, at):
            others[other.patient_id].append(other)
        for case in cases:
            beside = [other for other in others[case.patient_id] if other.pk != case.pk]
            is_series = is_fixed_ahead(case, others[case.patient_id])
            try:
                with asking_of(case):
                    known, wish = held.known[case.patient_id], replace(wish_of(case), is_booked=True, is_series=is_series)
                    before = judge(wish, held, known, beside, at).findings
                    after = judge(wish, other_held, known, beside, at).findings
            except RulesNotAsked:
                continue  # not asked, and not counted as such
            asked += 1
            graver, milder = _graver(before, after), _graver(after, before)
            if graver:
                stopped.append(Touched(case, graver))
            elif milder:
                freed.append(Touched(case, milder))
            elif {one.key for one in after if one.pending} != {one.key for one in before if one.pending}:
                waiting += 1
    return Effect(
        len(keys), asked, len(stopped), len(freed), waiting, tuple(stopped[:MOST_SHOWN]), tuple(freed[:MOST_SHOWN])
    )  # fmt: skip


def _graver(before: tuple[Finding, ...], after: tuple[Finding, ...]) -> tuple[str, ...]:
    """Return what is said afterwards that stops a case and did not before, or stops it more."""
    stood = {finding.key: finding.severity.rank for finding in before if finding.refuses}
    return tuple(
        finding.message
        for finding in after
        if finding.refuses and (finding.key not in stood or finding.severity.rank < stood[finding.key])
    )
