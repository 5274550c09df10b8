"""The frame around every page: the clinic, the person, and the rail with only what that person may open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from pain_clinic import web
from pain_clinic.accounts.roles import ROLE_NAMES


@dataclass(frozen=True, slots=True)
class RailItem:
    label: str
    url: str
    icon: str
    is_current: bool = False
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    clinic: str
    today: date | None = None  # on the wall of the site that the page is about, else of this person's first
    site_name: str = ""
    user_name: str = ""
    role: str = ""
    items: tuple[RailItem, ...] = ()
    may_search: bool = False
    is_local: bool = False
    account_url: str = ""
    sign_out_url: str = ""
    mailbox_url: str = ""


# label, URL name, icon, permission, other paths under which it is the current one
RAIL = (
    ("Home", "scheduling:home", "house", "accounts.view_home", ()),
    ("Board", "scheduling:board", "calendar-days", "scheduling.view_board", ("/appointments/",)),
    ("Book", "scheduling:book", "calendar-plus", "scheduling.book_appointment", ()),
    ("Patients", "patients:list", "users", "patients.search_patients", ()),
    ("Worklist", "scheduling:worklist", "list-checks", "scheduling.view_course", ("/courses/", "/pathways/")),
    ("Messages", "scheduling:messages", "mail", "scheduling.view_messages", ()),
    ("To do", "scheduling:tasks", "phone", "scheduling.work_tasks", ("/unconfirmed/",)),
    ("Findings", "scheduling:findings", "triangle-alert", "scheduling.view_appointment", ()),
    ("Reports", "patients:outcomes", "chart-no-axes-column", "patients.view_outcomes", ("/reports/",)),
    ("Rules", "scheduling:assess", "scale", "procedures.view_rules", ("/rules/",)),
    ("Set-up", "scheduling:settings", "settings", "procedures.view_catalogue", ("/staff/",)),
    ("Audit", "audit", "scroll-text", "accounts.view_audit", ()),
)


def frame(request: HttpRequest) -> dict[str, Any]:
    """Give templates the frame; for nobody signed in it is empty but for the clinic's name."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"frame": Frame(clinic=settings.CLINIC_NAME)}
    shown = getattr(request, "shown_site", None)
    sites = (shown,) if shown else web.sites_of(request)
    roles = set(user.groups.values_list("name", flat=True))
    return {
        "frame": Frame(
            clinic=settings.CLINIC_NAME,
            today=shown.day_at(web.now()) if shown else web.today(request),
            site_name=f"{len(sites)} sites" if len(sites) > 1 else sites[0].name if sites else "no site yet",
            user_name=user.shown_name,
            role=", ".join(label for role, label in ROLE_NAMES.items() if role in roles),
            items=_items(request),
            may_search=user.has_perm("patients.search_patients") and bool(_address("patients:list")),
            is_local=settings.CLINIC_MODE == "local",
            account_url=reverse("account"),
            sign_out_url=reverse("account_logout"),
            mailbox_url="/mailbox/",
        )
    }


def _items(request: HttpRequest) -> tuple[RailItem, ...]:
    items = []
    for label, name, icon, permission, others in RAIL:
        url = _address(name)
        if not url or not request.user.has_perm(permission):
            continue
        prefixes = (url, *others) if url != "/" else ()
        is_current = request.path == url or any(request.path.startswith(prefix) for prefix in prefixes)
        items.append(RailItem(label, url, icon, is_current))
    return tuple(items)


def _address(name: str) -> str:
    """Return the address of a page, empty where this installation has no such floor."""
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""
