"""Read: what works in this clinic, for the sites of whoever asks; the reading is recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from pain_clinic.errors import Refused
from patients.recorded import mme_factors
from patients.reports import composing, reading
from patients.reports.composing import Hidden
from patients.reports.reading import Read
from patients.reports.shapes import By, Choice, Figures, Group, OutcomeReport
from procedures.models import Category, Procedure

NO_NAME = {By.PHYSICIAN: "Nobody named", By.PAYER: "No payer on file", By.TARGET: "No place named"}
MONTHS_OF_QUARTER = 3
OF_PROCEDURES = {By.CATEGORY, By.PROCEDURE}  # ways to group that say nothing within one procedure
Names = Mapping[int, Choice]


class NotShown(Refused):
    """The report cannot be narrowed to this: there is no such procedure, or too little of it."""

    def __init__(self) -> None:
        super().__init__("too_few", "There are too few sessions of this procedure to show.")


def outcomes(
    *, by: By, years: int, today: date, actor: Actor, sites: Iterable[int], procedure: str = "", kind: str = "page"
) -> OutcomeReport:
    """Return the report of the last so many years up to the last whole month; narrowed to one procedure, by quarter at least.

    Raises:
        NotShown: `procedure` is a code of none that is shown.
    """
    end = today.replace(day=1)
    names = {key: Choice(*words) for key, *words in Procedure.objects.order_by("pk").values_list("pk", "code", "short_name")}
    wanted = next((key for key, one in names.items() if one.code == procedure), None) if procedure else None
    grouping = By.PERIOD if wanted is not None and by in OF_PROCEDURES else by
    read = reading.read(
        sites=list(sites), by=grouping, years=years, end=end, today=today, procedure=wanted, factors=mme_factors()
    )  # fmt: skip
    unseen = composing.hidden(read, years)
    shown = set() if "sessions" in unseen.measures else set(read.people_of_procedure) - unseen.procedures["sessions"]
    if procedure and wanted not in shown:
        raise NotShown
    groups = _groups(read, unseen, grouping, wanted, names, end)
    known = {group for key, group in read.people if wanted in {None, key}}
    trail.record(
        by=actor, act="patients.read_outcomes", details={"by": str(grouping), "years": years, "count": len(groups), "as": kind}
    )  # fmt: skip
    return OutcomeReport(
        by=grouping,
        years=years,
        first_on=reading.back(end, years),
        last_on=end - timedelta(days=1),
        procedure=names[wanted] if wanted is not None else None,
        groups=groups,
        hidden=len(known) - len(groups),
        total=_total(read, unseen, wanted),
        procedures=tuple(sorted((names[key] for key in shown), key=lambda one: one.name)),
    )


def _groups(read: Read, unseen: Hidden, by: By, wanted: int | None, names: Names, end: date) -> tuple[Group, ...]:
    """Return the groups that may be shown: quarters in the order of time, the others by their number of sessions."""
    found = []
    for code, values in read.values.items():
        if code is None or "sessions" in unseen.measures:
            continue
        if wanted is None:
            gone = {measure for measure, groups in unseen.groups.items() if code in groups}
            people = read.people_of_group[code]
        else:
            gone = {measure for measure, cells in unseen.cells.items() if (wanted, code) in cells}
            people = read.people[wanted, code]
        if "sessions" in gone:
            continue
        name, shown = _name(code, by, names, end)
        found.append((code, Group(name, shown, composing.figures(values, people, gone | unseen.measures))))
    if by is By.PERIOD:
        found.sort(key=lambda one: -int(one[0]))
    else:
        found.sort(key=lambda one: (-one[1].figures.sessions, one[1].name))
    return tuple(group for _, group in found)


def _total(read: Read, unseen: Hidden, wanted: int | None) -> Figures | None:
    if None not in read.values or "sessions" in unseen.measures:
        return None
    gone = set(unseen.measures)
    if wanted is not None:
        gone |= {measure for measure, procedures in unseen.procedures.items() if wanted in procedures}
    people = read.people_of_all if wanted is None else read.people_of_procedure[wanted]
    return composing.figures(read.values[None], people, gone)


def _name(code: str, by: By, names: Names, end: date) -> tuple[str, str]:
    """Return a group's code and name as they are shown."""
    if by is By.PROCEDURE:
        return names[int(code)].code, names[int(code)].name
    if by is By.PERIOD:
        first, last = (
            _month(end, int(code) * MONTHS_OF_QUARTER + MONTHS_OF_QUARTER),
            _month(end, int(code) * MONTHS_OF_QUARTER + 1),
        )
        return f"{first:%Y-%m}", f"{first:%b %Y} to {last:%b %Y}"
    if by is By.CATEGORY:
        return code, str(Category(code).label) if code in Category.values else code
    return code, code or NO_NAME[by]


def _month(end: date, before: int) -> date:
    """Return the first day of the month so many before one."""
    month = end.year * 12 + end.month - 1 - before
    return date(month // 12, month % 12 + 1, 1)
