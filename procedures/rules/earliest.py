"""The first date on which nothing blocks, found from the findings' own dates and not by trying days one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, datetime

from procedures.rules.dates import DAY
from procedures.rules.facts import Facts
from procedures.rules.findings import Finding, Rule, Severity, assess

Rules = Iterable[Rule] | Callable[[date], Iterable[Rule]]
Turns = Callable[[Facts], Iterable[date]]
# More steps than any set of rules needs; each one is a date on which something changes.
MOST_STEPS = 500


def blocks(finding: Finding) -> bool:
    """Say whether a finding stands in the way: not allowed, and not only waiting for a fact."""
    return finding.severity is Severity.BLOCKER and finding.refuses


def turning_points(rules: Iterable[Rule], facts: Facts) -> list[date]:
    """Return the dates on which an answer may change without a finding telling so."""
    # A session counts from the day after it; sessions that still lie ahead come into view on the way. What is booked for
    # the same day is one session with what is asked for, so that day may be free where those before it are not.
    found = [session.on + DAY for session in facts.standing]
    found += [session.on for session in facts.standing if session.status == "booked"]
    for rule in rules:
        turns: Turns | None = getattr(rule, "turning_points", None)  # asking the protocol itself takes longer than the rule
        if turns is not None:
            found.extend(turns(facts))
    return found


def at_date(facts: Facts, on: date) -> Facts:
    """Return the same facts for a request on another date, at the same time of day."""
    request = facts.request
    starts_at = None if request.starts_at is None else datetime.combine(on, facts.starts(request.on).time())
    return replace(facts, request=replace(request, on=on, starts_at=starts_at))


def earliest_covered(
    rules: Rules, facts: Facts, from_: date, *, turns: Callable[[date], Iterable[date]] | None = None
) -> date | None:
    """Return the first date, not before `from_`, on which no rule blocks; None when waiting alone never helps.

    `rules` may depend on the date of service. `turns` gives the dates after one on which the rules, or what they say,
    may change without a finding telling so; left out, the rules themselves are asked.
    """
    on = from_
    for _ in range(MOST_STEPS):
        in_force = tuple(rules(on) if callable(rules) else rules)
        moved = at_date(facts, on)
        standing = [finding for finding in assess(in_force, moved, on) if blocks(finding)]
        if not standing:
            return on
        changes = turns(on) if turns else turning_points(in_force, moved)
        ahead = min((day for day in changes if day > on), default=None)
        waits = [finding.earliest for finding in standing]
        if any(moment is None for moment in waits):
            # One of them never passes by itself: only a change of the rules or of a site's standing can help.
            if ahead is None:
                return None
            on = ahead
            continue
        last = max(_day(moment, on) for moment in waits if moment is not None)
        on = last if ahead is None else min(last, ahead)
    return None


def _day(moment: date, on: date) -> date:
    day = moment.date() if isinstance(moment, datetime) else moment
    return day if day > on else on + DAY
