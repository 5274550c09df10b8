"""Weekly time that is kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from pain_clinic.errors import translated
from scheduling import free_time
from scheduling.models import Block
from scheduling.resources.shared import locked


def save_block(*, block: Block | None, values: Mapping[str, Any], by: Actor, at: datetime) -> Block:
    """Make or change weekly time kept for a physician or a family of procedures; booked cases stay where they are."""
    with translated(), transaction.atomic():
        locked(values["resource"])
        kept = Block.objects.select_for_update().get(pk=block.pk) if block is not None else Block()
        for name, value in values.items():
            setattr(kept, name, value)
        kept.save()
        free_time.expand_blocks(at=at, blocks=[kept.pk])
        trail.record(
            by=by, act="scheduling.save_block", subject=kept, site_id=kept.site_id, reason_code="new" if block is None else ""
        )
        return kept
