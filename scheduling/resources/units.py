"""People, rooms and devices, and what a physician may perform."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from pain_clinic.errors import translated
from procedures.models import Procedure
from scheduling import free_time
from scheduling.models import Privilege, Resource
from scheduling.resources.shared import CONSTRAINTS, Changed, locked


def save_resource(
    *,
    resource: Resource | None,
    values: Mapping[str, Any],
    may_perform: Collection[Procedure],
    by: Actor,
    at: datetime,
    version: int | None = None,
) -> Resource:
    """Make or change a person, room or device, and what a physician may perform.

    Raises:
        Changed: it is no longer at `version`.
        NameTaken: the site has one of this name.
    """
    with translated(CONSTRAINTS), transaction.atomic():
        kept = locked(resource) if resource is not None else Resource()
        if resource is not None and version is not None and kept.version != version:
            raise Changed
        for name, value in values.items():
            setattr(kept, name, value)
        kept.version = kept.version + 1 if resource is not None else 1
        kept.save()
        _set_privileges(kept, may_perform)
        free_time.rebuild(at=at, resources=[kept.pk])
        trail.record(
            by=by,
            act="scheduling.save_resource",
            subject=kept,
            site_id=kept.site_id,
            reason_code="new" if resource is None else "",
        )
        return kept


def _set_privileges(resource: Resource, wanted: Collection[Procedure]) -> None:
    """Give and take privileges; those that stay keep their terms. No form offers a retired procedure, so its own stays."""
    held = Privilege.objects.filter(resource=resource)
    ids = {procedure.pk for procedure in wanted}
    new = ids - set(held.values_list("procedure_id", flat=True))
    held.filter(procedure__is_retired=False).exclude(procedure__in=ids).delete()  # the row history keeps them
    for pk in sorted(new):
        Privilege.objects.create(resource=resource, procedure_id=pk)
