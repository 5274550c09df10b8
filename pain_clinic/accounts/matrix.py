"""The matrix role x operation: every page and API operation there is, and who may use it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from pain_clinic.accounts.roles import ROLES, as_csv

USE_API = "accounts.use_api"
NOT_OURS = ("django.contrib.staticfiles",)  # files without data, in development only


@dataclass(frozen=True, slots=True)
class Operation:
    """A page (any method) or one method of the API; `permission` is empty where everybody may."""

    name: str
    permission: str
    is_public: bool = False
    is_api: bool = False

    def may(self, role: str) -> bool:
        """Say whether a role may use it; the API asks for its own permission besides the operation's."""
        has = ROLES[role]
        return self.is_public or (self.permission in has and (not self.is_api or USE_API in has))


def operations() -> list[Operation]:
    """Return every operation of the site, in the order of addresses."""
    found: dict[str, Operation] = {}
    for address, view in _views(get_resolver()):
        if not any(view.__module__.startswith(name) for name in NOT_OURS):
            for operation in _of_view(address, view):
                found[operation.name] = operation
    return [found[name] for name in sorted(found, key=lambda name: (name.partition(" ")[2], name))]


def table() -> str:
    """Return both parts of `docs/permissions.csv`: role x permission, then role x operation."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    for operation in operations():
        rows.writerow([operation.name, *("yes" if operation.may(role) else "no" for role in ROLES)])
    return as_csv() + out.getvalue()


def _views(resolver: URLResolver, prefix: str = "/") -> Iterator[tuple[str, Any]]:
    for entry in resolver.url_patterns:
        address = prefix + str(entry.pattern).removeprefix("^").removesuffix("$")
        if isinstance(entry, URLResolver):
            yield from _views(entry, address)
        elif isinstance(entry, URLPattern):
            yield address, entry.callback


def _of_view(address: str, view: Any) -> Iterator[Operation]:
    if getattr(view, "is_open_to_public", ""):
        yield Operation(f"public {address}", "", is_public=True)
        return
    stated = getattr(view, "required_permission", "")
    if stated:
        yield Operation(f"page {address}", stated)
        return
    needed = getattr(getattr(view, "cls", None) or getattr(view, "view_class", None), "required", "")
    each = {"GET": needed} if isinstance(needed, str) else needed
    for method, permission in each.items():
        yield Operation(f"{method} {address}", permission, is_api=True)
