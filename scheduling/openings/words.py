"""What a search for openings is asked and what it answers."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta

from django.conf import settings

from procedures.models import Procedure
from procedures.rules import Finding
from scheduling.availability import Explanation, Frame, Opening, Window
from scheduling.intervals import SLOT, midnight, slot_after

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class FoundUnit:
    """A resource as an answer names it."""

    id: int
    public_id: uuid.UUID
    kind: str
    name: str
    short_name: str


@dataclass(frozen=True, slots=True)
class FoundSite:
    """A site as an answer names it."""

    id: int
    public_id: uuid.UUID
    name: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class OpeningsFound:
    """The openings, or why there are none; and the names of the units and sites they speak of."""

    openings: tuple[Opening, ...]
    explanation: Explanation | None
    units: Mapping[int, FoundUnit]
    sites: Mapping[int, FoundSite]


@dataclass(frozen=True, slots=True)
class Fit:
    """One named start: what would be taken, or the structural findings that stand in its way."""

    opening: Opening | None
    findings: tuple[Finding, ...]
    units: Mapping[int, FoundUnit]


@dataclass(frozen=True, slots=True)
class Options:
    """How a procedure is to be done, where that changes lengths or needs."""

    sedation: str = ""
    guidance: str = ""  # empty: the usual one
    minutes: int | None = None  # of the procedure leg; None: the physician's own or the catalogue's


AS_USUAL = Options()


@dataclass(frozen=True, slots=True)
class Asked:
    procedure: Procedure
    options: Options
    at: datetime
    site: int | None
    sites: Collection[int] | None
    physician: int | None
    wanted: frozenset[int] = frozenset()

    def wider(self) -> Asked:
        return replace(self, site=None, physician=None)


def window_of(
    at: datetime,
    earliest: datetime | None,
    latest: datetime | None,
    weekdays: frozenset[int],
    part: tuple[time, time] | None,
) -> Window:
    now = round_up(at)
    end = at + timedelta(days=settings.BOOKING_HORIZON_DAYS)
    return Window(
        earliest=max(earliest, now) if earliest else now,
        latest=min(latest, end) if latest else end,
        weekdays=weekdays,
        part=part,
        arrives_from=now,
    )


def round_up(moment: datetime) -> datetime:
    day = moment.astimezone(UTC).date()
    return midnight(day) + slot_after(moment, day) * SLOT


def frame_of(procedure: Procedure, window: Window, at: datetime) -> Frame:
    first = (window.earliest - timedelta(minutes=procedure.prep_minutes)).astimezone(UTC).date()
    last = max((window.latest + _DAY).astimezone(UTC).date(), first)
    return Frame(first, (last - first).days + 1)
