"""How often: caps over one or several windows, minimum intervals, and caps that hold for a lifetime."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from procedures.rules.dates import DAY, Period, Window, plus_months, told
from procedures.rules.facts import Facts, Session, Wanted, by_date
from procedures.rules.findings import Finding, Plain, Severity
from procedures.rules.payer.rounds import block_round, is_in_round
from procedures.rules.places import ABLATIONS, SACROILIAC_FAMILIES, is_same_part, place_of, sides_of
from procedures.rules.rows import Ruled, booked_told, days_of, listed, not_said

FACET_FAMILIES = frozenset({"mbb_diagnostic", "facet_injection", "facet_cyst", "facet_rfa", "facet_rfa_cooled"})
# Blocks whose diagnostic sessions need the KX flag; without it the payer counts them as therapeutic.
KX_FAMILIES = frozenset({"mbb_diagnostic", "facet_injection"})


Units: TypeAlias = dict[date, tuple[int, list[Session]]]  # by date of service: how many, and the sessions


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many in a window."""

    window: Window
    most: int


@dataclass(frozen=True, slots=True)
class Group:
    """What is counted together: a region, a joint, a body part, or everything of the patient."""

    label: str
    is_in: Callable[[Session], bool]
    wanted: tuple[Wanted, ...]
    name: str = ""

    @property
    def called(self) -> str:
        """Return it as people say it; `label` stays what tells one finding of a row from another."""
        return self.name or self.label.replace("_", " ")


def injections(work: Wanted | Session, *, is_bilateral_one: bool) -> int:
    """Return how many injections some work is: one per level, per side of the sacroiliac joint, else one."""
    if work.family in SACROILIAC_FAMILIES:
        return len(sides_of(work.side))
    if work.approach == "transforaminal" or work.family in FACET_FAMILIES:
        sides = 1 if is_bilateral_one else len(sides_of(work.side))
        return max(len(set(work.levels)), 1) * sides
    return 1


