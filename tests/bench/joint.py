"""Lines of several sessions together: six planned as the product does it against one search of its own, and the joint search
alone, twelve sessions with sixty days each, against greedy days one after the other."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from functools import partial
from itertools import pairwise

from patients.models import Patient
from procedures.pathways.joint import Apart, Cap, Gap, Part, Together, cost_of, place
from procedures.rules.dates import Period
from scheduling.models import Series
from scheduling.openings import find_openings
from scheduling.series import Item, Proposal, propose
from scheduling.series.ordering import sessions_of
from tests.bench.clinic import ZONE, BenchClinic
from tests.bench.measuring import Line, counted, line, paired

SIX = 6
SESSIONS, DAYS, MOST_MILLISECONDS = 12, 60, 1_000
FIRST = date(2026, 12, 1)
CHAINS = (2, 3, 4)


def lines(clinic: BenchClinic) -> list[Line]:
    """Plan six sessions; place twelve of several courses, which may share days or must not, on sixty days each."""
    found = [six(clinic)]
    for chains in CHAINS:
        for shares in (True, False):
            question = question_of(chains, shares=shares, seed=clinic.seed)
            answer = place(question)
            took, bare = spent(partial(place, question)), spent(partial(greedy, question))
            is_right = cost_of(question, answer.days) == answer.cost and took < MOST_MILLISECONDS
            what = "days may be shared" if shares else "no day shared"
            found.append(
                line(
                    f"{SESSIONS} sessions in {chains} courses, {DAYS} days each, {what} ({answer.cost[3]} journeys,"
                    f" {'proven best' if answer.is_proven else 'best found'}; < {MOST_MILLISECONDS:,} ms)", took, "ms", bare, is_right=is_right,
                )
            )  # fmt: skip
    return found


def six(clinic: BenchClinic) -> Line:
    """Plan six sessions of one patient two weeks apart as a dry run, beside one search for openings over the year ahead."""
    patient = Patient.objects.get(pk=clinic.patients[-1])
    item = Item(clinic.five, side="left", count=SIX, least_days=14)
    order = Series(patient=patient, site=clinic.site)
    rows = sessions_of([item], today=clinic.at.astimezone(ZONE).date(), at=clinic.at)

    def plan() -> Proposal:
        return propose(series=order, sessions=rows, at=clinic.at)

    def search() -> object:
        return find_openings(procedure=clinic.five, at=clinic.at, site=clinic.site, patient=patient)

    with counted() as statements:
        answer = plan()
    dates = [str(one.opening["local"])[:10] for _, one in sorted(answer.sessions.items()) if one.opening is not None]
    days = [date.fromisoformat(day) for day in dates]
    is_right = len(days) == SIX and all((after - before).days >= 14 for before, after in pairwise(days))
    ours, bare = paired(plan, search, rounds=9)
    name = f"plan {SIX} sessions, {'proven best' if answer.is_best else 'best found'} (against one search, a year)"
    return line(name, ours, "ms", bare, most=1.5, queries=len(statements), is_right=is_right)


def question_of(chains: int, *, shares: bool, seed: int) -> Together:
    """Return twelve sessions in so many courses, each with an interval of its own, some days not free."""
    rng = random.Random(seed)
    parts: list[Part] = []
    gaps: list[Gap] = []
    each = SESSIONS // chains
    for chain in range(chains):
        rhythm = rng.choice([7, 9, 10, 14])
        for place_in_chain in range(each):
            days = sorted(rng.sample(range(DAYS + 30), DAYS))
            number = len(parts)
            parts.append(
                Part(
                    tuple(FIRST + timedelta(days=day) for day in days),
                    FIRST + timedelta(days=3 + chain * 4),
                    FIRST + timedelta(days=45),
                )
            )
            if place_in_chain:
                gaps.append(Gap(number - 1, number, rhythm - 3, rhythm, rhythm + 21))
    pairs = [(one, other) for other in range(SESSIONS) for one in range(other) if one // each != other // each]
    aparts = () if shares else tuple(Apart(one, other, 2) for one, other in pairs)
    caps = (Cap(frozenset(range(each)), 4, Period(days=45)),)
    return Together(tuple(parts), tuple(gaps), aparts, caps)


def spent(act: Callable[[], object]) -> float:
    """Return the milliseconds of processor time that a call takes: whoever else uses the machine plays no part."""
    begun = time.process_time()
    act()
    return (time.process_time() - begun) * 1000


def greedy(question: Together) -> Sequence[date | None]:
    """Return the first days that keep every bound, one session after the other, with no eye for what is best."""
    days: list[date | None] = [None] * len(question.parts)
    for at, part in enumerate(question.parts):
        for day in part.days:
            days[at] = day
            if cost_of(question, days) is not None:
                break
            days[at] = None
    return days
