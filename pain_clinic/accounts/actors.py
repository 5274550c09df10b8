"""Who acts: a member of staff, the system itself, or a patient through a link."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.http import HttpRequest

from pain_clinic.middleware import client_address


@dataclass(frozen=True, slots=True)
class Actor:
    """The one who asks a verb to act, and what they may. `site_ids` None means every site."""

    kind: str
    user_id: int | None
    name: str
    permissions: frozenset[str] = frozenset()
    site_ids: frozenset[int] | None = None
    address: str = ""
    request_id: str = ""
    patient_id: UUID | None = field(default=None)

    @classmethod
    def of(cls, request: HttpRequest) -> Actor:
        """Return the signed-in member of staff behind a request; read once per request."""
        known: Actor | None = getattr(request, "_clinic_actor", None)
        if known is not None and known.user_id == request.user.pk:
            return known
        actor = cls.of_user(request.user, address=client_address(request), request_id=getattr(request, "request_id", ""))
        request._clinic_actor = actor  # type: ignore[attr-defined]
        return actor

    @classmethod
    def of_user(cls, user: Any, *, address: str = "", request_id: str = "") -> Actor:
        """Return the actor for a user; an anonymous one may nothing and has no sites."""
        if not user.is_authenticated:
            return cls(
                kind="anonymous", user_id=None, name="anonymous", site_ids=frozenset(), address=address, request_id=request_id
            )
        return cls(
            kind="user",
            user_id=user.pk,
            name=user.username,
            permissions=frozenset(user.get_all_permissions()),
            site_ids=frozenset(user.sites.values_list("pk", flat=True)),
            address=address,
            request_id=request_id,
        )

    @classmethod
    def system(cls, name: str, *permissions: str) -> Actor:
        """Return the system itself, under the name of the task or command that acts."""
        return cls(kind="system", user_id=None, name=name, permissions=frozenset(permissions))

    @classmethod
    def patient(cls, patient_id: UUID, *, request: HttpRequest | None = None) -> Actor:
        """Return a patient who opened a link; the id is the patient's public one."""
        return cls(
            kind="patient",
            user_id=None,
            name=f"patient {patient_id}",
            address=client_address(request) if request is not None else "",
            request_id=getattr(request, "request_id", "") if request is not None else "",
            patient_id=patient_id,
        )

    def may(self, permission: str) -> bool:
        """Say whether this actor holds a permission such as `scheduling.book_appointment`."""
        return permission in self.permissions

    def may_at(self, site_id: int) -> bool:
        """Say whether this actor works at a site."""
        return self.site_ids is None or site_id in self.site_ids

    @property
    def key(self) -> str:
        """Return a stable text naming this actor, for request keys."""
        if self.kind == "user":
            return f"user:{self.user_id}"
        return f"{self.kind}:{self.patient_id or self.name}"