@dataclass(frozen=True)
class SessionCap(Ruled):
    """At most so many sessions, or injections, in each of its windows; the proposed one must still fit."""

    limits: tuple[Limit, ...]
    per: str = "payer_region"
    role: str = ""
    unit: str = "session"
    is_bilateral_one: bool = False

    def check(self, facts: Facts, on: date) -> list[Finding]:
        asked = self.asked(facts, self.role)
        if not asked:
            return []
        sessions = [session for session in facts.of(self.row.families) if self._has_role(session)]
        counts = [(group, self._units(filter(group.is_in, sessions))) for group in self._groups(asked)]
        anchor = self._anchor(facts)
        is_over = not all(self._fits(units, group, on, anchor, facts) for group, units in counts)
        earliest = self._first_fit(counts, on, anchor, facts) if is_over else None
        return [
            self._told(facts, group, units, limit, place, on, anchor, earliest)
            for group, units in counts
            for place, limit in enumerate(self.limits)
        ]

    def _has_role(self, session: Session) -> bool:
        role = session.role
        if role == "diagnostic" and not session.has_kx and session.family in KX_FAMILIES:
            role = "therapeutic"
        return not self.role or role == self.role

    def _groups(self, asked: Sequence[Wanted]) -> list[Group]:
        if self.per == "patient":
            return [Group("", lambda session: True, tuple(asked))]
        if self.per == "joint" and self.row.families <= SACROILIAC_FAMILIES:
            sides = sorted({side for one in asked for side in sides_of(one.side)})
            return [_joint(side, asked) for side in sides]
        if self.per in ("joint", "anatomic_site"):
            return [_body_part(one) for one in asked]
        regions = sorted({region for one in asked for region in one.regions})
        found = [_region(region, asked) for region in regions]
        rest = tuple(one for one in asked if not one.regions)
        return [*found, *([Group("", lambda session: not session.regions, rest)] if rest else [])]

    def _units(self, sessions: Iterable[Session]) -> Units:
        found = by_date(sessions)
        if self.unit == "session":
            return {on: (1, held) for on, held in found.items()}
        return {
            on: (sum(injections(one, is_bilateral_one=self.is_bilateral_one) for one in held), held) for on, held in found.items()
        }

    def _own(self, group: Group, units: Units, on: date) -> int:
        """Return what the session adds: what is asked for, with what else is booked for its date."""
        if self.unit == "session":
            return 1
        beside = units[on][0] if on in units else 0
        return beside + sum(injections(one, is_bilateral_one=self.is_bilateral_one) for one in group.wanted)

    def _anchor(self, facts: Facts, *, proposed: date | None = None) -> date | None:
        if facts.coverage.year_anchor is not None:
            return facts.coverage.year_anchor
        held = facts.of(self.row.families)
        days = [day for day in (held[0].on if held else None, proposed) if day is not None]
        return min(days, default=None)

    def _counted(self, units: Units, window: Window, on: date, anchor: date | None, facts: Facts) -> int:
        first = window.first(on, anchor=anchor, episode=facts.presentation.episode_started)
        return sum(many for day, (many, _) in units.items() if first <= day < on)

    def _fits(self, units: Units, group: Group, on: date, anchor: date | None, facts: Facts) -> bool:
        own = self._own(group, units, on)
        return all(
            self._counted(units, limit.window, on, anchor, facts) + own <= limit.most
            and not self._crowded(units, own, limit, on, facts)
            for limit in self.limits
        )

    def _crowded(self, units: Units, own: int, limit: Limit, on: date, facts: Facts) -> list[tuple[int, list[Session]]]:
        """Return what is booked for later dates and would not fit with what is asked for, each with what then counts."""
        ahead = {one.on for one in facts.ahead(self.row.families, on)}
        anchor = self._anchor(facts, proposed=on) if ahead else None
        found = []
        for day in sorted(ahead & units.keys()):
            many, held = units[day]
            first = limit.window.first(day, anchor=anchor, episode=facts.presentation.episode_started)
            counted = own + many + sum(more for other, (more, _) in units.items() if first <= other < day and other != on)
            if first <= on and counted > limit.most:
                found.append((counted, held))
        return found

    def _first_fit(self, counts: Sequence[tuple[Group, Units]], on: date, anchor: date | None, facts: Facts) -> date | None:
        turns = {day for limit in self.limits for _, units in counts for day in limit.window.turns(units, on, anchor=anchor)}
        ahead = facts.ahead(self.row.families, on)
        # A date before all of them begins the plan's first year.
        turns |= {day for one in ahead for day in (*days_of([one]), *_year_edges(one.on)) if day > on}
        return next(
            (day for day in sorted(turns) if all(self._fits(units, group, day, anchor, facts) for group, units in counts)),
            None,
        )

    def _told(
        self,
        facts: Facts,
        group: Group,
        units: Units,
        limit: Limit,
        place: int,
        on: date,
        anchor: date | None,
        earliest: date | None,
    ) -> Finding:
        first = limit.window.first(on, anchor=anchor, episode=facts.presentation.episode_started)
        held = [(many, one) for day, (many, one) in units.items() if first <= day < on]
        counted, own = sum(many for many, _ in held), self._own(group, units, on)
        crowded = self._crowded(units, own, limit, on, facts)
        is_over = counted + own > limit.most or bool(crowded)
        where = f" ({group.called})" if group.label else ""
        message = (
            f"{counted} earlier {self.unit}{'' if counted == 1 else 's'}{where} count in {limit.window} {on}; "
            f"this adds {own}, the limit is {limit.most}."
        )
        for many, later in crowded[:1]:
            message += f" {booked_told(later)}, which would then be {self.unit} {many} of at most {limit.most}."
        if is_over and earliest is not None:
            message += f" It fits from {told(earliest)}."
        evidence: dict[str, Plain] = {
            "counted": counted,
            "limit": limit.most,
            "adds": own,
            "window": f"{limit.window} {on}",
            "group": group.called,
            "sessions": listed(session for _, sessions in held for session in sessions),
        }
        if self.unit != "session" and on in units:
            evidence["same_day"] = listed(units[on][1])
        if crowded:
            evidence["later"] = listed(session for _, sessions in crowded for session in sessions)
        if limit.window.kind == "anchored_year":
            evidence["year_from"] = limit.window.start(on, anchor).isoformat()
        about = " ".join(part for part in (group.label, str(place + 1) if len(self.limits) > 1 else "") if part)
        severity = None if is_over else Severity.ADVICE
        return self.row.finding(message, evidence=evidence, earliest=earliest, severity=severity, about=about)


def _year_edges(day: date) -> Iterable[date]:
    """Return the days around which a plan year that begins there stops holding a day, as far back as years are booked ahead."""
    for years in (1, 2, 3):
        edge = plus_months(day, -12 * years)
        yield from (edge, edge + DAY, edge + 2 * DAY)


