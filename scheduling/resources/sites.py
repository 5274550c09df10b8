"""Sites and the days on which they are closed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site, User
from pain_clinic.audit import trail
from pain_clinic.errors import translated
from scheduling import free_time
from scheduling.models import Block, Closure
from scheduling.resources.shared import CONSTRAINTS, all_at


def save_site(*, site: Site | None, values: Mapping[str, Any], closures: Mapping[date, str], by: Actor, at: datetime) -> Site:
    """Make or change a site and the days on which it is closed; whoever makes one works at it.

    Raises:
        NameTaken: another site has the name.
    """
    with translated(CONSTRAINTS), transaction.atomic():
        kept = Site.objects.select_for_update(no_key=True).get(pk=site.pk) if site is not None else Site()
        zone_before, active_before = kept.time_zone, kept.is_active
        for name, value in values.items():
            setattr(kept, name, value)
        kept.save()
        if site is None and by.user_id is not None:
            kept.staff.add(User.objects.get(pk=by.user_id))
        is_closed_otherwise = _set_closures(kept, closures)
        if site is not None and (zone_before != kept.time_zone or active_before != kept.is_active or is_closed_otherwise):
            free_time.rebuild(at=at, resources=all_at(kept))
            free_time.expand_blocks(at=at, blocks=list(Block.objects.filter(site=kept).values_list("pk", flat=True)))
        trail.record(by=by, act="scheduling.save_site", subject=kept, site_id=kept.pk, reason_code="new" if site is None else "")
        return kept


def _set_closures(site: Site, wanted: Mapping[date, str]) -> bool:
    """Make a site's closed days those named, and say whether any day changed."""
    there = {row.date: row for row in Closure.objects.filter(site=site)}
    gone = [row.pk for day, row in there.items() if day not in wanted]
    Closure.objects.filter(pk__in=gone).delete()  # the row history keeps them
    for day, name in wanted.items():
        row = there.get(day)
        if row is None:
            Closure.objects.create(site=site, date=day, name=name)
        elif row.name != name:
            row.name = name
            row.save(update_fields=["name"])
    return bool(gone) or any(day not in there for day in wanted)
