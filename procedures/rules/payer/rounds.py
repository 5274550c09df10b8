"""Rounds of diagnostic blocks: which blocks of a site belong together, and how many of them there may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from procedures.rules.facts import Facts, Session
from procedures.rules.findings import Finding, Plain, Severity
from procedures.rules.places import ABLATIONS, site_told
from procedures.rules.rows import Ruled, booked_told, listed


def block_round(
    facts: Facts, families: frozenset[str], site: tuple[str, str], on: date, *, after: date | None = None
) -> list[Session]:
    """Return the earlier diagnostic sessions of some families at a site in the present round, oldest first.

    An ablation of the site ends a round: blocks dated before it are left out.
    """
    ablated = [session.on for session in facts.earlier(ABLATIONS, on) if site in session.sites]
    since = after or (ablated[-1] if ablated else None)
    return [
        session
        for session in facts.earlier(families, on)
        if session.role == "diagnostic" and site in session.sites and (since is None or session.on >= since)
    ]


def is_in_round(facts: Facts, site: tuple[str, str], on: date, later: date) -> bool:
    """Say whether a block of a site on a date belongs to the round in which a later one is done."""
    return not any(site in one.sites and on < one.on < later for one in facts.of(ABLATIONS))


@dataclass(frozen=True)
class MaxBlocks(Ruled):
    """At most so many diagnostic blocks at one level on one side in a round. `is_reported` tells the count if kept."""

    most: int
    is_reported: bool = True

    def check(self, facts: Facts, on: date) -> Finding | None:
        sites = sorted({site for one in self.asked(facts, "diagnostic") for site in one.sites})
        if not sites:
            return None
        counts = {site: len({session.on for session in block_round(facts, self.row.families, site, on)}) for site in sites}
        site = max(sites, key=lambda one: (counts[one], one))
        counted = counts[site]
        crowded = self._crowded(sites, facts, on)
        is_over = counted + 1 > self.most or bool(crowded)
        if not is_over and not self.is_reported:
            return None
        message = (
            f"{counted} diagnostic block{'' if counted == 1 else 's'} at {site_told(site)} before; the limit is {self.most}."
        )
        evidence: dict[str, Plain] = {"counted": counted, "limit": self.most, "site": site_told(site)}
        if crowded:
            message += f" {booked_told(crowded)}, which would then be one too many."
            evidence["later"] = listed(crowded)
        severity = None if is_over else Severity.ADVICE
        return self.row.finding(message, evidence=evidence, severity=severity, about="blocks")

    def _crowded(self, sites: Sequence[tuple[str, str]], facts: Facts, on: date) -> list[Session]:
        """Return the blocks booked for later that would be too many at one of the sites after one more on a date."""
        return [
            later
            for later in facts.ahead(self.row.families, on)
            if self.speaks_of(later, "diagnostic")
            and any(
                site in later.sites
                and is_in_round(facts, site, on, later.on)
                and len({on, *(one.on for one in block_round(facts, self.row.families, site, later.on))}) + 1 > self.most
                for site in sites
            )
        ]