def _region(region: str, asked: Sequence[Wanted]) -> Group:
    return Group(region, lambda session: region in session.regions, tuple(one for one in asked if region in one.regions))


def _joint(side: str, asked: Sequence[Wanted]) -> Group:
    wanted = tuple(one for one in asked if side in sides_of(one.side))
    return Group(side, lambda session: side in sides_of(session.side), wanted)


def _body_part(one: Wanted) -> Group:
    def is_in(session: Session) -> bool:
        return is_body_part(one, session)

    if one.site:
        return Group(one.site, is_in, (one,))
    return Group(f"{one.procedure} {one.side}".strip(), is_in, (one,), f"{one.called} {one.side}".strip())


def is_body_part(one: Wanted | Session, other: Wanted | Session) -> bool:
    """Say whether some work is done at the same body part: the site that is named, else the same procedure and side."""
    if one.site or other.site:
        return is_same_part(one.site, one.side, other.site, other.side)
    return one.procedure == other.procedure and {one.side, other.side} != {"left", "right"}


@dataclass(frozen=True)
class MinInterval(Ruled):
    """At least so long since an earlier session. `scope` is any, region or site; `is_block` looks at block rounds.

    With `later` the first `initial` sessions of the episode keep the one interval and further ones the other.
    """

    period: Period
    scope: str = "any"
    is_block: bool = False
    initial: int = 0
    later: Period | None = None

    def check(self, facts: Facts, on: date) -> Finding | None:
        asked = self.asked(facts, "diagnostic" if self.is_block else "")
        if not asked:
            return None
        short, close = self._short(asked, facts, on), self._close(asked, facts, on)
        if not short and not close:
            return None
        earliest = self._first_free(asked, facts, on)
        told_, evidence = [], dict[str, Plain]()
        if short:
            last, period = max(short, key=lambda pair: pair[1].after(pair[0].on))
            told_.append(f"The session before was on {last.on}; at least {period} must lie between")
            evidence = {"since": last.on.isoformat(), "interval": str(period), "sessions": listed([last])}
        if close:
            period = close[0][1]
            told_.append(f"{booked_told([close[0][0]])}; at least {period} must lie between")
            evidence = {"interval": str(period), **evidence, "later": listed(session for session, _ in close)}
        return self.row.finding(f"{'. '.join(told_)}, so it is free from {earliest}.", evidence=evidence, earliest=earliest)

    def _short(self, asked: Sequence[Wanted], facts: Facts, on: date) -> list[tuple[Session, Period]]:
        """Return the earlier sessions after which it would be too soon, each with the time that has to lie between."""
        period = self._period(facts, on)
        return [(last, period) for last in self._references(asked, facts, on) if period.after(last.on) > on]

    def _close(self, asked: Sequence[Wanted], facts: Facts, on: date) -> list[tuple[Session, Period]]:
        """Return the sessions booked for later that would be too soon after it, each with the time that has to lie between."""
        found = [(one, self._period(facts, one.on, proposed=on)) for one in facts.ahead(self.row.families, on)]
        return [(one, period) for one, period in found if period.after(on) > one.on and self._refers(one, asked, facts, on)]

    def _refers(self, later: Session, asked: Sequence[Wanted], facts: Facts, on: date) -> bool:
        """Say whether a later session is judged by what is asked for, done on a date."""
        if not self.speaks_of(later, "diagnostic" if self.is_block else ""):
            return False
        if self.scope == "region":
            return any(one.regions & later.regions for one in asked)
        if self.scope != "site":
            return True
        sites = {site for one in asked for site in one.sites} & later.sites
        return any(not self.is_block or is_in_round(facts, site, on, later.on) for site in sites)

    def _first_free(self, asked: Sequence[Wanted], facts: Facts, on: date) -> date:
        held = facts.of(self.row.families)
        days = {period.after(one.on) for one in held for period in (self.period, self.later or self.period)}
        days |= days_of(one for one in (*held, *facts.of(ABLATIONS)) if one.on > on)
        return next(
            day for day in sorted(days) if day > on and not self._short(asked, facts, day) and not self._close(asked, facts, day)
        )

    def _period(self, facts: Facts, on: date, *, proposed: date | None = None) -> Period:
        if self.later is None:
            return self.period
        held = {session.on for session in facts.earlier(self.row.families, on)} | ({proposed} if proposed else set())
        return self.later if sum(map(facts.episode_holds, held)) >= self.initial else self.period

    def _references(self, asked: Sequence[Wanted], facts: Facts, on: date) -> list[Session]:
        if self.scope == "site":
            sites = sorted({site for one in asked for site in one.sites})
            if self.is_block:
                rounds = (block_round(facts, self.row.families, site, on) for site in sites)
                return [held[-1] for held in rounds if held]
            earlier = facts.earlier(self.row.families, on)
            covered = ([session for session in earlier if site in session.sites] for site in sites)
            return [held[-1] for held in covered if held]
        earlier = facts.earlier(self.row.families, on)
        if self.scope == "region":
            regions = {region for one in asked for region in one.regions}
            earlier = [session for session in earlier if regions & session.regions]
        return earlier[-1:]


