"""Where procedures were done and what the last one at each place brought. No database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol
from urllib.parse import urlencode

from patients import relief
from patients.history.reading import Done, Scored
from patients.history.shapes import Map, Relief, SpineRegion, SpineRow, Target
from procedures import levels as spine

MOST, HALF = 80, 50
SIDES = {"right": "right", "left": "left", "midline": "midline", "": ""}
LONGEST = 8  # levels that are drawn whole
ORDER = {"right": 0, "midline": 1, "": 1, "left": 2}
SHOWN = {
    "cervical": (*spine.PAIRS[:6], "C7-T1"),
    "thoracic": spine.PAIRS[7:19],
    "lumbar": spine.PAIRS[19:],
    "sacral": spine.FORAMINA,
}


@dataclass(frozen=True, slots=True)
class Place:
    """A level, or a part of the body off the spine, and its side."""

    place: str
    side: str


class Spot(Protocol):
    """What says where something was done or is to be done."""

    @property
    def levels(self) -> list[str]: ...
    @property
    def regions(self) -> list[str]: ...
    @property
    def own_regions(self) -> list[str] | None: ...
    @property
    def side(self) -> str: ...
    @property
    def body_site(self) -> str: ...


def places_of(done: Spot) -> tuple[Place, ...]:
    """Return where a procedure was done; both sides of a bilateral one."""
    where = tuple(done.levels)
    side = done.side
    if not where and done.body_site:
        first, _, rest = done.body_site.partition("_")
        is_sided = first in ("left", "right") and bool(rest)
        where, side = ((rest,), first) if is_sided else ((done.body_site,), side)
    if not where:
        where = tuple(done.regions) or tuple(done.own_regions or ())[:1]
    sides = ("right", "left") if side == "bilateral" else (side if side in ("left", "right") else "midline",)
    return tuple(Place(place, one) for place in where for one in sides)


def is_at(done: Spot, at: Place) -> bool:
    """Say whether a procedure was done at a place; a place without a side is meant on every side."""
    return any(place.place == at.place and at.side in ("", place.side) for place in places_of(done))


def relief_of(done: Done, scores: Sequence[Scored]) -> Relief:
    """Return what a session brought so far: its best relief, and how long at least half of the pain was gone.

    A treatment of which only its own day is known is not judged by it: that day shows the local anaesthetic.
    """
    count = done.score_count or 0
    if done.best_pct is None:
        return Relief(None, "", count, "none")
    if done.later_pct is None:
        return Relief(int(done.best_pct.to_integral_value()), "that day", count, "none")
    tone = "most" if done.later_pct >= MOST else "half" if done.later_pct >= HALF else "little"
    return Relief(int(done.later_pct.to_integral_value()), _lasted(done, scores), count, tone)


def _lasted(done: Done, scores: Sequence[Scored]) -> str:
    if done.held_50_until is None:
        return ""
    ends_on = done.lost_50_on or done.held_50_until
    days = (ends_on - done.done_on).days
    words = in_words(days) if days else _hours(done, scores)
    if not words:
        return "that day"
    return f"for {words}" if done.lost_50_on else f"for {words} or more"


def in_words(days: int) -> str:
    """Return a length in the unit that suits it: 9 d, 11 w, 7 mo, 2.1 y."""
    if days < 14:
        return f"{days} d"
    if days < 92:
        return f"{round(days / 7)} w"
    months = days / 30.4375
    return f"{round(months)} mo" if months < 24 else f"{months / 12:.1f} y"


def _hours(done: Done, scores: Sequence[Scored]) -> str:
    """Return for how many hours a relief of one day lasted, by the block diary; empty where no clock was noted."""
    if done.done_at is None or not done.baseline:
        return ""
    lasted = None
    for one in scores:
        if one.phase != "diary" or one.value is None or one.scored_at is None:
            continue
        pct = relief.percent(Fraction(done.baseline), Fraction(one.value))
        if pct is None or pct < relief.HALF:
            if lasted is not None:
                break
            continue
        lasted = one.scored_at - done.done_at
    if lasted is None:
        return ""
    hours = lasted.total_seconds() / 3600
    return f"{round(hours)} h" if hours >= 1 else f"{round(hours * 60)} min"


def label_of(place: str) -> str:
    """Return a place as staff say it."""
    if place in spine.ALL_REGIONS:
        return spine.ALL_REGIONS[place]
    return place if is_level(place) else place.replace("_", " ").capitalize()


def is_level(place: str) -> bool:
    """Say whether a place is a level of the spine."""
    return place in spine.PAIRS or place in spine.FORAMINA or place in spine.SPINE


def is_place(place: str) -> bool:
    """Say whether a text can name a place: a level, or words of a part of the body."""
    return is_level(place) or place.replace("_", "").isalpha()


def map_of(
    done: Iterable[Done], reliefs: Mapping[int, Relief], *, chosen: Place | None, url: str, clear_url: str
) -> Map:  # fmt: skip
    """Return the spine and the body with every target; `done` comes with the latest first."""
    sessions: dict[Place, list[Done]] = {}
    for one in done:
        for place in places_of(one):
            sessions.setdefault(place, []).append(one)
    targets = {place: _target(place, held, reliefs, chosen, url) for place, held in sessions.items()}
    rows: dict[str, list[Target]] = {}
    for place, target in targets.items():
        if is_level(place.place):
            rows.setdefault(place.place, []).append(target)
    body = sorted(
        (target for place, target in targets.items() if not is_level(place.place)),
        key=lambda target: (_height(target.place), target.place, ORDER.get(target.side, 3)),
    )
    words = f"{label_of(chosen.place)} {SIDES.get(chosen.side, '')}".strip() if chosen else ""
    return Map(tuple(_regions(rows)), tuple(body), words, clear_url)


def _target(place: Place, held: Sequence[Done], reliefs: Mapping[int, Relief], chosen: Place | None, url: str) -> Target:
    last = held[0]
    is_chosen = chosen is not None and chosen.place == place.place and chosen.side in ("", place.side)
    return Target(
        place=place.place,
        label=label_of(place.place),
        side=place.side,
        count=len(held),
        last_on=last.done_on,
        relief=reliefs[last.pk],
        url=f"{url}{urlencode({'at': place.place, 'side': place.side})}",
        is_chosen=is_chosen,
    )


def _height(place: str) -> int:
    return spine.BODY.index(place) if place in spine.BODY else len(spine.BODY)


def _regions(rows: Mapping[str, Sequence[Target]]) -> Iterable[SpineRegion]:
    """Yield each region in which anything was done, drawn whole, with levels of other names where they were used."""
    for region, usual in SHOWN.items():
        used = [level for level in rows if spine.region_of(level) == region]
        if not used:
            continue
        found = [*usual, *(level for level in used if level not in usual)]
        ordered = sorted(found, key=_place_of)
        if len(ordered) > LONGEST:  # of the thorax only what was treated, and its neighbours
            at = [ordered.index(level) for level in used]
            ordered = ordered[max(min(at) - 1, 0) : max(at) + 2]
        yield SpineRegion(
            spine.REGIONS[region],
            tuple(
                SpineRow(level, region, tuple(sorted(rows.get(level, ()), key=lambda target: ORDER.get(target.side, 3))))
                for level in ordered
            ),
        )


def _place_of(level: str) -> tuple[int, str]:
    upper = level.partition("-")[0]
    base = spine.SPINE.index(upper) * 2 if upper in spine.SPINE else 1000 + int(upper[1:])
    return (base + ("-" in level), level)
