"""What every page's frame shows: the clinic, the day, who is signed in, and where they may go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from pain_clinic import clock
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.roles import ROLE_NAMES


@dataclass(frozen=True, slots=True)
class RailItem:
    label: str
    url: str
    icon: str
    is_current: bool
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    clinic: str
    today: date
    site_name: str = ""
    user_name: str = ""
    role: str = ""
    items: tuple[RailItem, ...] = ()
    may_search: bool = False
    is_local: bool = False
    account_url: str = ""
    sign_out_url: str = ""
    mailbox_url: str = "/mailbox/"


# label, URL name, icon, permission; a page that is not there yet is left out
PLACES = (
    ("Home", "scheduling:home", "house", "accounts.view_home"),
    ("Board", "scheduling:board", "calendar-days", "scheduling.view_board"),
    ("Book", "scheduling:book", "calendar-plus", "scheduling.book_appointment"),
    ("Patients", "patients:list", "users", "patients.search_patients"),
    ("Messages", "scheduling:messages", "mail", "scheduling.view_messages"),
    ("Findings", "scheduling:findings", "triangle-alert", "scheduling.manage_resources"),
    ("Set-up", "scheduling:settings", "settings", "scheduling.manage_resources"),
    ("Staff", "staff", "user-cog", "accounts.manage_staff"),
    ("Audit", "audit", "scroll-text", "accounts.view_audit"),
)


def frame(request: HttpRequest) -> dict[str, Frame]:
    """Give the templates the frame; for somebody not signed in, only the clinic's name and the day."""
    moment = clock.now()
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"frame": Frame(clinic=settings.CLINIC_NAME, today=moment.date(), is_local=not settings.IS_PRODUCTION)}
    actor = Actor.of(request)
    site = user.sites.order_by("pk").first()
    roles = sorted(user.groups.values_list("name", flat=True), key=_rank)
    return {
        "frame": Frame(
            clinic=settings.CLINIC_NAME,
            today=(moment.astimezone(ZoneInfo(site.time_zone)) if site is not None else moment).date(),
            site_name=site.name if site is not None else "",
            user_name=user.shown_name,
            role=", ".join(ROLE_NAMES.get(role, role) for role in roles),
            items=_items(request, actor),
            may_search=actor.may("patients.search_patients") and bool(_address("patients:list")),
            is_local=not settings.IS_PRODUCTION,
            account_url=reverse("account"),
            sign_out_url=reverse("account_logout"),
        )
    }


def _items(request: HttpRequest, actor: Actor) -> tuple[RailItem, ...]:
    found = []
    for label, name, icon, permission in PLACES:
        address = _address(name)
        if address and actor.may(permission):
            is_current = request.path == address if address == "/" else request.path.startswith(address)
            found.append(RailItem(label, address, icon, is_current))
    return tuple(found)


def _address(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


def _rank(role: str) -> tuple[int, str]:
    return (list(ROLE_NAMES).index(role) if role in ROLE_NAMES else len(ROLE_NAMES), role)