@dataclass(frozen=True)
class LifetimeBodies(Ruled):
    """At most so many vertebral bodies ever; only some of them, none twice, few a session, with the right change."""

    most: int
    allowed: tuple[str, ...] = ()
    per_session: int | None = None
    is_never_again: bool = False
    modic_types: tuple[int, ...] = ()

    def check(self, facts: Facts, on: date) -> list[Finding]:
        asked = self.asked(facts)
        if not asked:
            return []
        before = {level for session in facts.earlier(self.row.families, on) for level in session.levels}
        beside = [one for one in facts.beside(on) if self.speaks_of(one)]
        mine = sorted({level for one in asked for level in one.levels}, key=place_of)
        bodies = sorted({*mine, *(level for one in beside for level in one.levels)}, key=place_of)
        faults = self._faults(asked, mine, before, facts)
        if len(before) + len(bodies) > self.most:
            faults.insert(0, f"with these {len(bodies)} it would be more than {self.most} in a lifetime")
        crowded = self._crowded(mine, facts, on)
        if crowded:
            faults.append(f"{booked_told(crowded)} at {', '.join(crowded[0].levels)} would then be too much")
        known = [fault for fault in faults if fault != _UNKNOWN_MODIC]
        message = f"{len(before)} vertebral {'body was' if len(before) == 1 else 'bodies were'} treated before."
        if faults:
            message = f"{message} Refused: {'; '.join(faults)}."
        evidence: dict[str, Plain] = {
            "counted": len(before), "limit": self.most, "adds": len(bodies), "treated": ", ".join(sorted(before, key=place_of)),
        }  # fmt: skip
        if beside:
            evidence["same_day"] = listed(beside)
        if crowded:
            evidence["later"] = listed(crowded)
        severity = None if faults else Severity.ADVICE
        is_pending, about = not_said(facts, is_known=bool(known) or not faults)
        found = [self.row.finding(message, evidence=evidence, severity=severity, is_pending=is_pending, about=about)]
        if self.per_session is not None and len(bodies) > self.per_session:
            over = f"{len(bodies)} vertebral bodies are asked for in one session; the limit is {self.per_session}."
            figures: dict[str, Plain] = {"counted": len(bodies), "limit": self.per_session}
            found.append(self.row.finding(over, evidence=figures, about="session"))
        return found

    def asks(self, facts: Facts) -> frozenset[str]:
        return frozenset({"modic_type"} if self.modic_types and self.asked(facts) else ())

    def _crowded(self, bodies: Sequence[str], facts: Facts, on: date) -> list[Session]:
        """Return the sessions booked for later that would treat a body again or be more than the lifetime allows."""
        found = []
        for later in facts.ahead(self.row.families, on):
            held = {level for one in facts.earlier(self.row.families, later.on) for level in one.levels} | set(bodies)
            is_again = self.is_never_again and set(later.levels) & set(bodies)
            if self.speaks_of(later) and (is_again or len(held) + len(set(later.levels)) > self.most):
                found.append(later)
        return found

    def _faults(self, asked: Sequence[Wanted], bodies: Sequence[str], before: set[str], facts: Facts) -> list[str]:
        faults = []
        wrong = [level for level in bodies if self.allowed and level not in self.allowed]
        if wrong:
            faults.append(f"{', '.join(wrong)} is not among {', '.join(self.allowed)}")
        again = [level for level in bodies if level in before]
        if self.is_never_again and again:
            faults.append(f"{', '.join(again)} was treated before")
        types = {one.modic_type for one in asked}
        if self.modic_types and types - {None, *self.modic_types}:
            faults.append(f"Modic type {' and '.join(map(str, self.modic_types))} only")
        elif self.modic_types and None in types and not facts.is_complete:
            faults.append(_UNKNOWN_MODIC)
        return faults


_UNKNOWN_MODIC = "the Modic type is not on file"
